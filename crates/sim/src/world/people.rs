//! The people: they halt, freeze and resume, pause runs, let them spend more, charge them, and change the rules.

use std::sync::Arc;

use kernel::account::Amount;
use kernel::command::{Command, ControlCommand};
use kernel::halt::Scope;
use kernel::rules::Rules;
use kernel::steer::Steer;

use super::{World, lane_of};
use crate::books::AGENTS;
use crate::pipeline::Waiter;

impl World {
    pub(super) fn halt(&mut self) -> Result<(), String> {
        let Some((run, _)) = self.some_run() else { return Ok(()) };
        let scope = match self.random.below(12) {
            0 => Scope::All,
            1 | 2 => Scope::Writes,
            3 => Scope::Agent(AGENTS[0].to_owned()),
            4 => Scope::Server("pay".to_owned()),
            5 => Scope::Tool("crm.note".to_owned()),
            6 => Scope::Irreversible,
            7 => Scope::Tenant("default".to_owned()),
            8 => Scope::Writes.within("prod"),
            9 => Scope::All.within("staging"),
            _ => Scope::Run(run.to_string()),
        };
        let until = self.random.percent(20).then(|| self.now.plus_ms(60_000));
        let reads_allowed = self.random.percent(25);
        self.halts.push(scope.clone());
        self.halted += 1;
        let (why, by) = ("enough".to_owned(), "ops".to_owned());
        self.control(ControlCommand::Halt { scope, why, by, until, reads_allowed, force: true }, None)
            .map(drop)
    }

    pub(super) fn resume(&mut self) -> Result<(), String> {
        if self.random.percent(20) {
            return self.control(ControlCommand::LiftOverdue { now: self.now }, None).map(drop);
        }
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

    /// What people do to a run from outside.
    pub(super) fn steer(&mut self) {
        let Some((run, _)) = self.some_run() else { return };
        let amount = Amount { usd_nanos: 1 + self.random.below(12), ..Amount::default() };
        let steer = match self.random.below(6) {
            0 => Steer::Pause,
            1 | 2 => Steer::Resume,
            3 | 4 => Steer::Extend { amount, until: self.now.plus_ms(120_000) },
            _ => Steer::Charge { amount },
        };
        let (by, why) = ("ops".to_owned(), "it is wanted".to_owned());
        self.ask(lane_of(run), Command::Steer { run, steer, by, why }, Vec::new(), Waiter::Nobody);
    }
}
