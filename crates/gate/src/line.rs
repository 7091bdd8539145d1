//! The line: six steps that every call walks, read from top to bottom. A call passes nowhere else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kernel::call::{Call, Carrier, Settlement};
use kernel::command::{Answer, Command};
use kernel::obligation::{Bound, Kind};
use ledger::Payload;
use stdx::digest::Digest;
use tokio::sync::{oneshot, watch};

use crate::caller::{Answered, CallAsk, Caller};
use crate::care::{is_transient, is_vague};
use crate::committer::Written;
use crate::counts::bump;
use crate::draft::{Draft, Role};
use crate::error::Error;
use crate::gate::{DECIDE_WAIT, Gate};
use crate::permit::Permit;
use crate::port::{Cancel, Feed};
use crate::redact::redacted;
use crate::settle::{Settling, used};
use crate::{bounds, seal, stamp};

/// How often one call asks for slices that other calls of its lane then take.
const LEND_ROUNDS_MAX: usize = 16;

/// A call that walked the line: its answer, and what is left to do after it is told.
struct Walked {
    answered: Answered,
    settling: Option<Settling>,
}

impl From<Answered> for Walked {
    fn from(answered: Answered) -> Walked {
        Walked { answered, settling: None }
    }
}

impl Gate {
    /// Decides a call, carries it out if it may be, and records how it went. A caller that hangs up cancels nothing.
    pub async fn call(&self, caller: &Caller, ask: CallAsk) -> Result<Answered, Error> {
        self.call_fed(caller, ask, Feed::default(), None).await
    }

    /// One call of one tool; what may stand in for it comes after it.
    pub(crate) async fn call_walked(
        &self,
        caller: &Caller,
        ask: CallAsk,
        feed: Feed,
        unwanted: Option<watch::Receiver<bool>>,
    ) -> Result<Answered, Error> {
        ledger::failpoint::hit("gate.after_parse");
        // 1 admit: the house takes no more than it can finish
        self.ready()?;
        let draft = self.draft(&caller.agent, ask, Role::of(Carrier::Gate, caller))?;
        let answered = self.carried(draft, feed, unwanted).await?;
        if answered.lost_its_run() {
            self.forget_implicit(caller.key);
        }
        Ok(answered)
    }

