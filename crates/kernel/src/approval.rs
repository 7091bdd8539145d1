//! Approval: a person's answer, bound to the exact bytes of one call; and what is remembered while it waits for one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stdx::digest::Digest;

use crate::account::{Amount, Limits};
use crate::call::Carrier;
use crate::command::Ended;
use crate::event::{Answered, AskEscalated, CallDecided, Collected};
use crate::id::{CallId, KeyId, Mark, RunId};
use crate::reason::{Code, Reason};
use crate::run::Run;
use crate::state::{Due, Hour, State};
use crate::time::Time;
use crate::verdict::Verdict;

const HOUR_MS: u64 = 3_600_000;

/// What is approved. A yes to one kind is never a yes to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    #[default]
    Call,
    /// All of a plan, in the version that it has.
    Plan,
    /// All that a run has proposed, or what of it the person picks.
    Proposals,
}

/// What makes a person look twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Amount,
    Destination,
    Effect,
    FirstUse,
    Hour,
    Labels,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Part::Amount => "amount",
            Part::Destination => "destination",
            Part::Effect => "effect",
            Part::FirstUse => "first_use",
            Part::Hour => "hour",
            Part::Labels => "labels",
        }
    }

    /// What it means, in words.
    pub fn says(self) -> &'static str {
        match self {
            Part::Amount => "more than this agent ever spent in one call of this tool",
            Part::Destination => "goes where no approved call of this agent went",
            Part::Effect => "changes something outside",
            Part::FirstUse => "the first write of this agent with this tool",
            Part::Hour => "outside working hours",
            Part::Labels => "the tool's contract carries labels",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskPart {
    pub part: Part,
    pub points: u64,
}

/// What the gate adds to a call that people are asked about: nobody else pays for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AskMarks {
    /// Where it goes: equality in the house.
    pub places: Vec<Mark>,
    /// Values of arguments by JSON Pointer, as far as a bounded approval asks: equality in the house.
    pub fields: BTreeMap<String, Mark>,
}

/// What `CallDecided` holds of an ask.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub bound: Digest,
    /// What it would cost: not reserved while it waits.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub cost: Amount,
    /// The credential that asked, where it is one of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<KeyId>,
    pub expires: Time,
    /// Whom the credential was given to that asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub persons: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Mark>,
    /// The version of the plan that is asked about as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risk: Vec<RiskPart>,
    /// It is a proposal, and waits under this name with others of its run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<CallId>,
}

/// Arguments that an approver put in the place of the agent's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edited {
    pub args: Digest,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Mark>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Mark>,
    pub mark: Mark,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Mark>,
}

/// A bounded approval: the next calls of this shape pass, too.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// At most so much of each currency, all of them together.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub amount: Limits,
    /// Whole numbers by JSON Pointer, none of which may be larger.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub caps: BTreeMap<String, u64>,
    /// Arguments by JSON Pointer that must be what they are in this call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub same: BTreeMap<String, Mark>,
    pub times: u64,
    pub until: Time,
}

/// One person's answer to what it was then.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    pub at: Time,
    pub bound: Digest,
    pub by: String,
    /// The asked groups that it counts for.
    pub groups: Vec<String>,
    /// Of proposals: those that it is a yes to; none named: all.
    pub only: Vec<CallId>,
    pub standing: Option<Terms>,
}

/// A call that waits for people: all that is needed to build it again after a restart, and what was said so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    pub subject: Subject,
    /// The version of the plan that waits.
    pub plan: Option<u32>,
    pub agent: String,
    pub run: RunId,
    /// The runs above, and the people that all of them say they act for.
    pub above: Vec<RunId>,
    pub persons: BTreeSet<String>,
    pub tool: String,
    pub effect: String,
    pub args: Digest,
    pub mark: Mark,
    pub destinations: Vec<Mark>,
    pub hosts: Vec<Mark>,
    pub places: Vec<Mark>,
    /// As the agent asked: by this a repeat is known.
    pub asked_mark: Mark,
    pub asked_args: Digest,
    pub key: Option<Mark>,
    pub reasoning: Option<Digest>,
    pub model: Option<String>,
    pub context_tokens: Option<u64>,
    pub carrier: Carrier,
    pub credential: Option<KeyId>,
    /// The groups asked, and the rules that ask them.
    pub reason: Reason,
    pub cost: Amount,
    pub risk: Vec<RiskPart>,
    pub asked: Time,
    pub expires: Time,
    /// Sequences of the events that hold the first arguments, and the arguments of now.
    pub asked_seq: u64,
    pub args_seq: u64,
    pub yeses: Vec<Given>,
    /// The asked groups for which others may answer by now, and were told.
    pub escalated: BTreeSet<String>,
}

