//! One YAML file: read into its shape with places, or a problem that says what would be right.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_saphyr::options::MergeKeyPolicy;
use serde_saphyr::{Location, Spanned};
use stdx::nearest::nearest;

use super::problem::{Problem, Severity, masked};
use kernel::book::Origin;

/// A stretch of one line of a file; line and column from 1, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) offset: usize,
    pub(super) length: usize,
}

impl Place {
    fn of(location: Location) -> Place {
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let span = location.span();
        Place {
            line: size(location.line()),
            column: size(location.column()),
            offset: size(span.byte_offset().unwrap_or(0)),
            length: size(span.byte_len().unwrap_or(0)),
        }
    }
}

/// A value, and where it was written.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<At<T>, D::Error> {
        let spanned = Spanned::<T>::deserialize(input)?;
        Ok(At { value: spanned.value, place: Place::of(spanned.referenced) })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A key that has a meaning, but no feature behind it yet. Whatever is written under it is refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Later(Option<Place>);

impl<'de> Deserialize<'de> for Later {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Later, D::Error> {
        let spanned = Spanned::<IgnoredAny>::deserialize(input)?;
        Ok(Later(Some(Place::of(spanned.referenced))))
    }
}

/// An amount of dollars, kept as it was written: no float ever sees it.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Usd(String);

impl JsonSchema for Usd {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"], "minimum": 0, "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?$" })
    }
}

