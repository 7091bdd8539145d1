//! Approval: a person answers what waits. The law says whether the answer counts; what has its yeses is released at
//! once.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::account::Limits;
use kernel::approval::{AskMarks, Pending, Subject, Terms};
use kernel::call::{Call, Carrier};
use kernel::command::{Answer, Command, PersonAnswer};
use kernel::id::{CallId, Mark, RunId};
use kernel::reason::{Code, Reason};
use kernel::time::Time;
use ledger::{Payload, Receipt};
use serde_json::Value;
use stdx::digest::Digest;
use stdx::json::canonical;

use crate::bounds::{NAME_BYTES_MAX, REASON_BYTES_MAX, count, within};
use crate::error::Error;
use crate::gate::Gate;
use crate::{seal, stamp};

/// Arguments that one bounded approval may name.
const TERMS_FIELDS_MAX: usize = 16;
const POINTER_BYTES_MAX: usize = 128;

/// What a person says to a call that waits.
#[derive(Clone, Debug)]
pub struct AnswerAsk {
    pub call: CallId,
    /// A person of the configuration; who they are was proved at the door.
    pub by: String,
    pub yes: bool,
    /// What they were shown.
    pub bound: Digest,
    pub words: Option<String>,
    /// All arguments, as they would have them.
    pub edit: Option<Value>,
    pub standing: Option<StandingAsk>,
    /// Of what a run proposed: only these; none named: all.
    pub only: Vec<CallId>,
}

/// The next calls of this shape pass, too.
#[derive(Clone, Debug, Default)]
pub struct StandingAsk {
    /// At most so much, all of them together.
    pub amount: Limits,
    /// Whole numbers by JSON Pointer, none of which may be larger.
    pub caps: BTreeMap<String, u64>,
    /// Arguments by JSON Pointer that must be what they are now.
    pub same: Vec<String>,
    pub times: u64,
    pub until: Time,
}

#[derive(Clone, Debug)]
pub struct AnswerGiven {
    pub receipt: Receipt,
    /// All groups have said yes: it is decided again, and carried out if it still may be.
    pub complete: bool,
    /// What it is now.
    pub bound: Digest,
    /// Groups that have not said yes.
    pub waits_for: Vec<String>,
}

impl Gate {
    pub async fn answer(&self, ask: AnswerAsk) -> Result<Result<AnswerGiven, Reason>, Error> {
        within("a name", &ask.by, NAME_BYTES_MAX)?;
        within("the reason", ask.words.as_deref().unwrap_or_default(), REASON_BYTES_MAX)?;
        within_terms(ask.standing.as_ref())?;
        let unknown = || Ok(Err(Reason::new(Code::ApprovalUnknown)));
        let ask = AnswerAsk { call: self.ticket_of(ask.call), ..ask };
        let Some((_, pending)) = self.find_pending(ask.call) else { return unknown() };
        let mut payloads = Vec::new();
        let edit = ask.edit.map(|args| self.edited(ask.call, &pending, args, &mut payloads));
        let standing = match ask.standing {
            None => None,
            Some(standing) => {
                let args = match &edit {
                    Some(edit) => edit.args.clone(),
                    None => self.stored_args(&pending).await?,
                };
                Some(self.terms(standing, &args))
            }
        };
        let words = ask.words.filter(|words| !words.trim().is_empty()).map(|words| {
            let payload = Payload::new("words", seal::random(), canonical(&words), false);
            let commitment = payload.commitment;
            payloads.push(payload);
            commitment
        });
        let answer = PersonAnswer {
            call: ask.call,
            by: ask.by,
            yes: ask.yes,
            bound: ask.bound,
            words,
            edit: edit.map(Arc::new),
            standing,
            only: ask.only,
        };
        let command = Command::Answer(Box::new(answer));
        let written = self.ask_lane(self.lane_of(pending.run), command, payloads).await?;
        match (written.answer, written.receipts.first()) {
            (Answer::Given { complete, bound, waits_for }, Some(receipt)) => {
                match (ask.yes, complete) {
                    (true, true) => self.release_soon(ask.call, &pending),
                    (true, false) => {}
                    (false, _) if pending.subject == Subject::Call => self.0.waits.tell(ask.call),
                    (false, _) => self.0.waits.tell_all(),
                }
                Ok(Ok(AnswerGiven { receipt: *receipt, complete, bound, waits_for }))
            }
            (Answer::Refused(reason), _) => Ok(Err(reason)),
            _ => Err(Error::LogUnwritable),
        }
    }

