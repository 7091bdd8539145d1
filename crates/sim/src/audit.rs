//! The audit: reads the log and the tools' own record, and believes nobody. Every law is one assertion here.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use gate::desk::Desk;
use kernel::book::Book;
use kernel::call::{Carrier, Outcome};
use kernel::contract::Effect;
use kernel::event::{CallDecided, CallFinished, Event, Stamp};
use kernel::halt::Scope;
use kernel::id::{CallId, Mark, RunId};
use kernel::rules::Rules;
use kernel::state::{Control, State};
use kernel::time::Time;
use kernel::verdict::Ruling;
use ledger::memory::Memory;
use ledger::{CONTROL_LANE, Read, Receipt, Stored};
use stdx::digest::Digest;

mod asked;
mod recompute;

use asked::Asks;

use crate::books;
use crate::money::Books;
use crate::pace::Paces;
use crate::pipeline::LANES;

/// A permitted call, as the log tells it.
struct Permitted {
    run: RunId,
    key: Option<Mark>,
    carrier: Carrier,
    /// The last word on how it ended.
    ended: Option<Outcome>,
}

#[derive(Default)]
pub(crate) struct Audit {
    lanes: BTreeMap<u16, State>,
    control: Control,
    /// Control as it was, by its sequence, since the last event that lanes may not decide across.
    controls: BTreeMap<u64, Control>,
    last: BTreeMap<u16, Time>,
    rules: BTreeMap<Digest, Arc<Rules>>,
    halts: BTreeMap<Scope, Standing>,
    paused: BTreeSet<RunId>,
    books: Books,
    paces: Paces,
    calls: BTreeMap<CallId, Permitted>,
    asks: Asks,
    /// Of each event, by global index.
    digests: Vec<Digest>,
    acknowledged: BTreeMap<u64, Digest>,
    effects: BTreeSet<CallId>,
    effects_by_key: HashSet<(RunId, Mark)>,
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    /// Runs that were opened under others, loans to lanes, replans.
    pub(crate) children: u64,
    pub(crate) loans: u64,
    pub(crate) replans: u64,
    trace: Option<Digest>,
}

impl Audit {
    pub(crate) fn trace(&self) -> Digest {
        self.trace.unwrap_or(Digest::of(b""))
    }

    pub(crate) fn events(&self) -> u64 {
        self.digests.len() as u64
    }

    pub(crate) fn asks(&self) -> &Asks {
        &self.asks
    }

    pub(crate) fn effects(&self) -> u64 {
        self.effects.len() as u64
    }

    fn note(&mut self, bytes: &[u8]) {
        self.trace = Some(Digest::of(&[&self.trace().0[..], bytes].concat()));
    }

