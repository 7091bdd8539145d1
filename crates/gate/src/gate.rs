//! The gate's handle: cheap to clone, safe to share; everything a door may ask of it starts here.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use kernel::command::{Command, ControlCommand};
use kernel::contract::Contract;
use kernel::id::{KeyId, RunId};
use kernel::rules::Rules;
use kernel::time::Time;
use ledger::{Payload, Read};
use tokio::sync::{oneshot, watch};

use crate::care::Care;
use crate::changes::Looked;
use crate::clerk::{Ask, Clerk, Turn};
use crate::clock::Clock;
use crate::committer::Written;
use crate::control::ControlMessage;
use crate::counts::{Counts, Tally};
use crate::desk::Law;
use crate::error::Error;
use crate::flight::Flights;
use crate::port::Reach;
use crate::saga::Sagas;
use crate::seal::Seal;
use crate::snapshot::Snapshots;
use crate::tray::Haste;
use crate::views::Views;
use crate::waits::Waits;

/// Calls are refused when so much waits for the disk, so that outcomes still find room.
const CALLS_WAITING_MAX: usize = 4096;
/// Whatever comes over a lane waits for a turn when so much waits for the disk.
pub(crate) const WAITING_MAX: usize = 8192;
/// Longest wait for a decision to become durable.
pub(crate) const DECIDE_WAIT: Duration = Duration::from_secs(5);

pub(crate) type Floods = HashMap<(usize, String), BTreeMap<Option<RunId>, u64>>;

#[derive(Clone)]
pub struct Gate(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) lanes: Arc<[Clerk]>,
    /// Decided or held, and not durable yet.
    pub(crate) waiting: Arc<AtomicUsize>,
    pub(crate) control: SyncSender<ControlMessage>,
    pub(crate) law: Arc<ArcSwap<Law>>,
    pub(crate) closed: Arc<AtomicBool>,
    pub(crate) disk_low: AtomicBool,
    pub(crate) seal: Seal,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) reaches: Vec<Arc<dyn Reach>>,
    pub(crate) care: Care,
    pub(crate) flights: Flights,
    pub(crate) sagas: Sagas,
    pub(crate) tally: Arc<Tally>,
    pub(crate) head: watch::Receiver<u64>,
    pub(crate) views: Views,
    pub(crate) snapshots: Snapshots,
    /// What the house itself reads back of what it wrote: see `brought`.
    pub(crate) written: Arc<Mutex<Box<dyn Read>>>,
    pub(crate) waits: Waits,
    /// What was read a moment ago for whoever looks at what waits.
    pub(crate) looked: Looked,
    /// For people's questions; they take turns.
    pub(crate) payloads: Arc<Mutex<Box<dyn Read>>>,
    pub(crate) stop: watch::Sender<bool>,
    /// Calls on the line; a stop waits for them.
    pub(crate) walking: AtomicU64,
    pub(crate) folder: PathBuf,
    pub(crate) disk_reserve_bytes: u64,
    /// The run of each credential's calls that name none, and until when it need not be asked for again.
    pub(crate) implicit: Mutex<HashMap<KeyId, (RunId, Time)>>,
    /// Refusals that the ledger does not hold one by one, by lane and agent, then by the run they named.
    pub(crate) flood: Mutex<Floods>,
}

impl Gate {
    pub fn rules(&self) -> Arc<Rules> {
        self.0.law.load().rules.clone()
    }

    pub(crate) fn law(&self) -> Arc<Law> {
        self.0.law.load_full()
    }

    /// Whether calls are decided at the moment, and if not, why.
    pub fn ready(&self) -> Result<(), Error> {
        if *self.0.stop.borrow() {
            return Err(Error::Stopping);
        }
        if self.0.closed.load(Ordering::Acquire) {
            return Err(Error::LogUnwritable);
        }
        if self.0.disk_low.load(Ordering::Relaxed) {
            return Err(Error::DiskLow);
        }
        Ok(())
    }

    pub fn counts(&self) -> Counts {
        self.0.tally.read(*self.0.head.borrow())
    }

