//! The verbs of plans, as scripts write them.
//!
//! `begin` opens a group, of which each `call` that writes becomes a step, `w1` and so on.
//!
//! `plan` proposes the list of steps in `args`. `claim` claims what the plan touches (`key`: for how long), `commit`
//! begins it, `step ID` proposes one of its calls, `undo ID` takes it back (`key`: the version that was read), `look ID
//! WORD` says what was seen after it (`key`: the version). `unwind`, `pause` and `end` are the engine's.

use std::sync::Arc;

use kernel::before;
use kernel::call::{Call, Carrier, Look, Outcome, Part};
use kernel::command::{Answer, Command, ControlCommand, Looked};
use kernel::decide::Decision;
use kernel::event::CommitEnded;
use kernel::id::{CallId, Mark, RunId};
use kernel::phase::Phase;
use kernel::plan::{DraftedPlan, PlanVerdict, StepDraft, WrittenStep, parse};
use kernel::progress::{Expectation, PlanState};
use kernel::proposal::net;
use kernel::template::{self, Values};
use kernel::time::Time;
use kernel::undo::UndoKept;
use kernel::verdict::Ruling;
use serde_json::{Value, json};
use stdx::digest::Digest;

use super::{Row, Stage, call, mark, show};

/// A step, with what the gate knows of its bytes.
pub(crate) type Drafted = (WrittenStep, StepDraft);

/// A verdict on a plan: the order, what cannot be undone, what it costs; and each step that is denied.
pub(super) fn judged(plan: &PlanVerdict) -> [String; 2] {
    let ids = |places: &[u16]| -> String {
        places.iter().map(|place| plan.steps[usize::from(*place)].id.clone()).collect::<Vec<_>>().join(" ")
    };
    let mut said = format!("plan {} {}: {}", plan.version, plan.ruling.name(), ids(&plan.order));
    if !plan.cannot_be_undone.is_empty() {
        said += &format!(", for good: {}", plan.cannot_be_undone.join(" "));
    }
    let mut why: Vec<String> = plan.reasons.iter().map(show).collect();
    for step in &plan.steps {
        let notes = [
            step.undo.as_ref().filter(|_| !step.guarded).map(|_| "unguarded".to_owned()),
            step.later.then(|| "later".to_owned()),
            step.conflicts.first().map(show),
            step.reasons.first().filter(|_| step.ruling == Ruling::Deny).map(show),
        ];
        let notes: Vec<String> = notes.into_iter().flatten().collect();
        if !notes.is_empty() {
            why.push(format!("{}: {}", step.id, notes.join(", ")));
        }
    }
    [said, why.join("; ")]
}

/// Where a plan stands, and each of its steps.
pub(super) fn stands(plan: &PlanState) -> String {
    let steps = plan.steps.iter().map(|step| format!("{} {}", step.planned.id, step.state.name()));
    format!("{}: {}", plan.stage.name(), steps.collect::<Vec<_>>().join(", "))
}

pub(super) fn ended(ended: &CommitEnded) -> String {
    let left = ended.residue.iter().map(|left| {
        let is = serde_json::to_value(left.is).unwrap();
        format!(" {} {}", left.id, is.as_str().unwrap())
    });
    let owner = ended.owner.as_ref().map(|owner| format!(" for {owner}")).unwrap_or_default();
    format!("commit_ended {}{}{owner}", ended.end.name(), left.collect::<String>())
}

