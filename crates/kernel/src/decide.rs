//! Decide: what a command leads to. Pure: the same state, rules, command and time give the same events, for ever.

mod ask;
mod assent;
mod balance;
mod commit;
mod group;
pub mod lend;
mod oblige;
mod open;
mod plan;
mod propose;
mod release;
pub mod room;
mod steer;
mod survey;
mod sweep;
mod takeback;

use std::collections::BTreeMap;

use stdx::digest::Digest;

use self::ask::{ask, decide_answer, ticketed};
use self::balance::decide_balance;
use self::commit::answered;
use self::lend::decide_return;
use self::open::{Closer, close_run, open_run};
use self::plan::{Desk, decide_plan};
use self::release::{collect, release};
use self::steer::{broken, decide_steer};
use self::survey::survey;
use self::sweep::sweep;
use crate::account::Amount;
use crate::approval::{Asked, Granted};
use crate::call::{Call, Carrier, Outcome, Part, Settlement};
use crate::checks::{Case, Judged, judge};
use crate::command::{Answer, Command, ControlCommand};
use crate::event::{
    CallDecided, CallFinished, Claimed, ClaimsReleased, Event, Halted, KeyMinted, KeyRevoked, Questioned,
    RefusalsCounted, Replanned, RequestRefused, RulesActivated, SignedOut, ToolSeen,
};
use crate::follow::RESTART;
use crate::halt::Scope;
use crate::id::{CallId, Mark, RunId};
use crate::obligation::Bound;
use crate::progress::Stage;
use crate::reason::{Code, Reason};
use crate::rules::Rules;
use crate::run::OpenCall;
use crate::state::{Control, State};
use crate::threshold::Action;
use crate::time::Time;
use crate::verdict::{Ruling, Verdict};
use crate::window::AccountId;

/// At most so many events come of one sweep or restart; the next goes on.
const SWEEP_MAX: usize = 500;

#[derive(Debug)]
pub struct Decision {
    pub answer: Answer,
    /// Empty: nothing happened that the ledger need know.
    pub events: Vec<Event>,
}

impl Decision {
    pub(crate) fn one(answer: Answer, event: Event) -> Decision {
        Decision { answer, events: vec![event] }
    }

    pub(crate) fn none(answer: Answer) -> Decision {
        Decision { answer, events: Vec::new() }
    }
}

pub fn decide(state: &State, control: &Control, rules: &Rules, command: &Command, now: Time) -> Decision {
    // INVARIANT: the ledger's time never goes back, whatever the clock does.
    let now = now.max(state.last);
    match command {
        Command::OpenRun(open) => open_run(state, control, rules, open, now),
        Command::CloseRun { run, agent, outcome, workflow, by } => {
            let closer = Closer { outcome: *outcome, workflow: workflow.as_deref(), by };
            close_run(state, control, rules, *run, agent.as_deref(), &closer)
        }
        Command::Join(call) => group::join(&case(state, control, rules, call, now)),
        Command::JoinLast(call) => {
            group::join(&Case { is_last: true, ..case(state, control, rules, call, now) })
        }
        Command::Propose(call) => propose(&case(state, control, rules, call, now)),
        Command::ProposeLast(call) => {
            propose(&Case { is_last: true, ..case(state, control, rules, call, now) })
        }
        Command::Steer { run, steer, by, why } => decide_steer(state, rules, *run, steer, by, why, now),
        Command::Balance(whose) => decide_balance(state, rules, whose, now),
        Command::GiveBack(accounts) => decide_return(state, control, accounts),
        Command::Question { call, by } => question(state, control, rules, call, by, now),
        Command::Settle(settlement) => settle(state, settlement),
        Command::Answer(answer) => decide_answer(state, control, rules, answer, now),
        Command::Release(call) => release(&case(state, control, rules, call, now)),
        Command::ReleaseLast(call) => {
            release(&Case { is_last: true, ..case(state, control, rules, call, now) })
        }
        Command::Collect { call, run, agent } => collect(state, *call, *run, agent),
        Command::Refused { agent, run, code } => refused(state, rules, agent, *run, code, now),
        Command::CountRefusals { agent, counts } => count_refusals(state, agent, counts),
        Command::ToolRested(rested) => Decision::one(Answer::Done, Event::ToolRested(rested.clone())),
        Command::Replan { run, agent, learned } => replan(state, rules, *run, agent, *learned),
        Command::Phase { .. }
        | Command::Plan { .. }
        | Command::Begin { .. }
        | Command::Stand { .. }
        | Command::Gather { .. }
        | Command::Commit { .. }
        | Command::Abort { .. }
        | Command::StepChecked(_)
        | Command::Unwind { .. }
        | Command::Pause { .. }
        | Command::EndCommit { .. }
        | Command::ResolveCall { .. }
        | Command::TakeBack { .. }
        | Command::AcceptResidue { .. } => planned(&Desk { state, control, rules, now }, command),
        Command::Sweep => sweep(state, control, rules, now),
        Command::Restarted => restarted(state),
    }
}

