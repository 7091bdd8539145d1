//! Standing: a bounded approval, and whether a call is of the shape that it was given for.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::account::Amount;
use crate::approval::Granted;
use crate::approval::{AskMarks, Standing};
use crate::checks::Case;
use crate::id::{CallId, Mark};
use crate::state::State;
use crate::stopping::PLACES_MAX;

impl State {
    /// The arguments whose values bounded approvals of this call's shape would compare.
    pub(crate) fn fields_wanted(&self, case: &Case<'_>) -> Vec<String> {
        let standing = self.standing.values().filter(|standing| standing.is_near(case));
        let fields: BTreeSet<&String> = standing.flat_map(|standing| standing.terms.same.keys()).collect();
        fields.into_iter().cloned().collect()
    }

    /// The bounded approval that this call passes by, if there is one; the oldest first.
    pub(crate) fn standing_for(&self, case: &Case<'_>, marks: &AskMarks, cost: &Amount) -> Option<Granted> {
        let found = self.standing.iter().find(|(_, standing)| standing.fits(case, marks, cost));
        found.map(|(id, standing)| standing.granted(*id))
    }
}

impl Standing {
    /// Of this agent, this family of runs and this tool, in force under the rules and the contract of now.
    fn is_near(&self, case: &Case<'_>) -> bool {
        let call = case.call;
        self.family == call.run.family()
            && self.agent == call.agent
            && self.tool == call.tool
            && case.now < self.terms.until
            && self.used < self.terms.times
            && self.rules == case.rules.digest
            && self.contract == case.tool.map(|tool| tool.digest)
    }

    fn fits(&self, case: &Case<'_>, marks: &AskMarks, cost: &Amount) -> bool {
        let places: BTreeSet<Mark> = marks.places.iter().copied().collect();
        let same = self.terms.same.iter().all(|(at, mark)| marks.fields.get(at) == Some(mark));
        let capped = self.terms.caps.iter().all(|(at, cap)| {
            let value = case.call.args.pointer(at).and_then(Value::as_u64);
            value.is_some_and(|value| value <= *cap)
        });
        // A list that was cut says nothing of what was cut off.
        self.is_near(case)
            && marks.places.len() <= PLACES_MAX
            && places == self.places
            && same
            && capped
            && self.terms.amount.check(&self.taken, cost).is_ok()
    }

    fn granted(&self, id: CallId) -> Granted {
        Granted { groups: self.groups.clone(), by: self.by.clone(), standing: Some(id), ends_ask: false }
    }
}
