//! Proposals: what a run means to write, told one by one while the agent reads on, and shown to people as one change.
//!
//! What people see is the net difference: the same tool again for what it touched before takes the place of the
//! earlier one. Other tools that touch the same stay beside each other, in order, and that is said.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use stdx::digest::Digest;
use stdx::json::canonical;

use crate::account::Amount;
use crate::approval::{Pending, RiskPart, Subject, plain_name};
use crate::event::{CallDecided, PlanProposed};
use crate::id::{CallId, Mark, RunId};
use crate::reason::{Code, Reason};
use crate::run::Run;
use crate::state::State;
use crate::time::Time;

/// Under this name what a run proposed stands among what waits for people.
pub const PROPOSALS: &str = "remit.proposals";
/// Proposals of one run that wait, the replaced ones among them.
pub const PROPOSALS_MAX: usize = 100;

/// A write that was not done, and is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    pub call: CallId,
    /// Under this name it waits, with the others that were proposed with it.
    pub ticket: CallId,
    pub at: Time,
    /// Sequence of its event: its arguments are a payload there.
    pub seq: u64,
    pub tool: String,
    pub effect: String,
    pub args: Digest,
    /// Equality of its tool and arguments inside the run.
    pub mark: Mark,
    pub reasoning: Option<Digest>,
    /// What it touches: equality in the house.
    pub touches: Vec<Mark>,
    pub cost: Amount,
    pub risk: Vec<RiskPart>,
    /// The groups asked, and the rules that ask them.
    pub reason: Reason,
    /// The version of the plan that it is a step of, since people said yes, and which step.
    pub step: Option<(u32, u16)>,
}

/// What several proposals come to.
#[derive(Debug, Default)]
pub struct Net<'a> {
    /// What would be done, in order.
    pub kept: Vec<&'a Proposal>,
    /// What would not, and the later one that takes its place.
    pub replaced: Vec<(&'a Proposal, CallId)>,
    /// Pairs of what would be done that touch the same, the earlier one first.
    pub against: Vec<(CallId, CallId)>,
}

/// The net difference of what was proposed, in the order in which it was.
pub fn net<'a>(proposals: impl IntoIterator<Item = &'a Proposal>) -> Net<'a> {
    let all: Vec<&Proposal> = proposals.into_iter().collect();
    let mut found = Net::default();
    for (place, one) in all.iter().enumerate() {
        let later = all.iter().skip(place + 1).rev().find(|later| later.replaces(one));
        match later {
            Some(later) => found.replaced.push((one, later.call)),
            None => found.kept.push(one),
        }
    }
    for (place, one) in found.kept.iter().enumerate() {
        let others = found.kept.iter().skip(place + 1).filter(|other| other.meets(one));
        found.against.extend(others.map(|other| (one.call, other.call)));
    }
    found
}

impl Proposal {
    fn new(at: Time, seq: u64, decided: &CallDecided) -> Option<Proposal> {
        let asked = decided.asked.as_ref()?;
        Some(Proposal {
            call: decided.call,
            ticket: asked.with?,
            at,
            seq,
            tool: decided.tool.clone(),
            effect: decided.effect.clone(),
            args: decided.args,
            mark: decided.mark,
            reasoning: decided.reasoning,
            touches: decided.touches.clone(),
            cost: asked.cost.clone(),
            risk: asked.risk.clone(),
            reason: decided.reasons.first()?.clone(),
            step: None,
        })
    }

    /// The same tool for all that the earlier one touches.
    fn replaces(&self, earlier: &Proposal) -> bool {
        self.tool == earlier.tool
            && !earlier.touches.is_empty()
            && earlier.touches.iter().all(|mark| self.touches.contains(mark))
    }

    fn meets(&self, other: &Proposal) -> bool {
        self.touches.iter().any(|mark| other.touches.contains(mark))
    }
}

impl Run {
    /// What waits under this name.
    pub fn proposed(&self, ticket: CallId) -> impl Iterator<Item = &Proposal> {
        self.proposals.iter().filter(move |one| one.ticket == ticket && one.step.is_none())
    }

    pub fn proposal(&self, call: CallId) -> Option<&Proposal> {
        self.proposals.iter().find(|one| one.call == call)
    }
}

