//! Room: what a run, the runs above it and a lane may still take.

use crate::account::{Amount, Limits, Short};
use crate::id::RunId;
use crate::rules::Rules;
use crate::run::Run;
use crate::state::{Control, State};
use crate::time::Time;
use crate::window::AccountId;

/// A limit that a reservation would break, and whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FamilyShort {
    pub run: RunId,
    pub short: Short,
}

/// What one run may spend as things stand: its manifest, the house's cap, what it borrowed, what a person added.
pub fn run_limits(rules: &Rules, run: &Run, now: Time) -> Limits {
    let mut limits = first_limits(rules, run);
    for extension in run.extensions.iter().filter(|extension| extension.until > now) {
        limits = limits.plus(&extension.amount);
    }
    limits
}

/// The same without what a person added. A run under another has what it borrowed; without a loan the runs above it
/// are its limit, and so whoever extends the first of them extends all.
pub(crate) fn first_limits(rules: &Rules, run: &Run) -> Limits {
    if run.parent.is_some() {
        return run.loan.as_ref().map(|loan| loan.limits.clone()).unwrap_or_default();
    }
    rules.agent(&run.agent).map(|manifest| rules.run_limits(manifest)).unwrap_or_default()
}

impl State {
    /// Whether the run and every run above it have room for this. Of several that have none the highest is named:
    /// what it gives, it gives to all below.
    pub fn family_check(
        &self,
        rules: &Rules,
        run: RunId,
        wanted: &Amount,
        now: Time,
    ) -> Result<(), FamilyShort> {
        let mut uncovered = wanted.clone();
        let mut found = Ok(());
        for (id, run) in self.lineage(run).filter(|(_, run)| run.is_limited()) {
            // The wall clock of a run is looked at by itself.
            let limits = Limits { seconds: None, ..run_limits(rules, run, now) };
            if let Err(short) = check_one(run, &limits, wanted, &uncovered) {
                found = Err(FamilyShort { run: id, short });
            }
            if let Some(loan) = &run.loan {
                uncovered = uncovered.except(&loan.limits);
            }
        }
        found
    }
}

fn check_one(run: &Run, limits: &Limits, wanted: &Amount, uncovered: &Amount) -> Result<(), Short> {
    let taken = run.account.taken();
    limits.check(&taken, uncovered)?;
    // What was lent stays good, unless a limit has since sunk below what is taken already.
    let covered = wanted.minus(uncovered);
    let lent = limits.of(&covered);
    if taken.only(&lent).fits(&lent.amount()) { Ok(()) } else { lent.check(&taken, &covered) }
}

/// What the lane may still take of an account, and what it would have to borrow.
pub struct Room {
    pub taken: Amount,
    /// Of all lanes: what this one took, and what others may have taken.
    pub taken_by_all: Amount,
    pub missing: Amount,
    pub seen: Amount,
    /// The highest threshold that was crossed in this lane.
    pub crossed: u64,
}

/// How an account stands after a reservation.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) left: Limits,
    pub(crate) percent: u64,
    pub(crate) crossed: u64,
}

impl Seen {
    pub(crate) fn new(limits: &Limits, taken: &Amount, crossed: u64) -> Seen {
        Seen { left: limits.minus(taken), percent: limits.percent(taken), crossed }
    }
}

pub fn room(state: &State, control: &Control, account: &AccountId, limits: &Limits, wanted: &Amount) -> Room {
    let share = state.shares.get(account);
    let taken = share.map(|share| share.account.taken()).unwrap_or_default();
    let (lent, elsewhere) = control.lending.split(account, state.lane);
    let slice = share.map_or_else(|| lent.clone(), |share| lent.minus(&share.returned));
    // A limit that was lowered since holds at once: what others hold is theirs first.
    let cap = slice.only(limits).min(&limits.amount().minus(&elsewhere));
    let missing = taken.plus(wanted).only(&limits.of(wanted)).minus(&cap);
    let crossed = share.map_or(0, |share| share.crossed);
    Room { taken_by_all: taken.plus(&elsewhere), taken, missing, seen: lent, crossed }
}