/// One file while it is read: its text, and what was found wrong so far.
pub(super) struct Page<'a> {
    pub(super) file: &'a str,
    text: &'a str,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Page<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Page<'a> {
        Page { file, text, problems: Vec::new() }
    }

    pub(super) fn parse<T: DeserializeOwned>(&mut self) -> Option<T> {
        let options = serde_saphyr::options! {
            merge_keys: MergeKeyPolicy::Error,
            reject_tagged_field_names: true,
            reject_unsupported_tags: true,
            strict_booleans: true,
            with_snippet: false,
        };
        match serde_saphyr::from_str_with_options(self.text, options) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(&error);
                None
            }
        }
    }

    pub(super) fn origin(&self, place: Place) -> Origin {
        Origin { file: self.file.to_owned(), line: place.line, column: place.column }
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
    ) -> &mut Problem {
        let place = Place { length: self.length(place), ..place };
        self.problems.push_mut(Problem::error(code, self.file, place, message.into()))
    }

    pub(super) fn warning(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
    ) -> &mut Problem {
        let problem = self.error(code, place, message);
        problem.severity = Severity::Warning;
        problem
    }

    /// Refuses each of these keys that is there.
    pub(super) fn not_built(&mut self, keys: &[(&str, &Later, &str)]) {
        for (key, later, help) in keys {
            if let Some(value) = later.0 {
                let place = self.key(key, value);
                self.error("not-built", place, format!("`{key}` is not built yet")).help(*help);
            }
        }
    }

    /// A key of the agreed shape whose feature is still to come: accepted, and said aloud.
    pub(super) fn accepted<T>(&mut self, key: &str, written: Option<&At<T>>, until_then: &str) {
        if let Some(at) = written {
            let place = self.key(key.rsplit('.').next().unwrap_or(key), at.place);
            self.warning("not-built", place, format!("`{key}` is accepted, but not built yet"))
                .help(until_then);
        }
    }

    pub(super) fn usd_nanos(&mut self, at: &At<Usd>) -> u64 {
        usd_nanos(&at.value.0).unwrap_or_else(|| {
            let message = format!("`{}` is not an amount of dollars", at.value.0);
            self.error("money", at.place, message).help(
                "digits, and up to nine after the point, such as `0.30`; no sign, no currency, no exponent",
            );
            0
        })
    }

    pub(super) fn duration_ms(&mut self, at: &At<String>, from: u64, to: u64) -> u64 {
        let (low, high) = (stdx::duration::format_ms(from), stdx::duration::format_ms(to));
        match stdx::duration::parse_ms(&at.value) {
            Some(ms) if (from..=to).contains(&ms) => ms,
            Some(_) => {
                self.error("duration", at.place, format!("`{}` is out of bounds", at.value))
                    .help(format!("from {low} to {high}"));
                from
            }
            None => {
                self.error("duration", at.place, format!("`{}` is not a duration", at.value))
                    .help(format!("one whole number and one unit of ms, s, m, h, d; from {low} to {high}"));
                from
            }
        }
    }

    pub(super) fn at_least_one(&mut self, at: &At<u64>) -> u64 {
        if at.value == 0 {
            self.error("number", at.place, "`0` would refuse everything")
                .help("a whole number from 1; to stop an agent, take its tools away");
        }
        at.value
    }

    /// Where the key of a value stands, so that the whole entry is pointed at.
    pub(super) fn key(&self, key: &str, value: Place) -> Place {
        let before = self.text.get(..value.offset).unwrap_or("");
        let is_key = |at: usize| {
            let after =
                before.get(at + key.len()..).unwrap_or("").trim_start_matches(['"', '\'']).trim_start();
            let free = before
                .get(..at)
                .is_some_and(|head| !head.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            free && after.starts_with(':')
        };
        let Some((offset, _)) = before.rmatch_indices(key).find(|(at, _)| is_key(*at)) else { return value };
        let head = before.get(..offset).unwrap_or("");
        let start = head.rfind('\n').map_or(0, |at| at + 1);
        let column = head.get(start..).unwrap_or("").chars().count() + 1;
        Place { line: head.matches('\n').count() + 1, column, offset, length: key.len() }
    }

    /// Where a piece of text stands, at a place or after it; the place itself, if it is written otherwise there.
    pub(super) fn find(&self, from: Place, piece: &str) -> Place {
        let after = self.text.get(from.offset..).unwrap_or("");
        let Some(offset) = after.find(piece).map(|at| from.offset + at) else { return from };
        let head = self.text.get(..offset).unwrap_or("");
        let start = head.rfind('\n').map_or(0, |at| at + 1);
        let column = head.get(start..).unwrap_or("").chars().count() + 1;
        Place { line: head.matches('\n').count() + 1, column, offset, length: piece.len() }
    }

    /// Never past the end of the line. Of a mapping or a list only the start is known: then, its first word.
    fn length(&self, place: Place) -> usize {
        if place.line == 0 {
            return 0;
        }
        let rest = self.text.get(place.offset..).unwrap_or("");
        let line = rest.lines().next().unwrap_or("").trim_end();
        match place.length {
            0 | 1 => line.find([':', ' ', ',', '}']).unwrap_or(line.len()).max(1),
            length => length.min(line.len()),
        }
    }

    /// The text at a place, unless it may be a secret.
    fn shown(&self, place: Place) -> Option<String> {
        let range = place.offset..place.offset + self.length(place);
        let text = self.text.get(range.clone())?;
        (masked(self.text).get(range) == Some(text)).then(|| text.to_owned())
    }

    /// What the reader of YAML found wrong, in our words.
    fn refuse(&mut self, error: &serde_saphyr::Error) {
        use serde_saphyr::Error;
        let error = error.without_snippet();
        let place = error.location().map(Place::of).unwrap_or_default();
        match error {
            Error::AliasError { error, .. } => self.refuse(error),
            Error::SerdeUnknownField { field, expected, .. } => {
                let shown = self.shown(place).map_or_else(String::new, |_| format!(" `{field}`"));
                self.error("unknown-key", place, format!("unknown key{shown}")).help(one_of(field, expected));
            }
            Error::SerdeUnknownVariant { variant, expected, .. } => {
                let help = why(expected).map_or_else(|| one_of(variant, expected), str::to_owned);
                self.error("value", place, format!("`{variant}` is not accepted here")).help(help);
            }
            Error::SerdeMissingField { field, .. } => {
                self.error("missing-key", place, format!("the key `{field}` is missing beside this one"))
                    .help(format!("add `{field}:`; docs/reference/config.md says what it means"));
            }
            Error::DuplicateMappingKey { key, .. } => {
                let key = key.as_deref().unwrap_or("this key");
                self.error("duplicate-key", place, format!("`{key}` is written twice"))
                    .help("keep one of them: which one would win is nobody's guess");
            }
            Error::MergeKeyNotAllowed { .. } => {
                self.error("yaml", place, "merge keys (`<<`) are not read")
                    .help("write the keys out where they hold");
            }
            Error::InvalidScalar { ty, .. } => self.wrong_type(place, ty),
            Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
                self.wrong_type(place, expected);
            }
            Error::Unexpected { expected, .. } => self.wrong_type(place, expected),
            Error::InvalidBooleanStrict { .. } => self.wrong_type(place, "`true` or `false`"),
            other => {
                self.error("yaml", place, format!("not readable as YAML: {}", first_line(other)))
                    .help("quote text that holds `:`, `#`, `*` or brackets; indent with spaces");
            }
        }
    }

    fn wrong_type(&mut self, place: Place, expected: &str) {
        let expected = match expected {
            "u64" | "u32" | "integer" => "a whole number, without quotes or a unit",
            "boolean" => "`true` or `false`",
            "mapping start" | "mapping" => "a mapping, such as `{ key: value }`",
            "sequence start" | "sequence" => "a list, such as `[a, b]`",
            "string scalar" | "scalar" | "string" | "a string" => "one value, not a list or a mapping",
            other => other,
        };
        let message = match self.shown(place).filter(|text| !text.is_empty()) {
            Some(text) => format!("`{text}` is the wrong type of value"),
            None => "the wrong type of value".to_owned(),
        };
        self.error("type", place, message).help(format!("expected {expected}"));
    }
}

