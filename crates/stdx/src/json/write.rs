//! The canonical form of a value that was read, written straight into one buffer.

use serde_json::{Map, Number, Value};

use super::{INTEGER_MAX, canonical};

pub(super) fn value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(it) => number(it, out),
        Value::String(it) => text(it, out),
        Value::Array(items) => {
            let mut before = b'[';
            for item in items {
                out.push(before);
                before = b',';
                self::value(item, out);
            }
            end(before, b"[]", out);
        }
        Value::Object(members) => object(members, out),
    }
}

fn object(members: &Map<String, Value>, out: &mut Vec<u8>) {
    let mut before = b'{';
    let mut member = |name: &str, value: &Value| {
        out.push(before);
        before = b',';
        text(name, out);
        out.push(b':');
        self::value(value, out);
    };
    if members.keys().is_sorted_by(|one, other| is_before(one, other)) {
        members.iter().for_each(|(name, value)| member(name, value));
    } else {
        let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
        sorted.sort_unstable_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
        sorted.into_iter().for_each(|(name, value)| member(name, value));
    }
    end(before, b"{}", out);
}

/// Names are in the order of their UTF-16; of plain ASCII that is the order of the bytes.
fn is_before(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        one <= other
    } else {
        one.encode_utf16().le(other.encode_utf16())
    }
}

/// What was opened is closed; what holds nothing was not opened yet.
fn end(before: u8, both: &[u8; 2], out: &mut Vec<u8>) {
    let [open, close] = *both;
    if before == open {
        out.push(open);
    }
    out.push(close);
}

fn number(it: &Number, out: &mut Vec<u8>) {
    let size = it.as_u64().or_else(|| it.as_i64().map(i64::unsigned_abs));
    if size.is_some_and(|size| size <= INTEGER_MAX) {
        write(it, out);
    } else {
        out.extend_from_slice(&canonical(it));
    }
}

fn text(it: &str, out: &mut Vec<u8>) {
    write(it, out);
}

fn write(it: &(impl serde::Serialize + ?Sized), out: &mut Vec<u8>) {
    // INVARIANT: texts and whole numbers are always written, and a vector takes all.
    let _ = serde_json::to_writer(out, it);
}
