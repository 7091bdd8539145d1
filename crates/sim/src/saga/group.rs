//! A group: the steps of a shape as single calls of an agent without phases, one after the other.

use std::collections::BTreeMap;

use gate::{CallAsk, Caller, Gate, PlanShown};
use kernel::call::Outcome;
use kernel::id::RunId;
use serde_json::{Value, json};

use super::shapes::Node;
use super::world::World;

/// Whatever answers no, or not at all, ends it: the agent gives the group up.
pub(super) async fn carried(
    gate: &Gate,
    caller: &Caller,
    world: &World,
    run: RunId,
    nodes: &[Node],
    tag: &str,
) -> Option<()> {
    gate.begin_group(caller, run).await.ok()?.ok()?;
    if joined(gate, caller, run, nodes, tag).await.is_none() {
        let given_up = gate.abort(run, Some(&caller.agent), &caller.agent, "it did not work").await;
        return given_up.ok().map(drop);
    }
    world.commits(tag);
    gate.commit(caller, run, None).await.ok().map(drop)
}

async fn joined(gate: &Gate, caller: &Caller, run: RunId, nodes: &[Node], tag: &str) -> Option<()> {
    let mut handles: BTreeMap<&str, Value> = BTreeMap::new();
    for node in nodes {
        let step = node.step(tag);
        let mut args = step.get("args")?.clone();
        if let Some(on) = &node.on {
            *args.get_mut("id")? = handles.get(on.as_str())?.clone();
        }
        let tool = step.get("tool")?.as_str()?.to_owned();
        let ask = CallAsk {
            run,
            tool,
            args,
            reason: None,
            model: None,
            context_tokens: None,
            idempotency_key: None,
        };
        let answered = gate.call(caller, ask).await.ok()?;
        if answered.outcome != Some(Outcome::Succeeded) && answered.held.is_none() {
            return None;
        }
        let handle = answered.result.and_then(|result| result.get("handle").cloned());
        handles.insert(&node.id, handle.unwrap_or_else(|| json!(null)));
    }
    Some(())
}

/// Its steps by the names that they have in the shape: they joined in that order.
pub(super) fn named(mut plan: PlanShown, nodes: &[Node]) -> PlanShown {
    let name = |id: &mut String| {
        let place = id.strip_prefix('w').and_then(|place| place.parse::<usize>().ok());
        if let Some(node) = place.and_then(|place| nodes.get(place.checked_sub(1)?)) {
            id.clone_from(&node.id);
        }
    };
    plan.stuck.iter_mut().for_each(name);
    plan.steps.iter_mut().for_each(|step| name(&mut step.id));
    plan.residue.iter_mut().for_each(|residue| name(&mut residue.step));
    plan
}
