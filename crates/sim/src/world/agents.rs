//! The agents: what they ask for, ask again, and learn.

use std::sync::Arc;

use kernel::account::Limits;
use kernel::call::{Call, Carrier};
use kernel::command::{Closing, Command, OpenRun};
use kernel::id::{CallId, Mark, RunId};
use ledger::Payload;
use serde_json::{Value, json};
use stdx::digest::Digest;
use stdx::json::canonical;

use super::{World, lane_of};
use crate::books::{AGENTS, ASKED, ASKER, TOOLS};
use crate::pipeline::{LANES, Waiter};

impl World {
    /// Now and then under another run, with or without a part of its budget.
    pub(super) fn open_run(&mut self) {
        let mut run = RunId::new(self.now, self.random.bytes());
        let mut agent = self.random.pick(&AGENTS).copied().unwrap_or("clerk").to_owned();
        let (mut parent, mut budget) = (None, None);
        if self.random.percent(45)
            && let Some((above, its)) = self.some_run()
        {
            (run, agent, parent) = (run.beneath(above), its, Some(above));
            let (calls, usd_nanos) = (self.random.below(6), self.random.below(25));
            budget = match self.random.below(4) {
                0 => Some(Limits { usd_nanos: Some(usd_nanos), ..Limits::default() }),
                1 => Some(Limits { calls: Some(calls), usd_nanos: Some(usd_nanos), ..Limits::default() }),
                _ => None,
            };
        }
        self.open(run, agent, None, parent, budget);
    }

    fn open(
        &mut self,
        run: RunId,
        agent: String,
        person: Option<String>,
        parent: Option<RunId>,
        budget: Option<Limits>,
    ) {
        self.runs.push((run, agent.clone()));
        let (intent, implicit, credential) = (None, None, None);
        let open = OpenRun { run, agent, person, intent, implicit, parent, budget, credential };
        self.ask(lane_of(run), Command::OpenRun(open), Vec::new(), Waiter::Opening);
    }

    /// Mostly one of the last runs; now and then an old one, or another agent's.
    pub(super) fn some_run(&mut self) -> Option<(RunId, String)> {
        let recent = self.runs.len().saturating_sub(if self.random.percent(90) { 6 } else { 1_000 });
        let (run, agent) = self.random.pick(self.runs.get(recent..)?).cloned()?;
        let thief = self.random.percent(3);
        Some((run, if thief { "runner".to_owned() } else { agent }))
    }

    pub(super) fn propose(&mut self) {
        let Some((run, agent)) = self.some_run() else { return };
        let tool =
            if self.random.percent(4) { Some("pay.nothing") } else { self.random.pick(&TOOLS).copied() };
        let tool = tool.unwrap_or("crm.lookup");
        let wrong = self.random.percent(4);
        let args = match tool {
            _ if wrong => json!({ "cents": "many" }),
            "crm.lookup" => json!({ "id": self.random.below(100) }),
            "crm.note" => json!({ "text": "seen" }),
            _ => json!({ "cents": self.random.below(100) }),
        };
        let executor = agent != "clerk" && self.random.percent(40);
        let carrier = if executor || self.random.percent(2) { Carrier::Executor } else { Carrier::Gate };
        // Few keys, so that they meet by chance too.
        let key = self.random.percent(50).then(|| mark(run, &self.random.below(40).to_be_bytes()));
        self.send(run, agent, tool, args, key, carrier);
    }

    /// What people must be asked about; the same few calls, so that one comes again while it waits.
    pub(super) fn propose_asked(&mut self) {
        let own = self.runs.iter().rev().filter(|(_, agent)| agent == ASKER).take(3);
        let own: Vec<RunId> = own.map(|(run, _)| *run).collect();
        let Some(run) = self.random.pick(&own).copied().filter(|_| !self.random.percent(25)) else {
            let run = RunId::new(self.now, self.random.bytes());
            let person = self.random.percent(20).then(|| "lee".to_owned());
            return self.open(run, ASKER.to_owned(), person, None, None);
        };
        let args = json!({ "cents": self.random.below(25) });
        let carrier = if self.random.percent(20) { Carrier::Executor } else { Carrier::Gate };
        self.send(run, ASKER.to_owned(), ASKED, args, None, carrier);
    }

    /// The same key again: mostly the same call, sometimes with other arguments under it.
    pub(super) fn again(&mut self) {
        let recent = self.sent.len().saturating_sub(20);
        let keyed: Vec<Arc<Call>> =
            self.sent.iter().skip(recent).filter(|call| call.key_mark.is_some()).cloned().collect();
        let Some(call) = self.random.pick(&keyed).cloned() else { return };
        let args =
            if self.random.percent(20) { json!({ "cents": 1, "other": true }) } else { call.args.clone() };
        self.send(call.run, call.agent.clone(), &call.tool, args, call.key_mark, call.carrier);
    }

    fn send(
        &mut self,
        run: RunId,
        agent: String,
        tool: &str,
        args: Value,
        key: Option<Mark>,
        carrier: Carrier,
    ) {
        let payload = Payload::new("args", self.random.bytes(), canonical(&args), false);
        let call = Arc::new(Call {
            part: None,
            touches: Vec::new(),
            facts: Vec::new(),
            id: CallId::new(self.now, self.random.bytes()),
            run,
            agent,
            tool: tool.to_owned(),
            args_commitment: payload.commitment,
            args_mark: mark(run, &[tool.as_bytes(), b"\0", &payload.body].concat()),
            args,
            key_mark: key,
            bound: Default::default(),
            reasoning: None,
            model: None,
            context_tokens: None,
            carrier,
            destinations: Vec::new(),
            hosts: Vec::new(),
            credential: None,
            ask_marks: None,
        });
        self.sent.push(call.clone());
        self.ask(lane_of(run), Command::Propose(call.clone()), vec![payload], Waiter::Call(call));
    }

    pub(super) fn close_run(&mut self) {
        let Some((run, agent)) = self.some_run() else { return };
        let command = Command::CloseRun {
            run,
            agent: Some(agent.clone()),
            outcome: Closing::Success,
            workflow: None,
            by: agent,
        };
        self.ask(lane_of(run), command, Vec::new(), Waiter::Nobody);
    }

    /// What is recorded beside the line: questions, refusals at the door, counted floods.
    pub(super) fn aside(&mut self) {
        let Some((run, agent)) = self.some_run() else { return };
        let command = match self.random.below(3) {
            0 => Command::Refused { agent, run: Some(run), code: "json_invalid".to_owned() },
            1 => Command::CountRefusals { agent, counts: vec![(Some(run), 3), (None, 1)] },
            _ => {
                let Some(call) = self.sent.last().cloned() else { return };
                Command::Question { call, by: agent }
            }
        };
        self.ask(lane_of(run), command, Vec::new(), Waiter::Nobody);
    }

    pub(super) fn sweep(&mut self) {
        for lane in 1..=LANES {
            self.ask(lane, Command::Sweep, Vec::new(), Waiter::Nobody);
        }
    }

    /// It says what it learned; before that, what failed does not come again.
    pub(super) fn replan(&mut self) {
        let Some((run, agent)) = self.some_run() else { return };
        let learned = Digest::of(b"learned");
        self.ask(lane_of(run), Command::Replan { run, agent, learned }, Vec::new(), Waiter::Nobody);
    }
}

pub(super) fn mark(run: RunId, bytes: &[u8]) -> Mark {
    let Digest(digest) = Digest::of(&[&run.0.to_be_bytes(), bytes].concat());
    let mut mark = [0; 16];
    mark.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Mark(mark)
}