impl Stage {
    pub(super) fn plan_verb(
        &mut self,
        verb: &str,
        row: &Row,
        run: RunId,
        agent: String,
        now: Time,
    ) -> Option<Decision> {
        let cell = |name: &str| row.get(name).map_or("", String::as_str);
        let (by, why) = ("ann".to_owned(), "because".to_owned());
        let command = match verb {
            "reload" => {
                // The tool that is named is described otherwise from now on.
                let mut book = self.rules.book.clone();
                book.tools.get_mut(cell("args")).unwrap().about = "anew".into();
                self.rules = Arc::new(crate::book::compile(book));
                let answer = kernel::command::Answer::Done;
                return Some(Decision { answer, events: Vec::new() });
            }
            "phase" => Command::Phase { run, agent, to: phase(cell("args")) },
            "plan" => return Some(self.plan(cell("args"), run, agent, now)),
            "claim" | "release" => {
                let command = self.claim(verb, cell("args"), cell("key"), run, now);
                return Some(self.control(now, &command));
            }
            "commit" => {
                let version =
                    cell("args").parse().unwrap_or(self.plan_of(run).map_or(1, |plan| plan.version));
                return Some(self.commit(run, agent, version, now));
            }
            "begin" => {
                self.drafted.clear();
                Command::Begin { run, agent }
            }
            "step" => Command::Propose(Arc::new(self.step(row, run, &agent))),
            "undo" => Command::Propose(Arc::new(self.undo(row, run, &agent))),
            "read" => Command::Propose(Arc::new(self.companion(row, run, &agent))),
            "look" => Command::StepChecked(self.looked(cell("args"), cell("key"), run, now)),
            "unwind" => Command::Unwind { run, why },
            "pause plan" => Command::Pause { run, why },
            "end" => Command::EndCommit { run },
            "abort" => {
                let agent = Some(agent).filter(|_| cell("key") != "person");
                let by = agent.clone().unwrap_or(by);
                Command::Abort { run, agent, by, why }
            }
            "accept" => Command::AcceptResidue { run, by, why },
            "take back" => {
                let step = Some(cell("args").to_owned()).filter(|step| !step.is_empty());
                Command::TakeBack { run, step, dry: cell("key") == "dry", by, why }
            }
            "resolve" => {
                let call = CallId(cell("call").trim_start_matches('c').parse().unwrap());
                let (done, undo) = (cell("args") == "done", self.kept(call, Outcome::Succeeded, now));
                Command::ResolveCall { call, done, undo, by, why }
            }
            _ => return None,
        };
        Some(self.lane(now, &command))
    }

    /// Where the lane is short, control lends, and it is asked once more.
    fn commit(&mut self, run: RunId, agent: String, version: u32, now: Time) -> Decision {
        let commit = |is_last| {
            let (agent, ticket, credential) = (agent.clone(), CallId(900), None);
            Command::Commit { run, agent, version, ticket, credential, is_last }
        };
        let decision = self.lane(now, &commit(false));
        let Answer::Short(needs) = &decision.answer else { return decision };
        let lent = kernel::decide::lend::decide_lend(&self.control, &self.rules, 1, 1, needs, now);
        self.fold_control(now, &lent);
        self.lane(now, &commit(true))
    }

    fn plan_of(&self, run: RunId) -> Option<&PlanState> {
        self.state.plan(run)
    }

    fn plan(&mut self, steps: &str, run: RunId, agent: String, now: Time) -> Decision {
        let steps: Value = serde_json::from_str(steps).unwrap();
        let written = match parse(&json!({ "steps": steps })) {
            Ok(written) => written,
            // What cannot be read never comes to the law; that it is told is enough here.
            Err(reason) => {
                let answer = kernel::command::Answer::Refused(*reason);
                return Decision { answer, events: Vec::new() };
            }
        };
        let drafts: Vec<StepDraft> = written.steps.iter().map(|step| self.draft(&agent, step)).collect();
        self.drafted = written.steps.iter().cloned().zip(drafts.iter().cloned()).collect();
        let digest = Digest::of(steps.to_string().as_bytes());
        let plan = Arc::new(DraftedPlan { mark: mark(&steps.to_string()), plan: written, digest, drafts });
        self.lane(now, &Command::Plan { run, agent, plan })
    }

    /// A call whose run has a group open becomes a step of it, and stands among the drafts by its id there.
    pub(super) fn join(&mut self, mut call: Call, now: Time) -> Decision {
        call.touches = self.touches(&call.tool, &call.args);
        let joined = self.lane(now, &Command::Join(Arc::new(call.clone())));
        let kernel::command::Answer::Joined { step, .. } = joined.answer else { return joined };
        if joined.events.is_empty() {
            return joined;
        }
        let (id, tool, args) = (format!("w{}", step + 1), call.tool, call.args);
        let (reason, effect, expect) = (None, None, None);
        let written = WrittenStep { id, tool, args, after: Vec::new(), reason, effect, expect };
        let (template, touches) = (call.args_mark, call.touches);
        let (facts, destinations, hosts) = (Vec::new(), Vec::new(), Vec::new());
        self.drafted.push((written, StepDraft { template, touches, facts, destinations, hosts }));
        joined
    }

