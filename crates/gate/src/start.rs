//! Start: the log is folded into lanes, what was under way is marked unknown, the threads begin.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::sync_channel;

use arc_swap::ArcSwap;
use kernel::command::{Command, ControlCommand};
use kernel::rules::Rules;
use ledger::{Log, Payload};
use tokio::sync::watch;

use crate::clerk::Clerk;
use crate::clock::Clock;
use crate::committer::Committer;
use crate::control::ControlClerk;
use crate::counts::Tally;
use crate::desk::Law;
use crate::drive;
use crate::error::Error;
use crate::flight::Flights;
use crate::fold::{Folded, fold};
use crate::gate::{Gate, Inner, WAITING_MAX};
use crate::port::Reach;
use crate::seal::{self, Seal};
use crate::snapshot::Snapshots;
use crate::tray::Tray;
use crate::views::{Fed, Views};

/// Decided and not yet durable; room for control's own writes and for snapshots is beside what comes over lanes.
const COMMIT_QUEUE_MAX: usize = WAITING_MAX + 64;
const CONTROL_QUEUE_MAX: usize = 64;

pub struct Options {
    /// Holds the log, the keys and the views.
    pub folder: PathBuf,
    /// Lanes for calls; the control lane is beside them.
    pub lanes: u16,
    /// Calls are refused when less than this is free.
    pub disk_reserve_bytes: u64,
    pub clock: Arc<dyn Clock>,
    pub reaches: Vec<Arc<dyn Reach>>,
}

impl Gate {
    /// Opens the gate over a log. Must be called inside a tokio runtime; may take a while on a long log.
    pub fn open(options: Options, mut log: Box<dyn Log>, rules: Arc<Rules>) -> Result<Gate, Error> {
        let seal = Seal::open(&options.folder)?;
        let folded = fold(log.reader()?.as_mut(), options.lanes.max(1))?;
        let (committer, queue) = sync_channel(COMMIT_QUEUE_MAX);
        let snapshots = Snapshots::open(log.as_mut(), &folded, committer.clone())?;
        let Folded { index: head, control, epoch, desks, .. } = folded;
        let law = Arc::new(ArcSwap::from_pointee(Law { rules, control: Arc::new(control.clone()), epoch }));
        let (closed, tally, fed): (Arc<AtomicBool>, Arc<Tally>, Fed) = Default::default();
        let (head_sender, head_receiver) = watch::channel(head);
        let views = Views::open(&options.folder, log.reader()?, fed.clone(), head_receiver.clone())?;
        let tray = Tray::new(committer.clone());
        let clerk = |desk| {
            let (law, clock) = (law.load_full(), options.clock.clone());
            Clerk::new(desk, law, tray.clone(), closed.clone(), clock)
        };
        let lanes: Arc<[Clerk]> = desks.into_iter().map(clerk).collect();
        let (control_sender, control_inbox) = sync_channel(CONTROL_QUEUE_MAX);
        let flights = Flights::default();
        let control_clerk = ControlClerk {
            control,
            law: law.clone(),
            inbox: control_inbox,
            lanes: lanes.clone(),
            tray,
            committer,
            closed: closed.clone(),
            clock: options.clock.clone(),
            log: log.reader()?,
            flights: flights.clone(),
            tried: None,
        };
        let payloads = Arc::new(std::sync::Mutex::new(log.reader()?));
        let written = Arc::new(std::sync::Mutex::new(log.reader()?));
        let head = head_sender;
        let committer =
            Committer { log, queue, closed: closed.clone(), tally: tally.clone(), head, views: fed };
        start_threads(committer, control_clerk)?;
        let (stop, _) = watch::channel(false);
        Ok(Gate(Arc::new(Inner {
            lanes,
            waiting: Default::default(),
            control: control_sender,
            law,
            closed,
            disk_low: AtomicBool::new(false),
            seal,
            clock: options.clock,
            reaches: options.reaches,
            care: Default::default(),
            flights,
            sagas: Default::default(),
            tally,
            head: head_receiver,
            views,
            snapshots,
            written,
            looked: Default::default(),
            waits: Default::default(),
            payloads,
            stop,
            walking: AtomicU64::new(0),
            folder: options.folder,
            disk_reserve_bytes: options.disk_reserve_bytes,
            implicit: Default::default(),
            flood: Default::default(),
        })))
    }

    /// Writes what the start itself has to say, and begins the timers.
    pub async fn begin(&self) -> Result<(), Error> {
        let rules = self.rules();
        let active = self.law().control.rules.map(|(digest, _)| digest);
        if active != Some(rules.digest) {
            self.activate(rules, "start").await?;
        }
        for lane in 0..self.0.lanes.len() {
            // Each answer marks a bounded number of calls, so that all of them together fit into batches.
            while !self.ask_lane(lane, Command::Restarted, Vec::new()).await?.receipts.is_empty() {}
            // What a lane gave back, and control had not counted as free before a crash.
            self.recall(lane, Vec::new()).await?;
        }
        self.recover_sagas().await;
        drive::start(self.clone());
        // What people said yes to, and was not released before the stop.
        self.release_ready();
        Ok(())
    }

    /// Makes a new set of rules the law. After this returns, no verdict cites the old one.
    pub async fn activate(&self, rules: Arc<Rules>, by: &str) -> Result<crate::Receipt, Error> {
        ledger::failpoint::hit("gate.in_reload");
        let payload = Payload::new("rules", seal::random(), rules.book.text(), true);
        let command = ControlCommand::Activate {
            digest: rules.digest,
            payload: payload.commitment,
            agents: u64::try_from(rules.book.agents.len()).unwrap_or(u64::MAX),
            tools: u64::try_from(rules.book.tools.len()).unwrap_or(u64::MAX),
            by: by.to_owned(),
        };
        let written = self.ask_control(command, vec![payload], Some(rules)).await?;
        written.receipts.first().copied().ok_or(Error::LogUnwritable)
    }
}

fn start_threads(committer: Committer, control: ControlClerk) -> Result<(), Error> {
    let failed = |source| Error::File { path: "a thread".to_owned(), source };
    let start = |name: &str, body: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().name(name.to_owned()).spawn(body).map(|_| ()).map_err(failed)
    };
    start("remit-commit", Box::new(|| committer.run()))?;
    start("remit-control", Box::new(|| control.run()))
}