    /// The rest of the line, detached from whoever waits for it.
    pub(crate) async fn carried(
        &self,
        draft: Draft,
        feed: Feed,
        unwanted: Option<watch::Receiver<bool>>,
    ) -> Result<Answered, Error> {
        let gate = self.clone();
        self.0.walking.fetch_add(1, Ordering::AcqRel);
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            let (flight, cut) = gate.0.flights.enter(draft.call.id);
            let cancel = Cancel::new(gate.0.stop.subscribe(), unwanted).within(cut);
            let (answered, settling) = match gate.walk(draft, cancel, feed).await {
                Ok(Walked { answered, settling }) => (Ok(answered), settling),
                Err(error) => (Err(error), None),
            };
            let ended = answered.as_ref().ok();
            let ended = ended.and_then(|answered| Some((answered.outcome?, answered.trouble.clone())));
            if settling.is_some() {
                flight.settling();
            }
            let _ = tell.send(answered);
            if let Some(settling) = settling {
                // An error means that the house is stopping: then the next start calls it unknown.
                let _ = settling.await;
            }
            if let Some((outcome, trouble)) = ended {
                flight.ended(outcome, trouble);
            }
            drop(flight);
            gate.0.walking.fetch_sub(1, Ordering::AcqRel);
        });
        told.await.map_err(|_| Error::Stopping)?
    }

    async fn walk(&self, mut draft: Draft, cancel: Cancel, feed: Feed) -> Result<Walked, Error> {
        // 2 propose: decided, appended, durable; without a receipt there is no permit
        let written = self.decided(&mut draft).await?;
        if written.answer == Answer::Joins {
            return Ok(self.joined(draft).await?.into());
        }
        let Draft { call, bytes, key, before, is_plain, is_release, .. } = draft;
        let verdict = match written.answer {
            Answer::Verdict(verdict) if verdict.asks() => {
                return Ok(self.asked(&call, verdict, &written.receipts).into());
            }
            Answer::Verdict(verdict) => verdict,
            answer => return Ok(self.answered_before(answer, &written.receipts).await?.into()),
        };
        let mut answered = Answered::new(&call, verdict, written.receipts.first().copied());

        // 3 permit: an Allow that is on disk becomes the one thing that opens a door outwards
        let (Some(receipt), true) = (answered.receipt, answered.verdict.allows()) else {
            self.refused_call(&call, &answered);
            return Ok(answered.into());
        };
        let Some(tool) = written.law.rules.tool(&call.tool) else { return Ok(answered.into()) };
        if is_plain && stamp::writes(&tool.contract) {
            // The rules let it be done by now, and it lacks what makes a second try no second deed.
            self.never_dispatched(&call).await;
            return Err(Error::Overloaded);
        }
        let is_again = call.part.is_some() && *key != *call.id.to_string();
        let permit = Permit::new(receipt, call.clone(), tool.contract.clone(), bytes, key);
        bump(&self.0.tally.allowed);
        ledger::failpoint::hit("gate.before_dispatch");

        // 4 reach: the permit is moved; the secret is opened for it alone
        let started = Instant::now();
        let feed = feed.redacted(&tool.contract.redact);
        let reached = redacted(&tool.contract, self.dispatched(permit, cancel, feed).await);
        ledger::failpoint::hit("gate.before_settle");

        // 5 settle: how it went is decided before it is told; of a write it is durable, too
        let left = self.left_by(&written.law, &call, &reached, before.as_ref());
        let result_mark = self.result_mark(call.run, &call.tool, &reached.body);
        let transient = is_transient(&reached) || (is_again && is_vague(&reached));
        let used = used(&tool.contract, &reached);
        let body = Arc::new(reached.body);
        let result = Payload::new("result", seal::random(), body.clone(), false);
        let settlement = Settlement {
            call: call.id,
            agent: None,
            outcome: reached.outcome,
            result: Some(result.commitment),
            result_mark: Some(result_mark),
            transient,
            used,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            trouble: reached.trouble.as_deref().map(bounds::code),
            undo: left.undo,
            facts: left.facts,
        };
        let payloads = std::iter::once(result).chain(left.payload).collect();
        let is_waited_for = tool.contract.effect.writes() || call.part.is_some() || is_release;
        let settling = self.settles(is_waited_for, self.lane_of(call.run), settlement, payloads).await?;
        ledger::failpoint::hit("gate.before_answer");

        // 6 answer
        answered.outcome = Some(reached.outcome);
        answered.result = reached.said.or_else(|| serde_json::from_slice(&body).ok());
        answered.trouble = reached.trouble;
        Ok(Walked { answered, settling })
    }

    /// Decides a call that the agent's own executor will carry out; an Allow comes with a permit token.
    pub async fn decide_only(&self, caller: &Caller, ask: CallAsk) -> Result<Answered, Error> {
        self.decide_heeding(caller, ask, Vec::new()).await
    }

    /// The same for an executor that does what it is bound to, if it is of these kinds.
    pub async fn decide_heeding(
        &self,
        caller: &Caller,
        ask: CallAsk,
        heeds: Vec<Kind>,
    ) -> Result<Answered, Error> {
        let bound = Bound { heeds, ..Bound::default() };
        let role = Role { bound, ..Role::of(Carrier::Executor, caller) };
        let draft = self.draft(&caller.agent, ask, role)?;
        let answered = self.permitted(draft).await?;
        match &answered.ticket {
            // People may have said yes meanwhile: this is when its executor is there to carry it out.
            Some(ticket) if answered.receipt.is_none() => {
                self.wait_ticket(caller, ticket.call, Duration::ZERO).await
            }
            _ => Ok(answered),
        }
    }

    /// Steps 2 and 3 of a call that the agent's own executor carries out.
    pub(crate) async fn permitted(&self, mut draft: Draft) -> Result<Answered, Error> {
        let written = self.decided(&mut draft).await?;
        let Draft { call, bytes, .. } = draft;
        let verdict = match written.answer {
            Answer::Verdict(verdict) if verdict.asks() => {
                return Ok(self.asked(&call, verdict, &written.receipts));
            }
            Answer::Verdict(verdict) => verdict,
            answer => return self.answered_before(answer, &written.receipts).await,
        };
        let mut answered = Answered::new(&call, verdict, written.receipts.first().copied());
        if !answered.verdict.allows() || answered.receipt.is_none() {
            self.refused_call(&call, &answered);
            return Ok(answered);
        }
        bump(&self.0.tally.allowed);
        let claims = seal::PermitClaims {
            agent: &call.agent,
            call: call.id,
            tool: &call.tool,
            args: Digest::of(&bytes),
            obligations: &answered.verdict.obligations,
            rules: written.law.rules.digest,
            now: self.0.clock.now(),
            ttl_ms: written.law.rules.book.house.permit_ttl_ms,
        };
        answered.permit_token = Some(self.0.seal.permit_token(&claims));
        Ok(answered)
    }

    /// Decides it. A lane that is short of an account's slice asks control for more, a call that people will be asked
    /// about says where it goes; then it is proposed again.
    async fn decided(&self, draft: &mut Draft) -> Result<Written, Error> {
        let first = if draft.is_release { Command::Release } else { Command::Propose };
        let mut written = self.proposed(draft, first).await?;
        for _ in 0..LEND_ROUNDS_MAX {
            let again: fn(Arc<Call>) -> Command = match (&written.answer, draft.is_release) {
                (Answer::Short(needs), is_release) => {
                    let lent = self.lend(self.lane_of(draft.call.run), needs).await?;
                    match (lent, is_release) {
                        (true, false) => Command::Propose,
                        (false, false) => Command::ProposeLast,
                        (true, true) => Command::Release,
                        (false, true) => Command::ReleaseLast,
                    }
                }
                (Answer::Obliged { by, level }, _) => {
                    self.obliged(draft, by, level);
                    first
                }
                (Answer::Marks(fields), _) => {
                    let marks = self.ask_marks(&draft.call, fields);
                    draft.renew(Some(marks));
                    first
                }
                _ => break,
            };
            if draft.payloads.is_empty() && !draft.is_release {
                draft.renew(draft.call.ask_marks.clone());
            }
            written = self.proposed(draft, again).await?;
        }
        match written.answer {
            // Others of its lane were quicker each time: the house is full.
            Answer::Short(_) | Answer::Marks(_) | Answer::Obliged { .. } => Err(Error::Overloaded),
            _ => Ok(written),
        }
    }

    /// Waits for the decision to be durable, but not for ever: late permits are closed as not dispatched.
    async fn proposed(&self, draft: &mut Draft, command: fn(Arc<Call>) -> Command) -> Result<Written, Error> {
        let (call, payloads) = (&draft.call, std::mem::take(&mut draft.payloads));
        let mut wait = self.propose(call.run, command(call.clone()), payloads)?;
        let (gate, late) = (self.clone(), call.clone());
        // The engine comes again with a step, and perhaps under the same name: not before the first is closed.
        let comes_again = call.part.is_some();
        match tokio::time::timeout(DECIDE_WAIT, &mut wait).await {
            Ok(Ok(Ok(written))) => return Ok(written),
            Ok(Ok(Err(Error::LogUnwritable))) => {
                // The commit failed, and may be durable all the same: what was never released never left the house.
                let closed = tokio::spawn(async move { gate.never_dispatched(&late).await });
                if comes_again {
                    let _ = closed.await;
                }
            }
            Ok(Ok(Err(error))) => return Err(error),
            Ok(Err(_)) => return Err(Error::Stopping),
            Err(_) => {
                let closed = tokio::spawn(async move {
                    if wait.await.is_ok() {
                        gate.never_dispatched(&late).await;
                    }
                });
                if comes_again {
                    let _ = closed.await;
                }
            }
        }
        Err(Error::LogUnwritable)
    }
}
