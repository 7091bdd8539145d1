//! Contract: the tool exists; the arguments fit its schema, go where they may, hold nothing that must not pass.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::{Case, DETAIL_CHARS_MAX, Findings, Planned};
use crate::content;
use crate::contract::Contract;
use crate::destination::destinations;
use crate::reason::{Code, Reason};
use crate::rules::ToolRules;

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
        let later = |at: &str| case.planned.is_some_and(|planned| planned.covers(at));
        let mut errors = tool.input.iter_errors(&case.call.args);
        let error = errors.find(|error| !later(error.instance_path().as_str()));
        if error.is_none() && case.planned.is_some() {
            return places(case, tool, findings);
        }
        let (at, expected) = error.map_or_else(Default::default, |error| {
            (content::bounded(error.instance_path().as_str()), words(&tool.contract, &error))
        });
        let expected: String = expected.chars().take(DETAIL_CHARS_MAX).collect();
        return Err(Box::new(Reason::new(Code::SchemaMismatch).at(at).detail(expected)));
    }
    places(case, tool, findings)
}

/// Where it goes, and what it holds. Where it goes by what is not known yet is decided when it runs.
fn places(case: &Case<'_>, tool: &ToolRules, findings: &mut Findings) -> Result<(), Box<Reason>> {
    match destinations(&tool.contract, &case.call.args) {
        Ok(found) => findings.destinations = found,
        Err(reason) => {
            let later = |planned: &Planned| reason.at.as_deref().is_some_and(|at| planned.covers(at));
            return if case.planned.is_some_and(later) { Ok(()) } else { Err(reason) };
        }
    }
    content::check(&tool.contract, &case.call.args, &findings.destinations)
}
