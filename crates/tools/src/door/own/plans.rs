//! The tools by which an agent goes through its phases: look, propose all that it means to write, commit that.

use std::time::Duration;

use gate::{PlanShown, StepShown, Ticket};
use kernel::id::RunId;
use kernel::phase::Phase;
use kernel::progress::{Stage, StepState};
use kernel::reason::{Code, Reason};
use serde_json::{Value, json};

use super::super::methods::{self, Request};
use super::super::refused::Refused;
use super::super::tickets::{Wait, Waited};
use super::super::{Visit, told};
use super::said;
use crate::mcp::wire::Members;

pub(super) const ABORT: &str = "remit.abort";
pub(super) const BEGIN: &str = "remit.begin";
pub(super) const COMMIT: &str = "remit.commit";
pub(super) const PHASE: &str = "remit.phase";
pub(super) const PLAN: &str = "remit.plan";

/// Whoever waits for a commit is told so often how far it is.
const TELL: Duration = Duration::from_millis(250);

const PHASE_ABOUT: &str = "Say which phase you are in. In `explore` and `decide` you may call every tool that \
    reads, as often as you need; tools that write are refused in both. In `decide` you know what you want to \
    do and propose it with `remit.plan` (which takes you there by itself). The phase after that, in which \
    things are written, is `remit.commit`: Remit carries your plan out, you do not call the tools yourself.";
const PLAN_ABOUT: &str = "Propose everything that you mean to write, in one plan, before any of it happens. \
    Nothing is written by this: you are told for each step whether it would be allowed and why not, what it \
    costs, how it would be taken back, and how things are now. Every write is one step with the tool's own \
    name and arguments. A step that needs what another step answers writes a reference in the place of the \
    value: `$steps.ID.result.FIELD`, alone in its text. Steps that do not need each other run at once; what \
    cannot be taken back (a mail) runs after all others stand. If a step is denied, read its reasons, and \
    propose a plan without it or with other arguments. If all are allowed, call `remit.commit` with the \
    version that you are told.";
const COMMIT_ABOUT: &str = "Carry out the plan that you proposed, exactly as it was judged: all of it or \
    nothing. Answers when it is over, which can take minutes. If a step fails, the steps that were done are \
    taken back, and you are told what failed; then read anew, say what you learned with `remit.replan`, and \
    propose a new plan. Do not call tools that write by yourself to repair anything.";
const ABORT_ABOUT: &str = "Give up the plan. If it is being carried out, the steps that were done are taken \
    back, as far as they can be; you are told what came of it.";

const BEGIN_ABOUT: &str = "Begin a group: from here on everything that you write stands or falls together. Go on \
    calling the tools as usual. What can be taken back is done at once and you see its result; what cannot (a mail) \
    is held until `remit.commit`, and `remit.abort` cancels it. If a write of the group fails, all of it is \
    taken back.";
const END_ABOUT: &str = "End the group that you began with `remit.begin`: what was held is done now, and all of it \
    stands. Answers when it is over. If something fails before anything was done that cannot be taken back, all of the \
    group is taken back, and you are told what failed.";
const DROP_ABOUT: &str = "Give up the group that you began with `remit.begin`: what was done is taken back, the last \
    first, and what was held is cancelled.";

pub(super) fn is_of_plans(name: &str) -> bool {
    [ABORT, BEGIN, COMMIT, PHASE, PLAN].contains(&name)
}

/// Whether whoever visits could group what they write: they have a tool that can be taken back.
fn may_group(visit: &Visit) -> bool {
    visit.visible().iter().any(|contract| contract.takes_back())
}

/// Whether whoever visits works in phases: nobody else is shown these tools.
pub(super) fn works_in_phases(visit: &Visit) -> bool {
    let rules = visit.door.gate.rules();
    rules.agent(&visit.caller.agent).is_some_and(|manifest| manifest.phases)
}

pub(super) fn list(visit: &Visit) -> Vec<Value> {
    let why = json!({ "type": "string", "description": "Why you give it up, in a sentence." });
    match works_in_phases(visit) {
        true => list_of_phases().into(),
        false if may_group(visit) => vec![
            shown(BEGIN, "Begin a group", BEGIN_ABOUT, object(json!({}), &[]), false),
            shown(COMMIT, "End the group", END_ABOUT, object(json!({}), &[]), true),
            shown(ABORT, "Give up the group", DROP_ABOUT, object(json!({ "why": why }), &[]), true),
        ],
        false => Vec::new(),
    }
}

