//! Contract: the tool exists; the arguments fit its schema, go where they may, hold nothing that must not pass.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::{Case, DETAIL_CHARS_MAX, Findings};
use crate::content;
use crate::contract::Contract;
use crate::destination::destinations;
use crate::reason::{Code, Reason};

/// What was expected, in words that never repeat what was sent: no value, and no name that the schema does not know.
fn words(tool: &Contract, error: &ValidationError<'_>) -> String {
    let known = tool.input.get("properties").and_then(Value::as_object);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { .. } if error.instance_path().is_empty() => {
            let names: Vec<&str> =
                known.into_iter().flat_map(|known| known.keys()).map(String::as_str).collect();
            format!("there is a property that the schema does not allow; it allows: {}", names.join(", "))
        }
        ValidationErrorKind::AdditionalProperties { .. }
        | ValidationErrorKind::UnevaluatedProperties { .. }
        | ValidationErrorKind::PropertyNames { .. } => {
            "there is a property that the schema does not allow".to_owned()
        }
        _ => error.masked_with("the value").to_string(),
    }
}

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) -> Result<(), Box<Reason>> {
    let Some(tool) = case.tool else {
        return Err(Box::new(Reason::new(Code::ToolUnknown).detail(&case.call.tool)));
    };
    let seen = case.control.seen.get(&case.call.tool);
    if seen.is_some() && tool.contract.definition.is_some() && seen != tool.contract.pin.as_ref() {
        return Err(Box::new(Reason::new(Code::ToolChanged).detail(&case.call.tool)));
    }
    if !tool.input.is_valid(&case.call.args) {
        let error = tool.input.iter_errors(&case.call.args).next();
        let (at, expected) = error.map_or_else(Default::default, |error| {
            (content::bounded(error.instance_path().as_str()), words(&tool.contract, &error))
        });
        let expected: String = expected.chars().take(DETAIL_CHARS_MAX).collect();
        return Err(Box::new(Reason::new(Code::SchemaMismatch).at(at).detail(expected)));
    }
    findings.destinations = destinations(&tool.contract, &case.call.args)?;
    content::check(&tool.contract, &case.call.args, &findings.destinations)
}
