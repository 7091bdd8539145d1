//! The survey after a decision: what is left in every account of the call, and which thresholds were crossed.

use super::room::{room, run_limits};
use crate::account::{Amount, Limits};
use crate::balance::Left;
use crate::checks::Case;
use crate::event::{Event, ThresholdCrossed};
use crate::id::RunId;
use crate::threshold::{Threshold, reached};
use crate::window::AccountId;

/// The thresholds of the agent: its manifest's own, or the house's.
pub(crate) fn of<'a>(case: &'a Case<'_>) -> &'a [Threshold] {
    let own = case.manifest.and_then(|manifest| manifest.thresholds.as_deref());
    own.unwrap_or(&case.rules.book.house.thresholds)
}

/// Looks at every account of a call after its reservation: what is left, and which thresholds it has crossed.
pub(crate) fn survey(case: &Case<'_>, reserved: &Amount, accounts: &[AccountId]) -> (Left, Vec<Event>) {
    let mut survey = Survey { left: Limits::default(), percent: 0, events: Vec::new() };
    for (id, run) in case.state.lineage(case.call.run) {
        let mut limits = run_limits(case.rules, run, case.now);
        let seconds = limits.seconds.take();
        let taken = run.account.taken().plus(reserved);
        survey.account(case, None, id, &limits, &taken, run.crossed);
        let elapsed = case.now.since_ms(run.opened) / 1_000;
        let clock =
            Limits { seconds: seconds.map(|limit| limit.saturating_sub(elapsed)), ..Limits::default() };
        survey.left = survey.left.within(&clock);
    }
    for account in accounts {
        let Some(limits) = case.rules.account_limits(account) else { continue };
        let taken = room(case.state, case.control, account, limits, reserved).taken_by_all.plus(reserved);
        let crossed = case.state.shares.get(account).map_or(0, |share| share.crossed);
        survey.account(case, Some(account), case.call.run, limits, &taken, crossed);
    }
    let action = reached(of(case), survey.percent).map(|threshold| threshold.action);
    (Left { action, left: survey.left, percent: survey.percent }, survey.events)
}

struct Survey {
    left: Limits,
    percent: u64,
    events: Vec<Event>,
}

impl Survey {
    fn account(
        &mut self,
        case: &Case<'_>,
        account: Option<&AccountId>,
        run: RunId,
        limits: &Limits,
        taken: &Amount,
        crossed: u64,
    ) {
        let percent = limits.percent(taken);
        self.left = self.left.within(&limits.minus(taken));
        self.percent = self.percent.max(percent);
        // Whoever crosses several at once has crossed the last of them.
        let news = reached(of(case), percent).filter(|one| one.percent > crossed);
        self.events.extend(news.map(|threshold| {
            Event::ThresholdCrossed(ThresholdCrossed {
                account: account.cloned(),
                action: threshold.action,
                agent: case.call.agent.clone(),
                percent: threshold.percent,
                run,
            })
        }));
    }
}
