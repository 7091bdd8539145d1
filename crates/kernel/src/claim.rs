//! Claims: what a plan touches is its own while it is carried out. All of a plan's at once, with an end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{Claimed, ClaimsReleased};
use crate::id::{Mark, RunId};
use crate::reason::{Code, Reason};
use crate::state::Control;
use crate::time::Time;

/// Marks that one run may claim.
pub const CLAIMS_MAX: usize = 64;
/// The byte of a run's id that is chance and does not name its lane.
const RUN_BYTE: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    pub run: RunId,
    pub until: Time,
}

/// The last committed run that touched something, and until when somebody may ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Touched {
    pub run: RunId,
    pub until: Time,
}

/// What was touched, in shares by the first byte of its mark: a change copies one of them, and not all that was ever
/// touched, while others hold the law as it was.
pub type Touches = BTreeMap<u8, Arc<BTreeMap<Mark, Touched>>>;

/// What is claimed, by what and by whom, each in shares like `Touches`: a claim costs the same however many there are.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    marks: BTreeMap<u8, Arc<BTreeMap<Mark, Claim>>>,
    runs: BTreeMap<u8, Arc<BTreeMap<RunId, BTreeSet<Mark>>>>,
}

impl Claims {
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    pub fn get(&self, mark: &Mark) -> Option<&Claim> {
        self.marks.get(&share_of(mark))?.get(mark)
    }

    /// The runs that have claimed something.
    pub fn runs(&self) -> impl Iterator<Item = RunId> + use<'_> {
        self.runs.values().flat_map(|share| share.keys().copied())
    }

    pub fn has_any(&self, run: RunId) -> bool {
        self.of(run).is_some()
    }

    fn of(&self, run: RunId) -> Option<&BTreeSet<Mark>> {
        self.runs.get(&share_of_run(run))?.get(&run)
    }

    fn put(&mut self, mark: Mark, claim: Claim) {
        // Whose time was over has it no more.
        self.take(&mark);
        Arc::make_mut(self.marks.entry(share_of(&mark)).or_default()).insert(mark, claim);
        let share = Arc::make_mut(self.runs.entry(share_of_run(claim.run)).or_default());
        share.entry(claim.run).or_default().insert(mark);
    }

    fn take(&mut self, mark: &Mark) {
        let place = share_of(mark);
        let Some(share) = self.marks.get_mut(&place) else { return };
        let Some(claim) = Arc::make_mut(share).remove(mark) else { return };
        if share.is_empty() {
            self.marks.remove(&place);
        }
        let place = share_of_run(claim.run);
        let Some(share) = self.runs.get_mut(&place) else { return };
        let runs = Arc::make_mut(share);
        if let Some(own) = runs.get_mut(&claim.run) {
            own.remove(mark);
            if own.is_empty() {
                runs.remove(&claim.run);
            }
        }
        if share.is_empty() {
            self.runs.remove(&place);
        }
    }

    /// What is over goes when its neighbours go, so that none stays for ever.
    fn take_overdue(&mut self, beside: &Mark, at: Time) {
        let share = self.marks.get(&share_of(beside)).into_iter().flat_map(|share| share.iter());
        let overdue = share.filter(|(_, claim)| claim.until <= at).map(|(mark, _)| *mark);
        for mark in overdue.collect::<Vec<Mark>>() {
            self.take(&mark);
        }
    }
}

fn share_of(mark: &Mark) -> u8 {
    mark.0.first().copied().unwrap_or_default()
}

/// The ends of runs' ids say in which lane they are, and their beginnings when they began.
fn share_of_run(run: RunId) -> u8 {
    run.0.to_be_bytes().get(RUN_BYTE).copied().unwrap_or_default()
}

impl Control {
    /// Another run that has claimed one of these, if there is one.
    pub fn claimed_by_other(&self, run: RunId, marks: &[Mark], now: Time) -> Option<RunId> {
        let claims = marks.iter().filter_map(|mark| self.claims.get(mark));
        claims.filter(|claim| claim.run != run && claim.until > now).map(|claim| claim.run).next()
    }

    /// Whether all of these are this run's.
    pub fn has_claimed(&self, run: RunId, marks: &[Mark], now: Time) -> bool {
        marks
            .iter()
            .all(|mark| self.claims.get(mark).is_some_and(|claim| claim.run == run && claim.until > now))
    }

    /// Why these cannot be claimed: another run has one of them, or they are too many.
    pub(crate) fn claim_refused(&self, run: RunId, marks: &[Mark], now: Time) -> Option<Reason> {
        if let Some(other) = self.claimed_by_other(run, marks, now) {
            return Some(Reason::new(Code::ResourceClaimed).detail(other.to_string()));
        }
        let limit = u64::try_from(CLAIMS_MAX).unwrap_or(u64::MAX);
        let many = self.claims_with(run, marks) > CLAIMS_MAX;
        many.then(|| Reason::new(Code::LimitReached).detail("things that one plan touches").limit(limit))
    }

    /// How much this run has claimed, and these with it.
    fn claims_with(&self, run: RunId, marks: &[Mark]) -> usize {
        let own = self.claims.of(run).into_iter().flatten().filter(|mark| !marks.contains(mark));
        own.count() + marks.len()
    }

    /// The runs that were committed later and touched one of these.
    pub fn touched_later(&self, run: RunId, marks: &[Mark], now: Time) -> Vec<RunId> {
        let touched = marks.iter().filter_map(|mark| self.touched.get(&share_of(mark))?.get(mark));
        let later = touched.filter(|touched| touched.run != run && touched.until > now);
        let mut runs: Vec<RunId> = later.map(|touched| touched.run).collect();
        runs.sort_unstable();
        runs.dedup();
        runs
    }

    pub(crate) fn claimed(&mut self, claimed: &Claimed) {
        let claims = Arc::make_mut(&mut self.claims);
        let claim = Claim { run: claimed.run, until: claimed.until };
        // What it had already is its own as long as the rest.
        let own: Vec<Mark> = claims.of(claimed.run).into_iter().flatten().copied().collect();
        for mark in own.into_iter().chain(claimed.marks.iter().copied()) {
            claims.put(mark, claim);
        }
    }

    pub(crate) fn released(&mut self, at: Time, released: &ClaimsReleased) {
        let claims = Arc::make_mut(&mut self.claims);
        let own: Vec<Mark> = claims.of(released.run).into_iter().flatten().copied().collect();
        let matters = released.committed.is_some() || !self.touched.is_empty();
        for mark in own {
            claims.take(&mark);
            claims.take_overdue(&mark, at);
            if !matters {
                continue;
            }
            let share = Arc::make_mut(&mut self.touched).entry(share_of(&mark)).or_default();
            let share = Arc::make_mut(share);
            // The same of what was touched.
            share.retain(|_, touched| touched.until > at);
            if let Some(until) = released.committed {
                share.insert(mark, Touched { run: released.run, until });
            } else if share.get(&mark).is_some_and(|touched| touched.run == released.run) {
                // Nothing of it stands any more: who touched the same before may be taken back, too.
                share.remove(&mark);
            }
        }
    }
}
