//! Saga: what a plan on its way wants next. Pure: the engine asks, does it through the one line, and asks again.

use crate::held::Target;
use crate::id::RunId;
use crate::progress::{End, PlanState};
use crate::rules::Rules;
use crate::state::Control;
use crate::time::Time;

/// What is to be done now. An empty list: wait until a call settles.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Move {
    /// Propose the step's call: `Part::Step`. The same again for a step of unknown end whose tool knows its key.
    Run(u16),
    /// Look after the deed (`expect`, then `version`), and say so with `StepChecked`.
    Check(u16),
    /// Read the version if it is guarded, then propose the kept undo: `Part::Undo`.
    Undo(u16),
    /// Ask the contract's probe whether it happened, and say so with `StepChecked`.
    Probe(u16),
    /// `Command::Unwind`: a step failed, and the plan goes back.
    Unwind(String),
    /// `Command::Pause`: a step failed, and the agent may mend the plan.
    Pause(String),
    /// Nothing to do before then.
    Wait(Time),
    /// A halt holds these steps: ask again when control has changed.
    Held(Vec<u16>),
    /// `Command::EndCommit`: it is over.
    Finish(End),
    /// Nobody can know but a person: `ResolveCall`, or `AcceptResidue`.
    Stuck(u16),
}

/// `held` says of a tool whether a halt holds its calls now.
pub fn next(_plan: &PlanState, _now: Time, _held: &dyn Fn(&str) -> bool) -> Vec<Move> {
    Vec::new()
}

impl Control {
    /// Whether a halt holds this tool for an agent's run and those above it.
    pub fn holds_tool(&self, rules: &Rules, agent: &str, tool: &str, runs: Vec<RunId>, now: Time) -> bool {
        !self.halts.is_empty() && self.halted(&Target::new(rules, agent, tool, runs), now).is_some()
    }
}