/// What is asked about plans.
fn planned(desk: &Desk<'_>, command: &Command) -> Decision {
    answered(match command {
        Command::Phase { run, agent, to } => commit::phase(desk, *run, agent, *to),
        Command::Plan { run, agent, plan } => return decide_plan(desk, *run, agent, plan, &[]),
        Command::Begin { run, agent } => {
            let call = begun(desk.state, *run, agent);
            group::begin(desk, &case(desk.state, desk.control, desk.rules, &call, desk.now))
        }
        Command::Stand { run, version } => group::stand(desk.state, *run, *version),
        Command::Gather { ticket, plan } => return propose::gather(desk, *ticket, plan),
        Command::Commit { run, agent, version, ticket, credential, is_last } => {
            let call = Call { id: *ticket, credential: *credential, ..begun(desk.state, *run, agent) };
            let case = case(desk.state, desk.control, desk.rules, &call, desk.now);
            commit::commit(desk, &Case { is_last: *is_last, ..case }, *version)
        }
        Command::Abort { run, agent, by, why } => commit::abort(desk, *run, agent.as_deref(), by, why),
        Command::StepChecked(looked) => commit::looked(desk, looked),
        Command::Unwind { run, .. } => commit::unwind(desk, *run),
        Command::Pause { run, .. } => commit::pause(desk, *run),
        Command::EndCommit { run } => commit::end(desk, *run),
        Command::ResolveCall { call, done, undo, by, why } => {
            commit::resolve(desk, *call, *done, undo.as_ref(), by, why)
        }
        Command::TakeBack { run, step, dry, by, why } => takeback::take_back(
            desk,
            &takeback::Asked { run: *run, step: step.as_deref(), dry: *dry, by, why },
        ),
        Command::AcceptResidue { run, by, why } => commit::accept(desk, *run, by, why),
        _ => Ok(Decision::none(Answer::Done)),
    })
}

/// What stands for all calls of a plan where only its run and its agent are asked for.
fn begun(state: &State, run: RunId, agent: &str) -> Call {
    let tool = state.plan(run).and_then(|plan| plan.steps.first()).map(|step| step.planned.tool.clone());
    Call {
        id: CallId(0),
        run,
        agent: agent.to_owned(),
        tool: tool.unwrap_or_default(),
        args: serde_json::Value::Null,
        args_commitment: Digest::of(b""),
        args_mark: Mark([0; 16]),
        key_mark: None,
        reasoning: None,
        model: None,
        context_tokens: None,
        carrier: Carrier::Gate,
        destinations: Vec::new(),
        hosts: Vec::new(),
        credential: None,
        ask_marks: None,
        bound: Bound::default(),
        part: None,
        touches: Vec::new(),
        facts: Vec::new(),
    }
}