/// What the run of a call that was asked about remembers, so that the agent may come again for its outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    pub call: CallId,
    /// None: it waits.
    pub verdict: Option<Verdict>,
    pub ended: Option<Ended>,
}

/// Yeses to this very call, to calls of its shape, or to the plan that it is a step of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// The groups whose quorum is complete.
    pub groups: Vec<String>,
    pub by: Vec<String>,
    /// The call whose bounded approval this is, or that begins one.
    pub standing: Option<CallId>,
    /// It waited: this decision is its second.
    pub ends_ask: bool,
}

/// A bounded approval in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    pub agent: String,
    pub family: u64,
    pub tool: String,
    pub places: BTreeSet<Mark>,
    pub groups: Vec<String>,
    pub by: Vec<String>,
    pub rules: Digest,
    pub contract: Option<Digest>,
    pub terms: Terms,
    pub used: u64,
    pub taken: Amount,
}

impl State {
    /// For whom a run is, and the runs above it: as their credentials prove, and as their agents say. What an agent
    /// says bars one more from answering, and frees nobody.
    pub(crate) fn persons(&self, run: RunId) -> BTreeSet<String> {
        let of = |run: &Run| run.person.iter().chain(&run.vouched).map(|name| plain_name(name)).collect();
        self.lineage(run).flat_map(|(_, run)| -> Vec<String> { of(run) }).collect()
    }

    /// What waits, were this ask folded in. None: its run is not here.
    pub(crate) fn pending_of(&self, at: Time, seq: u64, decided: &CallDecided) -> Option<Pending> {
        let asked = decided.asked.as_ref()?;
        let mut persons = self.persons(decided.run);
        persons.extend(asked.persons.iter().map(|name| plain_name(name)));
        // A plan's bytes are beside its proposal, a call's beside its first decision.
        let seq = match asked.plan {
            Some(version) => {
                let plan = self.plans_of(decided.run).iter().find(|plan| plan.version == version);
                plan.map_or(seq, |plan| plan.seq)
            }
            None => seq,
        };
        Some(Pending {
            subject: match (asked.plan, asked.with) {
                (Some(_), _) => Subject::Plan,
                (None, Some(_)) => Subject::Proposals,
                (None, None) => Subject::Call,
            },
            plan: asked.plan,
            agent: decided.agent.clone(),
            run: decided.run,
            above: self.chain(decided.run).get(1..).unwrap_or_default().to_vec(),
            persons,
            tool: decided.tool.clone(),
            effect: decided.effect.clone(),
            args: decided.args,
            mark: decided.mark,
            destinations: decided.destinations.clone(),
            hosts: decided.hosts.clone(),
            places: asked.places.clone(),
            asked_mark: decided.mark,
            asked_args: decided.args,
            key: decided.key,
            reasoning: decided.reasoning,
            model: decided.model.clone(),
            context_tokens: decided.context_tokens,
            carrier: decided.carrier,
            credential: asked.credential,
            reason: decided.reasons.first()?.clone(),
            cost: asked.cost.clone(),
            risk: asked.risk.clone(),
            asked: at,
            expires: asked.expires,
            asked_seq: seq,
            args_seq: seq,
            yeses: Vec::new(),
            escalated: BTreeSet::new(),
        })
    }

    /// People are asked: nothing is reserved, and the call waits.
    pub(crate) fn ask_begun(&mut self, at: Time, decided: &CallDecided) {
        let with = decided.asked.as_ref().and_then(|asked| asked.with);
        let pending = match with {
            Some(_) => self.proposed(at, decided),
            None => self.pending_of(at, self.seq, decided),
        };
        let Some(pending) = pending else { return };
        if let Some(run) = self.runs.get_mut(&pending.run)
            && decided.key.is_none()
            && pending.plan.is_none()
        {
            let ticket = Ticket { call: decided.call, verdict: None, ended: None };
            run.tickets.insert(decided.mark, ticket);
        }
        let name = with.unwrap_or(decided.call);
        if let Some(plan) = pending.plan.and_then(|version| self.plan_mut(pending.run, version)) {
            plan.ticket = Some(name);
        }
        // What joins others that wait is no further question.
        if let Some(waiting) = self.pending.get_mut(&name) {
            *waiting = pending;
            return;
        }
        let asks = self.asks.entry(decided.agent.clone()).or_default();
        if at.since_ms(asks.since) >= HOUR_MS {
            *asks = Hour { count: 0, since: at };
        }
        asks.count += 1;
        self.waits(&pending, true);
        if let Some(run) = self.runs.get_mut(&pending.run) {
            run.asks += 1;
        }
        self.due.insert((pending.expires, Due::Ask(name)));
        self.pending.insert(name, pending);
    }

