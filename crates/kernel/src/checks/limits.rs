//! Limits: how much, how fast and how wide a run may go, and whether it goes in circles.
//!
//! The strictest line of the manifest that names the tool holds. Limits that all lanes share are dealt out among them.

use std::collections::BTreeSet;

use stdx::glob;

use super::{Case, Findings};
use crate::agent::{Manifest, May};
use crate::id::Mark;
use crate::rate::{self, AgentRates, Rate, ToolRates};
use crate::reason::{Code, Reason};
use crate::run::Run;
use crate::stopping::{PLACES_MAX, StoppingRules};

type Found = Result<(), Box<Reason>>;

pub(super) fn check(case: &Case<'_>, _: &mut Findings) -> Found {
    let (Some(manifest), Some(run)) = (case.manifest, case.run) else { return Ok(()) };
    let stopping = case.rules.stopping(manifest);
    of_the_run(case, run, manifest, &stopping)?;
    of_the_minute(case, run, manifest, &stopping)?;
    of_the_tool(case)?;
    circles(case, run, &stopping)
}

/// How much one run may do.
fn of_the_run(case: &Case<'_>, run: &Run, manifest: &Manifest, stopping: &StoppingRules) -> Found {
    let (caps, pace, call) = (&stopping.per_run, &run.pace, case.call);
    let distinct = |known: &BTreeSet<_>, marks: &[_]| {
        let new: BTreeSet<_> = marks.iter().filter(|mark| !known.contains(*mark)).collect();
        number(known.len()).saturating_add(number(new.len()))
    };
    let next = |count: u64, counts: bool| if counts { count.saturating_add(1) } else { 0 };
    let wider = |marks: &[_], count: u64| if marks.is_empty() { 0 } else { count };
    let tool = run.by_tool.get(&call.tool).copied().unwrap_or(0);
    let line = strictest(manifest, &call.tool, |may| may.calls_per_run_max);
    let most = (call.destinations.len() > PLACES_MAX).then(|| number(PLACES_MAX));
    let rows = [
        (most, number(call.destinations.len()), "destinations in one call, where they are counted"),
        // A plan heeds this by itself: see `saga`.
        (
            stopping.parallel.filter(|_| case.call.part.is_none()),
            next(pace.open, true),
            "calls of one run at once",
        ),
        (caps.calls, next(pace.calls, true), "calls in one run"),
        (caps.writes, next(pace.writes, case.writes()), "writes in one run"),
        (caps.retries, next(pace.retries, pace.is_retry(&call.args_mark)), "retries in one run"),
        (
            caps.destinations,
            wider(&call.destinations, distinct(&pace.destinations, &call.destinations)),
            "destinations in one run",
        ),
        (caps.hosts, wider(&call.hosts, distinct(&pace.hosts, &call.hosts)), "hosts in one run"),
        (line, next(tool, true), "calls of this tool in one run"),
        (
            case.tool.and_then(|tool| tool.contract.rate.per_run),
            next(tool, true),
            "calls of this tool in one run",
        ),
    ];
    for (limit, count, what) in rows {
        if let Some(limit) = limit.filter(|limit| count > *limit) {
            return Err(Box::new(Reason::new(Code::LimitReached).detail(what).limit(limit)));
        }
    }
    Ok(())
}

/// One step of a plan, as far as it counts.
pub(crate) struct Wanted<'a> {
    pub(crate) tool: &'a str,
    pub(crate) writes: bool,
    pub(crate) destinations: &'a [Mark],
    pub(crate) hosts: &'a [Mark],
}

/// All that a plan would do in its run: one by one each step may be within its limits, and together beyond them.
pub(crate) fn of_a_plan(case: &Case<'_>, steps: &[Wanted<'_>]) -> Found {
    let (Some(manifest), Some(run)) = (case.manifest, case.run) else { return Ok(()) };
    let (caps, pace) = (case.rules.stopping(manifest).per_run, &run.pace);
    let writes = steps.iter().filter(|step| step.writes).count();
    let places = |known: &BTreeSet<Mark>, of: fn(&Wanted<'_>) -> BTreeSet<Mark>| {
        let new: BTreeSet<Mark> = steps.iter().flat_map(of).filter(|mark| !known.contains(mark)).collect();
        number(if new.is_empty() { 0 } else { known.len().saturating_add(new.len()) })
    };
    let destinations = places(&pace.destinations, |step| step.destinations.iter().copied().collect());
    let hosts = places(&pace.hosts, |step| step.hosts.iter().copied().collect());
    let mut rows = vec![
        (caps.calls, pace.calls.saturating_add(number(steps.len())), "calls in one run"),
        (caps.writes, pace.writes.saturating_add(number(writes)), "writes in one run"),
        (caps.destinations, destinations, "destinations in one run"),
        (caps.hosts, hosts, "hosts in one run"),
    ];
    for tool in steps.iter().map(|step| step.tool).collect::<BTreeSet<&str>>() {
        let known = run.by_tool.get(tool).copied().unwrap_or(0);
        let wanted = number(steps.iter().filter(|step| step.tool == tool).count());
        let line = strictest(manifest, tool, |may| may.calls_per_run_max);
        let rate = case.rules.tool(tool).and_then(|tool| tool.contract.rate.per_run);
        let most = line.into_iter().chain(rate).min();
        rows.push((most, known.saturating_add(wanted), "calls of this tool in one run"));
    }
    let over =
        rows.into_iter().find_map(|(limit, count, what)| Some((limit.filter(|at| count > *at)?, what)));
    over.map_or(Ok(()), |(limit, what)| {
        Err(Box::new(Reason::new(Code::LimitReached).detail(what).limit(limit)))
    })
}