pub fn decide_control(control: &Control, rules: &Rules, command: &ControlCommand) -> Decision {
    let event = match command.clone() {
        ControlCommand::Activate { digest, payload, agents, tools, by } => {
            Event::RulesActivated(RulesActivated { agents, by, digest, payload, tools })
        }
        ControlCommand::MintKey { key, agent, hash, expires, by, person } => {
            Event::KeyMinted(KeyMinted { agent, by, expires, hash, key, person })
        }
        ControlCommand::RevokeKey { key, .. } if !control.keys.contains_key(&key) => {
            return Decision::none(Answer::Refused(Reason::new(Code::KeyUnknown).detail(key.to_string())));
        }
        ControlCommand::RevokeKey { key, by, why } => Event::KeyRevoked(KeyRevoked { by, key, why }),
        ControlCommand::Halt { scope, why, by, until, reads_allowed, force } => match scope.unknown(rules) {
            Some(unknown) if !force => return Decision::none(Answer::Refused(unknown)),
            _ => Event::Halted(Halted { by, reads_allowed, scope, until, why }),
        },
        ControlCommand::Resume { scope, .. } if !control.halts.contains_key(&scope) => {
            return Decision::none(Answer::Refused(control.not_halted(&scope)));
        }
        ControlCommand::Resume { scope, why, by } => Event::Resumed(resumed(scope, why, by)),
        ControlCommand::LiftOverdue { now } => {
            let (by, why) = ("sweep", "its time is over");
            let lifted =
                |scope: &Scope| Event::Resumed(resumed(scope.clone(), why.to_owned(), by.to_owned()));
            let events = control.overdue(now).take(SWEEP_MAX).map(lifted).collect();
            return Decision { answer: Answer::Done, events };
        }
        ControlCommand::Claim { run, marks, until, now } => {
            if let Some(refused) = control.claim_refused(run, &marks, now) {
                return Decision::none(Answer::Refused(refused));
            }
            Event::Claimed(Claimed { marks, run, until })
        }
        ControlCommand::Release { run, .. } if !control.claims.has_any(run) => {
            return Decision::none(Answer::Done);
        }
        ControlCommand::Release { run, committed } => {
            Event::ClaimsReleased(ClaimsReleased { committed, run })
        }
        ControlCommand::SignIn(begun) => Event::SignedIn(begun),
        ControlCommand::SignOut { hash } => match control.sessions.get(&hash) {
            Some(session) => Event::SignedOut(SignedOut { by: session.by.clone(), hash }),
            None => return Decision::none(Answer::Done),
        },
        ControlCommand::SendIncident(sent) => Event::IncidentSent(sent),
        ControlCommand::SeeTool { tool, digest, .. } if control.seen.get(&tool) == Some(&digest) => {
            return Decision::none(Answer::Done);
        }
        ControlCommand::SeeTool { tool, digest, definition } => {
            Event::ToolSeen(ToolSeen { definition, digest, tool })
        }
    };
    Decision::one(Answer::Done, event)
}

fn resumed(scope: Scope, why: String, by: String) -> Halted {
    Halted { by, reads_allowed: false, scope, until: None, why }
}

fn case<'a>(state: &'a State, control: &'a Control, rules: &'a Rules, call: &'a Call, now: Time) -> Case<'a> {
    Case {
        control,
        state,
        rules,
        now,
        call,
        run: state.runs.get(&call.run),
        is_question: false,
        is_last: false,
        manifest: rules.agent(&call.agent),
        tool: rules.tool(&call.tool).map(AsRef::as_ref),
        granted: granted_with_its_plan(state, call),
        planned: None,
    }
}

/// A step has the yes that its plan was begun with.
fn granted_with_its_plan<'a>(state: &'a State, call: &Call) -> Option<&'a Granted> {
    let Some(Part::Step { version, .. }) = &call.part else { return None };
    let plan = state.plans_of(call.run).iter().find(|plan| plan.version == *version)?;
    plan.granted.as_ref()
}

fn propose(case: &Case<'_>) -> Decision {
    let Case { state, rules, now, call, .. } = *case;
    if let Some(answer) = seen_before(case) {
        return match answer {
            Answer::Same { .. } | Answer::Waiting(_) => Decision::none(answer),
            conflict => Decision { answer: conflict, ..refused_at_the_key(state, rules, call, now) },
        };
    }
    if let Some(decision) = ticketed(case) {
        return decision;
    }
    if let Some(decision) = oblige::oblige(case) {
        return decision;
    }
    match group::taken(case) {
        Some(Answer::Refused(reason)) => conclude(case, Judged::denied(reason), None),
        Some(answer) => Decision::none(answer),
        None => {
            let judged = judge(case);
            if judged.verdict.asks() { ask(case, judged) } else { conclude(case, judged, None) }
        }
    }
}