    /// Reads on from where it stopped.
    pub(crate) fn read(&mut self, log: &Memory) -> Result<(), String> {
        let mut reader = log.clone();
        loop {
            let rows = reader.read(self.events(), 256).map_err(|error| error.to_string())?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                self.row(&row, &mut reader)?;
            }
        }
        for (index, digest) in &self.acknowledged {
            let at = usize::try_from(*index).ok().and_then(|index| self.digests.get(index));
            if at != Some(digest) {
                return Err(format!("acknowledged event {index} is lost, or another stands in its place"));
            }
        }
        self.acknowledged.clear();
        Ok(())
    }

    /// Somebody was told that this is in the log.
    pub(crate) fn acknowledge(&mut self, receipts: &[(Receipt, Vec<u8>)]) {
        self.acknowledged.extend(receipts.iter().map(|(receipt, bytes)| (receipt.index, Digest::of(bytes))));
    }

    fn row(&mut self, row: &Stored, reader: &mut Memory) -> Result<(), String> {
        let (stamp, event) = Event::decode(&row.bytes)?;
        if row.index != self.events()
            || (stamp.lane, stamp.lane_seq, stamp.at.0) != (row.lane, row.lane_seq, row.time_ms)
        {
            return Err(format!("event {} is not where its own bytes say", row.index));
        }
        let last = self.last.insert(row.lane, stamp.at).unwrap_or_default();
        if stamp.at < last {
            return Err(format!("event {}: time went back in lane {}", row.index, row.lane));
        }
        match &event {
            Event::RulesActivated(activated) => {
                let text =
                    reader.payload(row.index, &activated.payload).map_err(|error| error.to_string())?;
                let book: Book = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
                if book.digest() != activated.digest {
                    return Err("the text of rules in the ledger is not what was activated".to_owned());
                }
                if let Entry::Vacant(vacant) = self.rules.entry(activated.digest) {
                    vacant.insert(books::compile(book)?);
                }
            }
            Event::Halted(halted) => {
                let standing = Standing { until: halted.until, reads_allowed: halted.reads_allowed };
                self.halts.insert(halted.scope.clone(), standing);
            }
            Event::Resumed(resumed) => drop(self.halts.remove(&resumed.scope)),
            Event::CallDecided(decided) => self.decided(row.index, &stamp, decided, reader)?,
            Event::CallFinished(finished) => self.finished(row.index, finished)?,
            Event::Answered(answered) => {
                let rules = self.control.rules.and_then(|(digest, _)| self.rules.get(&digest)).cloned();
                let rules = rules.ok_or_else(|| "people answered without rules".to_owned())?;
                let state = self.lanes.get(&row.lane).ok_or_else(|| "people answered nothing".to_owned())?;
                self.asks.answered(stamp.at, answered, state, &rules)?;
            }
            other => self.steered(row.index, &stamp, other)?,
        }
        if row.lane == CONTROL_LANE {
            self.control.apply(&stamp, &event);
            if event.bumps_epoch() {
                self.controls.clear();
            }
            self.controls.insert(self.control.seq, self.control.clone());
        } else {
            self.lanes.entry(row.lane).or_insert_with(lane).apply(&stamp, &event);
        }
        self.digests.push(Digest::of(&row.bytes));
        self.note(&row.bytes);
        Ok(())
    }

    fn decided(
        &mut self,
        index: u64,
        stamp: &Stamp,
        decided: &CallDecided,
        reader: &mut Memory,
    ) -> Result<(), String> {
        let call = decided.call;
        if !self.controls.contains_key(&decided.control_seq) {
            return Err(format!(
                "{call} was decided under control {}, after {}",
                decided.control_seq, self.control.seq
            ));
        }
        if self.control.rules.map(|(digest, _)| digest) != Some(decided.rules_digest) {
            return Err(format!("{call} cites rules that are no longer the law"));
        }
        let rules = self.rules.get(&decided.rules_digest).cloned();
        let rules = rules.ok_or_else(|| format!("{call} cites rules that the ledger does not hold"))?;
        // What is released is what was stored with the ask.
        let stored = self.asks.index_of(call).filter(|_| decided.ends_ask).unwrap_or(index);
        let args = reader.payload(stored, &decided.args).map_err(|error| error.to_string())?;
        self.recompute(stamp, decided, &rules, &args)?;
        let empty = lane();
        let state = self.lanes.get(&stamp.lane).unwrap_or(&empty);
        self.asks.decided(index, stamp.at, decided, state, &rules)?;
        if decided.ruling != Ruling::Allow {
            self.denied += 1;
            return Ok(());
        }
        self.allowed += 1;
        let writes = rules.tool(&decided.tool).is_none_or(|tool| tool.contract.effect != Effect::Read);
        let above = self.books.above(decided.run);
        let halted = self.halts.iter().find(|(scope, halt)| {
            halt.binds(stamp.at) && (writes || !halt.reads_allowed) && covers(scope, decided, &above, writes)
        });
        if let Some((scope, _)) = halted {
            return Err(format!("{call} was allowed after the halt of {scope}"));
        }
        if let Some(paused) = above.iter().find(|run| self.paused.contains(run)) {
            return Err(format!("{call} was allowed while {paused} was paused"));
        }
        self.books.allowed(stamp.at, decided, &rules)?;
        self.paces.allowed(index, stamp, decided, &rules)?;
        let permitted =
            Permitted { run: decided.run, key: decided.key, carrier: decided.carrier, ended: None };
        if self.calls.insert(call, permitted).is_some() {
            return Err(format!("{call} was decided twice"));
        }
        Ok(())
    }

    /// What runs and people do beside calls.
    fn steered(&mut self, index: u64, stamp: &Stamp, event: &Event) -> Result<(), String> {
        match event {
            Event::RunOpened(opened) => {
                let above = opened.parent.map(|parent| self.books.above(parent)).unwrap_or_default();
                let closed = |scope: &Scope| match scope {
                    Scope::All | Scope::Tenant(_) => true,
                    Scope::Agent(name) => *name == opened.agent,
                    Scope::Run(id) => above.iter().any(|run| run.to_string() == *id),
                    _ => false,
                };
                let binds = |halt: &Standing| halt.binds(stamp.at) && !halt.reads_allowed;
                if let Some((scope, _)) = self.halts.iter().find(|(scope, halt)| binds(halt) && closed(scope))
                {
                    return Err(format!("{} was opened after the halt of {scope}", opened.run));
                }
                let rules = self.control.rules.and_then(|(digest, _)| self.rules.get(&digest)).cloned();
                let rules = rules.ok_or_else(|| "a run was opened without rules".to_owned())?;
                self.books.opened(opened, &rules)?;
            }
            Event::RunClosed(closed) => self.books.closed(closed.run)?,
            Event::RunPaused(paused) => drop(self.paused.insert(paused.run)),
            Event::RunResumed(resumed) => drop(self.paused.remove(&resumed.run)),
            Event::RunExtended(extended) => {
                self.paused.remove(&extended.run);
                self.books.extended(extended);
            }
            Event::Charged(charged) => self.books.charged(charged),
            Event::Replanned(replanned) => self.paces.replanned(index, replanned.run),
            _ => {}
        }
        self.children += u64::from(matches!(event, Event::RunOpened(opened) if opened.parent.is_some()));
        self.loans += u64::from(matches!(event, Event::SlicesLent(_)));
        self.replans += u64::from(matches!(event, Event::Replanned(_)));
        Ok(())
    }

    fn finished(&mut self, index: u64, finished: &CallFinished) -> Result<(), String> {
        let id = finished.call;
        let Some(call) = self.calls.get_mut(&id) else {
            return Err(format!("{id} ended and was never allowed"));
        };
        if finished.outcome == Outcome::NotDispatched && self.effects.contains(&id) {
            return Err(format!("{id} had its effect, and the ledger says it was never dispatched"));
        }
        call.ended = Some(finished.outcome);
        self.paces.finished(index, finished);
        if finished.outcome == Outcome::Unknown {
            return Ok(());
        }
        self.books.finished(finished)
    }

    /// A tool did something in the world.
    pub(crate) fn effect(&mut self, id: CallId) -> Result<(), String> {
        let Some(call) = self.calls.get(&id) else {
            return Err(format!("{id} had an effect without a durable permit"));
        };
        if call.ended == Some(Outcome::NotDispatched) {
            return Err(format!("{id} had an effect after the ledger said it was never dispatched"));
        }
        let again = call.key.is_some_and(|key| !self.effects_by_key.insert((call.run, key)));
        if again || !self.effects.insert(id) {
            return Err(format!("{id} had its effect twice"));
        }
        self.note(&id.0.to_be_bytes());
        Ok(())
    }

    /// With nothing under way, a desk remembers what the log says and nothing else.
    pub(crate) fn compare(&self, desks: &[Desk], control: &Control) -> Result<(), String> {
        let empty = lane();
        for desk in desks {
            if shape(&desk.state) != shape(self.lanes.get(&desk.lane).unwrap_or(&empty)) {
                return Err(format!("lane {} remembers something else than the log", desk.lane));
            }
        }
        let same = (control.seq, control.last, control.rules, &control.halts)
            == (self.control.seq, self.control.last, self.control.rules, &self.control.halts)
            && words(&control.lending) == words(&self.control.lending);
        if same { Ok(()) } else { Err("control remembers something else than the log".to_owned()) }
    }

    /// Nothing that was under way is left open: it ended, or it is recorded as unknown.
    pub(crate) fn closed(&self, executors_too: bool) -> Result<(), String> {
        let open = self
            .calls
            .iter()
            .find(|(_, call)| call.ended.is_none() && (executors_too || call.carrier == Carrier::Gate));
        match open {
            Some((id, _)) => Err(format!("{id} was permitted, and how it ended is not even unknown")),
            None if executors_too => self.asks.over(),
            None => Ok(()),
        }
    }

    /// Calls whose outcome is on record as unknown.
    pub(crate) fn unknown(&self) -> Vec<(CallId, RunId, Carrier)> {
        let unknown = self.calls.iter().filter(|(_, call)| call.ended == Some(Outcome::Unknown));
        unknown.map(|(id, call)| (*id, call.run, call.carrier)).collect()
    }
}

