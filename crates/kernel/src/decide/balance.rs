//! What is told of accounts to whoever asks.

use super::Decision;
use super::room::run_limits;
use crate::balance::{Balance, Of, Whose};
use crate::command::Answer;
use crate::id::RunId;
use crate::reason::Code;
use crate::rules::{Rules, Wide};
use crate::run::Run;
use crate::state::State;
use crate::time::Time;
use crate::window::Owner;

pub(crate) fn decide_balance(state: &State, rules: &Rules, whose: &Whose, now: Time) -> Decision {
    let owners = match whose {
        Whose::Owner(owner) => vec![owner.clone()],
        Whose::Run(run) => {
            let Some(run) = state.runs.get(run) else {
                return Decision::none(Answer::refused(Code::RunUnknown));
            };
            let tenant =
                rules.agent(&run.agent).map(|manifest| Owner::Tenant(manifest.tenant.as_str().into()));
            std::iter::once(Owner::Agent(run.agent.as_str().into())).chain(tenant).collect()
        }
    };
    let runs = match whose {
        Whose::Run(run) => state.lineage(*run).collect(),
        Whose::Owner(_) => Vec::new(),
    };
    let mut balances: Vec<Balance> = runs.into_iter().map(|(id, run)| of_run(rules, id, run, now)).collect();
    for owner in owners {
        balances.extend(rules.owner_accounts(&owner, now).into_iter().map(|account| {
            let Wide { id, until, limits } = account;
            let share = state.shares.get(&id).cloned().unwrap_or_default();
            Balance {
                limits: limits.clone(),
                account: share.account,
                from: id.from,
                of: Of::Account(id),
                until,
                crossed: share.crossed,
                paused: None,
            }
        }));
    }
    Decision::none(Answer::Balances(balances))
}

fn of_run(rules: &Rules, id: RunId, run: &Run, now: Time) -> Balance {
    let (limits, mut account) = (run_limits(rules, run, now), run.account.clone());
    if limits.seconds.is_some() {
        // Those of a run are of the wall clock, whatever its calls took.
        account.posted.seconds = now.since_ms(run.opened) / 1_000;
        account.pending.seconds = 0;
    }
    Balance {
        of: Of::Run { run: id, agent: run.agent.clone() },
        limits,
        account,
        from: run.opened,
        until: run.ends(),
        crossed: run.crossed,
        paused: run.paused.clone(),
    }
}