fn list_of_phases() -> [Value; 4] {
    let to = json!({ "type": "string", "enum": ["explore", "decide"] });
    let version = json!({ "type": "integer", "minimum": 1,
        "description": "The version that `remit.plan` answered. The newest if left out." });
    let why = json!({ "type": "string", "description": "Why you give it up, in a sentence." });
    [
        shown(PLAN, "Propose a plan", PLAN_ABOUT, plan_schema(), false),
        shown(COMMIT, "Carry out the plan", COMMIT_ABOUT, object(json!({ "version": version }), &[]), true),
        shown(ABORT, "Give up the plan", ABORT_ABOUT, object(json!({ "why": why }), &[]), true),
        shown(PHASE, "Say which phase you are in", PHASE_ABOUT, object(json!({ "to": to }), &["to"]), false),
    ]
}

fn shown(name: &str, title: &str, about: &str, schema: Value, writes: bool) -> Value {
    json!({
        "name": name,
        "title": title,
        "description": about,
        "inputSchema": schema,
        "annotations": { "readOnlyHint": !writes, "destructiveHint": false, "openWorldHint": writes },
    })
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn plan_schema() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let expect = object(
        json!({
            "tool": text("The full name of a tool that reads."),
            "args": { "type": "object", "description": "Its arguments. Texts may hold {args.NAME} of the step, and \
                {deed.NAME} of what the step answered." },
            "that": text("What must hold, such as: result.status == \"paid\". Comparisons with `and` between them."),
        }),
        &["tool", "that"],
    );
    let step = object(
        json!({
            "id": text("A short name of its own, such as `refund`; letters, digits, `_` and `-`."),
            "tool": text("The full name of a tool that writes, as `server.tool`."),
            "args": { "type": "object", "description": "The arguments of that tool. In the place of a value: \
                $steps.ID.result.FIELD, for what the step ID will have answered." },
            "after": { "type": "array", "items": { "type": "string" },
                "description": "Ids of steps that must stand before it. A reference to a step is one by itself." },
            "reason": text("Why, in a sentence. For the record."),
            "effect": text("What it will change, in a sentence. For the record."),
            "expect": expect,
        }),
        &["id", "tool", "args"],
    );
    let steps = json!({ "type": "array", "items": step, "minItems": 1, "maxItems": kernel::plan::STEPS_MAX });
    object(json!({ "steps": steps }), &["steps"])
}

pub(super) async fn call(request: &Request<'_>, name: &str) -> Result<Members, Refused> {
    let visit = request.visit;
    match (works_in_phases(visit), name) {
        (false, PLAN | PHASE) => {
            let text =
                "your manifest has `phases: off`: call the tools themselves; `remit.begin` groups them";
            return Err(Refused::params(text));
        }
        (true, BEGIN) => {
            let text = "your manifest has `phases: on`: propose all that you mean to write with `remit.plan`";
            return Err(Refused::params(text));
        }
        _ => {}
    }
    let run = match methods::run(request).await {
        Ok(run) => run,
        Err(refused) if refused.is_law() => return Ok(told::unrun(visit, &refused).await),
        Err(refused) => return Err(refused),
    };
    let none = json!({});
    let args = request.params.get("arguments").filter(|args| !args.is_null()).unwrap_or(&none);
    match name {
        PLAN => propose(visit, run, args).await,
        BEGIN => ended(visit.door.gate.begin_group(&visit.caller, run).await),
        COMMIT => commit(request, run, args).await,
        ABORT => abort(visit, run, args).await,
        _ => phase(visit, run, args).await,
    }
}

async fn phase(visit: &Visit, run: RunId, args: &Value) -> Result<Members, Refused> {
    let to = match args.get("to").and_then(Value::as_str) {
        Some("explore") => Phase::Explore,
        Some("decide") => Phase::Decide,
        Some("commit") => {
            return Err(Refused::params(
                "call `remit.commit` to carry the plan out; there is no way into it",
            ));
        }
        _ => return Err(Refused::params("`to` is `explore` or `decide`")),
    };
    let phase = visit.door.gate.phase(&visit.caller, run, to).await;
    match phase.map_err(|error| Refused::house(&error))? {
        Ok(phase) => Ok(said::phase(phase)),
        Err(reason) => Ok(said::refused(&reason)),
    }
}

async fn propose(visit: &Visit, run: RunId, args: &Value) -> Result<Members, Refused> {
    let planned = visit.door.gate.plan(&visit.caller, run, full_names(visit, args)).await;
    match planned.map_err(|error| Refused::house(&error))? {
        Ok(planned) => Ok(said::planned(&planned)),
        Err(reason) => Ok(said::refused(&reason)),
    }
}

/// A client that sees one server under its own names may write these in its plan.
fn full_names(visit: &Visit, args: &Value) -> Value {
    let mut plan = args.clone();
    let Some(steps) = plan.get_mut("steps").and_then(Value::as_array_mut) else { return plan };
    for step in steps {
        for at in ["/tool", "/expect/tool"] {
            if let Some(Value::String(name)) = step.pointer_mut(at) {
                *name = visit.scope.full_name_once(name);
            }
        }
    }
    plan
}