/// What was judged becomes an event, unless it is one refusal of a flood.
fn conclude(case: &Case<'_>, judged: Judged, asked: Option<Asked>) -> Decision {
    let Case { control, state, rules, now, call, granted, .. } = *case;
    let Judged { mut verdict, reserved, accounts, seen, needs, exhausted, .. } = judged;
    if !needs.is_empty() {
        return Decision::none(Answer::Short(needs));
    }
    let allowed = verdict.allows();
    let now_there: Vec<AccountId>;
    let told = if allowed {
        &accounts
    } else {
        now_there = rules.accounts(&call.agent, now).into_iter().map(|account| account.id).collect();
        &now_there
    };
    // What a part of a plan takes was held, and so taken, before.
    let held = case.step().map(|(plan, _)| plan.hold.clone()).unwrap_or_default();
    let (left, crossed) = survey(case, &reserved.minus(&held), told, &seen);
    verdict.left = case.run.filter(|run| run.agent == call.agent).map(|_| Box::new(left));
    (verdict.obligations, verdict.level) = (call.bound.by.clone(), call.bound.level.clone());
    let crossed = if allowed { crossed } else { Vec::new() };
    let house = &rules.book.house;
    let refusals = state.refusals(Some(call.run), &call.agent);
    let ends_ask = granted.is_some_and(|granted| granted.ends_ask);
    let denies = verdict.ruling == Ruling::Deny && !ends_ask;
    // The end of a step is always recorded: its plan goes by it.
    if denies && call.part.is_none() && refusals.is_flood(now, house.refusals_per_minute_max) {
        return Decision::none(Answer::Verdict(verdict));
    }
    let executor = verdict.allows() && call.carrier == Carrier::Executor;
    let decided = CallDecided {
        accounts,
        agent: call.agent.clone(),
        approved: granted.filter(|_| allowed).map(|granted| granted.by.clone()).unwrap_or_default(),
        args: call.args_commitment,
        asked,
        call: call.id,
        carrier: call.carrier,
        context_tokens: call.context_tokens,
        contract: case.tool.map(|tool| tool.digest),
        control_seq: control.seq,
        destinations: call.destinations.clone(),
        effect: case.tool.map_or("unknown", |tool| tool.contract.effect.name()).to_owned(),
        ends_ask,
        expires: executor.then(|| now.plus_ms(house.permit_ttl_ms + house.permit_grace_ms)),
        facts: call.facts.iter().flatten().copied().collect(),
        hosts: call.hosts.clone(),
        key: call.key_mark,
        level: call.bound.level.clone(),
        mark: call.args_mark,
        model: call.model.clone(),
        obliged: verdict.obligations.clone(),
        part: call.part.clone(),
        reasoning: call.reasoning,
        reasons: verdict.reasons.clone(),
        reserved,
        rules: verdict.rules.clone(),
        rules_digest: rules.digest,
        ruling: verdict.ruling,
        run: call.run,
        standing: granted.filter(|_| allowed).and_then(|granted| granted.standing),
        tool: call.tool.clone(),
        touches: call.touches.clone(),
        would: verdict.would.clone(),
    };
    let broken = broken(state, exhausted.as_ref(), house.pauses);
    let first = Event::CallDecided(Box::new(decided));
    let stops = thinks_again(case, &crossed);
    let events = std::iter::once(first).chain(crossed).chain(broken).chain(stops).collect();
    Decision { answer: Answer::Verdict(verdict), events }
}

/// A gate that says `decide` moves a plan that is being carried out back there.
fn thinks_again(case: &Case<'_>, crossed: &[Event]) -> Option<Event> {
    let (plan, _) = case.step().filter(|(plan, _)| plan.stage == Stage::Committing)?;
    let percent = crossed.iter().find_map(|event| match event {
        Event::ThresholdCrossed(crossed) if crossed.action == Action::Decide => Some(crossed.percent),
        _ => None,
    })?;
    let why = format!("plan {} has come to {percent} % of a budget", plan.version);
    Some(commit::back_to_decide(case.call.run, "gates", why))
}

