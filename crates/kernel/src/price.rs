//! Prices: the most that a call may cost, by its contract and by what is counted from its arguments; and what it is
//! known to have cost, once it has ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stdx::glob;

use crate::account::{Amount, Limits, Used};
use crate::agent::Manifest;
use crate::call::{Call, Outcome};
use crate::content::bounded;
use crate::contract::{Contract, Effect};
use crate::reason::{Code, Reason};

/// A currency of one's own: an argument that is a whole number, by the name it is counted under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub name: String,
    /// Member names from the arguments' root.
    pub path: Vec<String>,
}

/// What a call costs beside its dollars and its tokens in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Meter {
    /// What a call costs that failed for certain.
    #[serde(skip_serializing_if = "Failed::is_free")]
    pub failed: Failed,
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens_cached: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens_in: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens_out: u64,
    /// Where its result tells how many tokens it took.
    #[serde(skip_serializing_if = "Told::is_none")]
    pub told: Told,
}

/// What a call costs that failed for certain: its tool said so, so nothing was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failed {
    /// What is counted from its arguments counts all the same, because it may have been done in part.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub counts: bool,
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub usd_nanos: u64,
}

/// Member names from the result's root, each to a whole number of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_cached: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_in: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_out: Option<Vec<String>>,
}

impl Meter {
    pub(crate) fn is_none(&self) -> bool {
        *self == Meter::default()
    }

    fn tokens(&self) -> u64 {
        self.tokens_in.saturating_add(self.tokens_out).saturating_add(self.tokens_cached)
    }
}

impl Failed {
    fn is_free(&self) -> bool {
        *self == Failed::default()
    }
}

impl Told {
    fn is_none(&self) -> bool {
        *self == Told::default()
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// What a call is known to have used, by its contract and by what its tool answered.
pub fn used(contract: &Contract, outcome: Outcome, result: Option<&Value>) -> Used {
    let (failed, told) = (&contract.meter.failed, &contract.meter.told);
    match outcome {
        Outcome::Succeeded => {
            let read = |path: &Option<Vec<String>>| {
                let found = path.as_ref()?.iter().try_fold(result?, |value, name| value.get(name));
                found.and_then(Value::as_u64)
            };
            let known = Limits {
                tokens: read(&told.tokens),
                tokens_cached: read(&told.tokens_cached),
                tokens_in: read(&told.tokens_in),
                tokens_out: read(&told.tokens_out),
                ..Limits::default()
            };
            Used { known, counts_are_known: false }.reckoned()
        }
        Outcome::Failed => {
            let tokens = Some(failed.tokens);
            let known = Limits {
                tokens,
                tokens_cached: tokens,
                tokens_in: tokens,
                tokens_out: tokens,
                usd_nanos: Some(failed.usd_nanos),
                ..Limits::default()
            };
            Used { known, counts_are_known: !failed.counts }
        }
        Outcome::Unknown | Outcome::NotDispatched => Used::default(),
    }
}

/// What is reserved for the call. `limited` says in which currencies anything is limited at all: an argument is only
/// read where its count matters, and there it must be readable.
pub(crate) fn price(
    manifest: &Manifest,
    contract: &Contract,
    call: &Call,
    limited: &Limits,
) -> Result<Amount, Box<Reason>> {
    let effect = contract.effect;
    let mut price = Amount {
        calls: 1,
        irreversible: u64::from(effect == Effect::Irreversible),
        usd_nanos: contract.cost_usd_nanos,
        writes: u64::from(effect.writes()),
        ..tokens(contract, limited)
    };
    if limited.seconds.is_some() {
        price.seconds = contract.timeout_ms.div_ceil(1_000);
    }
    if !limited.counted.is_empty() {
        let lines = manifest.may.iter().filter(|may| glob::matches(&may.tool, &call.tool));
        let counts = contract.counts.iter().chain(lines.flat_map(|may| &may.counts));
        for count in counts.filter(|count| limited.counted.contains_key(&count.name)) {
            let value = counted(&call.args, count)?;
            if value > 0 {
                // The same count named twice is one count, and the larger holds.
                let known = price.counted.entry(count.name.clone()).or_default();
                *known = value.max(*known);
            }
        }
    }
    Ok(price)
}

/// A contract that names no kind may mean any: where a kind is limited, or told in the end, it may be all of them.
fn tokens(contract: &Contract, limited: &Limits) -> Amount {
    let meter = &contract.meter;
    let kinds = meter.tokens();
    let total = if contract.cost_tokens == 0 { kinds } else { contract.cost_tokens };
    let of = |kind: u64, is_limited: bool, is_told: bool| {
        if kinds == 0 && (is_limited || is_told) { total } else { kind }
    };
    let told = &meter.told;
    Amount {
        tokens: total,
        tokens_cached: of(meter.tokens_cached, limited.tokens_cached.is_some(), told.tokens_cached.is_some()),
        tokens_in: of(meter.tokens_in, limited.tokens_in.is_some(), told.tokens_in.is_some()),
        tokens_out: of(meter.tokens_out, limited.tokens_out.is_some(), told.tokens_out.is_some()),
        ..Amount::default()
    }
}

/// A call that leaves the argument out could mean any amount, so it is refused as one that cannot be read.
fn counted(args: &Value, count: &Count) -> Result<u64, Box<Reason>> {
    let found = count.path.iter().try_fold(args, |value, name| value.get(name));
    found.and_then(Value::as_u64).ok_or_else(|| {
        let pointer: String = count.path.iter().map(|name| format!("/{name}")).collect();
        Box::new(Reason::new(Code::CountInvalid).at(bounded(&pointer)).detail(&count.name))
    })
}
