//! Assent: a plan that people must say yes to is asked about as one thing, and begins when they did.

use super::Decision;
use super::ask::{cancelled, denied, flooded};
use super::plan::Desk;
use crate::account::Amount;
use crate::approval::{Asked, Pending};
use crate::approvers::ASK_QUOTA;
use crate::call::Carrier;
use crate::checks::Case;
use crate::command::Answer;
use crate::event::{CallDecided, Event, RunSteered};
use crate::id::{CallId, RunId};
use crate::progress::PlanState;
use crate::reason::{Code, Reason};
use crate::risk::{Weighed, weigh};
use crate::run::Run;
use crate::verdict::Ruling;

/// Under this name a plan stands among what waits for people.
const TOOL: &str = "remit.commit";

pub(super) enum Assent {
    /// Nobody need be asked, or all said yes: under which name, and who.
    Given(Option<(CallId, Vec<String>)>),
    /// They are asked now, or were before.
    Asked(Decision),
}

/// Whether a plan may begin as far as people are concerned. What they approve is the plan by its digest, in the rules
/// of now; once.
pub(super) fn assented(desk: &Desk<'_>, case: &Case<'_>, plan: &PlanState) -> Result<Assent, Box<Reason>> {
    let (Some(run), run_id) = (case.run, case.call.run) else { return Ok(Assent::Given(None)) };
    if plan.asks.is_empty() || plan.granted.is_some() {
        return Ok(Assent::Given(None));
    }
    let Some((ticket, pending)) = waiting(desk, run_id, plan.version) else {
        return ask(desk, case, run, plan);
    };
    if desk.now >= pending.expires {
        return Err(Box::new(Reason::new(Code::ApprovalExpired)));
    }
    if let Some(reason) = cancelled(desk.control, desk.rules, pending, desk.now) {
        return Err(Box::new(reason));
    }
    if !pending.waits_for(ticket, desk.rules).is_empty() {
        return Err(Box::new(waits(&plan.asks, ticket)));
    }
    let by = pending.approved_by(pending.bound(ticket, desk.rules));
    Ok(Assent::Given(Some((ticket, by))))
}

fn waiting<'a>(desk: &Desk<'a>, run: RunId, version: u32) -> Option<(CallId, &'a Pending)> {
    let of = |pending: &Pending| pending.run == run && pending.plan == Some(version);
    desk.state.pending.iter().find(|(_, pending)| of(pending)).map(|(ticket, pending)| (*ticket, pending))
}

fn waits(asks: &[String], ticket: CallId) -> Reason {
    Reason { ask: asks.to_vec(), ..Reason::new(Code::ApprovalRequired).detail(ticket.to_string()) }
}

fn ask(desk: &Desk<'_>, case: &Case<'_>, run: &Run, plan: &PlanState) -> Result<Assent, Box<Reason>> {
    let run_id = case.call.run;
    if let Some((what, limit)) = flooded(case, run) {
        let why = format!("no more than {limit} {what}, and it asked again");
        let paused = Event::RunPaused(RunSteered { by: ASK_QUOTA.to_owned(), run: run_id, why });
        let reason = Reason::new(Code::LimitReached).detail(what).limit(limit);
        return Ok(Assent::Asked(Decision::one(Answer::Refused(reason), paused)));
    }
    let reason = waits(&plan.asks, case.call.id);
    let mut decided = asked(desk, case, run, plan, reason.clone());
    let pending = desk.state.pending_of(desk.now, desk.state.seq + 1, &decided);
    if let (Some(pending), Some(asked)) = (pending, &mut decided.asked) {
        asked.bound = pending.bound(case.call.id, desk.rules);
    }
    let event = Event::CallDecided(Box::new(decided));
    Ok(Assent::Asked(Decision::one(Answer::Refused(reason), event)))
}

/// The plan as one call that waits.
fn asked(desk: &Desk<'_>, case: &Case<'_>, run: &Run, plan: &PlanState, reason: Reason) -> CallDecided {
    let house = &desk.rules.book.house;
    let worst = plan.steps.iter().max_by_key(|step| step.planned.effect);
    let contract = worst.and_then(|step| desk.rules.tool(&step.planned.tool));
    let risk = weigh(
        &house.approvals.risk,
        &Weighed {
            contract: contract.map(|tool| tool.contract.as_ref()),
            habit: desk.state.habits.get(&plan.agent),
            tool: worst.map_or(TOOL, |step| step.planned.tool.as_str()),
            cost: &plan.cost,
            places: &[],
            now: desk.now,
            calendar: &house.calendar,
        },
    );
    let ends = desk.state.lineage(case.call.run).map(|(_, run)| run.expires).min().unwrap_or(run.expires);
    let asked = Asked {
        bound: plan.digest,
        cost: plan.cost.clone(),
        credential: case.call.credential,
        expires: desk.now.plus_ms(house.approvals.expires_ms).min(ends),
        persons: desk.control.given_to(case.call.credential).map(str::to_owned).into_iter().collect(),
        places: Vec::new(),
        plan: Some(plan.version),
        risk,
        with: None,
    };
    CallDecided {
        accounts: Vec::new(),
        agent: plan.agent.clone(),
        approved: Vec::new(),
        args: plan.digest,
        asked: Some(asked),
        call: case.call.id,
        carrier: Carrier::Gate,
        context_tokens: None,
        contract: None,
        control_seq: desk.control.seq,
        destinations: Vec::new(),
        effect: worst.map_or("unknown", |step| step.planned.effect.name()).to_owned(),
        ends_ask: false,
        expires: None,
        facts: Vec::new(),
        hosts: Vec::new(),
        key: None,
        level: None,
        mark: plan.mark,
        model: None,
        obliged: Vec::new(),
        part: None,
        reasoning: None,
        reasons: vec![reason],
        reserved: Amount::default(),
        rules: Vec::new(),
        rules_digest: desk.rules.digest,
        ruling: Ruling::Ask,
        run: case.call.run,
        standing: None,
        tool: TOOL.to_owned(),
        touches: Vec::new(),
        would: Vec::new(),
    }
}

/// What people are asked about is no longer what would be done.
pub(super) fn withdrawn(desk: &Desk<'_>, run: RunId, why: &str) -> Vec<Event> {
    let of_run = |(_, pending): &(&CallId, &Pending)| pending.run == run && pending.plan.is_some();
    let mut tickets: Vec<CallId> = desk.state.pending.iter().filter(of_run).map(|(id, _)| *id).collect();
    tickets.sort_unstable();
    let reason = || Reason::new(Code::ApprovalCancelled).detail(why);
    let denied = |ticket| denied(desk.state, desk.control, desk.rules, ticket, reason());
    tickets.into_iter().flat_map(denied).collect()
}
