//! Halts: the switch that stops, and the report of what it met.
//!
//! A halt is a barrier of the control lane. While the lanes still wait for it, the calls in its scope that this process
//! carries are cut; then the report waits a moment for what becomes of them.

use std::time::Duration;

use kernel::call::{Carrier, Outcome};
use kernel::command::{Command, ControlCommand};
use kernel::halt::{Halt, Scope};
use kernel::id::{CallId, RunId};
use kernel::reason::{Code, Reason};
use kernel::run::OpenCall;
use kernel::state::State;
use kernel::time::Time;
use ledger::Receipt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::bounds::{NAME_BYTES_MAX, TOOL_BYTES_MAX, WHY_BYTES_MAX, within};
use crate::control::{ControlMessage, Held};
use crate::desk::Law;
use crate::error::Error;
use crate::flight::Stage;
use crate::gate::Gate;
use crate::runs::{Receipted, receipted};

/// The report waits this long for what was cut to be settled.
const SETTLE_WAIT: Duration = Duration::from_secs(2);

/// A halt as a person asks for it.
#[derive(Clone, Debug)]
pub struct HaltAsk {
    pub scope: Scope,
    pub why: String,
    pub by: String,
    pub until: Option<Time>,
    pub reads_allowed: bool,
    pub force: bool,
}

impl HaltAsk {
    pub fn new(scope: Scope, why: &str, by: &str) -> HaltAsk {
        let (why, by) = (why.to_owned(), by.to_owned());
        HaltAsk { scope, why, by, until: None, reads_allowed: false, force: false }
    }
}

/// The containment report: what a halt met, and what became of it.
#[derive(Clone, Debug)]
pub struct Contained {
    pub receipt: Receipt,
    pub calls: Vec<HeldCall>,
    /// Calls in scope that waited for people, and wait no more.
    pub cancelled: usize,
    /// Calls in scope whose end was unknown before.
    pub unknown_before: usize,
    /// Nothing in scope happened from this index on; none while something still may.
    pub quiet_from: Option<u64>,
}

/// A call that was under way when the halt came.
#[derive(Clone, Debug)]
pub struct HeldCall {
    pub call: CallId,
    pub run: RunId,
    pub agent: String,
    pub tool: String,
    pub since: Time,
    pub end: HeldEnd,
    /// None: it is not settled yet.
    pub outcome: Option<Outcome>,
    pub trouble: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldEnd {
    /// It came to its own end meanwhile.
    Finished,
    /// It was stopped, and did nothing that lasts.
    Stopped,
    /// Nobody knows what it did, or it goes on where Remit cannot cut it.
    Unclear,
}

impl HeldEnd {
    pub fn name(self) -> &'static str {
        match self {
            HeldEnd::Finished => "finished",
            HeldEnd::Stopped => "stopped",
            HeldEnd::Unclear => "unclear",
        }
    }

    fn of(outcome: Outcome, trouble: Option<&str>) -> HeldEnd {
        match outcome {
            Outcome::Unknown => HeldEnd::Unclear,
            Outcome::NotDispatched => HeldEnd::Stopped,
            Outcome::Failed if trouble == Some("halted") => HeldEnd::Stopped,
            Outcome::Failed | Outcome::Succeeded => HeldEnd::Finished,
        }
    }
}

impl Gate {
    /// From the moment this returns, no call in the scope is permitted, on any lane, and what was under way is cut.
    pub async fn halt(&self, ask: HaltAsk) -> Result<Result<Contained, Reason>, Error> {
        within("the why", &ask.why, WHY_BYTES_MAX)?;
        within("a name", &ask.by, NAME_BYTES_MAX)?;
        within("the scope", &ask.scope.to_string(), TOOL_BYTES_MAX + NAME_BYTES_MAX)?;
        if !ask.force && !self.knows_run(&ask.scope).await {
            let detail = ask.scope.to_string().replacen(':', " `", 1) + "`";
            return Ok(Err(Reason::new(Code::ScopeUnknown).detail(detail)));
        }
        // Whoever asked may hang up; the halt goes on.
        let gate = self.clone();
        let halting = tokio::spawn(async move { gate.halted(ask).await });
        halting.await.map_err(|_| Error::Stopping)?
    }

    async fn halted(&self, ask: HaltAsk) -> Result<Result<Contained, Reason>, Error> {
        let HaltAsk { scope, why, by, until, reads_allowed, force } = ask;
        let of = scope.clone();
        let command = ControlCommand::Halt { scope, why, by, until, reads_allowed, force };
        let (waiter, wait) = oneshot::channel();
        let (census, held) = oneshot::channel();
        let message =
            ControlMessage::Ask { command, payloads: Vec::new(), rules: None, census: Some(census), waiter };
        self.0.control.try_send(message).map_err(|_| Error::Overloaded)?;
        let written = wait.await.map_err(|_| Error::Stopping)??;
        let receipt = match receipted(written)? {
            Ok(receipt) => receipt,
            Err(reason) => return Ok(Err(reason)),
        };
        let held = held.await.unwrap_or_default();
        self.kick_all();
        let cancelled = self.asks_cancelled(&of).await;
        Ok(Ok(self.contained(receipt, held, cancelled).await))
    }

