//! Asks: what waits for people, as people are shown it. Read from what the lanes remember, not from a view.

use std::sync::Arc;

use kernel::account::Amount;
use kernel::approval::{Pending, RiskPart, Subject};
use kernel::approvers::Approvals;
use kernel::call::Carrier;
use kernel::id::{CallId, RunId};
use kernel::policy::RuleRef;
use kernel::risk::score;
use kernel::rules::Rules;
use kernel::state::State;
use kernel::time::Time;
use serde_json::Value;
use stdx::digest::Digest;

use crate::caller::{Caller, Ticket};
use crate::error::Error;
use crate::gate::Gate;
use crate::released::PLAN;

/// A call that waits for people, without its payloads.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub call: CallId,
    /// One call, a plan, or what a run proposes.
    pub subject: Subject,
    pub run: RunId,
    pub above: Vec<RunId>,
    pub agent: String,
    /// Whom its run, and the runs above it, say that they act for; these may not answer.
    pub persons: Vec<String>,
    pub tool: String,
    pub effect: String,
    pub carrier: Carrier,
    pub model: Option<String>,
    pub asked: Time,
    pub expires: Time,
    pub groups: Vec<GroupView>,
    /// What an answer must name: it is worth nothing for anything else.
    pub bound: Digest,
    pub risk: Vec<RiskPart>,
    pub score: u64,
    /// A yes must come with a reason.
    pub needs_words: bool,
    /// What it would cost at most; not reserved while it waits.
    pub cost: Amount,
    /// The rules that ask.
    pub near: Vec<Arc<RuleRef>>,
    /// Commitment to the arguments of now.
    pub args: Digest,
    pub edited: bool,
    /// The yeses so far.
    pub answers: Vec<AnswerView>,
    /// Who may still answer, now.
    pub may_answer: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct GroupView {
    pub name: String,
    /// So many of them must say yes.
    pub quorum: u64,
    pub yes: Vec<String>,
    /// Who may answer for it now.
    pub members: Vec<String>,
    /// When who else may, too.
    pub escalates: Option<(Time, String)>,
}

#[derive(Clone, Debug)]
pub struct AnswerView {
    pub by: String,
    pub at: Time,
    /// It was said to what it is now, and counts.
    pub stands: bool,
}

/// One call that waits, with what the ledger keeps beside it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub waiting: Waiting,
    /// As they are now; none, if they were erased.
    pub args: Option<Value>,
    /// As the agent asked, where an approver has changed them.
    pub asked_args: Option<Value>,
    /// The agent's words, which nobody has checked.
    pub reasoning: Option<Value>,
}

/// Whose inbox, and what of it.
#[derive(Clone, Copy, Debug)]
pub struct InboxAsk<'a> {
    pub person: &'a str,
    pub run: Option<RunId>,
    pub agent: Option<&'a str>,
    /// Only what this person may answer now.
    pub is_mine: bool,
    pub most: usize,
}

/// The first of what waits, and how much there is.
#[derive(Clone, Debug)]
pub struct InboxPage {
    pub items: Vec<Waiting>,
    pub waiting: usize,
    /// What this person may answer now.
    pub mine: usize,
}

/// Enough of a call that waits to put it in its place.
struct Place {
    score: u64,
    call: CallId,
    run: RunId,
    is_wanted: bool,
    is_mine: bool,
}

impl Gate {
    /// All that waits for people, the riskiest first, and of those the oldest.
    pub fn inbox(&self) -> Vec<Waiting> {
        let ask = InboxAsk { person: "", run: None, agent: None, is_mine: false, most: usize::MAX };
        self.inbox_page(&ask).items
    }

    /// The same as one person sees it. However much waits, only what is on the page is told in full.
    pub fn inbox_page(&self, ask: &InboxAsk<'_>) -> InboxPage {
        let (law, now) = (self.law(), self.0.clock.now());
        let place = |(call, pending): (&CallId, &Pending)| Place {
            score: score(&pending.risk),
            call: *call,
            run: pending.run,
            is_wanted: ask.run.is_none_or(|run| run == pending.run)
                && ask.agent.is_none_or(|agent| agent == pending.agent),
            is_mine: may_answer(*call, pending, ask.person, &law.rules, now),
        };
        let take = |state: &State| state.pending.iter().map(place).collect::<Vec<Place>>();
        let places = self.0.lanes.iter().filter_map(|lane| lane.look(|state, _| take(state))).flatten();
        let mut places: Vec<Place> = places.collect();
        let (waiting, mine) = (places.len(), places.iter().filter(|place| place.is_mine).count());
        places.retain(|place| place.is_wanted && (place.is_mine || !ask.is_mine));
        places.sort_unstable_by_key(|place| (std::cmp::Reverse(place.score), place.call));
        places.truncate(ask.most);
        // Taken first and told after: a lane stands still while it is looked at.
        let find = |place: &Place| {
            let lane = self.0.lanes.get(self.lane_of(place.run))?;
            let pending = lane.look(|state, _| state.pending.get(&place.call).cloned())??;
            Some((place.call, pending))
        };
        let found: Vec<(CallId, Pending)> = places.iter().filter_map(find).collect();
        let items = found.iter().map(|(call, pending)| shown(*call, pending, &law.rules, now)).collect();
        InboxPage { items, waiting, mine }
    }

    /// How many calls wait for people.
    pub fn waiting_count(&self) -> usize {
        self.0.lanes.iter().filter_map(|lane| lane.look(|state, _| state.pending.len())).sum()
    }

