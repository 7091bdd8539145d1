//! Released: what people said yes to is decided again from its stored bytes and carried out; and how its agent hears of
//! it. A hang-up of the agent cancels nothing, and neither does a restart.

use std::sync::Arc;
use std::time::Duration;

use kernel::approval::{Pending, Subject};
use kernel::call::{Carrier, Outcome};
use kernel::command::Command;
use kernel::id::{CallId, RunId};
use kernel::progress::PlanState;
use kernel::reason::Reason;
use kernel::run::OpenCall;
use kernel::state::State;
use kernel::verdict::{Ruling, Verdict};
use ledger::Receipt;
use serde_json::Value;
use stdx::json::canonical;

use crate::caller::{Answered, Caller, Ticket};
use crate::counts::bump;
use crate::draft::Draft;
use crate::error::Error;
use crate::gate::Gate;
use crate::port::Feed;
use crate::proposals::{Proposed, is_proposed};

/// Under this name a plan stands among what waits.
pub(crate) const PLAN: &str = "remit.commit";
/// Whoever waits looks again after this, told or not.
const LOOK: Duration = Duration::from_secs(1);

/// What may be told of a ticket to an address that proves nothing: how it stands, and no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TicketNews {
    /// All have said yes: its executor may come for its permit.
    Approved,
    Ended {
        ruling: Ruling,
        outcome: Option<Outcome>,
    },
}

/// What a call is that people were asked about, while it has no end.
enum Unended {
    Waits(Box<Pending>),
    /// They said yes, and it is under way.
    Open(Box<OpenCall>),
    /// One of the writes that its run proposes.
    Proposed(Box<Proposed>),
    /// They said yes to a plan, and it is under way.
    Plan(RunId, Box<PlanState>),
}

impl Gate {
    /// Carries out what has its yeses, or hears the law say why not; nobody waits for it here.
    pub(crate) fn release(&self, call: CallId) {
        let gate = self.clone();
        tokio::spawn(async move {
            ledger::failpoint::hit("gate.before_release");
            if let Err(error) = gate.released_call(call).await {
                tracing::warn!(%error, %call, "a call that was approved is not released yet");
            }
            gate.0.waits.tell(call);
        });
    }

    /// What has its yeses and was not released: the process stopped in between, or its run was paused.
    pub(crate) fn release_ready(&self) {
        let law = self.law();
        let ready = |state: &State| -> Vec<CallId> {
            let answered = state.answered.iter().filter_map(|id| Some((*id, state.pending.get(id)?)));
            let ready = answered.filter(|(id, pending)| {
                pending.carrier == Carrier::Gate
                    && state.paused(pending.run).is_none()
                    && pending.waits_for(*id, &law.rules).is_empty()
            });
            ready.map(|(id, _)| id).collect()
        };
        for call in self.0.lanes.iter().filter_map(|lane| lane.look(|state, _| ready(state))).flatten() {
            self.release(call);
        }
    }

    async fn released_call(&self, call: CallId) -> Result<Option<Answered>, Error> {
        self.ready()?;
        let Some((_, pending)) = self.find_pending(call) else { return Ok(None) };
        if pending.subject == Subject::Proposals && pending.plan.is_none() {
            self.gathered(call, &pending).await?;
            return Ok(None);
        }
        if let Some(version) = pending.plan {
            self.begun_with_assent(&pending, version).await?;
            return Ok(None);
        }
        let draft = self.stored(call, &pending).await?;
        match pending.carrier {
            Carrier::Gate => self.carried(draft, Feed::default(), None).await.map(Some),
            Carrier::Executor => self.permitted(draft).await.map(Some),
        }
    }

    /// The stored bytes, and no resubmission, are what is decided on and carried out.
    async fn stored(&self, call: CallId, pending: &Pending) -> Result<Draft, Error> {
        let args = self.stored_args(pending).await?;
        let bytes = canonical(&args);
        let call = Arc::new(self.rebuilt(call, pending, args));
        let key = call.id.to_string().into();
        let (bytes, payloads) = (bytes.into(), Vec::new());
        Ok(Draft {
            call,
            bytes,
            payloads,
            reason: None,
            is_release: true,
            is_plain: false,
            key,
            before: None,
        })
    }

    pub(crate) async fn stored_args(&self, pending: &Pending) -> Result<Value, Error> {
        let gone = || Error::NotFound { what: "the arguments of this call".to_owned() };
        let args = self.recalled(pending.run, pending.args_seq, pending.args).await?;
        args.ok_or_else(gone)
    }

    /// The call waits for people now: its agent gets a ticket.
    pub(crate) fn asked(
        &self,
        call: &kernel::call::Call,
        verdict: Verdict,
        receipts: &[Receipt],
    ) -> Answered {
        // A second decision that asks again is the law's `Waiting`; so this is the first.
        bump(&self.0.tally.asked);
        let ticket = match is_proposed(&verdict) {
            true => self.proposal_ticket(call.id),
            false => self.find_pending(call.id).map(|(_, pending)| Ticket::of(call.id, &pending)),
        };
        Answered { ticket, ..Answered::new(call, verdict, receipts.first().copied()) }
    }

