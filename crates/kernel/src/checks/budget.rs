//! Budget: what the call may cost is reserved before it may happen, at the run, at every run above it and in every
//! account wider than a run; or it may not happen.

use super::{Case, Exhausted, Findings};
use crate::account::{Amount, Limits};
use crate::agent::Manifest;
use crate::call::Part;
use crate::decide::room::{Seen, room, run_limits};
use crate::lending::Need;
use crate::price::price;
use crate::reason::{Code, Reason};
use crate::rules::{ToolRules, Wide};

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) -> Result<(), Box<Reason>> {
    let (Some(manifest), Some(tool)) = (case.manifest, case.tool) else { return Ok(()) };
    if takes_back_later(case) {
        // It is posted where it happens, and no budget bars it.
        let accounts = case.rules.accounts(&case.call.agent, case.now);
        let limited = limited(case, manifest, &accounts);
        let priced = price(manifest, &tool.contract, case.call, &limited);
        findings.reserve =
            priced.or_else(|_| price(manifest, &tool.contract, case.call, &Limits::default()))?;
        findings.accounts = accounts.into_iter().map(|account| account.id).collect();
        return Ok(());
    }
    let Some(run) = case.run else { return Ok(()) };
    if case.call.part.is_some() {
        return of_part(case, manifest, tool, findings);
    }
    clock(case)?;
    let accounts = case.rules.accounts(&case.call.agent, case.now);
    let limited = limited(case, manifest, &accounts);
    let mut wanted = price(manifest, &tool.contract, case.call, &limited)?;
    if limited.retries.is_some() {
        wanted.retries = u64::from(run.pace.is_retry(&case.call.args_mark));
    }
    family(case, &wanted, findings)?;
    for account in &accounts {
        shared(case, account, &wanted, findings)?;
    }
    findings.accounts = accounts.into_iter().map(|account| account.id).collect();
    findings.reserve = wanted;
    Ok(())
}

/// Whether it takes back what was committed: nothing is held for that any more, and its run may be closed.
fn takes_back_later(case: &Case<'_>) -> bool {
    let is_undo = matches!(case.call.part, Some(Part::Undo { .. }));
    is_undo && case.step().is_some_and(|(plan, _)| plan.taking.is_some())
}

/// Whether so much may be held, at the run, above it, and in every account wider than a run.
pub(super) fn room_for(case: &Case<'_>, wanted: &Amount, findings: &mut Findings) -> Result<(), Box<Reason>> {
    clock(case)?;
    family(case, wanted, findings)?;
    let accounts = case.rules.accounts(&case.call.agent, case.now);
    for account in &accounts {
        shared(case, account, wanted, findings)?;
    }
    findings.accounts = accounts.into_iter().map(|account| account.id).collect();
    Ok(())
}

/// What a part of a plan takes comes out of what is held for the plan; only what is more than that must be free.
fn of_part(
    case: &Case<'_>,
    manifest: &Manifest,
    tool: &ToolRules,
    findings: &mut Findings,
) -> Result<(), Box<Reason>> {
    let accounts = case.rules.accounts(&case.call.agent, case.now);
    let limited = limited(case, manifest, &accounts);
    let none = Limits::default();
    let wanted = match price(manifest, &tool.contract, case.call, &limited) {
        Ok(wanted) => wanted,
        // A count that another step tells is not known yet; and what takes back is not barred for a count.
        Err(_) if case.planned.is_some() || case.goes_back() => {
            price(manifest, &tool.contract, case.call, &none)?
        }
        Err(reason) => return Err(reason),
    };
    if case.planned.is_some() {
        findings.reserve = wanted;
        return Ok(());
    }
    // The first try has reserved for the same again.
    if case.is_repeat() {
        return Ok(());
    }
    let plan = case.step().map(|(plan, _)| plan).filter(|plan| plan.stage.is_under_way());
    let held = plan.map(|plan| plan.hold.clone()).unwrap_or_default();
    findings.accounts = match plan {
        Some(plan) => plan.accounts.clone(),
        None => accounts.iter().map(|account| account.id.clone()).collect(),
    };
    if matches!(case.call.part, Some(Part::Undo { .. })) {
        findings.reserve = wanted.min(&held);
        return Ok(());
    }
    let more = wanted.minus(&held);
    if !more.is_zero() {
        clock(case)?;
        family(case, &more, findings)?;
        for id in findings.accounts.clone() {
            let (until, limits) = (id.kept_until(), case.rules.account_limits(&id));
            let Some(limits) = limits else { continue };
            shared(case, &Wide { id, until, limits }, &more, findings)?;
        }
        // What was seen is of what is more; the survey looks again, at all of it.
        findings.seen.clear();
    }
    findings.reserve = wanted;
    Ok(())
}

