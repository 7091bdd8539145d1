//! JSON that has one reading: strict on the way in, canonical (RFC 8785) on the way out.
//!
//! Two parsers that disagree about a document are a hole in every gate. So whatever a common parser somewhere reads
//! differently is refused, never repaired: duplicate members, lone surrogates, numbers that do not survive a double,
//! trailing bytes, and depth or size beyond a limit.

mod write;

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// Deeper documents are refused: recursion is a resource.
pub const DEPTH_MAX: usize = 64;
/// Members and elements in one document.
pub const NODES_MAX: usize = 100_000;
/// Largest integer that every parser reads alike (RFC 7493).
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Why a document was refused, and where (1-based line and column of the input, 0 if unknown).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub why: String,
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, column {})", self.why, self.line, self.column)
    }
}

impl std::error::Error for Refused {}

/// Reads one document, strictly.
pub fn parse(bytes: &[u8]) -> Result<Value, Refused> {
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let mut seen = Seen { nodes_left: NODES_MAX, is_fractional: false };
    let strict = Strict { depth: DEPTH_MAX, seen: &mut seen };
    let value = strict.deserialize(&mut input).map_err(refused)?;
    input.end().map_err(refused)?;
    // A literal that is read as a whole number, and is in bounds, is exact.
    if seen.is_fractional {
        exact_numbers(bytes)?;
    }
    Ok(value)
}

/// The canonical bytes of a value: what is digested, stored and sent.
pub fn canonical(value: &impl serde::Serialize) -> Vec<u8> {
    // INVARIANT: values that came through `parse`, and our own types, hold no NaN and only string keys.
    serde_json_canonicalizer::to_vec(value).unwrap_or_default()
}

/// The same bytes, of a value that is at hand: in one pass.
pub fn canonical_value(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write::value(value, &mut out);
    out
}

fn refused(error: serde_json::Error) -> Refused {
    let (line, column) = (error.line(), error.column());
    let mut why = error.to_string();
    if let Some(end) = why.rfind(" at line ") {
        why.truncate(end);
    }
    Refused { why, line, column }
}

struct Strict<'n> {
    depth: usize,
    seen: &'n mut Seen,
}

/// Of the whole document.
struct Seen {
    nodes_left: usize,
    /// Some number was read as a double.
    is_fractional: bool,
}

impl Strict<'_> {
    fn child<E: serde::de::Error>(&mut self) -> Result<Strict<'_>, E> {
        let depth =
            self.depth.checked_sub(1).ok_or_else(|| E::custom(format!("deeper than {DEPTH_MAX} levels")))?;
        let left = self.seen.nodes_left.checked_sub(1);
        self.seen.nodes_left = left.ok_or_else(|| E::custom(format!("more than {NODES_MAX} values")))?;
        Ok(Strict { depth, seen: self.seen })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > INTEGER_MAX { Err(too_large()) } else { Ok(value.into()) }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        if value > INTEGER_MAX { Err(too_large()) } else { Ok(value.into()) }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.seen.is_fractional = true;
        if value.fract() == 0.0 && value.abs() > INTEGER_MAX as f64 {
            return Err(too_large());
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.child()?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match map.entry(name) {
                Entry::Vacant(place) => drop(place.insert(members.next_value_seed(self.child()?)?)),
                Entry::Occupied(known) => {
                    return Err(A::Error::custom(format!("duplicate member `{}`", known.key())));
                }
            }
        }
        Ok(Value::Object(map))
    }
}

fn too_large<E: serde::de::Error>() -> E {
    E::custom(format!("number beyond ±{INTEGER_MAX}, which parsers read differently; send it as a string"))
}

/// Refuses number literals that lose digits in a double (`1.00000000000000000001`) and negative zero.
fn exact_numbers(bytes: &[u8]) -> Result<(), Refused> {
    let mut at = 0;
    let mut in_string = false;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'-' | b'0'..=b'9' if !in_string => {
                let tail = bytes.get(at..).unwrap_or_default();
                let end = tail.iter().position(|b| !b"+-.eE0123456789".contains(b)).unwrap_or(tail.len());
                let literal = std::str::from_utf8(tail.get(..end).unwrap_or_default()).unwrap_or_default();
                if !is_exact(literal) {
                    let (line, column) = place(bytes, at);
                    let why = format!("number `{literal}` does not survive a double; send it as a string");
                    return Err(Refused { why, line, column });
                }
                at += end.max(1);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Whether the literal's significant digits are those that the canonical writer gives back for it. Its own, because
/// two writers may choose different digits for a double that lies halfway between two shortest decimals.
fn is_exact(literal: &str) -> bool {
    let plain = literal.len() <= 16 && literal.bytes().all(|b| b.is_ascii_digit());
    if plain {
        return true;
    }
    let Ok(value) = literal.parse::<f64>() else { return false };
    if value == 0.0 {
        return !literal.starts_with('-') && significant(literal).is_empty();
    }
    let written = canonical(&value);
    significant(literal) == significant(std::str::from_utf8(&written).unwrap_or_default())
}

/// Significant digits, without sign, point, exponent, leading and trailing zeros.
fn significant(literal: &str) -> String {
    let mantissa = literal.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').trim_end_matches('0').to_owned()
}

fn place(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = bytes.get(..at).unwrap_or_default();
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests;