    /// An executor's call is released when its executor comes for it.
    fn release_soon(&self, call: CallId, pending: &Pending) {
        match pending.carrier {
            Carrier::Gate => self.release(call),
            Carrier::Executor => self.0.waits.tell(call),
        }
    }

    /// The call as an approver would have it; the rest of it stays.
    fn edited(&self, call: CallId, pending: &Pending, mut args: Value, payloads: &mut Vec<Payload>) -> Call {
        let law = self.law();
        let (run, tool) = (pending.run, pending.tool.clone());
        let plain = canonical(&args);
        if let (Carrier::Gate, Some(known)) = (pending.carrier, law.rules.tool(&tool)) {
            stamp::stamp(&known.contract, &mut args, run, &call.to_string());
        }
        let payload = Payload::new("args", seal::random(), canonical(&args), false);
        let (places, hosts) = law.rules.places(&pending.agent, &tool, &args);
        let mut edited = self.rebuilt(call, pending, args);
        edited.args_commitment = payload.commitment;
        edited.args_mark = self.args_mark(run, &tool, &plain);
        (edited.destinations, edited.hosts) =
            (self.house_marks("destination", &places), self.house_marks("host", &hosts));
        edited.ask_marks = Some(self.ask_marks(&edited, &[]));
        payloads.push(payload);
        edited
    }

    /// The call that waits, from what was stored of it.
    pub(crate) fn rebuilt(&self, call: CallId, pending: &Pending, args: Value) -> Call {
        let (touches, facts) = self.about(&self.law(), pending.run, &pending.agent, &pending.tool, &args);
        Call {
            id: call,
            run: pending.run,
            agent: pending.agent.clone(),
            tool: pending.tool.clone(),
            args,
            args_commitment: pending.args,
            args_mark: pending.mark,
            key_mark: pending.key,
            bound: Default::default(),
            reasoning: pending.reasoning,
            model: pending.model.clone(),
            context_tokens: pending.context_tokens,
            carrier: pending.carrier,
            destinations: pending.destinations.clone(),
            hosts: pending.hosts.clone(),
            credential: pending.credential,
            ask_marks: Some(AskMarks { places: pending.places.clone(), fields: BTreeMap::new() }),
            part: None,
            touches,
            facts,
        }
    }

    /// Where a call goes that people are asked about, and what stands in the arguments that bounded approvals name.
    pub(crate) fn ask_marks(&self, call: &Call, fields: &[String]) -> AskMarks {
        let places = self.law().rules.places_of(&call.tool, &call.args);
        let fields = fields.iter().map(|at| (at.clone(), self.field_mark(at, &call.args)));
        AskMarks { places: self.house_marks("place", &places), fields: fields.collect() }
    }

    fn field_mark(&self, at: &str, args: &Value) -> Mark {
        // What is not there is equal to what is not there, and to no value.
        let value = args.pointer(at).map(canonical).unwrap_or_default();
        self.0.seal.mark(RunId(0), "field", &[at.as_bytes(), b"\0", &value].concat())
    }

    fn terms(&self, ask: StandingAsk, args: &Value) -> Terms {
        let StandingAsk { amount, caps, same, times, until } = ask;
        let same = same.into_iter().map(|at| {
            let mark = self.field_mark(&at, args);
            (at, mark)
        });
        let caps = caps.into_iter().map(|(at, cap)| (at, count(cap)));
        Terms { amount, caps: caps.collect(), same: same.collect(), times: count(times), until }
    }
}

fn within_terms(standing: Option<&StandingAsk>) -> Result<(), Error> {
    let Some(standing) = standing else { return Ok(()) };
    let named = standing.same.len() + standing.caps.len() + standing.amount.counted.len();
    if named > TERMS_FIELDS_MAX {
        return Err(Error::TooLong { what: "the list of arguments", max: TERMS_FIELDS_MAX });
    }
    let mut pointers = standing.same.iter().chain(standing.caps.keys()).chain(standing.amount.counted.keys());
    pointers.try_for_each(|at| within("the name of an argument", at, POINTER_BYTES_MAX))
}
