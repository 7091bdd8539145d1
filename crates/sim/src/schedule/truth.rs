//! The truth: what took effect, judged against nothing but the durable log and itself.

use std::collections::{BTreeMap, BTreeSet};

use kernel::event::Event;
use kernel::id::{CallId, RunId};
use kernel::progress::{End, PlanState, Stage, Standing, Step};
use kernel::verdict::Ruling;
use ledger::Read;
use ledger::memory::Memory;

/// An effect, by the key that it came under.
struct Thing {
    run: RunId,
    version: u32,
    is_final: bool,
    is_back: bool,
}

/// A deed or what takes it back, as it reaches its tool.
pub(super) struct Arriving<'a> {
    pub(super) call: CallId,
    /// The first call of its step: the key upstream.
    pub(super) key: CallId,
    pub(super) run: RunId,
    pub(super) is_back: bool,
    pub(super) is_final: bool,
    /// The plan as its lane has it.
    pub(super) plan: &'a PlanState,
}

#[derive(Default)]
pub(super) struct Truth {
    things: BTreeMap<CallId, Thing>,
    /// Plans whose commit is durable and goes on.
    committing: BTreeSet<(RunId, u32)>,
    /// Calls that the durable log allows.
    allowed: BTreeSet<CallId>,
    /// Plans of which all stands, as the log says it.
    committed: BTreeSet<(RunId, u32)>,
    /// Plans of which a part was taken back later: the rest stands.
    taken: BTreeSet<(RunId, u32)>,
    /// What was said to be left, or perhaps to be left, of plans that are forgotten by now.
    left: BTreeSet<CallId>,
    read: u64,
}

impl Truth {
    pub(super) fn events(&self) -> u64 {
        self.read
    }

    /// Reads on what is durable.
    pub(super) fn read(&mut self, log: &Memory) -> Result<(), String> {
        let mut reader = log.clone();
        loop {
            let rows = reader.read(self.read, 256).map_err(|error| error.to_string())?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                self.read += 1;
                match Event::decode(&row.bytes)?.1 {
                    Event::CallDecided(decided) if decided.ruling == Ruling::Allow => {
                        self.allowed.insert(decided.call);
                    }
                    Event::CommitStarted(begun) => {
                        self.committing.insert((begun.run, begun.version));
                    }
                    Event::UnwindStarted(begun) => {
                        self.committing.remove(&(begun.run, begun.version));
                        self.committed.remove(&(begun.run, begun.version));
                        if begun.taking.is_some() {
                            self.taken.insert((begun.run, begun.version));
                        }
                    }
                    Event::CommitEnded(ended) => {
                        self.committing.remove(&(ended.run, ended.version));
                        if ended.end == End::Committed {
                            self.committed.insert((ended.run, ended.version));
                        }
                        self.left.extend(ended.residue.iter().filter_map(|left| left.call));
                    }
                    _ => {}
                }
            }
        }
    }

    pub(super) fn stands(&self, key: CallId) -> bool {
        self.things.get(&key).is_some_and(|thing| !thing.is_back)
    }

    pub(super) fn was_taken_back(&self, key: CallId) -> bool {
        self.things.get(&key).is_some_and(|thing| thing.is_back)
    }

    pub(super) fn has(&self, key: CallId) -> bool {
        self.things.contains_key(&key)
    }

    /// It takes effect. Whoever calls has read all that is durable.
    pub(super) fn takes_effect(&mut self, arriving: &Arriving<'_>) -> Result<(), String> {
        let Arriving { call, key, run, is_back, is_final, plan } = *arriving;
        if is_final {
            self.may_be_final(run, plan)?;
        }
        if !self.allowed.contains(&call) {
            return Err(format!("{call} takes effect, and nothing durable allows it"));
        }
        if is_back {
            return match self.things.get_mut(&key) {
                Some(thing) if !thing.is_back => {
                    thing.is_back = true;
                    Ok(())
                }
                Some(_) => Err(format!("{key} was taken back twice")),
                None => Err(format!("{key} was taken back and never done")),
            };
        }
        let thing = Thing { run, version: plan.version, is_final, is_back: false };
        match self.things.insert(key, thing) {
            None => Ok(()),
            Some(_) => Err(format!("{key} was done twice")),
        }
    }

    /// The law: its commit is durable and goes on, and all that does not build on something irreversible stands.
    fn may_be_final(&self, run: RunId, plan: &PlanState) -> Result<(), String> {
        if !self.committing.contains(&(run, plan.version)) {
            return Err(format!("something irreversible before the commit of {run} v{}", plan.version));
        }
        let before = |thing: &Thing| thing.is_final && (thing.run, thing.version) == (run, plan.version);
        if self.things.values().any(before) {
            return Ok(());
        }
        let mut beyond: BTreeSet<usize> = BTreeSet::new();
        loop {
            let more = plan.steps.iter().enumerate().filter(|(place, step)| {
                let builds = step.planned.after.iter().any(|after| beyond.contains(&usize::from(*after)));
                !beyond.contains(place) && (builds || is_final(step))
            });
            let more: Vec<usize> = more.map(|(place, _)| place).collect();
            if more.is_empty() {
                break;
            }
            beyond.extend(more);
        }
        let own = plan.steps.iter().enumerate().filter(|(place, _)| !beyond.contains(place));
        for (_, step) in own.filter(|(_, step)| step.planned.effect.writes()) {
            if !step.call.is_some_and(|key| self.stands(key)) {
                return Err(format!("something irreversible before step `{}` of {run}", step.planned.id));
            }
        }
        Ok(())
    }

    /// What the fold says of the plans of a run is so.
    pub(super) fn judge(&self, run: RunId, plans: &[PlanState]) -> Result<(), String> {
        let mut told = BTreeSet::new();
        for plan in plans {
            for step in plan.steps.iter().filter(|step| step.planned.effect.writes()) {
                let stands = step.call.filter(|key| self.stands(*key));
                told.extend(stands);
                let is_wrong = match step.stands() {
                    Some(Standing::Stands) => stands.is_none(),
                    Some(Standing::Unknown) => false,
                    None => stands.is_some(),
                };
                let must = plan.stage == Stage::Committed && !self.taken.contains(&(run, plan.version));
                let must_not = plan.stage == Stage::RolledBack;
                if is_wrong || (must && stands.is_none()) || (must_not && stands.is_some()) {
                    let (id, state, stage) = (&step.planned.id, step.state, plan.stage);
                    return Err(format!(
                        "{run} v{} {stage:?}: `{id}` is {state:?}, stands: {}",
                        plan.version,
                        stands.is_some()
                    ));
                }
            }
        }
        // Of a closed run is forgotten what was committed and can never be taken back.
        let forgotten = |thing: &Thing| {
            let known = plans.iter().any(|plan| plan.version == thing.version);
            !known && self.committed.contains(&(thing.run, thing.version))
        };
        let own = |thing: &Thing| thing.run == run && !thing.is_back && !forgotten(thing);
        let all = self.things.iter().filter(|(_, thing)| own(thing));
        match all.into_iter().find(|(key, _)| !told.contains(key) && !self.left.contains(key)) {
            Some((key, _)) => Err(format!("{key} of {run} stands, and no plan knows of it")),
            None => Ok(()),
        }
    }
}

fn is_final(step: &Step) -> bool {
    step.planned.effect == kernel::effect::Effect::Irreversible
}
