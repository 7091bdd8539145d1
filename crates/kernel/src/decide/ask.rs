//! Asking: a call that people must say yes to waits for them, unless it asks too often; and what they answer.

use std::sync::Arc;

use stdx::digest::Digest;

use super::{Decision, case, conclude, propose};
use crate::approval::{AskMarks, Asked, Edited, Given, Granted, Pending, RiskPart, Subject};
use crate::approvers::ASK_QUOTA;
use crate::call::Call;
use crate::checks::{Case, Judged, judge};
use crate::command::{Answer, PersonAnswer};
use crate::event::{Answered, CallDecided, Collected, Event, RunSteered};
use crate::held::Target;
use crate::id::CallId;
use crate::proposal::{Proposal, net};
use crate::reason::{Code, Reason};
use crate::risk::{Weighed, score, weigh};
use crate::rules::Rules;
use crate::run::Run;
use crate::state::{Control, State};
use crate::time::Time;
use crate::verdict::{Ruling, Verdict};

const HOUR_MS: u64 = 3_600_000;

/// The same call again, while people are asked or when they have answered: no second ask, and the outcome once.
pub(super) fn ticketed(case: &Case<'_>) -> Option<Decision> {
    let run = case.state.own_run(case.call.run, &case.call.agent)?;
    // The step that a proposal became is no repeat of it.
    if run.tickets.is_empty() || case.call.key_mark.is_some() || case.call.part.is_some() {
        return None;
    }
    let ticket = run.tickets.get(&case.call.args_mark)?;
    let call = ticket.call;
    if ticket.verdict.is_none() && run.proposal(call).is_some() {
        return propose::proposed_before(run, ticket, &case.call.agent, case);
    }
    match (&ticket.verdict, &ticket.ended) {
        (Some(verdict), ended) if ended.is_some() || verdict.ruling == Ruling::Deny => {
            let answer = Answer::Same { call, verdict: verdict.clone(), ended: ended.clone() };
            let collected = Collected { agent: case.call.agent.clone(), call, run: case.call.run };
            Some(Decision::one(answer, Event::Collected(collected)))
        }
        _ => Some(Decision::none(Answer::Waiting(call))),
    }
}

/// People are asked: by what they approved before it may pass, and by how often they are asked it may not.
pub(super) fn ask(case: &Case<'_>, mut judged: Judged) -> Decision {
    let Some(run) = case.run else { return conclude(case, judged, None) };
    if !judged.needs.is_empty() {
        return Decision::none(Answer::Short(judged.needs));
    }
    let Some(marks) = &case.call.ask_marks else {
        return Decision::none(Answer::Marks(case.state.fields_wanted(case)));
    };
    if let Some(granted) = case.state.standing_for(case, marks, &judged.cost) {
        let again = Case { granted: Some(&granted), ..*case };
        let judged = judge(&again);
        if judged.verdict.allows() {
            return conclude(&again, judged, None);
        }
    }
    let proposes = propose::proposes(case);
    let joined = if proposes { propose::joined(case) } else { None };
    let flood = match joined {
        Some((ticket, _)) => propose::too_many(run, ticket),
        None => flooded(case, run),
    };
    if let Some((what, limit)) = flood {
        return too_often(case, what, limit);
    }
    if proposes {
        if let Some(reason) = propose::misleads(case) {
            return conclude(case, Judged::denied(reason), None);
        }
        judged.verdict.reasons.iter_mut().for_each(|reason| reason.code = Code::Proposed);
    }
    let house = &case.rules.book.house.approvals;
    let cost = judged.cost.clone();
    let risk = risk(case, marks, &judged);
    let ends = case.state.lineage(case.call.run).map(|(_, run)| run.expires).min().unwrap_or(run.expires);
    let expires = case.now.plus_ms(house.expires_ms).min(ends);
    let asked = Asked {
        bound: Digest([0; 32]),
        cost,
        credential: case.call.credential,
        persons: case.control.given_to(case.call.credential).map(str::to_owned).into_iter().collect(),
        expires: joined.map_or(expires, |(_, pending)| pending.expires),
        places: marks.places.clone(),
        plan: None,
        risk,
        with: proposes.then(|| joined.map_or(case.call.id, |(ticket, _)| ticket)),
    };
    let name = asked.with.unwrap_or(case.call.id);
    let mut decision = conclude(case, judged, Some(asked));
    let first = decision.events.first_mut();
    if let Some(Event::CallDecided(decided)) = first {
        let seq = case.state.seq + 1;
        let pending = match proposes {
            true => case.state.proposals_with(case.now, seq, decided),
            false => case.state.pending_of(case.now, seq, decided),
        };
        if let (Some(pending), Some(asked)) = (pending, &mut decided.asked) {
            asked.bound = pending.bound(name, case.rules);
        }
    }
    decision
}