/// Why a value is the only safe one, where people will ask.
fn why(expected: &[&str]) -> Option<&'static str> {
    Some(match *expected {
        ["zero_trust"] => "only `zero_trust`: nothing is trusted for where it comes from",
        ["per_action"] => "only `per_action`: each call is decided by itself, on today's rules",
        ["deny"] => "only `deny`: what no rule allows is denied, and Remit has no way to fail open",
        ["narrow_only"] => "only `narrow_only`: a child's grant never holds more than its parent's",
        ["append_only"] => "only `append_only`: what happened is never rewritten",
        ["1.0"] => "only `\"1.0\"`, the schema of events that this version writes",
        ["prompt"] => "only `prompt`: one run is one prompt's work, and limits hold per run",
        ["pause_and_notify"] => "only `pause_and_notify`: work that runs away stops until a person looks",
        ["oidc"] => "only `oidc`",
        ["dynamic"] => "only `dynamic`: agents are registered by their manifests and can be reloaded",
        ["supported"] => "only `supported`: who an agent acts for is recorded with each call",
        ["disabled"] => "only `disabled`: each agent has a key of its own; a shared key names nobody",
        _ => return None,
    })
}

/// Keys that are only read to say that they are not built yet; no list of known keys names them.
const UNBUILT: [&str; 20] = [
    "cache",
    "concurrent",
    "count",
    "delegate",
    "field",
    "gates",
    "headers",
    "mcp",
    "memory",
    "models",
    "notify",
    "openapi",
    "per_day",
    "per_hour",
    "per_minute",
    "per_month",
    "postgres",
    "redact",
    "stamp",
    "stdio",
];

fn one_of(wrong: &str, expected: &[&str]) -> String {
    let built = expected.iter().filter(|name| !UNBUILT.contains(name));
    let all = built.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match nearest(wrong, expected.iter().copied()) {
        Some(name) => format!("did you mean `{name}`? Known here: {all}"),
        None => format!("known here: {all}"),
    }
}

fn first_line(error: &serde_saphyr::Error) -> String {
    error.to_string().lines().next().unwrap_or("").to_owned()
}

/// Exact: digits, a point, at most nine digits more.
pub(crate) fn usd_nanos(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let nanos: u64 = format!("{part:0<9}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}
