//! Risk: how much a person should look twice at a call that waits, in points of a hundred, and what they come from.
//!
//! Pure: the contract, what the agent did before, and the weights of the configuration. No rule reads it: it puts an
//! inbox in order, and says when an answer needs words.

use serde::{Deserialize, Serialize};

use crate::account::{Amount, Currency};
use crate::approval::{Part, RiskPart};
use crate::calendar::Calendar;
use crate::contract::{Contract, Effect};
use crate::habit::Habit;
use crate::id::Mark;
use crate::time::Time;

pub const SCORE_MAX: u64 = 100;

/// What each part may come to. What they sum to above a hundred counts as a hundred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Weights {
    pub amount: u64,
    pub destination: u64,
    pub first_use: u64,
    pub hour: u64,
    pub irreversible: u64,
    pub labels: u64,
    pub reversible: u64,
    /// Hours of the house's working day: from this one on, to before that one.
    pub work_from: u64,
    pub work_until: u64,
}

impl Default for Weights {
    fn default() -> Weights {
        Weights {
            amount: 20,
            destination: 15,
            first_use: 10,
            hour: 10,
            irreversible: 35,
            labels: 10,
            reversible: 15,
            work_from: 7,
            work_until: 19,
        }
    }
}

/// What a call is weighed by.
pub struct Weighed<'a> {
    pub contract: Option<&'a Contract>,
    pub habit: Option<&'a Habit>,
    pub tool: &'a str,
    pub cost: &'a Amount,
    pub places: &'a [Mark],
    pub now: Time,
    pub calendar: &'a Calendar,
}

/// The parts that count for anything, in a fixed order.
pub fn weigh(weights: &Weights, call: &Weighed<'_>) -> Vec<RiskPart> {
    let effect = match call.contract.map(|contract| contract.effect) {
        Some(Effect::Read) => 0,
        Some(Effect::Reversible) => weights.reversible,
        Some(Effect::Irreversible) | None => weights.irreversible,
    };
    let known = call.habit.and_then(|habit| habit.tool(call.tool));
    let is_more = known.is_none_or(|known| exceeds(call.cost, &known.largest)) && costs(call.cost);
    let is_new = call.places.iter().any(|place| call.habit.is_none_or(|habit| !habit.knows(place)));
    let labelled = call.contract.is_some_and(|contract| !contract.labels.is_empty());
    let when = |holds: bool, points: u64| if holds { points } else { 0 };
    let parts = [
        (Part::Amount, when(is_more, weights.amount)),
        (Part::Destination, when(is_new, weights.destination)),
        (Part::Effect, effect),
        (Part::FirstUse, when(known.is_none(), weights.first_use)),
        (Part::Hour, when(is_late(weights, call), weights.hour)),
        (Part::Labels, when(labelled, weights.labels)),
    ];
    parts
        .into_iter()
        .filter(|(_, points)| *points > 0)
        .map(|(part, points)| RiskPart { part, points })
        .collect()
}

pub fn score(parts: &[RiskPart]) -> u64 {
    parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.points)).min(SCORE_MAX)
}

/// Currencies that say how large a call is; each call is one call and takes its time.
const SIZES: [Currency; 2] = [Currency::UsdNanos, Currency::Tokens];

fn costs(cost: &Amount) -> bool {
    SIZES.iter().any(|currency| cost.get(*currency) > 0) || cost.counted.values().any(|count| *count > 0)
}

fn exceeds(cost: &Amount, largest: &Amount) -> bool {
    SIZES.iter().any(|currency| cost.get(*currency) > largest.get(*currency))
        || cost.counted.iter().any(|(name, count)| *count > largest.counted.get(name).copied().unwrap_or(0))
}

/// A weekend, or an hour at which nobody works, by the house's own calendar.
fn is_late(weights: &Weights, call: &Weighed<'_>) -> bool {
    let here = Time(call.calendar.shown(call.now));
    let hour = u64::try_from(here.hour()).unwrap_or(0);
    here.weekday() > 5 || hour < weights.work_from || hour >= weights.work_until
}
