//! Claims: what a plan touches is its own while it is carried out. All of a plan's at once, with an end.

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
        let touched = marks.iter().filter_map(|mark| self.touched.get(mark));
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
        if let Some(until) = released.committed {
            let touched = Arc::make_mut(&mut self.touched);
            touched.retain(|_, touched| touched.until > at);
            let own = claims.iter().filter(|(_, claim)| claim.run == released.run);
            touched.extend(own.map(|(mark, _)| (*mark, Touched { run: released.run, until })));
        } else if !self.touched.is_empty() {
            // Nothing of it stands any more: who touched the same before may be taken back, too.
            let own = |mark: &Mark| claims.get(mark).is_some_and(|claim| claim.run == released.run);
            let touched = Arc::make_mut(&mut self.touched);
            touched.retain(|mark, touched| touched.run != released.run || !own(mark));
        }
        claims.retain(|_, claim| claim.run != released.run && claim.until > at);
    }
}
