//! What a call is bound to before it is judged, while an account is as full as its gate `degrade` says.

use super::survey::{self, survey};
use super::{Decision, conclude};
use crate::account::Amount;
use crate::agent::Mode;
use crate::call::Carrier;
use crate::checks::{Case, Judged};
use crate::command::Answer;
use crate::obligation::{Cap, Kind, Obligation};
use crate::reason::{Code, Reason};
use crate::threshold::Action;
use crate::window::AccountId;

/// None: it is all that it must be. Else it is given back, to come again as that; or it is refused, if its executor
/// does not say that it heeds that.
pub(super) fn oblige(case: &Case<'_>) -> Option<Decision> {
    let wanted = wanted(case);
    let bound = &case.call.bound;
    let heeds = |one: &&Obligation| bound.heeds.contains(&one.kind());
    let mut deaf = wanted.iter().filter(|one| case.call.carrier == Carrier::Executor && !heeds(one));
    if let Some(one) = deaf.next() {
        let reason = Reason::new(Code::ObligationUndeclared).detail(one.kind().name());
        return Some(conclude(case, Judged::denied(reason), None));
    }
    (!wanted.is_empty()).then(|| Decision::none(Answer::Obliged(wanted)))
}

/// What this call must be, and is not yet.
fn wanted(case: &Case<'_>) -> Vec<Obligation> {
    let contract = case.tool.map(|tool| tool.contract.as_ref());
    let Some(contract) = contract.filter(|contract| !contract.degrade.is_none()) else { return Vec::new() };
    let is_single = case.call.part.is_none() && case.run.is_some_and(|run| run.agent == case.call.agent);
    if !is_single || case.mode() == Mode::Observe || !is_degraded(case) {
        return Vec::new();
    }
    let (degrade, bound) = (&contract.degrade, &case.call.bound);
    let known = |kind| bound.by.iter().any(|one| one.kind() == kind);
    if let Some(tool) = degrade.tool.clone().filter(|_| !known(Kind::Instead)) {
        return vec![Obligation::Instead { of: case.call.tool.clone(), tool }];
    }
    let cap = |Cap { at, most }: &Cap| Obligation::Cap { at: at.clone(), most: *most };
    let caps = degrade.caps.iter().map(cap).filter(|cap| cap.capped(&case.call.args).is_some());
    let model = degrade.model.clone().filter(|_| !known(Kind::Model));
    caps.chain(model.map(|class| Obligation::Model { class })).collect()
}

/// Whether one of its accounts has come to such a gate, before this call takes anything.
fn is_degraded(case: &Case<'_>) -> bool {
    let accounts = case.rules.accounts(&case.call.agent, case.now);
    let accounts: Vec<AccountId> = accounts.into_iter().map(|account| account.id).collect();
    let (left, _) = survey(case, &Amount::default(), &accounts, &[]);
    let degrades = |one: &&crate::threshold::Threshold| one.action == Action::Degrade;
    survey::of(case).iter().filter(degrades).any(|one| one.percent <= left.percent)
}
