//! The agents and the people: what they ask for, ask again, stop and change.

use std::sync::Arc;

use kernel::call::{Call, Carrier};
use kernel::command::{Closing, Command, ControlCommand, OpenRun};
use kernel::halt::Scope;
use kernel::id::{CallId, Mark, RunId};
use kernel::rules::Rules;
use ledger::Payload;
use serde_json::{Value, json};
use stdx::digest::Digest;
use stdx::json::canonical;

use super::{World, lane_of};
use crate::books::{AGENTS, TOOLS};
use crate::pipeline::{LANES, Waiter};

impl World {
    pub(super) fn open_run(&mut self) {
        let run = RunId::new(self.now, self.random.bytes());
        let agent = self.random.pick(&AGENTS).copied().unwrap_or("clerk").to_owned();
        self.runs.push((run, agent.clone()));
        let open = OpenRun {
            run,
            agent,
            person: None,
            intent: None,
            implicit: None,
            parent: None,
            budget: None,
            credential: None,
        };
        self.ask(lane_of(run), Command::OpenRun(open), Vec::new(), Waiter::Opening);
    }

    /// Mostly one of the last runs; now and then an old one, or another agent's.
    fn some_run(&mut self) -> Option<(RunId, String)> {
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

    pub(super) fn halt(&mut self) -> Result<(), String> {
        let Some((run, _)) = self.some_run() else { return Ok(()) };
        let scope = match self.random.below(8) {
            0 => Scope::All,
            1 | 2 => Scope::Writes,
            3 => Scope::Agent(AGENTS[0].to_owned()),
            4 => Scope::Server("pay".to_owned()),
            5 => Scope::Tool("crm.note".to_owned()),
            _ => Scope::Run(run.to_string()),
        };
        self.halts.push(scope.clone());
        self.halted += 1;
        let command = ControlCommand::Halt {
            scope,
            why: "enough".to_owned(),
            by: "ops".to_owned(),
            until: None,
            reads_allowed: false,
            force: false,
        };
        self.control(command, None).map(drop)
    }

    pub(super) fn resume(&mut self) -> Result<(), String> {
        let Some(scope) = self.halts.first().cloned() else { return Ok(()) };
        let command = ControlCommand::Resume { scope, why: "better".to_owned(), by: "ops".to_owned() };
        if self.control(command, None)? {
            self.halts.remove(0);
        }
        Ok(())
    }

    pub(super) fn change_rules(&mut self) -> Result<(), String> {
        let rules = self.random.pick(&self.books).cloned();
        rules.map_or(Ok(()), |rules| self.activate(rules).map(drop))
    }

    pub(super) fn activate(&mut self, rules: Arc<Rules>) -> Result<bool, String> {
        let command = ControlCommand::Activate {
            digest: rules.digest,
            payload: rules.digest,
            agents: rules.book.agents.len() as u64,
            tools: rules.book.tools.len() as u64,
            by: "ops".to_owned(),
        };
        self.control(command, Some(rules))
    }
}

fn mark(run: RunId, bytes: &[u8]) -> Mark {
    let Digest(digest) = Digest::of(&[&run.0.to_be_bytes(), bytes].concat());
    let mut mark = [0; 16];
    mark.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Mark(mark)
}
