//! What a person sees: data on stdout, talk on stderr, tables on a terminal, JSON for pipes.

use std::io::{IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::config::Problems;

/// One line of data. A reader that went away is no failure.
pub(crate) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// One line of talk.
pub(crate) fn talk(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

pub(crate) fn error(error: &anyhow::Error) {
    talk(format!("error: {}", safe(&error.to_string())));
    let mut before = error.to_string();
    for cause in error.chain().skip(1) {
        // Some libraries repeat their source's words in their own.
        let words = cause.to_string();
        if !before.contains(&words) {
            talk(format!("  because: {}", safe(&words)));
        }
        before = words;
    }
}

pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?);
    Ok(())
}

pub(crate) fn warnings(warnings: &Problems) {
    for warning in &warnings.list {
        talk(warning.render(&warnings.sources, coloured()));
    }
}

pub(crate) fn coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// What agents and tools wrote may hold escapes that move a cursor or turn text around: shown, not obeyed.
pub(crate) fn safe(text: &str) -> String {
    let hostile = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars()
        .map(|c| if hostile(c) { format!("\\u{{{:x}}}", u32::from(c)) } else { c.to_string() })
        .collect()
}

/// A table that fits a terminal, and stays one row a line in a pipe.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.iter().map(|cell| cell.to_uppercase()));
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for row in rows {
        table.add_row(row.iter().map(|cell| safe(cell).replace('\n', " ")));
    }
    for text in table.lines() {
        line(text.trim_end());
    }
}

/// The same for a screen that is drawn anew: columns that do not fit are left out whole, in this order, so that no id
/// is broken in two.
pub(crate) fn fitting(head: &[&str], rows: &[Vec<String>], first_to_go: &[&str]) {
    let width = Table::new().width().map_or(usize::MAX, usize::from);
    let kept = kept(head, rows, first_to_go, width);
    let pick = |row: &Vec<String>| kept.iter().filter_map(|at| row.get(*at).cloned()).collect();
    let head: Vec<&str> = kept.iter().filter_map(|at| head.get(*at).copied()).collect();
    table(&head, rows.iter().map(pick).collect());
}

fn kept(head: &[&str], rows: &[Vec<String>], first_to_go: &[&str], width: usize) -> Vec<usize> {
    let letters = |text: &str| text.chars().count();
    let column = |at: &usize| {
        let cells = rows.iter().filter_map(|row| row.get(*at)).map(|cell| letters(&safe(cell)));
        // A blank on either side of it.
        cells.chain(head.get(*at).map(|name| letters(name))).max().unwrap_or(0) + 2
    };
    let mut kept: Vec<usize> = (0..head.len()).collect();
    for name in first_to_go {
        if kept.iter().map(column).sum::<usize>() <= width {
            break;
        }
        kept.retain(|at| head.get(*at) != Some(name));
    }
    kept
}

/// Nano-dollars as dollars.
pub(crate) fn usd(nanos: u64) -> String {
    if nanos == 0 {
        return "-".to_owned();
    }
    let cents = nanos.div_ceil(10_000_000);
    format!("${}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::kept;

    #[test]
    fn columns_go_whole_and_in_their_order() {
        let head = ["run", "cost", "denied"];
        let rows = [["run_0123456789".to_owned(), "$0.90".to_owned(), "3".to_owned()].to_vec()];
        let of = |width| kept(&head, &rows, &["denied", "cost"], width);
        // Fourteen, five and six letters, and two blanks each.
        assert_eq!([of(31), of(30), of(23)], [vec![0, 1, 2], vec![0, 1], vec![0, 1]]);
        assert_eq!([of(22), of(5)], [vec![0], vec![0]], "what must stay stays");
    }
}