/// What the rules alone say of a call that nobody made, outside any run.
pub fn explain_policy(
    rules: &Rules,
    agent: &str,
    tool: &str,
    args: &serde_json::Value,
    now: Time,
) -> policy::Answer {
    let destinations = rules
        .tool(tool)
        .and_then(|tool| crate::destination::destinations(&tool.contract, args).ok())
        .unwrap_or_default();
    rules.policy.decide(&policy::Facts {
        agent,
        tool,
        args,
        phase: "off",
        run_age_seconds: 0,
        run_calls: 0,
        spent_percent: 0,
        labels: &[],
        subject: "",
        depth: 0,
        approvals: &[],
        destinations: &destinations,
        hour: now.hour(),
        weekday: now.weekday(),
    })
}

/// An idempotency key means one call for ever: the same answer, or a conflict if the arguments differ.
fn seen_before(case: &Case<'_>) -> Option<Answer> {
    let run = case.state.own_run(case.call.run, &case.call.agent)?;
    let keyed = run.keyed.get(&case.call.key_mark?)?;
    if keyed.args != case.call.args_mark {
        return Some(Answer::Verdict(Verdict::deny(Reason::new(Code::IdempotencyConflict))));
    }
    if keyed.verdict.asks() {
        return Some(Answer::Waiting(keyed.call));
    }
    Some(Answer::Same { call: keyed.call, verdict: keyed.verdict.clone(), ended: keyed.ended.clone() })
}

fn question(state: &State, control: &Control, rules: &Rules, call: &Call, by: &str, now: Time) -> Decision {
    let case = Case { is_question: true, run: None, ..case(state, control, rules, call, now) };
    let Judged { verdict, .. } = judge(&case);
    let asked = Questioned {
        agent: call.agent.clone(),
        args: call.args_commitment,
        by: by.to_owned(),
        call: call.id,
        control_seq: control.seq,
        rules_digest: rules.digest,
        tool: call.tool.clone(),
        verdict: verdict.clone(),
    };
    Decision::one(Answer::Verdict(verdict), Event::Questioned(Box::new(asked)))
}

/// One event for each of the agent's own runs, and one for all that it named and does not have.
fn count_refusals(state: &State, agent: &str, counts: &[(Option<RunId>, u64)]) -> Decision {
    let mut sums = BTreeMap::<Option<RunId>, u64>::new();
    for (run, count) in counts {
        let own = run.filter(|run| state.own_run(*run, agent).is_some());
        let sum = sums.entry(own).or_default();
        *sum = sum.saturating_add(*count);
    }
    let counted =
        |(run, count)| Event::RefusalsCounted(RefusalsCounted { agent: agent.to_owned(), count, run });
    Decision { answer: Answer::Done, events: sums.into_iter().map(counted).collect() }
}

/// The key belongs to another call, so the refusal is recorded beside that call and not in its place.
fn refused_at_the_key(state: &State, rules: &Rules, call: &Call, now: Time) -> Decision {
    refused(state, rules, &call.agent, Some(call.run), Code::IdempotencyConflict.name(), now)
}

fn settle(state: &State, settlement: &Settlement) -> Decision {
    let open = state.calls.get(&settlement.call).filter(|open| {
        open.carrier == settlement.carrier()
            && settlement.agent.as_ref().is_none_or(|agent| *agent == open.agent)
            && (!open.unknown || settlement.outcome != Outcome::Unknown)
    });
    let Some(open) = open else { return Decision::none(Answer::refused(Code::CallUnknown)) };
    let posted = match settlement.outcome {
        Outcome::NotDispatched => Amount::default(),
        // INVARIANT: nothing is posted that was not reserved.
        _ => used(open, settlement),
    };
    let by = match settlement.carrier() {
        Carrier::Gate => "gate",
        Carrier::Executor => "executor",
    };
    let finished = CallFinished {
        by: by.to_owned(),
        call: settlement.call,
        duration_ms: settlement.duration_ms,
        facts: settlement.facts.clone(),
        outcome: settlement.outcome,
        posted,
        result: settlement.result,
        result_mark: settlement.result_mark,
        run: open.run,
        transient: settlement.transient,
        trouble: settlement.trouble.clone(),
        undo: settlement.undo.clone(),
        why: None,
    };
    let also = also_settled(state, open, &finished);
    let events = std::iter::once(finished).chain(also).map(Event::CallFinished).collect();
    Decision { answer: Answer::Done, events }
}