/// A halt, as far as its scope does not say it.
struct Standing {
    until: Option<Time>,
    reads_allowed: bool,
}

impl Standing {
    fn binds(&self, at: Time) -> bool {
        self.until.is_none_or(|until| at < until)
    }
}

/// Rates are dealt out among lanes, so a lane must know how many there are.
fn lane() -> State {
    State { lanes: LANES, ..State::default() }
}

fn words(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn covers(scope: &Scope, decided: &CallDecided, above: &[RunId], writes: bool) -> bool {
    match scope {
        Scope::All => true,
        Scope::Writes => writes,
        Scope::Irreversible => decided.effect == "irreversible",
        Scope::Agent(name) => *name == decided.agent,
        Scope::Server(name) => decided.tool.starts_with(&format!("{name}.")),
        Scope::Tool(name) => *name == decided.tool,
        Scope::Run(id) => above.iter().any(|run| run.to_string() == *id),
        // This world has one tenant and one environment.
        Scope::Tenant(_) => true,
        Scope::In(scope, env) => env == "prod" && covers(scope, decided, above, writes),
    }
}

/// A state in words, in an order of its own.
fn shape(state: &State) -> String {
    let runs: BTreeMap<_, _> = state.runs.iter().collect();
    let runs = runs.into_iter().map(|(id, run)| {
        let by_tool: BTreeMap<_, _> = run.by_tool.iter().collect();
        let keyed: BTreeMap<_, _> = run.keyed.iter().map(|(mark, keyed)| (mark.0, keyed)).collect();
        let rest = (&run.agent, run.opened, run.expires, run.account.clone(), run.refusals);
        let family = (run.parent, run.depth, &run.children, &run.loan, &run.paused, &run.extensions);
        format!("{id} {rest:?} {family:?} {by_tool:?} {keyed:?} {:?}", run.pace)
    });
    let runs: Vec<String> = runs.collect();
    let calls: BTreeMap<_, _> = state.calls.iter().collect();
    let refusals: BTreeMap<_, _> = state.refusals.iter().collect();
    let shares: BTreeMap<_, _> = state.shares.iter().collect();
    let waits: BTreeMap<_, _> = state.pending.iter().collect();
    let waits = format!("{waits:?} {:?} {:?}", state.answered, state.standing);
    format!("{} {} {runs:?} {calls:?} {:?} {refusals:?} {shares:?} {waits}", state.seq, state.last, state.due)
}
