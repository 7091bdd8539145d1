//! Decide: what a command leads to. Pure: the same state, rules, command and time give the same events, for ever.

use std::collections::BTreeMap;

use crate::account::Amount;
use crate::call::{Call, Carrier, Outcome, Settlement};
use crate::checks::{Case, judge};
use crate::command::{Answer, Closing, Command, ControlCommand, OpenRun};
use crate::event::{
    CallDecided, CallFinished, Event, Halted, KeyMinted, KeyRevoked, Questioned, RefusalsCounted,
    RequestRefused, RulesActivated, RunClosed, RunOpened, ToolSeen,
};
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
    fn one(answer: Answer, event: Event) -> Decision {
        Decision { answer, events: vec![event] }
    }

    fn none(answer: Answer) -> Decision {
        Decision { answer, events: Vec::new() }
    }
}

pub fn decide(state: &State, control: &Control, rules: &Rules, command: &Command, now: Time) -> Decision {
    // INVARIANT: the ledger's time never goes back, whatever the clock does.
    let now = now.max(state.last);
    match command {
        Command::OpenRun(open) => open_run(state, control, rules, open, now),
        Command::CloseRun { run, agent, outcome, by } => {
            close_run(state, *run, agent.as_deref(), *outcome, by)
        }
        Command::Propose(call) => propose(state, control, rules, call, now),
        Command::Question { call, by } => question(state, control, rules, call, by, now),
        Command::Settle(settlement) => settle(state, settlement),
        Command::Refused { agent, run, code } => refused(state, rules, agent, *run, code, now),
        Command::CountRefusals { agent, counts } => count_refusals(state, agent, counts),
        Command::ToolRested(rested) => Decision::one(Answer::Done, Event::ToolRested(rested.clone())),
        Command::Sweep => sweep(state, now),
        Command::Restarted => restarted(state),
    }
}

pub fn decide_control(control: &Control, command: &ControlCommand) -> Decision {
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
        ControlCommand::Halt { scope, why, by } => Event::Halted(Halted { by, scope, why }),
        ControlCommand::Resume { scope, why, by } => Event::Resumed(Halted { by, scope, why }),
        ControlCommand::SeeTool { tool, digest, .. } if control.seen.get(&tool) == Some(&digest) => {
            return Decision::none(Answer::Done);
        }
        ControlCommand::SeeTool { tool, digest, definition } => {
            Event::ToolSeen(ToolSeen { definition, digest, tool })
        }
    };
    Decision::one(Answer::Done, event)
}

fn open_run(state: &State, control: &Control, rules: &Rules, open: &OpenRun, now: Time) -> Decision {
    let standing = open.implicit.and_then(|key| state.implicit.get(&key));
    if let Some((run, known)) = standing.and_then(|run| state.runs.get_key_value(run))
        && known.ends() > now
    {
        return Decision::none(Answer::Opened { run: *run, expires: known.expires });
    }
    if rules.agent(&open.agent).is_none() {
        return Decision::none(Answer::Refused(Reason::new(Code::AgentUnknown).detail(&open.agent)));
    }
    let halted = control.halts.iter().find(|(scope, _)| match scope {
        crate::halt::Scope::All => true,
        crate::halt::Scope::Agent(name) => *name == open.agent,
        _ => false,
    });
    if let Some((scope, halt)) = halted {
        let detail = format!("{scope}, since {} by {}: {}", halt.since, halt.by, halt.why);
        return Decision::none(Answer::Refused(Reason::new(Code::Halted).detail(detail)));
    }
    let expires = now.plus_ms(rules.book.house.run_ttl_ms);
    let (agent, person) = (open.agent.clone(), open.person.clone());
    let idle_ms = open.implicit.map(|_| rules.book.house.implicit_idle_ms);
    let implicit = open.implicit;
    let opened = RunOpened { agent, expires, idle_ms, implicit, intent: open.intent, person, run: open.run };
    Decision::one(Answer::Opened { run: open.run, expires }, Event::RunOpened(opened))
}

