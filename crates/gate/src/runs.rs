//! Runs, questions, outcomes and refusals: what doors ask beside the line.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use kernel::call::{Call, Carrier, Settlement};
use kernel::command::{Answer, Closing, Command, Ended, OpenRun};
use kernel::id::{CallId, RunId};
use kernel::obligation::Bound;
use kernel::reason::{Code, Reason};
use kernel::state::State;
use ledger::{Payload, Receipt};
use serde_json::Value;
use stdx::digest::Digest;
use stdx::json::canonical;

use crate::bounds::{self, NAME_BYTES_MAX, REASON_BYTES_MAX, TOOL_BYTES_MAX, within};
use crate::caller::{Answered, Caller, OpenAsk, Report, RunOpened};
use crate::counts::bump;
use crate::error::Error;
use crate::gate::{DECIDE_WAIT, Gate};
use crate::seal::{self, RunClaims};

/// A refusal inside an answer, or the receipt of what was done.
pub(crate) type Receipted = Result<Result<Receipt, Reason>, Error>;

impl Answered {
    pub(crate) fn new(call: &Call, verdict: kernel::verdict::Verdict, receipt: Option<Receipt>) -> Answered {
        Answered::of(call.id, verdict, receipt)
    }

    pub(crate) fn of(call: CallId, verdict: kernel::verdict::Verdict, receipt: Option<Receipt>) -> Answered {
        Answered {
            call,
            verdict,
            receipt,
            outcome: None,
            result: None,
            trouble: None,
            permit_token: None,
            again: false,
            fallback: None,
            ticket: None,
            approved: Vec::new(),
            words: None,
            edited: None,
            held: None,
        }
    }

    /// Refused because its run is over.
    pub(crate) fn lost_its_run(&self) -> bool {
        let over = |reason: &Reason| matches!(reason.code, Code::RunUnknown | Code::RunExpired);
        self.verdict.reasons.iter().any(over)
    }
}

impl Gate {
    pub async fn run_open(&self, caller: &Caller, ask: OpenAsk) -> Result<Result<RunOpened, Reason>, Error> {
        within("the person", ask.person.as_deref().unwrap_or_default(), NAME_BYTES_MAX)?;
        within("the intent", ask.intent.as_deref().unwrap_or_default(), REASON_BYTES_MAX)?;
        let run = RunId::new(self.0.clock.now(), seal::random());
        let run = ask.parent.map_or(run, |parent| run.beneath(parent));
        let intent = ask.intent.map(|text| Payload::new("intent", seal::random(), canonical(&text), false));
        let open = OpenRun {
            run,
            agent: caller.agent.clone(),
            person: ask.person,
            intent: intent.as_ref().map(|payload| payload.commitment),
            implicit: None,
            parent: ask.parent,
            budget: ask.budget,
            credential: Some(caller.key),
        };
        let wait = self.propose(run, Command::OpenRun(open), intent.into_iter().collect())?;
        let written = tokio::time::timeout(DECIDE_WAIT, wait).await.map_err(|_| Error::LogUnwritable)?;
        let written = written.map_err(|_| Error::Stopping)??;
        match (written.answer, written.receipts.first()) {
            (Answer::Opened { run, expires }, Some(receipt)) => {
                let claims = RunClaims { agent: caller.agent.clone(), exp: expires, run };
                Ok(Ok(RunOpened { run, token: self.0.seal.run_token(&claims), expires, receipt: *receipt }))
            }
            (Answer::Refused(reason), _) => Ok(Err(reason)),
            _ => Err(Error::LogUnwritable),
        }
    }

    /// `agent` is set when an agent asks: it may close its own runs only.
    pub async fn run_close(
        &self,
        run: RunId,
        agent: Option<&str>,
        outcome: Closing,
        workflow: Option<String>,
        by: &str,
    ) -> Receipted {
        within("a name", by, NAME_BYTES_MAX)?;
        within("the workflow", workflow.as_deref().unwrap_or_default(), NAME_BYTES_MAX)?;
        self.groups_given_up(run, agent, by).await?;
        let agent = agent.map(str::to_owned);
        let command = Command::CloseRun { run, agent, outcome, workflow, by: by.to_owned() };
        let mut written = self.ask_lane(self.lane_of(run), command, Vec::new()).await?;
        // The runs below it were closed before it.
        written.receipts.reverse();
        receipted(written)
    }

