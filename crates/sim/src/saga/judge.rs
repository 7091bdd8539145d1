//! What must hold when a play is over, judged by the server that it wrote to.

use std::collections::BTreeSet;

use gate::{CallAsk, PlanShown};
use kernel::progress::{Stage, Standing, StepState};
use serde_json::json;

use super::life::{Life, said};
use super::play::{Act, Case, Judgement};
use super::world::{Side, World};

/// One plan, by what the server holds.
pub(super) fn judge(world: &World, act: &Act, plan: &PlanShown, case: &Case) -> Result<Judgement, String> {
    let mut left = BTreeSet::new();
    for node in &act.nodes {
        let note = node.note(act.tag);
        let (done, undone) = (world.done(&note), world.undone(&note));
        if done > 1 || undone > done {
            return Err(format!("`{}` was done {done} times and taken back {undone} times", node.id));
        }
        if done > undone {
            left.insert(node.id.clone());
        }
        let state = plan.steps.iter().find(|step| step.id == node.id).map(|step| step.state);
        let claims = matches!(state, Some(StepState::Done | StepState::UndoFailed));
        let denies = matches!(
            state,
            Some(
                StepState::Waiting
                    | StepState::Outbox
                    | StepState::Failed
                    | StepState::Undone
                    | StepState::Skipped
            )
        );
        if (claims && done == undone) || (denies && done > undone) {
            return Err(format!("`{}` is said to be {state:?}, and is not so", node.id));
        }
    }
    let all: BTreeSet<String> = act.nodes.iter().map(|node| node.id.clone()).collect();
    match plan.stage {
        Stage::Committed if case.later => stays_with_reason(act, &left)?,
        Stage::Committed if left != all => return Err("committed, and not all of it is there".to_owned()),
        Stage::RolledBack if !left.is_empty() => {
            return Err(format!("rolled back, and {left:?} are there"));
        }
        Stage::Quarantined => residue_is_true(plan, &left)?,
        _ => {}
    }
    finals_came_last(world, act)?;
    Ok(Judgement { stage: plan.stage, left })
}

/// When something that cannot be taken back took effect, all that it does not hinder stood.
fn finals_came_last(world: &World, act: &Act) -> Result<(), String> {
    let order = world.order();
    let own: Vec<(Side, &str)> = order
        .iter()
        .filter_map(|(side, note)| Some((*side, note.strip_prefix(act.tag)?.strip_prefix('/')?)))
        .collect();
    let is_final = |id: &str| act.nodes.iter().any(|node| node.id == id && node.is_final());
    let Some(first) = own.iter().position(|(_, id)| is_final(id)) else { return Ok(()) };
    let stood: BTreeSet<&str> = own.iter().take(first).map(|(_, id)| *id).collect();
    let finals: Vec<&str> =
        act.nodes.iter().filter(|node| node.is_final()).map(|node| node.id.as_str()).collect();
    let others = act.nodes.iter().filter(|node| !node.is_final());
    for node in others.filter(|node| !node.after.iter().any(|after| finals.contains(&after.as_str()))) {
        if !stood.contains(node.id.as_str()) {
            return Err(format!("something irreversible was done before `{}`", node.id));
        }
    }
    let undone = own.iter().take(first).any(|(side, _)| *side == Side::Undo);
    if undone { Err("something irreversible was done after an undo".to_owned()) } else { Ok(()) }
}

/// After a commit was taken back: what cannot be taken back, and what that is built on.
fn stays_with_reason(act: &Act, left: &BTreeSet<String>) -> Result<(), String> {
    let mut stays: BTreeSet<&str> = BTreeSet::new();
    for node in act.nodes.iter().rev() {
        if node.is_final() || stays.contains(node.id.as_str()) {
            stays.insert(&node.id);
            stays.extend(node.after.iter().map(String::as_str));
            stays.extend(node.on.as_deref());
        }
    }
    match left.iter().find(|id| !stays.contains(id.as_str())) {
        Some(id) => Err(format!("`{id}` was not taken back, and nothing hinders it")),
        None => Ok(()),
    }
}

/// What the report says is left is what the server says is there.
fn residue_is_true(plan: &PlanShown, left: &BTreeSet<String>) -> Result<(), String> {
    let told = |is: Standing| -> BTreeSet<String> {
        let those = plan.residue.iter().filter(|residue| residue.is == is);
        those.map(|residue| residue.step.clone()).collect()
    };
    let (stands, unknown) = (told(Standing::Stands), told(Standing::Unknown));
    if !stands.is_subset(left) {
        return Err(format!("the residue says that {stands:?} stand, and {left:?} do"));
    }
    let missing: Vec<&String> =
        left.iter().filter(|id| !stands.contains(*id) && !unknown.contains(*id)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("the residue does not name {missing:?}")) }
}

/// An agent that cannot wait: what it asks for outside of its commit is refused, and does nothing.
pub(super) async fn rash(life: &Life, acts: &[Act]) -> Result<(), String> {
    for act in acts {
        for (tool, args) in
            [("box.mail", json!({ "to": "ann" })), ("box.take", json!({ "id": "r", "amount": 1 }))]
        {
            let mut args = args;
            if let Some(members) = args.as_object_mut() {
                members.insert("note".to_owned(), json!(format!("{}/rash", act.tag)));
            }
            let (run, tool) = (act.run, tool.to_owned());
            let ask = CallAsk {
                run,
                tool,
                args,
                reason: None,
                model: None,
                context_tokens: None,
                idempotency_key: None,
            };
            let answered = life.gate.call(&life.caller, ask).await.map_err(said)?;
            if answered.verdict.allows() {
                return Err(format!("`{}` is allowed before the commit", answered.call));
            }
        }
    }
    Ok(())
}
