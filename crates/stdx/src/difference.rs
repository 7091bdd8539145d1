//! Two JSON values, member by member: what went, what came, what is another; of texts, which lines. Always short.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::diff;

/// Differences that are told; and lines of one text.
pub const DIFFERENCES_MAX: usize = 64;
const LINES_MAX: usize = 120;
/// Characters of one value, or of one line.
const CHARS_MAX: usize = 400;
/// Values that lie deeper are compared as one.
const DEPTH_MAX: usize = 8;
/// Pairs of lines that are looked at, over all texts; beyond that a text is compared as one.
const PAIRS_MAX: usize = 1_000_000;

/// At one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// A JSON Pointer; empty: the whole.
    pub at: String,
    /// None: it was not there.
    pub before: Option<Value>,
    /// None: it will not be there.
    pub after: Option<Value>,
    /// Of texts of several lines, in the place of both: each behind its mark, `-` went, `+` came.
    pub lines: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Differences {
    pub told: Vec<Difference>,
    /// There are more.
    pub is_cut: bool,
}

/// All that differs between two values.
pub fn between(before: &Value, after: &Value) -> Differences {
    let mut look = Look { found: Differences::default(), pairs: PAIRS_MAX };
    look.both(&mut Vec::new(), before, after);
    look.found
}

/// What differs in the members that both have: for two values of which one holds more than the other speaks of.
pub fn where_shared(before: &Value, after: &Value) -> Differences {
    let mut look = Look { found: Differences::default(), pairs: PAIRS_MAX };
    if let (Value::Object(before), Value::Object(after)) = (before, after) {
        let names: BTreeSet<&String> = after.keys().collect();
        for name in names {
            if let (Some(is), Some(will)) = (before.get(name), after.get(name)) {
                look.both(&mut vec![name.clone()], is, will);
            }
        }
    }
    look.found
}

impl Differences {
    /// All that is told, and at the end that there is more.
    pub fn list(self) -> Vec<Difference> {
        let more = || Difference {
            at: String::new(),
            before: None,
            after: None,
            lines: vec!["… more than is told here".to_owned()],
        };
        let more = self.is_cut.then(more);
        self.told.into_iter().chain(more).collect()
    }
}

struct Look {
    found: Differences,
    pairs: usize,
}

impl Look {
    fn both(&mut self, at: &mut Vec<String>, before: &Value, after: &Value) {
        if before == after {
            return;
        }
        match (before, after) {
            (Value::Object(was), Value::Object(will)) if at.len() < DEPTH_MAX => {
                let names: BTreeSet<&String> = was.keys().chain(will.keys()).collect();
                for name in names {
                    self.either(at, name.clone(), was.get(name), will.get(name));
                }
            }
            (Value::Array(was), Value::Array(will)) if at.len() < DEPTH_MAX => {
                for place in 0..was.len().max(will.len()) {
                    self.either(at, place.to_string(), was.get(place), will.get(place));
                }
            }
            (Value::String(was), Value::String(will)) if was.contains('\n') || will.contains('\n') => {
                self.texts(at, was, will);
            }
            _ => self.tell(at, Some(before), Some(after), Vec::new()),
        }
    }

    fn either(&mut self, at: &mut Vec<String>, name: String, before: Option<&Value>, after: Option<&Value>) {
        // What is not told is not looked for.
        if self.found.is_cut {
            return;
        }
        at.push(name);
        match (before, after) {
            (Some(before), Some(after)) => self.both(at, before, after),
            _ => self.tell(at, before, after, Vec::new()),
        }
        at.pop();
    }

    fn texts(&mut self, at: &[String], was: &str, will: &str) {
        let pairs = was.lines().count().saturating_mul(will.lines().count());
        let Some(left) = self.pairs.checked_sub(pairs) else {
            let (was, will) = (Value::from(was), Value::from(will));
            return self.tell(at, Some(&was), Some(&will), Vec::new());
        };
        self.pairs = left;
        let all = diff::lines(was, will);
        let mut lines: Vec<String> = all.iter().take(LINES_MAX).map(|line| cut(line)).collect();
        if all.len() > LINES_MAX {
            lines.push(format!("… {} more lines", all.len() - LINES_MAX));
        }
        // They end otherwise, and no line tells how.
        if lines.is_empty() {
            let (was, will) = (Value::from(was), Value::from(will));
            return self.tell(at, Some(&was), Some(&will), Vec::new());
        }
        self.tell(at, None, None, lines);
    }

    fn tell(&mut self, at: &[String], before: Option<&Value>, after: Option<&Value>, lines: Vec<String>) {
        if self.found.told.len() >= DIFFERENCES_MAX {
            self.found.is_cut = true;
            return;
        }
        let escaped = at.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1")));
        let at = escaped.collect();
        let (before, after) = (before.map(short), after.map(short));
        self.found.told.push(Difference { at, before, after, lines });
    }
}

impl Difference {
    /// One line, or one for each of a text's. Nothing is made safe for terminals.
    pub fn says(&self) -> Vec<String> {
        let at = if self.at.is_empty() { "all of it" } else { self.at.as_str() };
        match (&self.before, &self.after) {
            (Some(was), Some(will)) => vec![format!("{at}: {was} → {will}")],
            (Some(was), None) => vec![format!("{at}: {was} goes")],
            (None, Some(will)) => vec![format!("{at}: {will} comes")],
            (None, None) => {
                let lines = self.lines.iter().map(|line| format!("  {line}"));
                std::iter::once(format!("{at}:")).chain(lines).collect()
            }
        }
    }
}

/// As it is, or, where that would be long, the beginning of its text.
fn short(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(text)),
        Value::Object(_) | Value::Array(_) => {
            let text = value.to_string();
            if text.chars().nth(CHARS_MAX).is_some() { Value::String(cut(&text)) } else { value.clone() }
        }
        _ => value.clone(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
