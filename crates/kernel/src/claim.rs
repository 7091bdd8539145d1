//! Claims: what a plan touches is its own while it is carried out. All of a plan's at once, with an end.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{Claimed, ClaimsReleased};
use crate::id::{Mark, RunId};
use crate::reason::{Code, Reason};
use crate::state::Control;
use crate::time::Time;

/// Marks that one run may claim.
pub const CLAIMS_MAX: usize = 64;

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

fn share_of(mark: &Mark) -> u8 {
    mark.0.first().copied().unwrap_or_default()
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
        let own = self.claims.iter().filter(|(mark, claim)| claim.run == run && !marks.contains(mark));
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
        claims.values_mut().filter(|known| known.run == claimed.run).for_each(|known| *known = claim);
        claims.extend(claimed.marks.iter().map(|mark| (*mark, claim)));
    }

    pub(crate) fn released(&mut self, at: Time, released: &ClaimsReleased) {
        let claims = Arc::make_mut(&mut self.claims);
        let own = claims.iter().filter(|(_, claim)| claim.run == released.run).map(|(mark, _)| *mark);
        let own: Vec<Mark> = own.collect();
        let matters = released.committed.is_some() || !self.touched.is_empty();
        for mark in own.into_iter().filter(|_| matters) {
            let share = Arc::make_mut(&mut self.touched).entry(share_of(&mark)).or_default();
            let share = Arc::make_mut(share);
            // What is over goes when somebody touches its neighbours, so that none stays for ever.
            share.retain(|_, touched| touched.until > at);
            if let Some(until) = released.committed {
                share.insert(mark, Touched { run: released.run, until });
            } else if share.get(&mark).is_some_and(|touched| touched.run == released.run) {
                // Nothing of it stands any more: who touched the same before may be taken back, too.
                share.remove(&mark);
            }
        }
        claims.retain(|_, claim| claim.run != released.run && claim.until > at);
    }
}
