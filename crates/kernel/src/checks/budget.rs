//! Budget: what the call may cost is reserved before it may happen, or it may not happen.

use super::{Case, Findings};
use crate::account::{Amount, Short};
use crate::contract::Effect;
use crate::reason::{Code, Reason};

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) -> Result<(), Box<Reason>> {
    let (Some(manifest), Some(tool), Some(run)) = (case.manifest, case.tool, case.run) else { return Ok(()) };
    let limits = case.rules.run_limits(manifest);
    if let Some(seconds) = limits.seconds
        && case.now.since_ms(run.opened) / 1_000 >= seconds
    {
        return Err(Box::new(Reason::new(Code::BudgetExceeded).detail("seconds").limit(seconds)));
    }
    let effect = tool.contract.effect;
    let wanted = Amount {
        calls: 1,
        irreversible: u64::from(effect == Effect::Irreversible),
        usd_nanos: tool.contract.cost_usd_nanos,
        writes: u64::from(effect.writes()),
    };
    match run.account.check(wanted, &limits) {
        Ok(()) => {
            findings.reserve = wanted;
            Ok(())
        }
        Err(Short { currency, limit, .. }) => {
            Err(Box::new(Reason::new(Code::BudgetExceeded).detail(currency.name()).limit(limit)))
        }
    }
}
