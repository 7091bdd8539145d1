//! Money: integers of nano-dollars, and how people read them.

/// Exactly, without a float.
pub fn usd(nanos: u64) -> String {
    let (whole, part) = (nanos / 1_000_000_000, format!("{:09}", nanos % 1_000_000_000));
    let part = part.trim_end_matches('0');
    match part.len() {
        0 => format!("{whole} usd"),
        // As prices are written: 0.30, not 0.3.
        1 => format!("{whole}.{part}0 usd"),
        _ => format!("{whole}.{part} usd"),
    }
}

#[cfg(test)]
mod tests {
    use super::usd;

    #[test]
    fn money_is_written_exactly() {
        let shown = [0, 1, 10_000_000, 300_000_000, 3_000_000_000].map(usd);
        assert_eq!(shown, ["0 usd", "0.000000001 usd", "0.01 usd", "0.30 usd", "3 usd"]);
    }
}