async fn commit(request: &Request<'_>, run: RunId, args: &Value) -> Result<Members, Refused> {
    let visit = request.visit;
    let version = match args.get("version") {
        None | Some(Value::Null) => None,
        Some(version) => {
            let version = version.as_u64().and_then(|version| u32::try_from(version).ok());
            Some(version.ok_or_else(|| Refused::params("`version` is a whole number, as the plan has it"))?)
        }
    };
    let mut wait = Wait::of(request, COMMIT, || args.clone());
    if let Some(ticket) = wait.brought_back()? {
        return waited(visit, run, Box::pin(wait.taken_up(ticket)).await?).await;
    }
    let done = carried_out(request, run, version).await;
    let is_asked = matches!(&done, Ok(Err(reason)) if reason.code == Code::ApprovalRequired);
    let tickets = is_asked.then(|| visit.door.gate.tickets(&visit.caller, Some(run)));
    match tickets.into_iter().flatten().find(Ticket::is_plan) {
        Some(ticket) => waited(visit, run, Box::pin(wait.wait(ticket)).await?).await,
        None => ended(done),
    }
}

/// People were asked about the plan as a whole: what they said, or what it came to after their yes.
async fn waited(visit: &Visit, run: RunId, waited: Waited) -> Result<Members, Refused> {
    match waited {
        Waited::Told(result) => Ok(result),
        Waited::Over(answered) if !answered.verdict.allows() => Ok(told::refusal(COMMIT, None, &answered)),
        Waited::Over(mut answered) => {
            let what = told::said(&mut answered);
            let result = match visit.door.gate.plan_of(run).await {
                Ok(Some(plan)) => said::ended(&plan),
                Ok(None) => said::refused(&Reason::new(Code::PlanUnknown)),
                Err(error) => return Err(Refused::house(&error)),
            };
            Ok(told::approved(what, result))
        }
    }
}

/// Waits for its end, and says meanwhile how far it is.
async fn carried_out(
    request: &Request<'_>,
    run: RunId,
    version: Option<u32>,
) -> Result<Result<PlanShown, Reason>, gate::error::Error> {
    let (visit, gate) = (request.visit, &request.visit.door.gate);
    let committed = gate.commit(&visit.caller, run, version);
    tokio::pin!(committed);
    let mut told = 0;
    loop {
        tokio::select! {
            done = &mut committed => return done,
            () = tokio::time::sleep(TELL) => {}
        }
        // Progress that is told must grow.
        let Some(progress) = gate.plan_progress(run).filter(|progress| progress.ended > told) else {
            continue;
        };
        told = progress.ended;
        let params = json!({ "progress": told, "total": progress.of, "message": progress.says });
        request.feed.send(json!({ "method": "notifications/progress", "params": params }));
    }
}

async fn abort(visit: &Visit, run: RunId, args: &Value) -> Result<Members, Refused> {
    let why = args.get("why").and_then(Value::as_str).unwrap_or("the agent gave no reason");
    let agent = visit.caller.agent.as_str();
    ended(visit.door.gate.abort(run, Some(agent), agent, why).await)
}

fn ended(done: Result<Result<PlanShown, Reason>, gate::error::Error>) -> Result<Members, Refused> {
    match done.map_err(|error| Refused::house(&error))? {
        Ok(plan) => Ok(said::ended(&plan)),
        Err(reason) => Ok(said::refused(&reason)),
    }
}

/// The phase of a run and its plan, for `remit.status`.
pub(super) fn about(visit: &Visit, run: RunId, plan: Option<&PlanShown>) -> Members {
    let plan = plan.filter(|plan| plan.agent == visit.caller.agent).map(|plan| {
        let staged = plan.steps.iter().filter(|step| is_staged(plan, step));
        let staged = staged.map(|step| json!({ "id": step.id, "tool": step.tool }));
        json!({
            "grouped": plan.grouped,
            "held_by_halt": plan.held,
            "next": plan.next(),
            "says": plan.says(),
            "stage": plan.stage.name(),
            "staged": staged.collect::<Vec<_>>(),
            "steps": plan.steps.iter().map(step_about).collect::<Vec<_>>(),
            "stuck": plan.stuck,
            "version": plan.version,
        })
    });
    let members = [("phase", visit.door.gate.phase_of(run).into()), ("plan", plan.into())];
    members.into_iter().map(|(name, value): (_, Value)| (name.to_owned(), value)).collect()
}

fn step_about(step: &StepShown) -> Value {
    json!({ "id": step.id, "state": step.state.name(), "tool": step.tool })
}

/// It waits until all others stand, or until the commit.
fn is_staged(plan: &PlanShown, step: &StepShown) -> bool {
    let waits = step.state == StepState::Waiting && plan.stage == Stage::Open;
    step.state == StepState::Outbox || waits
}