/// The wall clock of the run and of every run above it.
fn clock(case: &Case<'_>) -> Result<(), Box<Reason>> {
    for (_, run) in case.state.lineage(case.call.run).filter(|(_, run)| run.is_limited()) {
        let limits = run_limits(case.rules, run, case.now);
        if let Some(seconds) = limits.seconds
            && case.now.since_ms(run.opened) / 1_000 >= seconds
        {
            return Err(Box::new(Reason::new(Code::BudgetExceeded).detail("seconds").limit(seconds)));
        }
    }
    Ok(())
}

/// Every currency that some account of this call limits and that costs something to reckon.
fn limited(case: &Case<'_>, manifest: &Manifest, accounts: &[Wide<'_>]) -> Limits {
    let mut limited = Limits::default();
    for account in accounts {
        limited.seconds = limited.seconds.or(account.limits.seconds);
        reckoned(&mut limited, account.limits);
    }
    reckoned(&mut limited, &manifest.per_run);
    for (_, run) in case.state.lineage(case.call.run) {
        if let Some(loan) = &run.loan {
            reckoned(&mut limited, &loan.limits);
        }
    }
    limited
}

fn reckoned(limited: &mut Limits, by: &Limits) {
    limited.retries = limited.retries.or(by.retries);
    limited.tokens_cached = limited.tokens_cached.or(by.tokens_cached);
    limited.tokens_in = limited.tokens_in.or(by.tokens_in);
    limited.tokens_out = limited.tokens_out.or(by.tokens_out);
    limited.counted.extend(by.counted.iter().map(|(name, limit)| (name.clone(), *limit)));
}

fn family(case: &Case<'_>, wanted: &Amount, findings: &mut Findings) -> Result<(), Box<Reason>> {
    case.state.family_check(case.rules, case.call.run, wanted, case.now).map_err(|short| {
        let (run, short) = (short.run, short.short);
        let mut reason = Reason::new(Code::BudgetExceeded).detail(&short.currency).limit(short.limit);
        if run != case.call.run {
            reason = reason.account(format!("the run above, {run},"));
        }
        findings.exhausted = Some(Exhausted { run, currency: short.currency, limit: short.limit });
        Box::new(reason)
    })
}

/// Within the lane's slice; or the lane asks for more, once; or there is none.
fn shared(
    case: &Case<'_>,
    account: &Wide<'_>,
    wanted: &Amount,
    findings: &mut Findings,
) -> Result<(), Box<Reason>> {
    let Wide { id, until, limits } = account;
    let room = room(case.state, case.control, id, limits, wanted);
    if room.missing.is_zero() {
        findings.seen.push(Seen::new(limits, &room.taken_by_all.plus(wanted), room.crossed));
        return Ok(());
    }
    let alone = limits.check(&room.taken, wanted);
    if alone.is_ok() && !case.is_last {
        findings.needs.push(Need { account: id.clone(), missing: room.missing, seen: room.seen });
        return Ok(());
    }
    let short = alone.or_else(|short| limits.check(&room.taken_by_all, wanted).and(Err(short))).err();
    let reason = Reason::new(Code::BudgetExceeded).account(format!(
        "the {} of {}, until {until},",
        id.window.name(),
        id.owner
    ));
    Err(Box::new(match short.or_else(|| limits.check(&room.taken_by_all, wanted).err()) {
        Some(short) => reason.detail(short.currency).limit(short.limit),
        None => reason.detail("what other lanes hold"),
    }))
}