    /// An agent says what it learned; only then may it try again what failed.
    pub async fn replan(&self, caller: &Caller, run: RunId, learned: &str) -> Receipted {
        within("what was learned", learned, REASON_BYTES_MAX)?;
        let payload = Payload::new("learned", seal::random(), canonical(&learned), false);
        let command = Command::Replan { run, agent: caller.agent.clone(), learned: payload.commitment };
        let wait = self.propose(run, command, vec![payload])?;
        let written = tokio::time::timeout(DECIDE_WAIT, wait).await.map_err(|_| Error::LogUnwritable)?;
        receipted(written.map_err(|_| Error::Stopping)??)
    }

    /// An executor's word on what became of its call. Claimed, not seen.
    pub async fn report(&self, caller: &Caller, call: CallId, report: Report) -> Receipted {
        let bytes = report.result.map(|value| canonical(&value));
        // What it told counts like what Remit saw itself, so that a loop is one whoever carries it.
        let known = |state: &State| state.calls.get(&call).map(|open| (open.run, open.tool.clone()));
        let known = self.0.lanes.iter().find_map(|lane| lane.look(|state, _| known(state))?);
        let result_mark =
            known.zip(bytes.as_ref()).map(|((run, tool), bytes)| self.result_mark(run, &tool, bytes));
        let result = bytes.map(|bytes| Payload::new("result", seal::random(), bytes, false));
        let settlement = Settlement {
            undo: None,
            facts: Vec::new(),
            call,
            agent: Some(caller.agent.clone()),
            outcome: report.outcome,
            result: result.as_ref().map(|payload| payload.commitment),
            result_mark,
            transient: false,
            used: report.used,
            duration_ms: bounds::count(report.duration_ms),
            trouble: None,
        };
        let payloads: Vec<Payload> = result.into_iter().collect();
        // A call's id does not tell its lane; a lane that does not hold the call says so and records nothing.
        for lane in 1..self.lane_count() {
            let answered = receipted(self.settled(lane, settlement.clone(), payloads.clone()).await?)?;
            if answered.is_ok() {
                return Ok(answered);
            }
        }
        receipted(self.settled(0, settlement, payloads).await?)
    }

    /// What would be answered, were it asked now: no reservation, no permit, recorded all the same.
    pub async fn question(
        &self,
        caller: &Caller,
        subject: &str,
        tool: &str,
        args: Value,
    ) -> Result<Answered, Error> {
        within("the subject", subject, NAME_BYTES_MAX)?;
        within("the tool's name", tool, TOOL_BYTES_MAX)?;
        let id = CallId::new(self.0.clock.now(), seal::random());
        let run = RunId(id.0);
        let bytes = canonical(&args);
        let payload = Payload::new("args", seal::random(), bytes.clone(), false);
        let call = Arc::new(Call {
            part: None,
            touches: Vec::new(),
            facts: Vec::new(),
            id,
            run,
            agent: subject.to_owned(),
            tool: tool.to_owned(),
            args,
            args_commitment: payload.commitment,
            args_mark: self.0.seal.mark(run, "args", &bytes),
            key_mark: None,
            reasoning: None,
            model: None,
            context_tokens: None,
            carrier: Carrier::Executor,
            destinations: Vec::new(),
            hosts: Vec::new(),
            credential: None,
            ask_marks: None,
            bound: Bound::default(),
        });
        let command = Command::Question { call: call.clone(), by: caller.agent.clone() };
        let wait = self.propose(run, command, vec![payload])?;
        let written = tokio::time::timeout(DECIDE_WAIT, wait).await.map_err(|_| Error::LogUnwritable)?;
        let written = written.map_err(|_| Error::Stopping)??;
        match written.answer {
            Answer::Verdict(verdict) => Ok(Answered::new(&call, verdict, written.receipts.first().copied())),
            _ => Err(Error::LogUnwritable),
        }
    }

