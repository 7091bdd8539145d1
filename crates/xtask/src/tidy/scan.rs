//! Just enough of Rust's grammar to measure it: what is code, what is a test, where a function ends.

/// A source file without its comments, strings and tests: blanks stand where they stood, so that lines keep numbers.
pub struct Code {
    chars: Vec<char>,
    /// Lines that are not inside test items.
    pub lines: usize,
}

/// A function of a file: its name, the line of its `fn`, and the lines from there to its closing brace.
#[derive(Debug, PartialEq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

impl Code {
    pub fn of(source: &str) -> Code {
        let mut chars = without_text(source);
        let dropped = blank_tests(&mut chars);
        Code { chars, lines: source.lines().count() - dropped }
    }

    /// Identifiers and keywords with their lines, each with the two characters before it.
    pub fn words(&self) -> Vec<Word> {
        let mut words: Vec<Word> = Vec::new();
        let (mut line, mut at) = (1, 0);
        while let Some(&c) = self.chars.get(at) {
            let start = at;
            if c.is_alphanumeric() || c == '_' {
                at += self.chars.iter().skip(at).take_while(|c| c.is_alphanumeric() || **c == '_').count();
                let text = self.chars.iter().skip(start).take(at - start).collect();
                words.push(Word { text, line, start, end: at });
            } else {
                line += usize::from(c == '\n');
                at += 1;
            }
        }
        words
    }

    pub fn functions(&self) -> Vec<Function> {
        let words = self.words();
        let pairs = words.iter().zip(words.iter().skip(1));
        let named = pairs.filter(|(word, next)| word.text == "fn" && self.blank(word.end, next.start));
        let measured = named.filter_map(|(word, name)| {
            let end = item_end(&self.chars, name.end);
            let body = self.chars.get(word.start..end)?;
            let lines = body.iter().filter(|c| **c == '\n').count() + 1;
            Some(Function { name: name.text.clone(), line: word.line, lines })
        });
        measured.collect()
    }

    /// Lines on which a path like `std::fs` is named, spelled out or in a `use std::{…}`.
    pub fn paths(&self, root: &str, leaf: &str) -> Vec<usize> {
        let words = self.words();
        let mut found = Vec::new();
        for (index, word) in words.iter().enumerate().filter(|(_, word)| word.text == root) {
            let Some(next) = words.get(index + 1) else { continue };
            let between: String = self.chars.iter().skip(word.end).take(next.start - word.end).collect();
            let between = between.trim();
            if between == "::" && next.text == leaf {
                found.push(next.line);
            } else if between.starts_with("::{") {
                let end = word.end + self.chars.iter().skip(word.end).take_while(|c| **c != ';').count();
                let group = words.iter().skip(index + 1).take_while(|word| word.start < end);
                found.extend(group.filter(|word| word.text == leaf).map(|word| word.line));
            }
        }
        found
    }

    /// Lines with a literal like `1.5`: a float that names no type. `x.0.1` and `0..10` are none.
    pub fn fractions(&self) -> Vec<usize> {
        let words = self.words();
        let pairs = words.iter().zip(words.iter().skip(1));
        let digit = |word: &Word| word.text.starts_with(|c: char| c.is_ascii_digit());
        let fractions = pairs.filter(|(whole, part)| {
            let joined = whole.end + 1 == part.start && self.chars.get(whole.end) == Some(&'.');
            let field = whole.start > 0 && self.chars.get(whole.start - 1) == Some(&'.');
            digit(whole) && digit(part) && joined && !field
        });
        fractions.map(|(whole, _)| whole.line).collect()
    }

    fn blank(&self, from: usize, to: usize) -> bool {
        self.chars.get(from..to).is_some_and(|gap| gap.iter().all(|c| c.is_whitespace()))
    }
}

pub struct Word {
    pub text: String,
    pub line: usize,
    start: usize,
    end: usize,
}

/// Comments and literals become blanks; line ends stay.
fn without_text(source: &str) -> Vec<char> {
    let chars: Vec<char> = source.chars().collect();
    let mut out = Vec::with_capacity(chars.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        match text_end(&chars, at) {
            Some(end) => {
                let end = end.clamp(at + 1, chars.len());
                out.extend(chars.iter().take(end).skip(at).map(|c| if *c == '\n' { '\n' } else { ' ' }));
                at = end;
            }
            None => {
                out.push(c);
                at += 1;
            }
        }
    }
    out
}

/// Where the comment or literal that starts here ends; `None` if none starts here.
fn text_end(chars: &[char], at: usize) -> Option<usize> {
    let is = |offset: usize, want: char| chars.get(at + offset) == Some(&want);
    let after_word = at > 0 && chars.get(at - 1).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    match chars.get(at)? {
        '/' if is(1, '/') => Some(at + chars.iter().skip(at).take_while(|c| **c != '\n').count()),
        '/' if is(1, '*') => Some(block_comment_end(chars, at)),
        '"' => Some(quoted_end(chars, at + 1, '"')),
        'r' | 'b' | 'c' if !after_word => raw_string_end(chars, at),
        '\'' if is(1, '\\') => Some(quoted_end(chars, at + 1, '\'')),
        '\'' if is(2, '\'') => Some(at + 3),
        _ => None,
    }
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(pair) = chars.get(at..at + 2) {
        match pair {
            ['/', '*'] => (at, depth) = (at + 2, depth + 1),
            ['*', '/'] => (at, depth) = (at + 2, depth.saturating_sub(1)),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start;
    while let Some(c) = chars.get(at) {
        match c {
            '\\' => at += 2,
            c if *c == quote => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn raw_string_end(chars: &[char], start: usize) -> Option<usize> {
    let prefixed = matches!(chars.get(start), Some('b' | 'c'));
    let marker = start + usize::from(prefixed);
    if chars.get(marker) != Some(&'r') {
        return None;
    }
    let hashes = chars.iter().skip(marker + 1).take_while(|c| **c == '#').count();
    let mut at = marker + 1 + hashes;
    if chars.get(at) != Some(&'"') {
        return None;
    }
    loop {
        at += 1;
        let c = chars.get(at)?;
        let closed = chars.iter().skip(at + 1).take(hashes).filter(|c| **c == '#').count() == hashes;
        if *c == '"' && closed {
            return Some(at + 1 + hashes);
        }
    }
}

/// Blanks the items that are only for tests; returns how many lines they took.
fn blank_tests(chars: &mut [char]) -> usize {
    const MARKS: [&str; 3] = ["#[cfg(test)]", "#[cfg(all(test", "#[test]"];
    let marks = MARKS.map(|mark| mark.chars().collect::<Vec<char>>());
    let (mut at, mut dropped) = (0, 0);
    while at < chars.len() {
        let rest = chars.get(at..).unwrap_or_default();
        if !marks.iter().any(|mark| rest.starts_with(mark)) {
            at += 1;
            continue;
        }
        let end = item_end(chars, at);
        let item = chars.get_mut(at..end).unwrap_or_default();
        dropped += item.iter().filter(|c| **c == '\n').count() + 1;
        item.iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
        at = end;
    }
    dropped
}

/// Just behind the item that starts here: behind its `;`, or behind the brace that closes its first `{`.
fn item_end(chars: &[char], start: usize) -> usize {
    let (mut round, mut braces) = (0_i32, 0_i32);
    for (at, c) in chars.iter().enumerate().skip(start) {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            '{' => braces += 1,
            '}' => braces -= 1,
            ';' if round == 0 && braces == 0 => return at + 1,
            _ => {}
        }
        if *c == '}' && braces == 0 && round == 0 {
            return at + 1;
        }
    }
    chars.len()
}