    /// What people said yes to of what waits under this name, as the gate would make a plan of it.
    pub(crate) fn gathers(&mut self, ticket: CallId, key: &str) -> Command {
        let pending = self.state.pending.get(&ticket).cloned();
        let run = pending.as_ref().and_then(|pending| self.state.runs.get(&pending.run));
        let kept: Vec<CallId> = run
            .map_or_else(Vec::new, |run| net(run.proposed(ticket)).kept.iter().map(|one| one.call).collect());
        let bound = pending.as_ref().map(|pending| pending.bound(ticket, &self.rules));
        let picked = match (&pending, key) {
            (Some(pending), key) if key != "all" => pending.picked(bound.unwrap(), &kept),
            _ => kept,
        };
        let steps = picked.iter().filter_map(|call| {
            let args = if key == "other" { json!({ "id": 99 }) } else { self.asked[call].clone() };
            Some(json!({ "id": self.name(*call), "tool": run?.proposal(*call)?.tool, "args": args }))
        });
        let mut steps: Vec<Value> = steps.collect();
        if steps.is_empty() {
            steps.push(json!({ "id": "none", "tool": "x.y" }));
        }
        let written = parse(&json!({ "steps": steps })).unwrap();
        let drafts: Vec<StepDraft> = written.steps.iter().map(|step| self.draft("desk", step)).collect();
        self.drafted = written.steps.iter().cloned().zip(drafts.iter().cloned()).collect();
        let digest = Digest::of(b"gathered");
        let plan = Arc::new(DraftedPlan { mark: mark("gathered"), plan: written, digest, drafts });
        Command::Gather { ticket, plan }
    }

    fn draft(&self, agent: &str, step: &WrittenStep) -> StepDraft {
        let (places, hosts) = self.rules.places(agent, &step.tool, &step.args);
        let marks = |places: Vec<String>| places.iter().map(|place| mark(place)).collect();
        StepDraft {
            template: mark(&format!("{} {}", step.tool, step.args)),
            touches: self.touches(&step.tool, &step.args),
            facts: match template::references(&step.args).is_empty() {
                true => self.wants(agent, &step.tool, &step.args),
                false => Vec::new(),
            },
            destinations: marks(places),
            hosts: marks(hosts),
        }
    }

    pub(super) fn wants(&self, agent: &str, tool: &str, args: &Value) -> Vec<Option<Mark>> {
        let wanted = before::wants(&self.rules, agent, tool, args);
        wanted.into_iter().map(|fact| fact.map(|bytes| marked(&bytes))).collect()
    }

    /// `key` holds what a read told: `tells JSON`.
    pub(super) fn told(&self, row: &Row, call: CallId) -> Vec<Mark> {
        let told = row.get("key").and_then(|key| key.strip_prefix("tells "));
        let (Some(result), Some(open)) = (told, self.state.calls.get(&call)) else { return Vec::new() };
        let (result, args) = (serde_json::from_str(result).unwrap(), &self.asked[&call]);
        let told = before::tells(&self.rules, &open.agent, &open.tool, args, &result);
        told.iter().map(|bytes| marked(bytes)).collect()
    }

    pub(super) fn touches(&self, tool: &str, args: &Value) -> Vec<Mark> {
        let Some(tool) = self.rules.tool(tool) else { return Vec::new() };
        let values = Values { args: Some(args), ..Values::default() };
        let touched = tool.contract.deed.touches.iter();
        touched.filter_map(|name| Some(mark(&template::text(name, &values).ok()?))).collect()
    }

    fn claim(&self, verb: &str, args: &str, key: &str, run: RunId, now: Time) -> ControlCommand {
        let until = now.plus_ms(stdx::duration::parse_ms(key).unwrap_or(3_600_000));
        if verb == "release" {
            return ControlCommand::Release { run, committed: (args == "committed").then_some(until) };
        }
        let marks = match args {
            "" => self.plan_of(run).map(|plan| plan.touches.clone()).unwrap_or_default(),
            named => named.split(' ').map(mark).collect(),
        };
        ControlCommand::Claim { run, marks, until, now }
    }

    /// `args`: the step's id. `key`: `other` arguments than planned, or a `tool`, or `late` for a version of before.
    fn step(&mut self, row: &Row, run: RunId, agent: &str) -> Call {
        let place = self.drafted.iter().position(|(step, _)| step.id == row["args"]).unwrap();
        let (written, draft) = self.drafted[place].clone();
        let key = row.get("key").map_or("", String::as_str);
        let version = self.plan_of(run).map_or(1, |plan| plan.version) - u32::from(key == "late");
        let template = if key == "other" { mark("other") } else { draft.template };
        let tool = if key == "tool" { "crm.lookup" } else { &written.tool };
        let id = self.next_call(&written.args);
        let carrier = if key == "executor" { Carrier::Executor } else { Carrier::Gate };
        let part = Part::Step { step: u16::try_from(place).unwrap(), template, version };
        let mut made = call(id, run, agent, tool, &written.args.to_string(), None, carrier);
        made.args = told_ones(&written.args);
        (made.part, made.touches, made.facts) = (Some(part), draft.touches, draft.facts);
        (made.destinations, made.hosts) = (draft.destinations, draft.hosts);
        if made.facts.is_empty() {
            made.facts = self.wants(agent, tool, &made.args);
        }
        made
    }

