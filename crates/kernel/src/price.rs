//! Prices: the most that a call may cost, by its contract and by what is counted from its arguments.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stdx::glob;

use crate::account::{Amount, Limits};
use crate::agent::Manifest;
use crate::call::Call;
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
        tokens: contract.cost_tokens,
        writes: u64::from(effect.writes()),
        ..Amount::default()
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

/// A call that leaves the argument out could mean any amount, so it is refused as one that cannot be read.
fn counted(args: &Value, count: &Count) -> Result<u64, Box<Reason>> {
    let found = count.path.iter().try_fold(args, |value, name| value.get(name));
    found.and_then(Value::as_u64).ok_or_else(|| {
        let pointer: String = count.path.iter().map(|name| format!("/{name}")).collect();
        Box::new(Reason::new(Code::CountInvalid).at(bounded(&pointer)).detail(&count.name))
    })
}