/// How fast an agent may be, over all its runs.
fn of_the_minute(case: &Case<'_>, run: &Run, manifest: &Manifest, stopping: &StoppingRules) -> Found {
    let none = AgentRates::default();
    let rates = case.state.agent_rates.get(&case.call.agent).unwrap_or(&none);
    let (caps, call, idle) = (&stopping.per_minute, case.call, Rate::default());
    let retries = run.pace.is_retry(&call.args_mark);
    let line = strictest(manifest, &call.tool, |may| may.calls_per_minute_max);
    let of_tool = rates.tools.get(&call.tool).unwrap_or(&idle);
    slow(case, caps.calls, &rates.calls, "calls of this agent in a minute")?;
    slow(case, caps.writes.filter(|_| case.writes()), &rates.writes, "writes of this agent in a minute")?;
    slow(case, caps.retries.filter(|_| retries), &rates.retries, "retries of this agent in a minute")?;
    slow(case, line, of_tool, "calls of this tool by this agent in a minute")?;
    let places = [
        (
            caps.destinations,
            &rates.destinations,
            &call.destinations,
            "destinations of this agent in a minute",
        ),
        (caps.hosts, &rates.hosts, &call.hosts, "hosts of this agent in a minute"),
    ];
    for (limit, known, marks, what) in places {
        let Some(limit) = limit.filter(|_| !marks.is_empty()) else { continue };
        let (count, wait_ms) = rate::places(known, marks, case.now);
        if count > case.state.share_of(limit) {
            let reason = Reason::new(Code::LimitReached).detail(what).limit(limit);
            return Err(Box::new(reason.retry_after_ms(wait_ms)));
        }
    }
    Ok(())
}

/// How fast a tool may be called, by all agents together.
fn of_the_tool(case: &Case<'_>) -> Found {
    let Some(tool) = case.tool else { return Ok(()) };
    let none = ToolRates::default();
    let rates = case.state.tool_rates.get(&case.call.tool).unwrap_or(&none);
    let rule = &tool.contract.rate;
    slow(case, rule.per_minute, &rates.calls, "calls of this tool in a minute")?;
    for mark in &case.call.destinations {
        if let Some(known) = rates.destinations.get(mark) {
            let what = "calls of this tool to one destination in a minute";
            slow(case, rule.per_destination_per_minute, known, what)?;
        }
    }
    Ok(())
}

/// Whether the run goes in circles, or tries again what failed without having learned anything.
fn circles(case: &Case<'_>, run: &Run, stopping: &StoppingRules) -> Found {
    let (pace, mark) = (&run.pace, case.call.args_mark);
    let circle =
        |what: &str, limit: u64| Err(Box::new(Reason::new(Code::LoopDetected).detail(what).limit(limit)));
    if stopping.replan == Some(true) && case.writes() && pace.needs_replan(&mark) {
        return Err(Box::new(Reason::new(Code::ReplanRequired)));
    }
    if let Some(limit) = stopping.same_call_max.filter(|limit| pace.made.get(&mark).count >= *limit) {
        return circle("the same call with the same arguments", limit);
    }
    let told = pace.told_again(&case.call.tool);
    if let Some(limit) = stopping.same_result_max.filter(|limit| !case.writes() && told >= *limit) {
        return circle("the same result of this tool", limit);
    }
    // Each of the two comes once a turn.
    let turns = pace.turns.with(mark);
    if let Some(limit) = stopping.ping_pong_max.filter(|limit| turns > limit.saturating_mul(2)) {
        return circle("two calls that take turns", limit);
    }
    Ok(())
}

fn slow(case: &Case<'_>, limit: Option<u64>, rate: &Rate, what: &str) -> Found {
    let Some(limit) = limit else { return Ok(()) };
    match rate.wait_ms(case.now, case.state.share_of(limit)) {
        Some(ms) => {
            Err(Box::new(Reason::new(Code::LimitReached).detail(what).limit(limit).retry_after_ms(ms)))
        }
        None => Ok(()),
    }
}

/// Most lines limit nothing, and are not compared.
fn strictest(manifest: &Manifest, tool: &str, limit: fn(&May) -> Option<u64>) -> Option<u64> {
    let limited = manifest.may.iter().filter_map(|may| Some((limit(may)?, may)));
    limited.filter(|(_, may)| glob::matches(&may.tool, tool)).map(|(limit, _)| limit).min()
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