fn risk(case: &Case<'_>, marks: &AskMarks, judged: &Judged) -> Vec<RiskPart> {
    let house = &case.rules.book.house;
    let weighed = Weighed {
        contract: case.tool.map(|tool| tool.contract.as_ref()),
        habit: case.state.habits.get(&case.call.agent),
        tool: &case.call.tool,
        cost: &judged.cost,
        places: &marks.places,
        now: case.now,
        calendar: &house.calendar,
    };
    weigh(&house.approvals.risk, &weighed)
}

/// Whether this would be one question too many, of the run or of the agent within the hour.
pub(super) fn flooded(case: &Case<'_>, run: &Run) -> Option<(&'static str, u64)> {
    let house = &case.rules.book.house.approvals;
    let hour = case.state.asks.get(&case.call.agent).copied().unwrap_or_default();
    let lately = if case.now.since_ms(hour.since) < HOUR_MS { hour.count } else { 0 };
    let per_hour = case.state.share_of(house.per_agent_hour_max);
    if run.asks >= house.per_run_max {
        Some(("questions to people in one run", house.per_run_max))
    } else if lately >= per_hour {
        Some(("questions of this agent to people in an hour", per_hour))
    } else {
        None
    }
}

/// The run waits for a person before that question is shown to anybody.
fn too_often(case: &Case<'_>, what: &str, limit: u64) -> Decision {
    let reason = Reason::new(Code::LimitReached).detail(what).limit(limit);
    let judged = Judged::denied(reason);
    let mut decision = conclude(case, judged, None);
    let why = format!("no more than {limit} {what}, and it asked again");
    let paused = RunSteered { by: ASK_QUOTA.to_owned(), run: case.call.run, why };
    decision.events.push(Event::RunPaused(paused));
    decision
}

/// Why nobody need answer it any more.
pub(super) fn cancelled(control: &Control, rules: &Rules, pending: &Pending, now: Time) -> Option<Reason> {
    let cancelled = |why: &str| Some(Reason::new(Code::ApprovalCancelled).detail(why));
    if pending.credential.is_some_and(|key| !control.keys.contains_key(&key)) {
        return cancelled("the key that asked was revoked");
    }
    if control.halts.is_empty() {
        return None;
    }
    let runs = std::iter::once(pending.run).chain(pending.above.iter().copied()).collect();
    let target = Target::new(rules, &pending.agent, &pending.tool, runs);
    let (scope, halt) = control.halted(&target, now)?;
    cancelled(&halt.says(scope))
}

/// What waits is denied.
pub(super) fn denied(
    state: &State,
    control: &Control,
    rules: &Rules,
    call: CallId,
    reason: Reason,
) -> Vec<Event> {
    let Some(pending) = state.pending.get(&call) else { return Vec::new() };
    let run = state.runs.get(&pending.run).filter(|_| pending.subject == Subject::Proposals);
    let Some(run) = run else {
        return vec![Event::CallDecided(Box::new(pending.denied(call, reason, rules, control.seq)))];
    };
    // The one that it waits under ends last, and all of it with it.
    let mut all: Vec<&Proposal> = run.proposals.iter().filter(|one| one.ticket == call).collect();
    all.sort_by_key(|one| one.call == call);
    let own = all.last().is_some_and(|one| one.call == call);
    let of = |one: &Proposal| denied_one(rules, control.seq, pending, one, reason.clone());
    let mut events: Vec<Event> = all.into_iter().map(of).collect();
    if !own {
        events.push(Event::CallDecided(Box::new(pending.denied(call, reason, rules, control.seq))));
    }
    events
}

/// One of several proposals is denied.
pub(super) fn denied_one(
    rules: &Rules,
    control_seq: u64,
    pending: &Pending,
    one: &Proposal,
    reason: Reason,
) -> Event {
    Event::CallDecided(Box::new(CallDecided {
        args: one.args,
        contract: rules.tool(&one.tool).map(|tool| tool.digest),
        effect: one.effect.clone(),
        mark: one.mark,
        reasoning: one.reasoning,
        tool: one.tool.clone(),
        touches: one.touches.clone(),
        ..pending.denied(one.call, reason, rules, control_seq)
    }))
}

