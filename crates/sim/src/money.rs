//! Money and counts, reckoned from the log alone and without the kernel's own account.

use std::collections::{BTreeMap, HashSet};

use kernel::account::{Amount, Currency};
use kernel::contract::Effect;
use kernel::event::{CallDecided, CallFinished};
use kernel::id::{CallId, Mark};
use kernel::rules::Rules;

/// One run, as the log tells it.
#[derive(Default)]
pub(crate) struct RunBooks {
    posted: [u128; Currency::ALL.len()],
    pending: BTreeMap<CallId, Amount>,
    by_tool: BTreeMap<String, u64>,
    keys: HashSet<Mark>,
}

impl RunBooks {
    /// A permitted call: priced as its contract says, within every limit of its own day, once per key.
    pub(crate) fn allowed(&mut self, decided: &CallDecided, rules: &Rules) -> Result<(), String> {
        let call = decided.call;
        let (Some(manifest), Some(tool)) = (rules.agent(&decided.agent), rules.tool(&decided.tool)) else {
            return Err(format!("{call} was allowed without a manifest or a contract"));
        };
        let effect = tool.contract.effect;
        let price = Amount {
            calls: 1,
            irreversible: u64::from(effect == Effect::Irreversible),
            usd_nanos: tool.contract.cost_usd_nanos,
            writes: u64::from(effect != Effect::Read),
            ..Amount::default()
        };
        if decided.reserved != price {
            return Err(format!("{call} reserved {:?}, and its price is {price:?}", decided.reserved));
        }
        if let Some(key) = decided.key
            && !self.keys.insert(key)
        {
            return Err(format!("{call} was allowed under an idempotency key that had been used before"));
        }
        self.pending.insert(call, price.clone());
        *self.by_tool.entry(decided.tool.clone()).or_default() += 1;
        let house = rules.book.house.calls_per_run_max;
        for (currency, posted) in Currency::ALL.into_iter().zip(self.posted) {
            let pending: u128 = self.pending.values().map(|amount| u128::from(amount.get(currency))).sum();
            let own = manifest.per_run.get(currency);
            let limit = if currency == Currency::Calls { Some(own.unwrap_or(house).min(house)) } else { own };
            let over = limit.is_some_and(|limit| posted + pending > u128::from(limit));
            if over && price.get(currency) > 0 {
                return Err(format!(
                    "{call} overspends {}: {posted} + {pending} > {limit:?}",
                    currency.name()
                ));
            }
        }
        let lines = manifest.may.iter().filter(|may| may.tool == decided.tool);
        let most = lines.filter_map(|may| may.calls_per_run_max).min().unwrap_or(u64::MAX);
        // An observed agent is let through, with a `would`.
        if self.by_tool.get(&decided.tool).is_some_and(|count| *count > most) && decided.would.is_empty() {
            return Err(format!("{call} is one call of {} too many", decided.tool));
        }
        Ok(())
    }

    /// A known end frees what was reserved and posts what was used, which is never more.
    pub(crate) fn finished(&mut self, finished: &CallFinished) -> Result<(), String> {
        let Some(reserved) = self.pending.remove(&finished.call) else {
            return Err(format!("{} ended twice, or was never allowed", finished.call));
        };
        for (currency, posted) in Currency::ALL.into_iter().zip(&mut self.posted) {
            let used = finished.posted.get(currency);
            if used > reserved.get(currency) {
                return Err(format!("{} posted more {} than it reserved", finished.call, currency.name()));
            }
            *posted += u128::from(used);
        }
        Ok(())
    }
}
