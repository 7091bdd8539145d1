//! The audit: reads the log and the tools' own record, and believes nobody. Every law is one assertion here.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use gate::desk::Desk;
use kernel::book::Book;
use kernel::call::{Call, Carrier, Outcome};
use kernel::command::Command;
use kernel::contract::Effect;
use kernel::decide::decide;
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

use crate::books;
use crate::money::RunBooks;

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
    last: BTreeMap<u16, Time>,
    rules: BTreeMap<Digest, Arc<Rules>>,
    halts: BTreeSet<Scope>,
    runs: BTreeMap<RunId, RunBooks>,
    calls: BTreeMap<CallId, Permitted>,
    /// Of each event, by global index.
    digests: Vec<Digest>,
    acknowledged: BTreeMap<u64, Digest>,
    effects: BTreeSet<CallId>,
    effects_by_key: HashSet<(RunId, Mark)>,
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    trace: Option<Digest>,
}

impl Audit {
    pub(crate) fn trace(&self) -> Digest {
        self.trace.unwrap_or(Digest::of(b""))
    }

    pub(crate) fn events(&self) -> u64 {
        self.digests.len() as u64
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
            Event::Halted(halted) => drop(self.halts.insert(halted.scope.clone())),
            Event::Resumed(resumed) => drop(self.halts.remove(&resumed.scope)),
            Event::CallDecided(decided) => self.decided(row.index, &stamp, decided, reader)?,
            Event::CallFinished(finished) => self.finished(finished)?,
            _ => {}
        }
        if row.lane == CONTROL_LANE {
            self.control.apply(&stamp, &event);
        } else {
            self.lanes.entry(row.lane).or_default().apply(&stamp, &event);
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
        if decided.control_seq != self.control.seq {
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
        let args = reader.payload(index, &decided.args).map_err(|error| error.to_string())?;
        self.recompute(stamp, decided, &rules, &args)?;
        if decided.ruling != Ruling::Allow {
            self.denied += 1;
            return Ok(());
        }
        self.allowed += 1;
        let writes = rules.tool(&decided.tool).is_none_or(|tool| tool.contract.effect != Effect::Read);
        if let Some(scope) = self.halts.iter().find(|scope| covers(scope, decided, writes)) {
            return Err(format!("{call} was allowed after the halt of {scope}"));
        }
        self.runs.entry(decided.run).or_default().allowed(decided, &rules)?;
        let permitted =
            Permitted { run: decided.run, key: decided.key, carrier: decided.carrier, ended: None };
        if self.calls.insert(call, permitted).is_some() {
            return Err(format!("{call} was decided twice"));
        }
        Ok(())
    }

    /// The verdict follows from the log before it, and from nothing else.
    fn recompute(
        &self,
        stamp: &Stamp,
        decided: &CallDecided,
        rules: &Rules,
        args: &[u8],
    ) -> Result<(), String> {
        let call = Call {
            part: None,
            touches: Vec::new(),
            facts: Vec::new(),
            id: decided.call,
            run: decided.run,
            agent: decided.agent.clone(),
            tool: decided.tool.clone(),
            args: serde_json::from_slice(args).map_err(|error| error.to_string())?,
            args_commitment: decided.args,
            args_mark: decided.mark,
            key_mark: decided.key,
            reasoning: decided.reasoning,
            model: decided.model.clone(),
            context_tokens: decided.context_tokens,
            carrier: decided.carrier,
            destinations: decided.destinations.clone(),
            hosts: decided.hosts.clone(),
            credential: None,
            ask_marks: None,
        };
        let empty = State::default();
        let state = self.lanes.get(&stamp.lane).unwrap_or(&empty);
        let again = decide(state, &self.control, rules, &Command::Propose(Arc::new(call)), stamp.at);
        match again.events.as_slice() {
            // A decision may cross thresholds: those events follow it.
            [Event::CallDecided(same), ..] if **same == *decided => Ok(()),
            other => Err(format!("{} recomputes to {other:?}, and was {decided:?}", decided.call)),
        }
    }

    fn finished(&mut self, finished: &CallFinished) -> Result<(), String> {
        let id = finished.call;
        let Some(call) = self.calls.get_mut(&id) else {
            return Err(format!("{id} ended and was never allowed"));
        };
        if finished.outcome == Outcome::NotDispatched && self.effects.contains(&id) {
            return Err(format!("{id} had its effect, and the ledger says it was never dispatched"));
        }
        call.ended = Some(finished.outcome);
        if finished.outcome == Outcome::Unknown {
            return Ok(());
        }
        self.runs.entry(call.run).or_default().finished(finished)
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
        let empty = State::default();
        for desk in desks {
            if shape(&desk.state) != shape(self.lanes.get(&desk.lane).unwrap_or(&empty)) {
                return Err(format!("lane {} remembers something else than the log", desk.lane));
            }
        }
        let same = (control.seq, control.last, control.rules, &control.halts)
            == (self.control.seq, self.control.last, self.control.rules, &self.control.halts);
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
            None => Ok(()),
        }
    }

    /// Calls whose outcome is on record as unknown.
    pub(crate) fn unknown(&self) -> Vec<(CallId, RunId, Carrier)> {
        let unknown = self.calls.iter().filter(|(_, call)| call.ended == Some(Outcome::Unknown));
        unknown.map(|(id, call)| (*id, call.run, call.carrier)).collect()
    }
}

fn covers(scope: &Scope, decided: &CallDecided, writes: bool) -> bool {
    match scope {
        Scope::All => true,
        Scope::Writes => writes,
        Scope::Irreversible => decided.effect == "irreversible",
        Scope::Agent(name) => *name == decided.agent,
        Scope::Server(name) => decided.tool.starts_with(&format!("{name}.")),
        Scope::Tool(name) => *name == decided.tool,
        Scope::Run(id) => *id == decided.run.to_string(),
        // This world has one tenant and one environment.
        Scope::Tenant(_) => true,
        Scope::In(scope, _) => covers(scope, decided, writes),
    }
}

/// A state in words, in an order of its own.
fn shape(state: &State) -> String {
    let runs: BTreeMap<_, _> = state.runs.iter().collect();
    let runs = runs.into_iter().map(|(id, run)| {
        let by_tool: BTreeMap<_, _> = run.by_tool.iter().collect();
        let keyed: BTreeMap<_, _> = run.keyed.iter().map(|(mark, keyed)| (mark.0, keyed)).collect();
        let rest = (&run.agent, run.opened, run.expires, run.account.clone(), run.refusals);
        format!("{id} {rest:?} {by_tool:?} {keyed:?}")
    });
    let runs: Vec<String> = runs.collect();
    let calls: BTreeMap<_, _> = state.calls.iter().collect();
    let refusals: BTreeMap<_, _> = state.refusals.iter().collect();
    format!("{} {} {runs:?} {calls:?} {:?} {refusals:?}", state.seq, state.last, state.due)
}