/// A person answers. What they saw must be what it is now, and they must be somebody who may.
pub(super) fn decide_answer(
    state: &State,
    control: &Control,
    rules: &Rules,
    answer: &PersonAnswer,
    now: Time,
) -> Decision {
    let Some(pending) = state.pending.get(&answer.call) else {
        return Decision::none(Answer::refused(Code::ApprovalUnknown));
    };
    let groups = match answerable(control, rules, pending, answer, now) {
        Ok(groups) => groups,
        Err(reason) => return Decision::none(Answer::Refused(*reason)),
    };
    let mut answered = Answered {
        agent: pending.agent.clone(),
        bound: answer.bound,
        by: answer.by.clone(),
        call: answer.call,
        edited: None,
        groups,
        only: answer.only.clone(),
        run: pending.run,
        standing: answer.standing.clone(),
        tool: pending.tool.clone(),
        words: answer.words,
        yes: answer.yes,
    };
    if !answer.yes {
        (answered.standing, answered.groups, answered.only) = (None, Vec::new(), Vec::new());
        let reason = Reason::new(Code::ApprovalDenied).detail(&answer.by);
        let over = denied(state, control, rules, answer.call, reason);
        let events = std::iter::once(Event::Answered(Box::new(answered))).chain(over).collect();
        let answer = Answer::Given { complete: false, bound: answer.bound, waits_for: Vec::new() };
        return Decision { answer, events };
    }
    let mut then = pending.clone();
    if let Some(reason) = not_of_its_kind(state, pending, answer) {
        return Decision::none(Answer::Refused(reason));
    }
    if let Some(edit) = &answer.edit {
        if let Err(reason) = editable(state, control, rules, pending, edit, now) {
            return Decision::none(Answer::Refused(*reason));
        }
        let edited = edited(edit);
        then.args = edited.args;
        answered.bound = then.bound(answer.call, rules);
        answered.edited = Some(edited);
    }
    then.yeses.push(Given::new(now, &answered));
    let waits_for = then.waits_for(answer.call, rules);
    let given = Answer::Given { complete: waits_for.is_empty(), bound: answered.bound, waits_for };
    Decision::one(given, Event::Answered(Box::new(answered)))
}

/// Plans and proposals are approved as they are, and once; of proposals some may be picked.
fn not_of_its_kind(state: &State, pending: &Pending, answer: &PersonAnswer) -> Option<Reason> {
    let refused = |why: &str| Some(Reason::new(Code::EditRefused).detail(why));
    let is_one = pending.subject == Subject::Call;
    if !is_one && (answer.edit.is_some() || answer.standing.is_some()) {
        return refused("a plan is approved as it is, and once");
    }
    if answer.only.is_empty() {
        return None;
    }
    let run = state.runs.get(&pending.run).filter(|_| pending.subject == Subject::Proposals);
    let Some(run) = run else { return refused("only of what a run proposes some may be picked") };
    let kept = net(run.proposed(answer.call)).kept;
    let known = |call: &CallId| kept.iter().any(|one| one.call == *call);
    match answer.only.iter().all(known) {
        true => None,
        false => refused("one of the picked is none that would be done"),
    }
}

/// The groups for which this person's answer counts.
fn answerable(
    control: &Control,
    rules: &Rules,
    pending: &Pending,
    answer: &PersonAnswer,
    now: Time,
) -> Result<Vec<String>, Box<Reason>> {
    let house = &rules.book.house.approvals;
    if now >= pending.expires {
        return Err(Box::new(Reason::new(Code::ApprovalExpired)));
    }
    if let Some(reason) = cancelled(control, rules, pending, now) {
        return Err(Box::new(reason));
    }
    let groups = pending.groups_of(&answer.by, house, now)?;
    let bound = pending.bound(answer.call, rules);
    if answer.bound != bound {
        return Err(Box::new(Reason::new(Code::ApprovalStale)));
    }
    if !answer.yes {
        return Ok(groups);
    }
    if pending.yeses.iter().any(|given| given.by == answer.by && given.bound == bound) {
        return Err(Box::new(Reason::new(Code::AlreadyAnswered).detail(&answer.by)));
    }
    if score(&pending.risk) >= house.reason_from && answer.words.is_none() {
        return Err(Box::new(Reason::new(Code::ReasonRequired).limit(house.reason_from)));
    }
    Ok(groups)
}

/// An approver's arguments must be what the rules allow if everybody who was asked says yes, and nothing wider.
fn editable(
    state: &State,
    control: &Control,
    rules: &Rules,
    pending: &Pending,
    edit: &Arc<Call>,
    now: Time,
) -> Result<(), Box<Reason>> {
    let same = edit.agent == pending.agent && edit.run == pending.run && edit.tool == pending.tool;
    if !same {
        return Err(Box::new(Reason::new(Code::ApprovalUnknown)));
    }
    let granted = Granted { groups: pending.reason.ask.clone(), ..Granted::default() };
    let case = Case { granted: Some(&granted), ..case(state, control, rules, edit, now) };
    let Judged { verdict: Verdict { ruling, reasons, .. }, .. } = judge(&case);
    match (ruling, reasons.into_iter().next()) {
        (Ruling::Allow, _) => Ok(()),
        (_, reason) => {
            let says = reason.map(|reason| reason.says()).unwrap_or_default();
            Err(Box::new(Reason::new(Code::EditRefused).detail(says)))
        }
    }
}

fn edited(edit: &Call) -> Edited {
    Edited {
        args: edit.args_commitment,
        destinations: edit.destinations.clone(),
        hosts: edit.hosts.clone(),
        mark: edit.args_mark,
        places: edit.ask_marks.as_ref().map(|marks| marks.places.clone()).unwrap_or_default(),
    }
}