    /// The same call came again while it waits, or while it is under way.
    pub(crate) async fn standing_by(&self, call: CallId) -> Result<Answered, Error> {
        match self.unended(call) {
            Some(unended) => Ok(unended.answered(call)),
            // It ended just now.
            None => self.told(call).await,
        }
    }

    fn unended(&self, call: CallId) -> Option<Unended> {
        if let Some(known) = self.proposal(call) {
            return (!known.is_over()).then(|| Unended::Proposed(Box::new(known)));
        }
        if let Some((run, plan)) = self.plan_of_ticket(call) {
            return plan.ended.is_none().then(|| Unended::Plan(run, Box::new(plan)));
        }
        let find = |state: &State| {
            let waits = state.pending.get(&call).cloned();
            let waits = waits.map(|pending| Unended::Waits(Box::new(pending)));
            let open = || state.calls.get(&call).filter(|open| !open.unknown).cloned();
            waits.or_else(|| open().map(|open| Unended::Open(Box::new(open))))
        };
        self.0.lanes.iter().find_map(|lane| lane.look(|state, _| find(state))?)
    }

    /// Waits until a call that people were asked about has ended, or so long. An executor's call that has its yeses is
    /// released by this very question, because its permit is short-lived.
    pub async fn wait_ticket(
        &self,
        caller: &Caller,
        call: CallId,
        wait: Duration,
    ) -> Result<Answered, Error> {
        let not_found = || Error::NotFound { what: format!("the call `{call}`") };
        let until = tokio::time::Instant::now() + wait;
        let mut news = self.0.waits.listen(call);
        while let Some(unended) = self.unended(call) {
            if unended.agent() != caller.agent {
                return Err(not_found());
            }
            if let Unended::Waits(pending) = &unended
                && pending.carrier == Carrier::Executor
                && pending.waits_for(call, &self.law().rules).is_empty()
                && let Some(answered) = self.released_call(call).await?
            {
                return Ok(answered);
            }
            // A plan says nothing of itself to those who wait for one of its steps.
            let look = until.min(tokio::time::Instant::now() + LOOK);
            let told = tokio::time::timeout_at(look, news.changed()).await.is_ok();
            if !told && tokio::time::Instant::now() >= until {
                return Ok(unended.answered(call));
            }
        }
        let answered = self.told(call).await?;
        let (run, agent) = self.owner_of(call).await?;
        if agent != caller.agent {
            return Err(not_found());
        }
        let command = Command::Collect { call, run, agent };
        self.ask_lane(self.lane_of(run), command, Vec::new()).await?;
        Ok(answered)
    }

    /// What there is to be told of it without being asked; none while people are asked, or it is under way.
    pub async fn ticket_news(&self, call: CallId) -> Result<Option<TicketNews>, Error> {
        match self.unended(call) {
            Some(Unended::Waits(pending)) if pending.carrier == Carrier::Executor => {
                let waits = !pending.waits_for(call, &self.law().rules).is_empty();
                Ok(Some(TicketNews::Approved).filter(|_| !waits))
            }
            Some(_) => Ok(None),
            None => {
                let answered = self.told(call).await?;
                Ok(Some(TicketNews::Ended { ruling: answered.verdict.ruling, outcome: answered.outcome }))
            }
        }
    }

    /// A release that somebody else was quicker with.
    pub(crate) fn vanished(&self, reason: &Reason) -> Error {
        Error::NotFound { what: format!("a call that waits ({})", reason.says()) }
    }
}

impl Unended {
    fn agent(&self) -> &str {
        match self {
            Unended::Waits(pending) => &pending.agent,
            Unended::Open(open) => &open.agent,
            Unended::Proposed(known) => &known.agent,
            Unended::Plan(_, plan) => &plan.agent,
        }
    }

    fn answered(&self, call: CallId) -> Answered {
        let (verdict, ticket) = match self {
            Unended::Waits(pending) => {
                let verdict = Verdict { ruling: Ruling::Ask, ..Verdict::deny(pending.reason.clone()) };
                (verdict, Ticket::of(call, pending))
            }
            Unended::Open(open) => {
                let ticket = Ticket {
                    call,
                    run: open.run,
                    tool: open.tool.clone(),
                    groups: Vec::new(),
                    asked: open.decided,
                    expires: open.expires.unwrap_or(open.decided),
                    proposed: false,
                    replaced_by: None,
                };
                (Verdict::allow(), ticket)
            }
            Unended::Proposed(known) => return known.answered(),
            Unended::Plan(run, plan) => {
                let ticket = Ticket {
                    call,
                    run: *run,
                    tool: PLAN.to_owned(),
                    groups: Vec::new(),
                    asked: plan.proposed,
                    expires: plan.proposed,
                    proposed: false,
                    replaced_by: None,
                };
                (Verdict::allow(), ticket)
            }
        };
        Answered { again: true, ticket: Some(ticket), ..Answered::of(call, verdict, None) }
    }
}