/// What is known of one try of a deed is known of those before it, because the tool takes them for one.
fn also_settled(state: &State, open: &OpenCall, finished: &CallFinished) -> Vec<CallFinished> {
    let vague = finished.transient || matches!(finished.outcome, Outcome::Unknown | Outcome::NotDispatched);
    if open.part.is_none() || vague {
        return Vec::new();
    }
    let also = |(call, other): (CallId, &OpenCall)| CallFinished {
        by: "repeat".to_owned(),
        call,
        posted: other.reserved.clone(),
        facts: Vec::new(),
        undo: None,
        ..finished.clone()
    };
    commit::tries(state, open, finished.call).into_iter().map(also).collect()
}

/// What a call took in the end. What was reserved for the longest wait is posted as the time that it was.
fn used(open: &OpenCall, settlement: &Settlement) -> Amount {
    let used = open.reserved.used(&settlement.used);
    let seconds = settlement.duration_ms.div_ceil(1_000).min(open.reserved.seconds);
    Amount { seconds, ..used }
}

fn refused(state: &State, rules: &Rules, agent: &str, run: Option<RunId>, code: &str, now: Time) -> Decision {
    let own = run.filter(|run| state.own_run(*run, agent).is_some());
    if state.refusals(own, agent).is_flood(now, rules.book.house.refusals_per_minute_max) {
        return Decision::none(Answer::Done);
    }
    let refused = RequestRefused { agent: agent.to_owned(), code: code.to_owned(), run: own };
    Decision::one(Answer::Done, Event::RequestRefused(refused))
}

fn replan(state: &State, rules: &Rules, run: RunId, agent: &str, learned: Digest) -> Decision {
    let (Some(open), Some(manifest)) = (state.own_run(run, agent), rules.agent(agent)) else {
        return Decision::none(Answer::refused(Code::RunUnknown));
    };
    let limit = rules.stopping(manifest).per_run.replans;
    if let Some(limit) = limit.filter(|limit| open.pace.replans >= *limit) {
        let reason = Reason::new(Code::LimitReached).detail("replans in one run").limit(limit);
        return Decision::none(Answer::Refused(reason));
    }
    Decision::one(Answer::Done, Event::Replanned(Replanned { agent: agent.to_owned(), learned, run }))
}

fn unknown(call: CallId, open: &OpenCall, now: Time, by: &str) -> Event {
    Event::CallFinished(CallFinished {
        by: by.to_owned(),
        call,
        duration_ms: now.since_ms(open.decided),
        facts: Vec::new(),
        outcome: Outcome::Unknown,
        posted: Amount::default(),
        result: None,
        result_mark: None,
        run: open.run,
        transient: false,
        trouble: None,
        undo: None,
        why: None,
    })
}

/// What Remit itself was carrying when it stopped may or may not have happened.
fn restarted(state: &State) -> Decision {
    let lost = state.calls.iter().filter(|(_, open)| open.carrier == Carrier::Gate && !open.unknown);
    let mut lost: Vec<_> = lost.collect();
    lost.sort_by_key(|(id, _)| **id);
    lost.truncate(SWEEP_MAX);
    let events = lost.into_iter().map(|(id, open)| unknown(*id, open, state.last, RESTART));
    let events = events.chain(group::lost(state).take(SWEEP_MAX)).collect();
    Decision { answer: Answer::Done, events }
}

impl Answer {
    /// The ruling, where the answer is one.
    pub fn ruling(&self) -> Option<Ruling> {
        match self {
            Answer::Verdict(verdict) | Answer::Same { verdict, .. } => Some(verdict.ruling),
            _ => None,
        }
    }
}
