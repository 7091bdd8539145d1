//! Patterns over destinations. `*` is any run of characters but `/`, `**` any run at all; a lone `*` is anything.

/// Before its first slash a destination names a host or an address, which have no case; after it case counts.
pub fn is_within<'a>(patterns: impl IntoIterator<Item = &'a str>, destination: &str) -> bool {
    let destination = folded(destination);
    let matches =
        |pattern: &str| pattern == "*" || matches(folded(pattern).as_bytes(), destination.as_bytes());
    patterns.into_iter().any(|pattern| matches(pattern.trim()))
}

fn folded(text: &str) -> String {
    let (head, tail) = text.split_at(text.find('/').unwrap_or(text.len()));
    head.to_ascii_lowercase() + tail
}

/// Two places to go back to: the last `*`, which stays within its segment, and the last `**`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut stars: Option<(usize, usize)> = None;
    loop {
        let rest = pattern.get(p..).unwrap_or_default();
        if rest.starts_with(b"**") {
            (stars, star) = (Some((p + 2, t)), None);
            p += 2;
        } else if rest.starts_with(b"*") {
            star = Some((p + 1, t));
            p += 1;
        } else if rest.first() == text.get(t) {
            if rest.is_empty() {
                return true;
            }
            p += 1;
            t += 1;
        } else if let Some((after, from)) =
            star.filter(|(_, from)| text.get(*from).is_some_and(|c| *c != b'/'))
        {
            star = Some((after, from + 1));
            (p, t) = (after, from + 1);
        } else if let Some((after, from)) = stars.filter(|(_, from)| *from < text.len()) {
            (stars, star) = (Some((after, from + 1)), None);
            (p, t) = (after, from + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests;
