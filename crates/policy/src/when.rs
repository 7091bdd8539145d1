//! The short form of a manifest (`args.x <= 5`) as one Cedar expression, and the way back to its place in the file.

use crate::reads::KEYS;

const PREFIX: &str = "context.";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) original: String,
    pub(crate) cedar: String,
    /// Where in `cedar` each `context.` was put in, ascending.
    inserted: Vec<usize>,
}

/// Bare leading names of the context get their `context.`; strings, comments, members and types stay as they are.
pub(crate) fn rewrite(original: &str) -> When {
    let (mut cedar, mut inserted) = (String::with_capacity(original.len() + 16), Vec::new());
    let (mut rest, mut before) = (original, "");
    while let Some(token) = next_token(rest) {
        let after = rest.get(token.len()..).unwrap_or("");
        if KEYS.contains(&token) && !matches!(before, "." | "::" | "has") && !is_named(after) {
            inserted.push(cedar.len());
            cedar.push_str(PREFIX);
        }
        cedar.push_str(token);
        if !is_blank(token) {
            before = token;
        }
        rest = after;
    }
    When { original: original.to_owned(), cedar, inserted }
}

impl When {
    /// The offset in the original of an offset in the Cedar text.
    pub(crate) fn back(&self, offset: usize) -> usize {
        let added: usize =
            self.inserted.iter().filter(|at| **at < offset).map(|at| (offset - at).min(PREFIX.len())).sum();
        offset.saturating_sub(added).min(self.original.len())
    }
}

/// A name before a colon is a type's or a record's, not the context's.
fn is_named(after: &str) -> bool {
    let mut after = after;
    while let Some(token) = next_token(after) {
        if !is_blank(token) {
            return token.starts_with(':');
        }
        after = after.get(token.len()..).unwrap_or("");
    }
    false
}

fn is_blank(token: &str) -> bool {
    token.starts_with("//") || token.starts_with(char::is_whitespace)
}

fn next_token(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    let length = match first {
        '"' => string_length(text),
        '/' if text.starts_with("//") => text.find(['\n', '\r']).unwrap_or(text.len()),
        ':' if text.starts_with("::") => 2,
        c if c.is_alphabetic() || c == '_' => {
            text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())
        }
        c if c.is_numeric() => text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len()),
        c if c.is_whitespace() => text.find(|c: char| !c.is_whitespace()).unwrap_or(text.len()),
        c => c.len_utf8(),
    };
    text.get(..length)
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests;