    /// One call that waits; none, if it waits no longer.
    pub async fn pending(&self, call: CallId) -> Result<Option<Shown>, Error> {
        let call = self.ticket_of(call);
        let Some((_, pending)) = self.find_pending(call) else { return Ok(None) };
        let waiting = shown(call, &pending, &self.law().rules, self.0.clock.now());
        if pending.subject == Subject::Proposals {
            return Ok(Some(Shown { waiting, args: None, asked_args: None, reasoning: None }));
        }
        let run = pending.run;
        let args = self.recalled(run, pending.args_seq, pending.args).await?;
        let asked_args = match pending.args != pending.asked_args {
            true => self.recalled(run, pending.asked_seq, pending.asked_args).await?,
            false => None,
        };
        let reasoning = match pending.reasoning {
            Some(commitment) => self.recalled(run, pending.asked_seq, commitment).await?,
            None => None,
        };
        Ok(Some(Shown { waiting, args, asked_args, reasoning }))
    }

    /// What waits of this agent, or of one of its runs, the oldest first.
    pub fn tickets(&self, caller: &Caller, run: Option<RunId>) -> Vec<Ticket> {
        let own =
            |pending: &Pending| pending.agent == caller.agent && run.is_none_or(|run| run == pending.run);
        let find = |state: &State| -> Vec<Ticket> {
            let own = state.pending.iter().filter(|(_, pending)| own(pending));
            let own = own.filter(|(_, pending)| pending.subject != Subject::Proposals);
            own.map(|(call, pending)| Ticket::of(*call, pending)).collect()
        };
        let mut tickets: Vec<Ticket> =
            self.0.lanes.iter().filter_map(|lane| lane.look(|state, _| find(state))).flatten().collect();
        tickets.extend(self.proposed_by(caller, run));
        tickets.sort_by_key(|ticket| ticket.call);
        tickets
    }

    /// What else of this run waits.
    pub fn beside(&self, run: RunId, but: CallId) -> Vec<CallId> {
        let of = |state: &State| -> Vec<CallId> {
            let own = state.pending.iter().filter(|(call, pending)| pending.run == run && **call != but);
            own.map(|(call, _)| *call).collect()
        };
        let lane = self.0.lanes.get(self.lane_of(run));
        let mut calls = lane.and_then(|lane| lane.look(|state, _| of(state))).unwrap_or_default();
        calls.sort_unstable();
        calls
    }

    /// The groups that are asked about a call that waits.
    pub fn groups_asked(&self, call: CallId) -> Vec<String> {
        let found = self.find_pending(self.ticket_of(call));
        found.map(|(_, pending)| pending.reason.ask).unwrap_or_default()
    }

    /// What waits under this name, and the number of its lane.
    pub(crate) fn find_pending(&self, call: CallId) -> Option<(u16, Pending)> {
        let find = |state: &State| Some((state.lane, state.pending.get(&call)?.clone()));
        self.0.lanes.iter().find_map(|lane| lane.look(|state, _| find(state))?)
    }
}

impl Ticket {
    /// People are asked about all of a plan.
    pub fn is_plan(&self) -> bool {
        self.tool == PLAN
    }

    pub(crate) fn of(call: CallId, pending: &Pending) -> Ticket {
        Ticket {
            call,
            run: pending.run,
            tool: pending.tool.clone(),
            groups: pending.reason.ask.clone(),
            asked: pending.asked,
            expires: pending.expires,
            proposed: false,
            replaced_by: None,
        }
    }
}

/// Whether this person may answer it now, and has not.
fn may_answer(call: CallId, pending: &Pending, person: &str, rules: &Rules, now: Time) -> bool {
    let mut own = pending.yeses.iter().filter(|given| given.by == person).peekable();
    let has = own.peek().is_some() && {
        let bound = pending.bound(call, rules);
        own.any(|given| given.bound == bound)
    };
    !has && pending.groups_of(person, &rules.book.house.approvals, now).is_ok()
}

fn shown(call: CallId, pending: &Pending, rules: &Rules, now: Time) -> Waiting {
    let house = &rules.book.house.approvals;
    let bound = pending.bound(call, rules);
    let score = score(&pending.risk);
    let answers = pending.yeses.iter().map(|given| AnswerView {
        by: given.by.clone(),
        at: given.at,
        stands: given.bound == bound,
    });
    let answered =
        |person: &&String| pending.yeses.iter().any(|given| given.bound == bound && given.by == **person);
    let may = |person: &&String| !answered(person) && pending.groups_of(person, house, now).is_ok();
    Waiting {
        call,
        subject: pending.subject,
        run: pending.run,
        above: pending.above.clone(),
        agent: pending.agent.clone(),
        persons: pending.persons.iter().cloned().collect(),
        tool: pending.tool.clone(),
        effect: pending.effect.clone(),
        carrier: pending.carrier,
        model: pending.model.clone(),
        asked: pending.asked,
        expires: pending.expires,
        groups: pending
            .reason
            .ask
            .iter()
            .map(|group| group_view(group, pending, house, bound, now))
            .collect(),
        bound,
        risk: pending.risk.clone(),
        score,
        needs_words: score >= house.reason_from,
        cost: pending.cost.clone(),
        near: pending.reason.near.clone(),
        args: pending.args,
        edited: pending.args != pending.asked_args,
        answers: answers.collect(),
        may_answer: house.people.keys().filter(may).cloned().collect(),
    }
}

fn group_view(group: &str, pending: &Pending, house: &Approvals, bound: Digest, now: Time) -> GroupView {
    let may = |person: &&String| {
        house.answers_for(person, group, pending.asked, now) && pending.groups_of(person, house, now).is_ok()
    };
    let escalation = house.escalation(group);
    GroupView {
        name: group.to_owned(),
        quorum: house.quorum(group),
        yes: pending.yes_for(group, bound).map(str::to_owned).collect(),
        members: house.people.keys().filter(may).cloned().collect(),
        escalates: escalation.map(|one| (pending.asked.plus_ms(one.after_ms), one.to.clone())),
    }
}
