//! The law that more approval never takes away, checked on the form of each rule.

use serde_json::Value;

use crate::reads::{Reads, contained, only};

/// The conditions of one rule in Cedar's JSON form: `kind` (`when` or `unless`) and `body`.
pub(crate) type Clauses<'a> = [(bool, &'a Value)];

const SHAPE: &str = "approvals may only be used as `unless { context.approvals.contains(\"group\") }` in a forbid, \
    or as `context.approvals.contains(\"group\")` in a permit's `when`";

/// `Err` says why; `true` in a clause means `when`.
pub(crate) fn check(forbids: bool, clauses: &Clauses<'_>) -> Result<(), String> {
    let mut asked = false;
    for (when, body) in clauses {
        if !mentions(body) {
            // A condition after the approval is reached only once the approval is there. If it can err, then the
            // approval could turn another rule's Allow into a Deny.
            if asked && !forbids && can_err(body) {
                return Err(ORDER.into());
            }
            continue;
        }
        if *when == forbids {
            return Err(SHAPE.into());
        }
        positive(body, forbids)?;
        if asked && !forbids && can_err(body) {
            return Err(ORDER.into());
        }
        asked = true;
    }
    Ok(())
}

const ORDER: &str =
    "a permit must test approvals last: what stands after them could err only once somebody approved";

/// Approvals occur only as whole operands of `&&` and `||`.
fn positive(node: &Value, forbids: bool) -> Result<(), String> {
    if !mentions(node) || contained(node, "approvals").is_some() {
        return Ok(());
    }
    let both = only(node, "&&").map(|both| (both, true)).or(only(node, "||").map(|both| (both, false)));
    let Some((both, and)) = both else { return Err(SHAPE.into()) };
    let (Some(left), Some(right)) = (both.get("left"), both.get("right")) else { return Err(SHAPE.into()) };
    if and && !forbids && mentions(left) && can_err(right) {
        return Err(ORDER.into());
    }
    positive(left, forbids)?;
    positive(right, forbids)
}

/// May read approvals. A use of the whole context counts: it hands approvals to whatever compares it.
fn mentions(node: &Value) -> bool {
    Reads::of(node).reads("approvals")
}

/// What strict validation leaves possible: an argument that was not what the schema promised, and overflow.
fn can_err(node: &Value) -> bool {
    Reads::of(node).reads("args") || has_arithmetic(node)
}

fn has_arithmetic(node: &Value) -> bool {
    match node {
        Value::Array(items) => items.iter().any(has_arithmetic),
        Value::Object(members) => members
            .iter()
            .any(|(name, member)| matches!(name.as_str(), "+" | "-" | "*" | "neg") || has_arithmetic(member)),
        _ => false,
    }
}
