//! The agents of a schedule: one plans, one groups; both try now and then what they may not.

use std::sync::Arc;

use kernel::call::{Call, Carrier, Part};
use kernel::command::{Command, OpenRun};
use kernel::id::{CallId, Mark, RunId};
use kernel::phase::Phase;
use kernel::plan::{DraftedPlan, StepDraft, WrittenStep, parse};
use kernel::progress::{PlanState, Stage};
use serde_json::{Value, json};
use stdx::digest::Digest;
use stdx::json::canonical;

use super::yard::{Act, Yard};
use crate::pipeline::Waiter;
use crate::saga::{AGENT, JOINER};
use crate::world::lane_of;

const TOOLS: [&str; 11] = [
    "box.take",
    "box.take_probed",
    "box.take_plain",
    "box.take_once",
    "box.make",
    "box.make_probed",
    "box.set",
    "box.look",
    "box.mail",
    "box.mail_later",
    "box.mail_plain",
];
/// Steps of one plan.
const STEPS_MAX: u64 = 6;
/// Things that plans touch: few, so that they meet.
const PLACES: u64 = 12;

impl Yard {
    pub(super) fn open(&mut self, agent: &'static str) {
        let run = RunId::new(self.now, self.random.bytes());
        let open = OpenRun {
            run,
            agent: agent.to_owned(),
            person: None,
            intent: None,
            implicit: None,
            parent: None,
            budget: None,
            credential: None,
        };
        self.acts.push(Act { run, agent });
        self.ask(lane_of(run), Command::OpenRun(open), Waiter::Opening);
    }

    pub(super) fn act(&mut self, act: Act) -> Result<(), String> {
        let stage = self.plan(act.run).map(|plan| (plan.stage, plan.version, plan.lost));
        let chance = self.random.below(10);
        match (act.agent, stage) {
            (JOINER, Some((Stage::Open, version, _))) => match chance {
                0..6 => self.rash(act),
                6..8 => return self.begin_commit(act, version),
                8 => self.abort(act),
                _ => {}
            },
            (JOINER, Some((_, _, true))) if chance < 5 => self.rash(act),
            (JOINER, Some((stage, ..))) if stage.is_under_way() => self.rash(act),
            (JOINER, _) => self.tell(act, Command::Begin { run: act.run, agent: act.agent.to_owned() }),
            (_, Some((Stage::Proposed, version, _))) => match chance {
                0..5 => return self.begin_commit(act, version),
                5 | 6 => self.rash(act),
                7 => self.abort(act),
                8 => self.move_on(act),
                _ => self.propose(act),
            },
            (_, Some((stage, ..))) if stage.is_under_way() => match chance {
                0..5 => self.rash(act),
                5 => self.abort(act),
                _ => {}
            },
            _ => match chance {
                0..5 => self.propose(act),
                5..8 => self.rash(act),
                _ => self.move_on(act),
            },
        }
        Ok(())
    }

    fn tell(&mut self, act: Act, command: Command) {
        self.ask(lane_of(act.run), command, Waiter::Nobody);
    }

    fn move_on(&mut self, act: Act) {
        let to = self.random.pick(&[Phase::Explore, Phase::Decide, Phase::Commit]).copied();
        let (run, agent, to) = (act.run, act.agent.to_owned(), to.unwrap_or(Phase::Decide));
        self.tell(act, Command::Phase { run, agent, to });
    }

    pub(super) fn abort(&mut self, act: Act) {
        let (run, agent, by, why) = (act.run, Some(act.agent.to_owned()), "agent".into(), "enough".into());
        self.tell(act, Command::Abort { run, agent, by, why });
    }

    /// A write by itself: outside of a plan it is refused, in a group it becomes a step.
    fn rash(&mut self, act: Act) {
        let tool = self.random.pick(&TOOLS).copied().unwrap_or("box.mail");
        let touches = self.touches(tool);
        let call = self.call(act, tool, None, touches);
        self.asked += u64::from(tool != "box.look");
        let call = Arc::new(call);
        self.ask(lane_of(act.run), Command::Propose(call.clone()), Waiter::Call(call));
    }

    fn propose(&mut self, act: Act) {
        let count = 1 + self.random.below(STEPS_MAX);
        let steps: Vec<Value> = (0..count).map(|place| self.written(place)).collect();
        let Ok(plan) = parse(&json!({ "steps": steps })) else { return };
        let drafts = plan.steps.iter().map(|step| self.drafted(step)).collect();
        let digest = Digest::of(&self.random.bytes::<16>());
        let plan = Arc::new(DraftedPlan { plan, digest, mark: mark(b"plan", &digest.0), drafts });
        self.tell(act, Command::Plan { run: act.run, agent: act.agent.to_owned(), plan });
    }

    fn written(&mut self, place: u64) -> Value {
        let tool = self.random.pick(&TOOLS).copied().unwrap_or("box.take");
        let after: Vec<String> =
            (0..place).filter(|_| self.random.percent(30)).map(|before| format!("s{before}")).collect();
        json!({ "id": format!("s{place}"), "tool": tool, "args": args_of(tool), "after": after })
    }

    fn drafted(&mut self, step: &WrittenStep) -> StepDraft {
        StepDraft {
            template: mark(step.id.as_bytes(), &canonical(&step.args)),
            touches: self.touches(&step.tool),
            facts: Vec::new(),
            destinations: Vec::new(),
            hosts: Vec::new(),
        }
    }

    fn touches(&mut self, tool: &str) -> Vec<Mark> {
        let touches = matches!(tool, "box.take" | "box.set");
        touches.then(|| mark(b"place", &self.random.below(PLACES).to_be_bytes())).into_iter().collect()
    }

    pub(super) fn call(&mut self, act: Act, tool: &str, part: Option<Part>, touches: Vec<Mark>) -> Call {
        let args = args_of(tool);
        let bytes = canonical(&args);
        let id = CallId::new(self.now, self.random.bytes());
        Call {
            bound: Default::default(),
            part,
            touches,
            facts: Vec::new(),
            id,
            run: act.run,
            agent: act.agent.to_owned(),
            tool: tool.to_owned(),
            args_commitment: Digest::of(&bytes),
            // Each is another call.
            args_mark: mark(b"args", &id.0.to_be_bytes()),
            args,
            key_mark: None,
            reasoning: None,
            model: None,
            context_tokens: None,
            carrier: Carrier::Gate,
            destinations: Vec::new(),
            hosts: Vec::new(),
            credential: None,
            ask_marks: None,
        }
    }

    pub(super) fn plan(&self, run: RunId) -> Option<&PlanState> {
        self.desk(run)?.state.plan(run)
    }

    pub(super) fn open_all(&mut self) {
        for agent in [AGENT, JOINER, AGENT] {
            self.open(agent);
        }
    }
}

fn args_of(tool: &str) -> Value {
    match tool.strip_prefix("box.").unwrap_or(tool) {
        "look" => json!({ "id": "x" }),
        "set" | "put" => json!({ "id": "x", "value": 1, "note": "n" }),
        "make" | "make_probed" => json!({ "name": "x", "note": "n" }),
        "drop" => json!({ "handle": "x", "note": "n" }),
        name if name.starts_with("mail") => json!({ "to": "ann", "note": "n" }),
        _ => json!({ "id": "x", "amount": 1, "note": "n" }),
    }
}

pub(super) fn mark(what: &[u8], bytes: &[u8]) -> Mark {
    let Digest(digest) = Digest::of(&[what, b"\0", bytes].concat());
    let mut mark = [0; 16];
    mark.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Mark(mark)
}