    /// The public key that permit tokens are checked with, as a JSON Web Key Set.
    pub fn permit_keys(&self) -> serde_json::Value {
        serde_json::json!({ "keys": [self.0.seal.permit_jwk()] })
    }

    /// What the rules alone say, for a person who asks; nothing is recorded.
    pub fn explain_policy(
        &self,
        agent: &str,
        tool: &str,
        args: &serde_json::Value,
    ) -> kernel::policy::Answer {
        let (law, now) = (self.law(), self.0.clock.now());
        kernel::decide::explain_policy(&law.rules, agent, tool, args, now)
    }

    /// Refuses new work, waits for what is under way, and lets the log rest.
    pub async fn stop(&self, wait: Duration) {
        self.0.stop.send_replace(true);
        let deadline = tokio::time::Instant::now() + wait;
        while self.0.walking.load(Ordering::Acquire) > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.snapshot_now().await;
    }

    /// Families of runs are dealt to lanes by hash, so that what shares a budget is always decided in one order.
    pub(crate) fn lane_of(&self, run: RunId) -> usize {
        let mixed = run.family().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        usize::try_from(mixed >> 32).unwrap_or(0) % self.0.lanes.len().max(1)
    }

    /// Step 2 of the line, for anything new: refused at once when the house is full, closed or short of disk.
    pub(crate) fn propose(
        &self,
        run: RunId,
        command: Command,
        payloads: Vec<Payload>,
    ) -> Result<oneshot::Receiver<Result<Written, Error>>, Error> {
        self.ready()?;
        let turn = Turn::take(&self.0.waiting, CALLS_WAITING_MAX).ok_or(Error::Overloaded)?;
        self.hand(self.lane_of(run), command, payloads, turn, Haste::Now)
    }

    /// For what must be recorded whatever the load: outcomes, closings, counts.
    pub(crate) async fn ask_lane(
        &self,
        lane: usize,
        command: Command,
        payloads: Vec<Payload>,
    ) -> Result<Written, Error> {
        self.ask_lane_in(Haste::Now, lane, command, payloads).await
    }

    pub(crate) async fn ask_lane_in(
        &self,
        haste: Haste,
        lane: usize,
        command: Command,
        payloads: Vec<Payload>,
    ) -> Result<Written, Error> {
        let turn = loop {
            match Turn::take(&self.0.waiting, WAITING_MAX) {
                Some(turn) => break turn,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        self.hand(lane, command, payloads, turn, haste)?.await.map_err(|_| Error::Stopping)?
    }

    fn hand(
        &self,
        lane: usize,
        command: Command,
        payloads: Vec<Payload>,
        turn: Turn,
        haste: Haste,
    ) -> Result<oneshot::Receiver<Result<Written, Error>>, Error> {
        let clerk = self.0.lanes.get(lane).ok_or(Error::Stopping)?;
        let (waiter, wait) = oneshot::channel();
        clerk.ask(Ask { command, payloads, waiter, turn, haste });
        Ok(wait)
    }

    pub(crate) async fn ask_control(
        &self,
        command: ControlCommand,
        payloads: Vec<Payload>,
        rules: Option<Arc<Rules>>,
    ) -> Result<Written, Error> {
        let (waiter, wait) = oneshot::channel();
        let message = ControlMessage::Ask { command, payloads, rules, census: None, waiter };
        self.0.control.try_send(message).map_err(|_| Error::Overloaded)?;
        wait.await.map_err(|_| Error::Stopping)?
    }

    pub(crate) fn reach_for(&self, contract: &Contract) -> Option<Arc<dyn Reach>> {
        self.0.reaches.iter().find(|reach| contract.via.get(reach.kind()).is_some()).cloned()
    }

    /// Sleeps until the log has grown past `index`, or for `wait`; returns where it ends.
    pub async fn wait_past(&self, index: u64, wait: Duration) -> u64 {
        let mut head = self.0.head.clone();
        let _ = tokio::time::timeout(wait, head.wait_for(|head| *head > index)).await;
        *self.0.head.borrow()
    }
}
