//! Results: what a tool answers is what its server said it would be, or it is no answer.

use kernel::call::Outcome;
use kernel::rules::ToolRules;
use serde_json::{Value, json};
use stdx::json::canonical;

use crate::port::Reached;

/// A result that breaks its own schema is not passed on. What became of a write then, nobody knows.
pub(crate) fn fitting(tool: &ToolRules, reached: Reached) -> Reached {
    if reached.outcome != Outcome::Succeeded || tool.output.is_none() {
        return reached;
    }
    let Reached { said, body, .. } = reached;
    let said = said.or_else(|| serde_json::from_slice(&body).ok()).unwrap_or_default();
    let Some(why) = misfit(tool, &said) else {
        return Reached { said: Some(said), body, ..reached };
    };
    let outcome = if tool.contract.effect.writes() { Outcome::Unknown } else { Outcome::Failed };
    let text = format!("the server's answer is not what its own output schema says: {why}");
    let said = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
    let trouble = Some("malformed_result".to_owned());
    Reached { outcome, body: canonical(&said), said: Some(said), trouble, ..reached }
}

fn misfit(tool: &ToolRules, said: &Value) -> Option<String> {
    // A question or a task is no result yet.
    if said.get("resultType").and_then(Value::as_str).is_some_and(|kind| kind != "complete") {
        return None;
    }
    match said.get("structuredContent") {
        Some(structured) => tool.misfit(structured),
        None => Some("it has no structured content".to_owned()),
    }
}
