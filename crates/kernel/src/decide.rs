//! Decide: what a command leads to. Pure: the same state, rules, command and time give the same events, for ever.

mod balance;
pub mod lend;
mod open;
pub mod room;
mod steer;
mod survey;

use std::collections::{BTreeMap, BTreeSet};

use stdx::digest::Digest;

use self::balance::decide_balance;
use self::lend::decide_return;
use self::open::{close_run, closed_with_children, open_run};
use self::steer::{broken, decide_steer};
use self::survey::survey;
use crate::account::Amount;
use crate::call::{Call, Carrier, Outcome, Settlement};
use crate::checks::{Case, Judged, judge};
use crate::command::{Answer, Closing, Command, ControlCommand};
use crate::event::{
    CallDecided, CallFinished, Event, Halted, KeyMinted, KeyRevoked, Questioned, RefusalsCounted, Replanned,
    RequestRefused, RulesActivated, ToolSeen,
};
use crate::halt::Scope;
use crate::id::{CallId, RunId};
use crate::reason::{Code, Reason};
use crate::rules::Rules;
use crate::run::OpenCall;
use crate::state::{Control, Due, State};
use crate::time::Time;
use crate::verdict::{Ruling, Verdict};

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
            close_run(state, *run, agent.as_deref(), *outcome, workflow.as_deref(), by)
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
        Command::Refused { agent, run, code } => refused(state, rules, agent, *run, code, now),
        Command::CountRefusals { agent, counts } => count_refusals(state, agent, counts),
        Command::ToolRested(rested) => Decision::one(Answer::Done, Event::ToolRested(rested.clone())),
        Command::Replan { run, agent, learned } => replan(state, rules, *run, agent, *learned),
        Command::Phase { .. }
        | Command::Plan { .. }
        | Command::Commit { .. }
        | Command::Abort { .. }
        | Command::StepChecked(_)
        | Command::Unwind { .. }
        | Command::Pause { .. }
        | Command::EndCommit { .. }
        | Command::ResolveCall { .. }
        | Command::TakeBack { .. }
        | Command::AcceptResidue { .. } => Decision::none(Answer::refused(Code::PlanUnknown)),
        Command::Sweep => sweep(state, now),
        Command::Restarted => restarted(state),
    }
}

pub fn decide_control(control: &Control, rules: &Rules, command: &ControlCommand) -> Decision {
    let event = match command.clone() {
        ControlCommand::Activate { digest, payload, agents, tools, by } => {
            Event::RulesActivated(RulesActivated { agents, by, digest, payload, tools })
        }
        ControlCommand::MintKey { key, agent, hash, expires, by } => {
            Event::KeyMinted(KeyMinted { agent, by, expires, hash, key })
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
        ControlCommand::Claim { .. } | ControlCommand::Release { .. } => {
            return Decision::none(Answer::Done);
        }
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
    }
}

fn propose(case: &Case<'_>) -> Decision {
    let Case { control, state, rules, now, call, .. } = *case;
    if let Some(answer) = seen_before(case) {
        return match answer {
            Answer::Same { .. } => Decision::none(answer),
            conflict => Decision { answer: conflict, ..refused_at_the_key(state, rules, call, now) },
        };
    }
    let Judged { mut verdict, reserved, accounts, needs, exhausted } = judge(case);
    if !needs.is_empty() {
        return Decision::none(Answer::Short(needs));
    }
    let allowed = verdict.allows();
    let told = if allowed {
        accounts.clone()
    } else {
        rules.accounts(&call.agent, now).into_iter().map(|(account, _)| account).collect()
    };
    let (left, crossed) = survey(case, &reserved, &told);
    verdict.left = case.run.filter(|run| run.agent == call.agent).map(|_| Box::new(left));
    let crossed = if allowed { crossed } else { Vec::new() };
    let house = &rules.book.house;
    let refusals = state.refusals(Some(call.run), &call.agent);
    if !verdict.allows() && refusals.is_flood(now, house.refusals_per_minute_max) {
        return Decision::none(Answer::Verdict(verdict));
    }
    let executor = verdict.allows() && call.carrier == Carrier::Executor;
    let decided = CallDecided {
        accounts,
        agent: call.agent.clone(),
        args: call.args_commitment,
        call: call.id,
        carrier: call.carrier,
        context_tokens: call.context_tokens,
        contract: case.tool.map(|tool| tool.digest),
        control_seq: control.seq,
        destinations: call.destinations.clone(),
        effect: case.tool.map_or("unknown", |tool| tool.contract.effect.name()).to_owned(),
        expires: executor.then(|| now.plus_ms(house.permit_ttl_ms + house.permit_grace_ms)),
        facts: call.facts.clone(),
        hosts: call.hosts.clone(),
        key: call.key_mark,
        mark: call.args_mark,
        model: call.model.clone(),
        part: call.part.clone(),
        reasoning: call.reasoning,
        reasons: verdict.reasons.clone(),
        reserved,
        rules: verdict.rules.clone(),
        rules_digest: rules.digest,
        ruling: verdict.ruling,
        run: call.run,
        tool: call.tool.clone(),
        touches: call.touches.clone(),
        would: verdict.would.clone(),
    };
    let broken = broken(state, exhausted.as_ref(), house.pauses);
    let first = Event::CallDecided(Box::new(decided));
    let events = std::iter::once(first).chain(crossed).chain(broken).collect();
    Decision { answer: Answer::Verdict(verdict), events }
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
    Decision::one(Answer::Done, Event::CallFinished(finished))
}

/// What a call took in the end. What was reserved for the longest wait is posted as the time that it was.
fn used(open: &OpenCall, settlement: &Settlement) -> Amount {
    let used =
        settlement.used.as_ref().map_or_else(|| open.reserved.clone(), |used| used.min(&open.reserved));
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

fn sweep(state: &State, now: Time) -> Decision {
    let (mut events, mut closed) = (Vec::new(), BTreeSet::new());
    for (_, due) in state.due.iter().take_while(|(at, _)| *at <= now).take(SWEEP_MAX) {
        match due {
            Due::Call(id) => events.extend(state.calls.get(id).map(|open| unknown(*id, open, now, "sweep"))),
            Due::Run(run) => {
                // A child may be due with a run above it, and is closed once.
                let ended = closed_with_children(state, *run, Closing::Expired, None, "sweep");
                events.extend(ended.into_iter().filter(|one| closed.insert(one.run)).map(Event::RunClosed));
                if events.len() >= SWEEP_MAX {
                    break;
                }
            }
        }
    }
    Decision { answer: Answer::Done, events }
}

/// What Remit itself was carrying when it stopped may or may not have happened.
fn restarted(state: &State) -> Decision {
    let lost = state.calls.iter().filter(|(_, open)| open.carrier == Carrier::Gate && !open.unknown);
    let mut lost: Vec<_> = lost.collect();
    lost.sort_by_key(|(id, _)| **id);
    lost.truncate(SWEEP_MAX);
    let events = lost.into_iter().map(|(id, open)| unknown(*id, open, state.last, "restart")).collect();
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