    /// Records that a door refused a known agent's request before it became a call.
    pub async fn refused(&self, caller: &Caller, run: Option<RunId>, code: &str) {
        bump(&self.0.tally.refused_requests);
        let lane = run.map_or(0, |run| self.lane_of(run));
        let command = Command::Refused { agent: caller.agent.clone(), run, code: bounds::code(code) };
        if self.ready().is_ok() {
            // It is refused either way; a log that cannot be written says so by itself.
            let written = self.ask_lane(lane, command, Vec::new()).await;
            if written.is_ok_and(|written| written.receipts.is_empty()) {
                self.flooded(lane, run, &caller.agent);
            }
        }
    }

    /// An answer that was given before: to the same idempotency key, or to the same call that people were asked about.
    pub(crate) async fn answered_before(
        &self,
        answer: Answer,
        receipts: &[Receipt],
    ) -> Result<Answered, Error> {
        let (call, verdict, ended) = match answer {
            Answer::Same { call, verdict, ended } => (call, verdict, ended),
            Answer::Waiting(call) => return self.standing_by(call).await,
            Answer::Refused(reason) => return Err(self.vanished(&reason)),
            _ => return Err(Error::LogUnwritable),
        };
        if !receipts.is_empty() || is_persons(&verdict) {
            return Ok(Answered { again: true, ..self.told(call).await? });
        }
        let (outcome, result) = match ended {
            Some(Ended { outcome, result: Some(digest) }) => {
                (Some(outcome), self.result_of(call, digest).await?)
            }
            Some(Ended { outcome, result: None }) => (Some(outcome), None),
            None => (None, None),
        };
        Ok(Answered {
            call,
            verdict,
            receipt: None,
            outcome,
            result,
            trouble: None,
            permit_token: None,
            again: true,
            fallback: None,
            ticket: None,
            approved: Vec::new(),
            words: None,
            edited: None,
            held: None,
        })
    }

    /// What a call came to, if it was not erased.
    async fn result_of(&self, call: CallId, digest: Digest) -> Result<Option<Value>, Error> {
        // Views that lag cannot tell; an empty answer would be taken for the call's own.
        let (_, view) = self.call_view(call, None).await.map_err(|_| Error::Overloaded)?;
        let known = view.finished.is_some_and(|end| end.result == Some(digest));
        if known { Ok(view.result) } else { Err(Error::Overloaded) }
    }

    /// A refusal that a flood swallowed is counted, so that the ledger tells how many there were.
    pub(crate) fn refused_call(&self, call: &Call, answered: &Answered) {
        bump(&self.0.tally.denied);
        if answered.receipt.is_none() {
            self.flooded(self.lane_of(call.run), Some(call.run), &call.agent);
        }
    }

    fn flooded(&self, lane: usize, run: Option<RunId>, agent: &str) {
        if let Ok(mut flood) = self.0.flood.lock() {
            *flood.entry((lane, agent.to_owned())).or_default().entry(run).or_default() += 1;
        }
    }

    /// Writes the flood counts down.
    pub(crate) async fn count_floods(&self) {
        let floods = self.0.flood.lock().map(|mut flood| std::mem::take(&mut *flood)).unwrap_or_default();
        for ((lane, agent), counts) in floods {
            let command = Command::CountRefusals { agent, counts: counts.into_iter().collect() };
            let _ = self.ask_lane(lane, command, Vec::new()).await;
        }
    }

    pub(crate) fn lane_count(&self) -> usize {
        self.0.lanes.len()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }
}

/// A person's no has words that the agent is told.
fn is_persons(verdict: &kernel::verdict::Verdict) -> bool {
    verdict.reasons.iter().any(|reason| reason.code == Code::ApprovalDenied)
}

pub(crate) fn receipted(written: crate::committer::Written) -> Receipted {
    match (written.answer, written.receipts.first()) {
        (Answer::Refused(reason), _) => Ok(Err(reason)),
        (_, Some(receipt)) => Ok(Ok(*receipt)),
        _ => Err(Error::LogUnwritable),
    }
}
