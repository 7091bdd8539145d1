//! Contract: the tool exists, the arguments fit its schema, and every destination reads in one way.

use super::{Case, DETAIL_CHARS_MAX, Findings};
use crate::destination::destinations;
use crate::reason::{Code, Reason};

/// A pointer into deep or oddly named arguments is cut, since the names are the caller's.
const POINTER_BYTES_MAX: usize = 256;

fn bounded(pointer: &str) -> String {
    pointer.get(..pointer.floor_char_boundary(POINTER_BYTES_MAX)).unwrap_or_default().to_owned()
}

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) -> Result<(), Box<Reason>> {
    let Some(tool) = case.tool else {
        return Err(Box::new(Reason::new(Code::ToolUnknown).detail(&case.call.tool)));
    };
    if !tool.input.is_valid(&case.call.args) {
        let error = tool.input.iter_errors(&case.call.args).next();
        let (at, expected) = error.map_or_else(Default::default, |error| {
            // Masked: the words name what was expected, and never repeat what was sent.
            (bounded(error.instance_path().as_str()), error.masked_with("the value").to_string())
        });
        let expected: String = expected.chars().take(DETAIL_CHARS_MAX).collect();
        return Err(Box::new(Reason::new(Code::SchemaMismatch).at(at).detail(expected)));
    }
    findings.destinations = destinations(&tool.contract, &case.call.args)?;
    Ok(())
}