    /// `args`: the step's id. `key`: the version that was read, or `other` arguments than were kept.
    fn undo(&mut self, row: &Row, run: RunId, agent: &str) -> Call {
        let step = self.plan_of(run).unwrap().steps.iter().find(|step| step.planned.id == row["args"]);
        let step = step.unwrap().clone();
        let key = row.get("key").map_or("", String::as_str);
        let kept = step.undo.clone();
        let tool = kept.as_ref().map_or("crm.note", |kept| &kept.tool);
        let id = self.next_call(&json!({}));
        let mut made = call(id, run, agent, tool, r#"{"id":1}"#, None, Carrier::Gate);
        made.args_mark = kept.map_or(made.args_mark, |kept| kept.mark);
        if key == "other" {
            made.args_mark = mark("other");
        }
        let version = Some(key).filter(|key| !key.is_empty() && *key != "other").map(mark);
        made.part = Some(Part::Undo { of: step.call.unwrap_or(CallId(99)), version });
        made
    }

    /// `args`: the step's id (or `-`) and what is looked at; `tool` and `key` hold the tool, and of which.
    fn companion(&mut self, row: &Row, run: RunId, agent: &str) -> Call {
        let (id, what) = row["args"].split_once(' ').unwrap();
        let step = self.drafted.iter().position(|(step, _)| step.id == id);
        let what: Look = serde_json::from_value(what.into()).unwrap();
        let id = self.next_call(&json!({}));
        let mut made = call(id, run, agent, &row["tool"], r#"{"id":7}"#, None, Carrier::Gate);
        let step = step.map(|step| u16::try_from(step).unwrap());
        made.part = Some(Part::Companion { of: row["key"].clone(), step, what });
        made
    }

    fn looked(&self, args: &str, key: &str, run: RunId, now: Time) -> Looked {
        let (id, word) = args.split_once(' ').unwrap();
        let plan = self.plan_of(run).unwrap();
        let step = plan.steps.iter().position(|step| step.planned.id == id).unwrap();
        let (mut expectation, mut happened, mut barred) = (None, None, None);
        match word {
            "held" => expectation = Some(Expectation::Held),
            "wrong" => expectation = Some(Expectation::Failed),
            "vague" => expectation = Some(Expectation::Unknown),
            "there" => happened = Some(Expectation::Held),
            "gone" => happened = Some(Expectation::Failed),
            "nobody" => happened = Some(Expectation::Unknown),
            _ => barred = Some("no_such_result".to_owned()),
        }
        let seen = Some(key).filter(|key| !key.is_empty()).map(mark);
        let undo = plan.steps[step].last.and_then(|call| self.kept(call, Outcome::Succeeded, now));
        let step = u16::try_from(step).unwrap();
        Looked { run, version: plan.version, step, expectation, happened, seen, undo, barred }
    }

    /// What a step leaves to take it back with.
    pub(super) fn kept(&self, call: CallId, outcome: Outcome, now: Time) -> Option<UndoKept> {
        let open = self.state.calls.get(&call).filter(|_| outcome == Outcome::Succeeded)?;
        let Some(Part::Step { step, .. }) = open.part else { return None };
        let undo = self.rules.tool(&open.tool)?.contract.deed.undo.clone()?;
        let (tool, contract) = (undo.call().0.to_owned(), self.rules.tool(undo.call().0)?.digest);
        let (args, mark) = (Digest::of(b"args"), mark(&format!("undo {step}")));
        Some(UndoKept { args, contract, mark, tool, until: undo.within_ms().map(|ms| now.plus_ms(ms)) })
    }

    pub(super) fn next_call(&mut self, args: &Value) -> CallId {
        let id = CallId(u128::try_from(self.calls.len() + 1).unwrap());
        self.calls.push(id);
        self.asked.insert(id, args.clone());
        id
    }
}

fn marked(bytes: &[u8]) -> Mark {
    mark(&String::from_utf8_lossy(bytes))
}

/// What other steps told, where a step uses it: always the number 7.
fn told_ones(args: &Value) -> Value {
    let seven = json!({ "id": 7, "text": "seven" });
    template::resolved(args, &|_| Some(&seven)).unwrap()
}

fn phase(text: &str) -> Phase {
    serde_json::from_value(text.into()).unwrap()
}
