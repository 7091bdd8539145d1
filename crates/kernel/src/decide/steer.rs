//! What people may do to a run from outside, and the circuit breaker that calls for them.

use super::Decision;
use super::room::first_limits;
use crate::account::{Amount, said};
use crate::checks::Exhausted;
use crate::command::Answer;
use crate::event::{Charged, Event, RunCorrected, RunExtended, RunSteered};
use crate::id::RunId;
use crate::reason::{Code, Reason};
use crate::rules::Rules;
use crate::run::Run;
use crate::state::State;
use crate::steer::Steer;
use crate::time::Time;

/// No extension is good for longer.
const EXTENSION_MS_MAX: u64 = 24 * 3_600_000;

pub(crate) fn decide_steer(
    state: &State,
    rules: &Rules,
    run: RunId,
    steer: &Steer,
    by: &str,
    why: &str,
    now: Time,
) -> Decision {
    let steered = || RunSteered { by: by.to_owned(), run, why: why.to_owned() };
    let (by, why) = (by.to_owned(), why.to_owned());
    if let Steer::Correct { outcome, delivery } = steer {
        let (outcome, delivery) = (*outcome, *delivery);
        if state.runs.contains_key(&run) {
            return Decision::none(Answer::refused(Code::RunOpen));
        }
        if delivery.is_some_and(|delivery| state.deliveries.contains_key(&delivery)) {
            return Decision::none(Answer::refused(Code::DeliveryRepeated));
        }
        let corrected = RunCorrected { by, delivery, outcome, run, why };
        return Decision::one(Answer::Done, Event::RunCorrected(corrected));
    }
    let Some(known) = state.runs.get(&run) else { return Decision::none(Answer::refused(Code::RunUnknown)) };
    match steer {
        Steer::Pause if known.paused.is_some() => {
            let why = known.paused.as_ref().map(|paused| paused.why.as_str()).unwrap_or_default();
            Decision::none(Answer::Refused(Reason::new(Code::RunPaused).detail(why)))
        }
        Steer::Pause => Decision::one(Answer::Done, Event::RunPaused(steered())),
        Steer::Resume if known.paused.is_none() => Decision::none(Answer::refused(Code::RunNotPaused)),
        Steer::Resume => Decision::one(Answer::Done, Event::RunResumed(steered())),
        Steer::Extend { amount, until } => {
            if let Err(reason) = extendable(rules, known, amount, now) {
                return Decision::none(Answer::Refused(*reason));
            }
            let until = (*until).min(now.plus_ms(EXTENSION_MS_MAX)).min(known.expires);
            let extended = RunExtended { amount: amount.clone(), by, run, until, why };
            Decision::one(Answer::Done, Event::RunExtended(extended))
        }
        Steer::Charge { amount } => {
            let accounts = rules.accounts(&known.agent, now).into_iter().map(|account| account.id);
            let amount = amount.clone().reckoned();
            let charged = Charged { accounts: accounts.collect(), amount, by, run, why };
            Decision::one(Answer::Done, Event::Charged(charged))
        }
        Steer::Correct { .. } => Decision::none(Answer::Done),
    }
}

/// All extensions together add no more than the run had to begin with, and only where it has a limit.
fn extendable(rules: &Rules, run: &Run, amount: &Amount, now: Time) -> Result<(), Box<Reason>> {
    let standing = run.extensions.iter().filter(|extension| extension.until > now);
    let standing = standing.fold(Amount::default(), |sum, extension| sum.plus(&extension.amount));
    let begun = first_limits(rules, run);
    let refused =
        |detail: &str, limit| Err(Box::new(Reason::new(Code::ExtensionTooLarge).detail(detail).limit(limit)));
    if run.parent.is_some() {
        return refused("anything: it is under another run, and the first of them can be extended", 0);
    }
    if amount.is_zero() {
        return refused("nothing: name an amount", 0);
    }
    let unlimited = amount.except(&begun);
    if !unlimited.is_zero() {
        return refused("a currency that it has no limit in", 0);
    }
    match begun.check(&standing, amount) {
        Ok(()) => Ok(()),
        Err(short) => refused(&short.currency, short.limit),
    }
}

/// The circuit breaker: a run that wanted more than it has waits for a person.
pub(crate) fn broken(state: &State, exhausted: Option<&Exhausted>, pauses: bool) -> Option<Event> {
    let exhausted = exhausted.filter(|_| pauses)?;
    state.runs.get(&exhausted.run).filter(|run| run.paused.is_none())?;
    let why = format!("its budget of {} is spent", said(exhausted.limit, &exhausted.currency));
    Some(Event::RunPaused(RunSteered { by: "circuit_breaker".to_owned(), run: exhausted.run, why }))
}