    /// Nobody is asked any more about what the halt holds. The sweep would see to that in a second; whoever halts
    /// sees it done.
    async fn asks_cancelled(&self, scope: &Scope) -> usize {
        let waiting = |lane: usize| {
            let held = |state: &State, law: &Law| {
                let halt = law.control.halts.get(scope);
                halt.map_or(0, |halt| state.asks_held(&law.rules, scope, halt))
            };
            self.0.lanes.get(lane).and_then(|lane| lane.look(held)).unwrap_or(0)
        };
        let mut cancelled = 0;
        for lane in 0..self.lane_count() {
            let mut left = waiting(lane);
            // A sweep ends so many at once.
            while left > 0 && self.ask_lane(lane, Command::Sweep, Vec::new()).await.is_ok() {
                let now = waiting(lane);
                if now >= left {
                    break;
                }
                cancelled += left - now;
                left = now;
            }
        }
        if cancelled > 0 {
            self.0.waits.tell_all();
        }
        cancelled
    }

    async fn contained(&self, receipt: Receipt, held: Vec<Held>, cancelled: usize) -> Contained {
        let (unknown, going): (Vec<_>, Vec<_>) = held.into_iter().partition(|held| held.open.unknown);
        let deadline = Instant::now() + SETTLE_WAIT;
        let mut calls = Vec::new();
        for held in going {
            calls.push(held_call(held, deadline).await);
        }
        let all_ended = calls.iter().all(|call| call.outcome.is_some());
        let quiet_from = all_ended.then(|| self.counts().head_index);
        Contained { receipt, calls, cancelled, unknown_before: unknown.len(), quiet_from }
    }

    pub async fn resume(&self, scope: Scope, why: &str, by: &str) -> Receipted {
        within("the why", why, WHY_BYTES_MAX)?;
        within("a name", by, NAME_BYTES_MAX)?;
        within("the scope", &scope.to_string(), TOOL_BYTES_MAX + NAME_BYTES_MAX)?;
        let command = ControlCommand::Resume { scope, why: why.to_owned(), by: by.to_owned() };
        let resumed = receipted(self.ask_control(command, Vec::new(), None).await?);
        self.kick_all();
        resumed
    }

    /// The halts that bind now.
    pub fn halts(&self) -> Vec<(Scope, Halt)> {
        let now = self.0.clock.now();
        let due = |(_, halt): &(&Scope, &Halt)| halt.is_due(now);
        let law = self.law();
        law.control.halts.iter().filter(due).map(|(scope, halt)| (scope.clone(), halt.clone())).collect()
    }

    /// Whether a halt of everything this agent does binds now; one that lets reads go is none.
    pub fn is_cut_off(&self, agent: &str) -> bool {
        let law = self.law();
        let halted = |manifest: &kernel::agent::Manifest| {
            law.control.closed_to(agent, &manifest.tenant, &[], self.0.clock.now()).is_some()
        };
        !law.control.halts.is_empty() && law.rules.agent(agent).is_some_and(halted)
    }

    /// Halts whose time is over are lifted in the ledger, too.
    pub(crate) async fn lift_overdue(&self) {
        let now = self.0.clock.now();
        if self.law().control.overdue(now).next().is_some() {
            let _ = self.ask_control(ControlCommand::LiftOverdue { now }, Vec::new(), None).await;
            self.kick_all();
        }
    }

    /// Whether a run that a scope names was ever opened. Where nobody can say, it counts as known: a halt that holds
    /// nothing does less harm than one that is refused.
    async fn knows_run(&self, scope: &Scope) -> bool {
        let run = match scope {
            Scope::In(scope, _) => scope.as_ref(),
            scope => scope,
        };
        let Scope::Run(id) = run else { return true };
        let Ok(run) = id.parse::<RunId>() else { return false };
        !matches!(
            self.run(run, Some(self.counts().head_index.saturating_sub(1))).await,
            Err(Error::NotFound { .. })
        )
    }
}

async fn held_call(held: Held, deadline: Instant) -> HeldCall {
    let Held { call, open, flight } = held;
    let ended = match flight {
        Some(mut flight) => {
            let ended = flight.wait_for(|stage| matches!(stage, Stage::Ended { .. }));
            match tokio::time::timeout_at(deadline, ended).await {
                Ok(Ok(stage)) => stage.clone(),
                _ => Stage::Cut,
            }
        }
        None => Stage::Going,
    };
    let OpenCall { run, agent, tool, decided: since, carrier, .. } = open;
    let (end, outcome, trouble) = match ended {
        Stage::Ended { outcome, trouble } => {
            (HeldEnd::of(outcome, trouble.as_deref()), Some(outcome), trouble)
        }
        _ if carrier == Carrier::Executor => (HeldEnd::Unclear, None, Some("carried_by_executor".to_owned())),
        _ => (HeldEnd::Unclear, None, Some("not_settled".to_owned())),
    };
    HeldCall { call, run, agent, tool, since, end, outcome, trouble }
}
