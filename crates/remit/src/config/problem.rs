//! What is wrong, where it stands, and what would be right; printed with the line it is about.

use std::collections::BTreeMap;
use std::fmt;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

pub(crate) use policy::Severity;
use serde_json::{Value, json};

use super::yaml::Place;

/// The same shape as a problem of a rule, so that both print alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) code: &'static str,
    pub(crate) file: String,
    /// From 1; 0 where the whole file is meant.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// Bytes of offending text; 0 where only the place is known.
    pub(crate) length: usize,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Problem {
    pub(super) fn error(code: &'static str, file: &str, place: Place, message: String) -> Problem {
        Problem {
            severity: Severity::Error,
            code,
            file: file.to_owned(),
            line: place.line,
            column: place.column,
            length: place.length,
            message,
            help: None,
        }
    }

    pub(super) fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }

    /// As a program reads it.
    pub(crate) fn json(&self) -> Value {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        json!({
            "severity": severity, "code": self.code, "file": self.file, "line": self.line, "column": self.column,
            "message": self.message, "help": self.help,
        })
    }

    /// As a person reads it on a terminal or in a log.
    pub(crate) fn render(&self, sources: &Sources, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let source = sources.get(&self.file);
        let report = Report {
            problem: self,
            source: source.map(|text| NamedSource::new(&self.file, text.to_owned())),
        };
        let mut out = String::new();
        let handler = GraphicalReportHandler::new_themed(theme).with_width(110).with_links(false);
        match handler.render_report(&mut out, &report) {
            Ok(()) => out,
            Err(_) => self.to_string(),
        }
    }
}

/// One line, for logs.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message),
        }?;
        self.help.iter().try_for_each(|help| write!(f, " ({help})"))
    }
}

impl From<policy::Problem> for Problem {
    fn from(problem: policy::Problem) -> Problem {
        let policy::Problem { severity, code, file, line, column, length, message, help } = problem;
        Problem { severity, code, file, line, column, length, message, help }
    }
}

/// Every problem found, errors first, then in the order of the files, with the texts to show them in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems {
    pub(crate) list: Vec<Problem>,
    pub(crate) sources: Sources,
}

impl Problems {
    pub(super) fn new(mut list: Vec<Problem>, sources: Sources) -> Problems {
        list.sort_by_key(|problem| problem.severity != Severity::Error);
        Problems { list, sources }
    }

    pub(crate) fn json(&self) -> Vec<Value> {
        self.list.iter().map(Problem::json).collect()
    }

    pub(crate) fn render(&self, colour: bool) -> String {
        self.list.iter().map(|problem| problem.render(&self.sources, colour)).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Problems {}

/// The texts by file name, as they may be shown: what looks like a literal secret is masked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(BTreeMap<String, String>);

impl Sources {
    pub(crate) fn insert(&mut self, name: &str, text: &str) {
        self.0.insert(name.to_owned(), masked(text));
    }

    /// Each file by its name.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Keys whose values are secrets, or hold them.
const SECRET_KEYS: [&str; 8] =
    ["authorization", "bearer", "credential", "headers", "secret", "slack", "token", "webhook"];

/// Hides values that ought to have been references, and passwords in URLs; every other byte keeps its place,
/// so that lines and columns stay true. What follows such a key on deeper lines is hidden too.
pub(super) fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut below: Option<Below> = None;
    for line in text.split_inclusive('\n') {
        let mut line = line.to_owned();
        let start = line.len() - line.trim_start().len();
        if start < line.len() {
            let goes_on = below.as_ref().is_some_and(|below| below.awaited || start > below.indent);
            let key =
                SECRET_KEYS.iter().any(|key| line.trim_start_matches(['-', ' ', '"', '\'']).starts_with(key));
            if goes_on && !key {
                let end = line.trim_end().len();
                blank(&mut line, start, end);
                below = below.map(|below| Below { awaited: false, ..below });
            } else if !goes_on {
                below = None;
            }
            if let Some(awaited) =
                SECRET_KEYS.iter().filter_map(|key| mask_values_of(&mut line, key)).reduce(|a, b| a || b)
            {
                below = Some(Below { indent: start, awaited });
            }
            mask_userinfo(&mut line);
        }
        out.push_str(&line);
    }
    out
}

/// A secret may go on below the line of its key.
struct Below {
    indent: usize,
    /// Nothing of it stood on the line of the key: wherever the next line starts, that is it.
    awaited: bool,
}

/// Whether a value of `key` may go on below this line, and if so, whether nothing of it was here yet.
fn mask_values_of(line: &mut String, key: &str) -> Option<bool> {
    let starts: Vec<usize> = line.match_indices(key).map(|(at, _)| at).collect();
    starts.into_iter().filter_map(|at| mask_value_at(line, at + key.len())).last()
}

fn mask_value_at(line: &mut String, after: usize) -> Option<bool> {
    let value = line.get(after..)?.trim_start_matches(['"', '\'', ' ']).strip_prefix(':')?;
    let value = value.trim_start_matches([' ', '"', '\'', '{']);
    let bare = value.trim_end();
    let nested = bare.trim_start_matches("bearer").trim_start_matches(['"', '\'', ' ']);
    let nested = nested.strip_prefix(':').map_or(bare, |value| value.trim_start_matches([' ', '"', '\'']));
    if nested.starts_with("env:") || nested.starts_with("file:") {
        return None;
    }
    if nested.is_empty() || nested.starts_with(['|', '>', '#']) {
        return Some(true);
    }
    let (start, end) = (line.len() - value.len(), line.trim_end().len());
    blank(line, start, end);
    Some(false)
}

fn mask_userinfo(line: &mut String) {
    let Some(start) = line.find("://").map(|at| at + 3) else { return };
    let rest = line.get(start..).unwrap_or("");
    let end = rest.find(['/', ' ', '"', '\'']).unwrap_or(rest.len());
    if let Some(at) = rest.get(..end).and_then(|authority| authority.rfind('@')) {
        blank(line, start, start + at);
    }
}

fn blank(line: &mut String, start: usize, end: usize) {
    if start < end && line.is_char_boundary(start) && line.is_char_boundary(end) {
        line.replace_range(start..end, &"*".repeat(end - start));
    }
}

/// One problem as miette wants to see it.
#[derive(Debug)]
struct Report<'a> {
    problem: &'a Problem,
    source: Option<NamedSource<String>>,
}

impl Report<'_> {
    fn offset(&self) -> Option<usize> {
        let text = self.source.as_ref()?.inner();
        let line_index = self.problem.line.checked_sub(1)?;
        let before: usize = text.split_inclusive('\n').take(line_index).map(str::len).sum();
        let line = text.get(before..)?.lines().next().unwrap_or("");
        let column =
            line.char_indices().nth(self.problem.column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
        Some(before + column)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.problem.line == 0 {
            write!(f, "{}: ", self.problem.file)?;
        }
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(self.problem.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        let help = self.problem.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.offset()?;
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = LabeledSpan::new(Some("here".to_owned()), self.offset()?, self.problem.length);
        Some(Box::new(std::iter::once(span)))
    }
}
