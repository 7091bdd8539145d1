//! What control lends to a lane, what a lane gives back, and when that is free again.

use std::collections::BTreeMap;

use super::Decision;
use crate::account::Amount;
use crate::command::Answer;
use crate::event::{Event, SlicesFreed, SlicesLent, SlicesReturned};
use crate::lending::{Need, Part, Slice};
use crate::rules::Rules;
use crate::state::{Control, State};
use crate::time::Time;
use crate::window::AccountId;

/// With several lanes each asks for a share of what is left, so that the others find some too.
const SHARES: u64 = 2;

/// Lends to a lane what it is short of, of every account or of none.
pub fn decide_lend(
    control: &Control,
    rules: &Rules,
    to: u16,
    lanes: u16,
    needs: &[Need],
    now: Time,
) -> Decision {
    let now = now.max(control.last);
    let mut slices = Vec::new();
    let mut short = Vec::new();
    for need in needs {
        let lent =
            control.lending.slice(&need.account, to).map(|slice| slice.lent.clone()).unwrap_or_default();
        // Somebody else's call of the same lane was here in the meantime.
        if lent != need.seen {
            continue;
        }
        let limits = rules.account_limits(&need.account).cloned().unwrap_or_default();
        let own = control.lending.slice(&need.account, to).map(Slice::out).unwrap_or_default();
        let out = control.lending.out_elsewhere(&need.account, to).plus(&own);
        let left = limits.amount().minus(&out);
        if need.account.is_over(now) || !need.missing.fits(&left) {
            short.push(need.clone());
            continue;
        }
        let share = if lanes <= 1 { left.clone() } else { left.divided(SHARES * u64::from(lanes)) };
        let amount = share.max(&need.missing).min(&left);
        slices.push(Part { account: need.account.clone(), amount });
    }
    if !short.is_empty() {
        return Decision::none(Answer::Short(short));
    }
    if slices.is_empty() {
        return Decision::none(Answer::Done);
    }
    Decision::one(Answer::Done, Event::SlicesLent(SlicesLent { slices, to }))
}

/// A lane gives back what it does not use of these accounts. The answer names all that it ever gave back.
pub(crate) fn decide_return(state: &State, control: &Control, accounts: &[AccountId]) -> Decision {
    let mut slices = Vec::new();
    for account in accounts {
        let Some(slice) = control.lending.slice(account, state.lane) else { continue };
        let share = state.shares.get(account).cloned().unwrap_or_default();
        let idle = slice.lent.minus(&share.returned).minus(&share.account.taken());
        if !idle.is_zero() {
            slices.push(Part { account: account.clone(), amount: share.returned.plus(&idle) });
        }
    }
    let mut all: BTreeMap<AccountId, Amount> = BTreeMap::new();
    let before = state.shares.iter().filter(|(_, share)| !share.returned.is_zero());
    all.extend(before.map(|(account, share)| (account.clone(), share.returned.clone())));
    all.extend(slices.iter().map(|part| (part.account.clone(), part.amount.clone())));
    let answer =
        Answer::Returned(all.into_iter().map(|(account, amount)| Part { account, amount }).collect());
    if slices.is_empty() {
        return Decision::none(answer);
    }
    Decision::one(answer, Event::SlicesReturned(SlicesReturned { slices }))
}

/// Control counts as free again what a lane gave back.
pub fn decide_free(control: &Control, from: u16, returned: &[Part]) -> Decision {
    let news = |part: &&Part| {
        let slice = control.lending.slice(&part.account, from);
        slice.is_some_and(|slice| !part.amount.fits(&slice.freed))
    };
    let slices: Vec<Part> = returned.iter().filter(news).cloned().collect();
    if slices.is_empty() {
        return Decision::none(Answer::Done);
    }
    Decision::one(Answer::Done, Event::SlicesFreed(SlicesFreed { from, slices }))
}
