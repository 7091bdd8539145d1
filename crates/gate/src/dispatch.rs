//! Dispatch: one permitted call goes out, with care; if it may, more than once.

use std::time::Duration;

use kernel::call::{Outcome, Part};
use kernel::command::Command;
use kernel::contract::{Contract, Effect};
use kernel::event::ToolRested;
use kernel::held::Target;
use serde_json::json;
use stdx::json::canonical;

use crate::bounds;
use crate::care::{Moved, NotNow};
use crate::gate::Gate;
use crate::permit::Permit;
use crate::port::{Cancel, Feed, Reach, Reached};
use crate::result;
use crate::vault;

const HALTED: &str = "halted";
/// What reaches say of a call that ended because it had to stop.
const CANCELLED: &str = "cancelled";
const STAYED_HALTED: &str = "it was halted before it left; wait for the resume";
/// A reach that was told to stop has this long to let go.
const CUT_WAIT: Duration = Duration::from_millis(60);

impl Gate {
    /// Step 4 of the line. Whatever keeps the call in the house is an outcome too: not dispatched, and why.
    pub(crate) async fn dispatched(&self, mut permit: Permit, mut cancel: Cancel, feed: Feed) -> Reached {
        let contract = permit.contract().clone();
        let Some(reach) = self.reach_for(&contract) else {
            return stayed("no_reach", "nothing here reaches it");
        };
        let turn = tokio::select! {
            turn = self.0.care.turn(&contract, self.0.clock.now()) => turn,
            () = cancel.wanted() => return stayed_behind(&cancel),
        };
        let _turn = match turn {
            Ok(turn) => turn,
            Err(not_now) => return later(&contract, not_now),
        };
        let run = permit.call().run;
        let (mut tries, mut last) = (0, None);
        loop {
            // What was permitted before a halt, and waited for its turn or for another try, stays.
            if cancel.is_halted() || self.is_halted(&permit) {
                return last.unwrap_or_else(|| stayed(HALTED, STAYED_HALTED));
            }
            let again = permit.again();
            let reached = self.once(reach.as_ref(), permit, cancel.clone(), feed.clone()).await;
            let reached = match self.law().rules.tool(&contract.name) {
                Some(tool) => result::fitting(tool, reached),
                None => reached,
            };
            if let Some(moved) = self.0.care.learned(&contract, &reached, self.0.clock.now()) {
                self.breaker_moved(&contract, &reached, moved);
            }
            let Some(wait) = self.0.care.again(&contract, run, tries, &reached) else { return reached };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = cancel.wanted() => return reached,
            }
            last = Some(reached);
            permit = again;
            tries += 1;
        }
    }

    fn is_halted(&self, permit: &Permit) -> bool {
        let (law, call) = (self.law(), permit.call());
        // A halt of a run that it descends from cuts it by its own id.
        let target = Target::new(&law.rules, &call.agent, &call.tool, vec![call.run]);
        let now = self.0.clock.now();
        match call.part {
            Some(Part::Undo { .. }) => law.control.halted_undo(&target, now).is_some(),
            _ => law.control.halted(&target, now).is_some(),
        }
    }

    async fn once(&self, reach: &dyn Reach, permit: Permit, cancel: Cancel, feed: Feed) -> Reached {
        let effect = permit.contract().effect;
        match vault::open(&permit) {
            Ok(secret) => {
                let (mut cut, told) = (cancel.clone(), cancel.clone());
                let late = async {
                    cut.halted().await;
                    tokio::time::sleep(CUT_WAIT).await;
                };
                let reached = tokio::select! {
                    reached = reach.reach(permit, secret, cancel, feed) => reached,
                    () = late => torn(effect),
                };
                if told.is_halted() { by_halt(reached) } else { reached }
            }
            Err(error) => {
                tracing::error!(%error, "a call was not dispatched");
                stayed(error.code(), "its credential cannot be opened; an operator can mend that")
            }
        }
    }

    /// Recorded beside the calls, which do not wait for it.
    fn breaker_moved(&self, contract: &Contract, reached: &Reached, moved: Moved) {
        let trouble = reached.trouble.as_deref().map(bounds::code);
        let Moved { failures, until } = moved;
        tracing::warn!(tool = contract.name, failures, ?until, "a tool is left alone, or works again");
        let rested = ToolRested { failures, tool: contract.name.clone(), trouble, until };
        let gate = self.clone();
        tokio::spawn(async move { gate.ask_lane(0, Command::ToolRested(rested), Vec::new()).await });
    }
}

fn stayed_behind(cancel: &Cancel) -> Reached {
    if cancel.is_halted() {
        stayed(HALTED, STAYED_HALTED)
    } else {
        stayed("cancelled", "it was no longer wanted")
    }
}

/// A reach that does not let go of a call that was cut is left alone. What became of a write, nobody knows.
fn torn(effect: Effect) -> Reached {
    let outcome = if effect.writes() { Outcome::Unknown } else { Outcome::Failed };
    Reached { outcome, body: Vec::new(), trouble: Some(CANCELLED.to_owned()), said: None, used: None }
}

/// What ended because it was cut says so.
fn by_halt(reached: Reached) -> Reached {
    if reached.trouble.as_deref() != Some(CANCELLED) {
        return reached;
    }
    let why = match reached.outcome {
        Outcome::Unknown => "it was halted while it was under way; nobody knows whether it happened",
        _ => "it was halted while it was under way",
    };
    let body = canonical(&json!({ "error": { "code": HALTED, "message": why } }));
    Reached { body, said: None, trouble: Some(HALTED.to_owned()), ..reached }
}

fn stayed(trouble: &str, why: &str) -> Reached {
    let body = canonical(&json!({ "error": { "code": trouble, "message": why } }));
    Reached {
        outcome: Outcome::NotDispatched,
        body,
        trouble: Some(trouble.to_owned()),
        said: None,
        used: None,
    }
}

fn later(contract: &Contract, not_now: NotNow) -> Reached {
    let (trouble, why, wait) = match not_now {
        NotNow::Busy => {
            let rule = &contract.care;
            let why = format!("{} calls of it are under way and {} wait", rule.concurrent, rule.queue);
            ("tool_busy", why, Duration::from_secs(1))
        }
        NotNow::Resting { for_ms } => (
            "tool_resting",
            "it failed too often in a row and is left alone".to_owned(),
            Duration::from_millis(for_ms),
        ),
    };
    let seconds = wait.as_millis().div_ceil(1_000);
    let message = format!("`{}` was not called: {why}; try again in {seconds} s", contract.name);
    let body = canonical(
        &json!({ "error": { "code": trouble, "message": message, "retry_after_seconds": seconds } }),
    );
    Reached {
        outcome: Outcome::NotDispatched,
        body,
        trouble: Some(trouble.to_owned()),
        said: None,
        used: None,
    }
}