impl Pending {
    /// As it is with these proposals: the bytes that a yes is bound to, what they cost together, who is asked.
    pub(crate) fn gather(&mut self, proposals: &[Proposal]) {
        let kept = net(proposals).kept;
        let bytes: Vec<(CallId, Digest)> = kept.iter().map(|one| (one.call, one.args)).collect();
        self.args = Digest::of(&canonical(&bytes));
        self.asked_args = self.args;
        self.cost = kept.iter().fold(Amount::default(), |sum, one| sum.plus(&one.cost));
        let points = |one: &&&Proposal| one.risk.iter().map(|part| part.points).fold(0, u64::saturating_add);
        let worst = kept.iter().max_by_key(points);
        self.risk = worst.map(|one| one.risk.clone()).unwrap_or_default();
        let final_one = kept.iter().find(|one| one.effect != "reversible");
        if let Some(one) = final_one.or(kept.first()) {
            self.effect.clone_from(&one.effect);
        }
        let groups: BTreeSet<&String> = kept.iter().flat_map(|one| &one.reason.ask).collect();
        self.reason.ask = groups.into_iter().cloned().collect();
        self.reason.near.clear();
        for rule in kept.iter().flat_map(|one| &one.reason.near) {
            if !self.reason.near.contains(rule) {
                self.reason.near.push(rule.clone());
            }
        }
    }
}

impl State {
    /// What waits of a run as its proposals, and is not a plan yet.
    pub fn proposals_of(&self, run: RunId) -> Option<(CallId, &Pending)> {
        let last = self.runs.get(&run)?.proposals.iter().rev().find(|one| one.step.is_none())?;
        let pending = self.pending.get(&last.ticket)?;
        let waits = pending.subject == Subject::Proposals && pending.plan.is_none();
        waits.then_some((last.ticket, pending))
    }

    /// What waits, were this proposal folded in.
    pub(crate) fn proposals_with(&self, at: Time, seq: u64, decided: &CallDecided) -> Option<Pending> {
        let proposal = Proposal::new(at, seq, decided)?;
        let mut pending = match self.pending.get(&proposal.ticket) {
            Some(pending) => {
                let mut pending = pending.clone();
                let more = decided.asked.iter().flat_map(|asked| &asked.persons);
                pending.persons.extend(more.map(|name| plain_name(name)));
                pending
            }
            None => Pending { tool: PROPOSALS.to_owned(), ..self.pending_of(at, seq, decided)? },
        };
        let known = self.runs.get(&decided.run)?.proposed(proposal.ticket).cloned();
        let all: Vec<Proposal> = known.chain(std::iter::once(proposal)).collect();
        pending.gather(&all);
        Some(pending)
    }

    /// One more was proposed.
    pub(crate) fn proposed(&mut self, at: Time, decided: &CallDecided) -> Option<Pending> {
        let pending = self.proposals_with(at, self.seq, decided)?;
        let proposal = Proposal::new(at, self.seq, decided)?;
        self.runs.get_mut(&decided.run)?.proposals.push(proposal);
        Some(pending)
    }

    /// It will not be done.
    pub(crate) fn proposal_ended(&mut self, decided: &CallDecided) {
        if let Some(run) = self.runs.get_mut(&decided.run) {
            run.proposals.retain(|one| one.call != decided.call);
        }
    }

    /// It was left out when the others that were proposed with it became a plan.
    pub(crate) fn goes_on_without(&self, decided: &CallDecided) -> bool {
        let planned = self.pending.get(&decided.call).is_some_and(|pending| pending.plan.is_some());
        let run = self.runs.get(&decided.run).filter(|_| planned);
        run.and_then(|run| run.proposal(decided.call)).is_some_and(|one| one.step.is_none())
    }

    /// People said yes to these, and they are a plan now.
    pub(crate) fn proposals_gathered(&mut self, proposed: &PlanProposed) {
        let Some(run) = self.runs.get_mut(&proposed.run) else { return };
        let mut ticket = None;
        for (step, call) in (0u16..).zip(&proposed.gathers) {
            if let Some(one) = run.proposals.iter_mut().find(|one| one.call == *call) {
                one.step = Some((proposed.version, step));
                ticket = Some(one.ticket);
            }
        }
        let waits = ticket.and_then(|ticket| self.pending.get_mut(&ticket));
        waits.into_iter().for_each(|pending| pending.plan = Some(proposed.version));
    }
}

/// Why a proposal is not done though others are that were proposed with it.
pub(crate) fn left_out(by: &str) -> Reason {
    Reason::new(Code::ApprovalDenied).detail(by)
}
