//! How a call ended: written to its lane, until it is durable, and told to whoever waits for that.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use kernel::account::Used;
use kernel::call::{Call, Carrier, Outcome, Settlement};
use kernel::command::Command;
use kernel::contract::Contract;
use kernel::price::{self, Told};
use ledger::Payload;

use crate::committer::Written;
use crate::counts::bump;
use crate::error::Error;
use crate::gate::Gate;
use crate::port::Reached;
use crate::redact::inside;
use crate::tray::Haste;

/// An outcome on its way to the disk.
pub(crate) type Settling = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// How long an outcome waits between tries to be recorded while the log is closed.
const SETTLE_RETRY: Duration = Duration::from_millis(250);

/// What a call took, as its reach knows it, or as its contract and its answer tell.
pub(crate) fn used(contract: &Contract, reached: &Reached) -> Used {
    if let Some(used) = &reached.used {
        return Used::all(used);
    }
    let is_told = contract.meter.told != Told::default() && reached.outcome == Outcome::Succeeded;
    if !is_told {
        return price::used(contract, reached.outcome, None);
    }
    let said = reached.said.clone().or_else(|| serde_json::from_slice(&reached.body).ok());
    price::used(contract, reached.outcome, said.map(|said| inside(contract, said)).as_ref())
}

impl Gate {
    /// Hands an outcome to its lane, and waits until it is durable if somebody may build on it. Nothing was changed by
    /// a read: its answer need not wait, and what is left to wait for is given back.
    pub(crate) async fn settles(
        &self,
        is_waited_for: bool,
        lane: usize,
        settlement: Settlement,
        payloads: Vec<Payload>,
    ) -> Result<Option<Settling>, Error> {
        if is_waited_for {
            return self.settled(lane, settlement, payloads).await.map(|_| None);
        }
        let gate = self.clone();
        let mut settling: Settling =
            Box::pin(async move { gate.settled_in(Haste::Soon, lane, settlement, payloads).await.map(drop) });
        // The lane knows it before the caller does, so that the next decision sees what this call left of its budget.
        match poll_fn(|task| Poll::Ready(settling.as_mut().poll(task))).await {
            Poll::Ready(settled) => settled.map(|()| None),
            Poll::Pending => Ok(Some(settling)),
        }
    }

    /// Records an outcome, however long the log takes to come back: an effect in the world is never forgotten here.
    pub(crate) async fn settled(
        &self,
        lane: usize,
        settlement: Settlement,
        payloads: Vec<Payload>,
    ) -> Result<Written, Error> {
        self.settled_in(Haste::Now, lane, settlement, payloads).await
    }

    pub(crate) async fn settled_in(
        &self,
        haste: Haste,
        lane: usize,
        settlement: Settlement,
        payloads: Vec<Payload>,
    ) -> Result<Written, Error> {
        let tally = &self.0.tally;
        bump(match settlement.outcome {
            Outcome::Succeeded => &tally.succeeded,
            Outcome::Failed => &tally.failed,
            Outcome::Unknown => &tally.unknown,
            Outcome::NotDispatched => &tally.not_dispatched,
        });
        loop {
            let command = Command::Settle(settlement.clone());
            match self.ask_lane_in(haste, lane, command, payloads.clone()).await {
                Err(Error::LogUnwritable) if !*self.0.stop.borrow() => tokio::time::sleep(SETTLE_RETRY).await,
                written => return written,
            }
        }
    }

    /// Closes a call whose permit was never made, if its decision is in the ledger; else there is nothing to close.
    pub(crate) async fn never_dispatched(&self, call: &Call) {
        let settlement = Settlement {
            undo: None,
            facts: Vec::new(),
            call: call.id,
            agent: (call.carrier == Carrier::Executor).then(|| call.agent.clone()),
            outcome: Outcome::NotDispatched,
            result: None,
            result_mark: None,
            transient: false,
            used: Used::default(),
            duration_ms: 0,
            trouble: Some("decided_too_late".to_owned()),
        };
        // An error means that the house is stopping: then the next start calls it unknown.
        let _ = self.settled(self.lane_of(call.run), settlement, Vec::new()).await;
    }
}