/// `agent` is who asks; a person may close any run.
fn close_run(state: &State, run: RunId, agent: Option<&str>, outcome: Closing, by: &str) -> Decision {
    match state.runs.get(&run) {
        Some(open) if agent.is_none_or(|agent| agent == open.agent) => {
            Decision::one(Answer::Done, Event::RunClosed(RunClosed { by: by.to_owned(), outcome, run }))
        }
        _ => Decision::none(Answer::refused(Code::RunUnknown)),
    }
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
        manifest: rules.agent(&call.agent),
        tool: rules.tool(&call.tool).map(AsRef::as_ref),
    }
}

fn propose(state: &State, control: &Control, rules: &Rules, call: &Call, now: Time) -> Decision {
    let case = case(state, control, rules, call, now);
    if let Some(answer) = seen_before(&case) {
        return match answer {
            Answer::Same { .. } => Decision::none(answer),
            conflict => Decision { answer: conflict, ..refused_at_the_key(state, rules, call, now) },
        };
    }
    let (verdict, reserved) = judge(&case);
    let house = &rules.book.house;
    let refusals = state.refusals(Some(call.run), &call.agent);
    if !verdict.allows() && refusals.is_flood(now, house.refusals_per_minute_max) {
        return Decision::none(Answer::Verdict(verdict));
    }
    let executor = verdict.allows() && call.carrier == Carrier::Executor;
    let decided = CallDecided {
        agent: call.agent.clone(),
        args: call.args_commitment,
        call: call.id,
        carrier: call.carrier,
        context_tokens: call.context_tokens,
        contract: case.tool.map(|tool| tool.digest),
        control_seq: control.seq,
        effect: case.tool.map_or("unknown", |tool| tool.contract.effect.name()).to_owned(),
        expires: executor.then(|| now.plus_ms(house.permit_ttl_ms + house.permit_grace_ms)),
        key: call.key_mark,
        mark: call.args_mark,
        model: call.model.clone(),
        reasoning: call.reasoning,
        reasons: verdict.reasons.clone(),
        reserved,
        rules: verdict.rules.clone(),
        rules_digest: rules.digest,
        ruling: verdict.ruling,
        run: call.run,
        tool: call.tool.clone(),
        would: verdict.would.clone(),
    };
    Decision::one(Answer::Verdict(verdict), Event::CallDecided(Box::new(decided)))
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
    let (verdict, _) = judge(&case);
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
        _ => settlement.used.map_or(open.reserved, |used| used.min(open.reserved)),
    };
    let by = match settlement.carrier() {
        Carrier::Gate => "gate",
        Carrier::Executor => "executor",
    };
    let finished = CallFinished {
        by: by.to_owned(),
        call: settlement.call,
        duration_ms: settlement.duration_ms,
        outcome: settlement.outcome,
        posted,
        result: settlement.result,
        run: open.run,
        trouble: settlement.trouble.clone(),
    };
    Decision::one(Answer::Done, Event::CallFinished(finished))
}

fn refused(state: &State, rules: &Rules, agent: &str, run: Option<RunId>, code: &str, now: Time) -> Decision {
    let own = run.filter(|run| state.own_run(*run, agent).is_some());
    if state.refusals(own, agent).is_flood(now, rules.book.house.refusals_per_minute_max) {
        return Decision::none(Answer::Done);
    }
    let refused = RequestRefused { agent: agent.to_owned(), code: code.to_owned(), run: own };
    Decision::one(Answer::Done, Event::RequestRefused(refused))
}

fn unknown(call: CallId, open: &OpenCall, now: Time, by: &str) -> Event {
    Event::CallFinished(CallFinished {
        by: by.to_owned(),
        call,
        duration_ms: now.since_ms(open.decided),
        outcome: Outcome::Unknown,
        posted: Amount::default(),
        result: None,
        run: open.run,
        trouble: None,
    })
}

fn sweep(state: &State, now: Time) -> Decision {
    let mut events = Vec::new();
    for (_, due) in state.due.iter().take_while(|(at, _)| *at <= now).take(SWEEP_MAX) {
        match due {
            Due::Call(id) => events.extend(state.calls.get(id).map(|open| unknown(*id, open, now, "sweep"))),
            Due::Run(run) => {
                let outcome = Closing::Expired;
                events.push(Event::RunClosed(RunClosed { by: "sweep".to_owned(), outcome, run: *run }));
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
