//! Bounds: how long what callers write may be, so that every event fits into the log.

use ledger::{ENTRY_BYTES_MAX, Entry, PAYLOAD_BYTES_MAX};

use crate::caller::CallAsk;
use crate::error::Error;

pub(crate) const TOOL_BYTES_MAX: usize = 256;
const MODEL_BYTES_MAX: usize = 128;
const KEY_BYTES_MAX: usize = 256;
pub(crate) const REASON_BYTES_MAX: usize = 8 << 10;
/// People, agents and operators.
pub(crate) const NAME_BYTES_MAX: usize = 256;
pub(crate) const WHY_BYTES_MAX: usize = 1 << 10;
/// Short codes, ours or stated by an agent: cut, not refused.
const CODE_BYTES_MAX: usize = 64;
/// Beyond this a number is not exact in JSON as others read it.
const COUNT_MAX: u64 = 1 << 53;

pub(crate) fn within(what: &'static str, text: &str, max: usize) -> Result<(), Error> {
    if text.len() > max { Err(Error::TooLong { what, max }) } else { Ok(()) }
}

pub(crate) fn call(ask: &CallAsk) -> Result<(), Error> {
    within("the tool's name", &ask.tool, TOOL_BYTES_MAX)?;
    within("the model's name", ask.model.as_deref().unwrap_or_default(), MODEL_BYTES_MAX)?;
    within("the idempotency key", ask.idempotency_key.as_deref().unwrap_or_default(), KEY_BYTES_MAX)?;
    within("the reason", ask.reason.as_deref().unwrap_or_default(), REASON_BYTES_MAX)
}

pub(crate) fn count(number: u64) -> u64 {
    number.min(COUNT_MAX)
}

pub(crate) fn code(text: &str) -> String {
    text.get(..text.floor_char_boundary(CODE_BYTES_MAX)).unwrap_or_default().to_owned()
}

/// The last line of defence: one oversized entry would fail the whole batch that it is in.
pub(crate) fn entry(entry: &Entry) -> Result<(), Error> {
    if entry.bytes.len() > ENTRY_BYTES_MAX {
        return Err(Error::TooLong { what: "the event", max: ENTRY_BYTES_MAX });
    }
    if entry.payloads.iter().any(|payload| payload.body.len() > PAYLOAD_BYTES_MAX) {
        return Err(Error::TooLong { what: "the body", max: PAYLOAD_BYTES_MAX });
    }
    Ok(())
}
