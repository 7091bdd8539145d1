//! What a call is bound to before it is judged, while an account is as full as its gate `degrade` says.

use super::room::{room, run_limits};
use super::{Decision, conclude, survey};
use crate::account::{Amount, Limits};
use crate::agent::Mode;
use crate::call::Carrier;
use crate::checks::{Case, Judged};
use crate::command::Answer;
use crate::obligation::{Cap, Kind, Level, Obligation};
use crate::reason::{Code, Reason};
use crate::threshold::Action;

/// None: it is all that it must be. Else it is given back, to come again as that; or it is refused, if its executor
/// does not say that it heeds that.
pub(super) fn oblige(case: &Case<'_>) -> Option<Decision> {
    let wanted = wanted(case);
    if wanted.is_empty() {
        return None;
    }
    let (level, bound) = (level(case)?, &case.call.bound);
    let heeds = |one: &&Obligation| bound.heeds.contains(&one.kind());
    let mut deaf = wanted.iter().filter(|one| case.call.carrier == Carrier::Executor && !heeds(one));
    if let Some(one) = deaf.next() {
        let reason = Reason::new(Code::ObligationUndeclared).detail(one.kind().name()).account(level.says());
        return Some(conclude(case, Judged::denied(reason), None));
    }
    Some(Decision::none(Answer::Obliged { by: wanted, level: Box::new(level) }))
}

/// What this call must be, and is not yet, if an account is that full.
fn wanted(case: &Case<'_>) -> Vec<Obligation> {
    let contract = case.tool.map(|tool| tool.contract.as_ref());
    let Some(contract) = contract.filter(|contract| !contract.degrade.is_none()) else { return Vec::new() };
    let is_single = case.call.part.is_none() && case.run.is_some_and(|run| run.agent == case.call.agent);
    if !is_single || case.mode() == Mode::Observe {
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

/// The fullest of its accounts that have come to such a gate, before this call takes anything.
fn level(case: &Case<'_>) -> Option<Level> {
    let degrades = survey::of(case).iter().filter(|one| one.action == Action::Degrade);
    let gate = degrades.map(|one| one.percent).min()?;
    let mut fullest: Option<Level> = None;
    let mut look = |above, account, limits: &Limits, taken: &Amount| {
        let Some((percent, currency, limit)) = limits.fullest(taken) else { return };
        if percent >= gate && fullest.as_ref().is_none_or(|known| percent > known.percent) {
            fullest = Some(Level { above, account, currency: currency.to_owned(), gate, limit, percent });
        }
    };
    for (id, run) in case.state.lineage(case.call.run).filter(|(_, run)| run.is_limited()) {
        // No smaller call would spare any of the wall clock.
        let limits = Limits { seconds: None, ..run_limits(case.rules, run, case.now) };
        look((id != case.call.run).then_some(id), None, &limits, &run.account.taken());
    }
    for account in case.rules.accounts(&case.call.agent, case.now) {
        let room = room(case.state, case.control, &account.id, account.limits, &Amount::default());
        look(None, Some(account.id), account.limits, &room.taken_by_all);
    }
    fullest
}
