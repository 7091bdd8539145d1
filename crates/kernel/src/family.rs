//! A family: a run and the runs that were opened under it. What a child spends, every run above it spends too.
//!
//! A reservation is made at the run and at every run above it, so that the sum below never exceeds what one of them
//! has. A child that opened with a budget of its own has borrowed it: in those currencies the runs above hold the
//! whole loan from the start, the child takes from what they hold, and what it does not use goes back at its end.

use serde::{Deserialize, Serialize};

use crate::account::{Account, Amount, Limits};
use crate::id::RunId;
use crate::run::Run;
use crate::state::State;

/// What a child borrowed when it was opened.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loan {
    pub limits: Limits,
    /// What the runs above hold for it, and it has not taken.
    pub held: Amount,
}

impl State {
    /// The run and every run above it, the nearest first.
    pub fn lineage(&self, run: RunId) -> impl Iterator<Item = (RunId, &Run)> {
        let mut next = Some(run);
        std::iter::from_fn(move || {
            let id = next?;
            let run = self.runs.get(&id)?;
            next = run.parent;
            Some((id, run))
        })
    }

    /// The run and every run below it, each before those that it was opened under.
    pub fn descent(&self, run: RunId) -> Vec<RunId> {
        let mut found = vec![run];
        let mut at = 0;
        while let Some(next) = found.get(at) {
            let children = self.runs.get(next).into_iter().flat_map(|run| run.children.iter().copied());
            found.extend(children.collect::<Vec<_>>());
            at += 1;
        }
        found.reverse();
        found
    }

    pub(crate) fn family_reserve(&mut self, path: &[RunId], amount: &Amount) {
        self.family_move(path, |account| account.reserve(amount));
    }

    pub(crate) fn family_post(&mut self, path: &[RunId], reserved: &Amount, used: &Amount) {
        self.family_move(path, |account| account.post(reserved, used));
    }

    /// What a borrower on the path takes of its loan, or has back, every run above it has less, or more, of lent.
    fn family_move(&mut self, path: &[RunId], change: impl Fn(&mut Account)) {
        let (mut taken, mut given) = (Amount::default(), Amount::default());
        for id in path {
            let Some(run) = self.runs.get_mut(id) else { continue };
            change(&mut run.account);
            if !(taken.is_zero() && given.is_zero()) {
                run.account.lent = run.account.lent.plus(&given).minus(&taken);
            }
            if let Some(loan) = &mut run.loan {
                // INVARIANT: held is the loan less what was spent of it, or nothing: a charge may go beyond a loan.
                let spent = run.account.posted.plus(&run.account.pending);
                let held = loan.limits.amount().minus(&spent);
                taken = taken.except(&loan.limits).plus(&loan.held.minus(&held));
                given = given.except(&loan.limits).plus(&held.minus(&loan.held));
                loan.held = held;
            }
        }
    }

    /// A child opens with a budget of its own: whoever is above holds it, up to the next who borrowed that currency.
    pub(crate) fn family_lend(&mut self, parent: RunId, limits: &Limits) {
        self.family_hold(parent, limits.amount(), |lent, part| lent.plus(part));
    }

    /// A borrower ended: what it did not take is free again above.
    pub(crate) fn family_return(&mut self, parent: RunId, loan: &Loan) {
        self.family_hold(parent, loan.held.clone(), |lent, part| lent.minus(part));
    }

    fn family_hold(&mut self, from: RunId, mut part: Amount, change: impl Fn(&Amount, &Amount) -> Amount) {
        let mut next = Some(from);
        while let Some(run) = next.and_then(|id| self.runs.get_mut(&id)) {
            run.account.lent = change(&run.account.lent, &part);
            if let Some(loan) = &run.loan {
                part = part.except(&loan.limits);
            }
            next = run.parent;
        }
    }
}