    /// The second decision of a call: it waits no longer, and its agent may come for the outcome.
    pub(crate) fn ask_ended(&mut self, decided: &CallDecided) -> Option<Pending> {
        let goes_on = self.goes_on_without(decided);
        self.proposal_ended(decided);
        if let Some(run) = self.runs.get_mut(&decided.run)
            && let Some(ticket) = run.tickets.values_mut().find(|ticket| ticket.call == decided.call)
        {
            ticket.verdict = Some(decided.verdict());
        }
        // The others that were proposed with it go on without it.
        if goes_on {
            return None;
        }
        let pending = self.pending.remove(&decided.call)?;
        self.due.remove(&(pending.expires, Due::Ask(decided.call)));
        self.answered.remove(&decided.call);
        self.waits(&pending, false);
        self.plan_answered(&pending, decided);
        Some(pending)
    }

    /// What waited is a plan that begins now.
    pub(crate) fn plan_released(&mut self, ticket: CallId) {
        if let Some(pending) = self.pending.remove(&ticket) {
            self.due.remove(&(pending.expires, Due::Ask(ticket)));
            self.answered.remove(&ticket);
            self.waits(&pending, false);
        }
    }

    /// A person's no holds for the plan as it is; who was not answered may ask again.
    fn plan_answered(&mut self, pending: &Pending, decided: &CallDecided) {
        let denied = decided.reasons.first().filter(|reason| reason.code == Code::ApprovalDenied);
        if let (Some(version), Some(reason)) = (pending.plan, denied)
            && let Some(plan) = self.plan_mut(pending.run, version)
        {
            plan.allowed = false;
            plan.why = Some(reason.says());
        }
    }

    pub(crate) fn person_answered(&mut self, at: Time, answered: &Answered) {
        let seq = self.seq;
        let Some(pending) = self.pending.get_mut(&answered.call).filter(|_| answered.yes) else { return };
        if let Some(edited) = &answered.edited {
            pending.args = edited.args;
            pending.args_seq = seq;
            pending.mark = edited.mark;
            pending.destinations.clone_from(&edited.destinations);
            pending.hosts.clone_from(&edited.hosts);
            pending.places.clone_from(&edited.places);
        }
        pending.yeses.push(Given::new(at, answered));
        self.answered.insert(answered.call);
    }

    pub(crate) fn collected(&mut self, collected: &Collected) {
        if let Some(run) = self.runs.get_mut(&collected.run) {
            run.tickets.retain(|_, ticket| ticket.call != collected.call);
        }
    }

    pub(crate) fn escalated(&mut self, escalated: &AskEscalated) {
        if let Some(pending) = self.pending.get_mut(&escalated.call) {
            pending.escalated.insert(escalated.group.clone());
        }
    }

    /// A call was permitted by a bounded approval, or begins one.
    pub(crate) fn standing_moved(&mut self, at: Time, decided: &CallDecided, pending: Option<&Pending>) {
        let Some(id) = decided.standing else { return };
        if let Some(pending) = pending.filter(|_| id == decided.call) {
            self.standing.retain(|_, standing| standing.terms.until > at);
            let terms = pending.yeses.last().and_then(|given| given.standing.clone());
            self.standing.extend(terms.map(|terms| (id, Standing::new(decided, pending, terms))));
        } else if let Some(standing) = self.standing.get_mut(&id) {
            standing.used += 1;
            standing.taken = standing.taken.plus(&decided.reserved);
            if standing.used >= standing.terms.times {
                self.standing.remove(&id);
            }
        }
    }

    /// A run is not idle while people are asked for it, or for a run below it.
    fn waits(&mut self, pending: &Pending, more: bool) {
        for id in std::iter::once(&pending.run).chain(&pending.above) {
            let Some(run) = self.runs.get_mut(id) else { continue };
            self.due.remove(&(run.ends(), Due::Run(*id)));
            run.waiting = if more { run.waiting + 1 } else { run.waiting.saturating_sub(1) };
            self.due.insert((run.ends(), Due::Run(*id)));
        }
    }
}

impl Given {
    pub(crate) fn new(at: Time, answered: &Answered) -> Given {
        let Answered { bound, by, groups, only, standing, .. } = answered;
        let (by, groups, only) = (by.clone(), groups.clone(), only.clone());
        Given { at, bound: *bound, by, groups, only, standing: standing.clone() }
    }
}

impl Standing {
    fn new(decided: &CallDecided, pending: &Pending, terms: Terms) -> Standing {
        Standing {
            agent: pending.agent.clone(),
            family: pending.run.family(),
            tool: pending.tool.clone(),
            places: pending.places.iter().copied().collect(),
            groups: pending.reason.ask.clone(),
            by: decided.approved.clone(),
            rules: decided.rules_digest,
            contract: decided.contract,
            terms,
            used: 0,
            taken: Amount::default(),
        }
    }
}

/// A person by name, however it is spelled.
pub(crate) fn plain_name(name: &str) -> String {
    name.trim().to_lowercase()
}
