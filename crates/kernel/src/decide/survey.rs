//! The survey after a decision: what is left in every account of the call, and which thresholds were crossed.

use super::room::{Seen, room, run_limits};
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
/// What the budget's check has seen of them already is not looked at again.
pub(crate) fn survey(
    case: &Case<'_>,
    reserved: &Amount,
    accounts: &[AccountId],
    seen: &[Seen],
) -> (Left, Vec<Event>) {
    let mut survey = Survey { left: Limits::default(), percent: 0, events: Vec::new() };
    for (id, run) in case.state.lineage(case.call.run).filter(|(_, run)| run.is_limited()) {
        let mut limits = run_limits(case.rules, run, case.now);
        let seconds = limits.seconds.take();
        let taken = run.account.taken().plus(reserved);
        survey.account(case, None, id, &Seen::new(&limits, &taken, run.crossed));
        let elapsed = case.now.since_ms(run.opened) / 1_000;
        let clock =
            Limits { seconds: seconds.map(|limit| limit.saturating_sub(elapsed)), ..Limits::default() };
        survey.left = survey.left.within(&clock);
    }
    if seen.len() == accounts.len() {
        for (account, seen) in accounts.iter().zip(seen) {
            survey.account(case, Some(account), case.call.run, seen);
        }
    } else {
        for account in accounts {
            let Some(limits) = case.rules.account_limits(account) else { continue };
            let room = room(case.state, case.control, account, limits, reserved);
            let seen = Seen::new(limits, &room.taken_by_all.plus(reserved), room.crossed);
            survey.account(case, Some(account), case.call.run, &seen);
        }
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
    fn account(&mut self, case: &Case<'_>, account: Option<&AccountId>, run: RunId, seen: &Seen) {
        self.left = self.left.within(&seen.left);
        self.percent = self.percent.max(seen.percent);
        // Whoever crosses several at once has crossed the last of them.
        let news = reached(of(case), seen.percent).filter(|one| one.percent > seen.crossed);
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
