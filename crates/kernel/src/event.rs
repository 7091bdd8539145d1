//! Events: what has happened. Numbered, only ever added to; all state is a fold of them.
//!
//! One encoding for ever: canonical JSON (RFC 8785). The fields of every stored struct stand in alphabetical
//! order and hold integers, strings and lists only, so that serde's plain output *is* the canonical form; a test
//! compares the two.

mod approvals;
mod people;
mod plans;
mod slices;

use std::sync::Arc;

use policy::RuleRef;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stdx::digest::Digest;

pub use self::approvals::{Answered, AskEscalated, Collected};
pub use self::people::{IncidentSent, SignedIn, SignedOut};
pub use self::plans::{
    Claimed, ClaimsReleased, CommitEnded, CommitStarted, GroupBegun, PhaseChanged, PlanProposed,
    ResidueAccepted, StepChecked, StepJoined, UnwindStarted,
};
pub use self::slices::{SlicesFreed, SlicesLent, SlicesReturned};
use crate::account::{Amount, Limits};
use crate::approval::Asked;
use crate::call::{self, Carrier, Outcome};
use crate::command::Closing;
use crate::halt::Scope;
use crate::id::{CallId, KeyId, Mark, RunId};
use crate::obligation::{Level, Obligation};
use crate::reason::Reason;
use crate::threshold::Action;
use crate::time::Time;
use crate::undo::UndoKept;
use crate::verdict::{Ruling, Verdict};
use crate::window::AccountId;

/// The version of the encoding; a reader refuses what it does not know.
pub const VERSION: u64 = 1;

/// What has happened. A new kind is a new row; no row ever changes its meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    RulesActivated(RulesActivated),
    KeyMinted(KeyMinted),
    KeyRevoked(KeyRevoked),
    Halted(Halted),
    Resumed(Halted),
    ToolSeen(ToolSeen),
    RunOpened(RunOpened),
    RunClosed(RunClosed),
    CallDecided(Box<CallDecided>),
    CallFinished(CallFinished),
    Answered(Box<Answered>),
    Collected(Collected),
    AskEscalated(AskEscalated),
    Questioned(Box<Questioned>),
    RequestRefused(RequestRefused),
    RefusalsCounted(RefusalsCounted),
    ToolRested(ToolRested),
    Replanned(Replanned),
    SlicesLent(SlicesLent),
    SlicesFreed(SlicesFreed),
    SlicesReturned(SlicesReturned),
    ThresholdCrossed(ThresholdCrossed),
    RunPaused(RunSteered),
    RunResumed(RunSteered),
    RunExtended(RunExtended),
    RunCorrected(RunCorrected),
    Charged(Charged),
    PhaseChanged(PhaseChanged),
    PlanProposed(Box<PlanProposed>),
    GroupBegun(GroupBegun),
    StepJoined(Box<StepJoined>),
    CommitStarted(CommitStarted),
    StepChecked(StepChecked),
    UnwindStarted(UnwindStarted),
    CommitEnded(CommitEnded),
    ResidueAccepted(ResidueAccepted),
    Claimed(Claimed),
    ClaimsReleased(ClaimsReleased),
    SignedIn(SignedIn),
    SignedOut(SignedOut),
    IncidentSent(IncidentSent),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RulesActivated {
    pub agents: u64,
    pub by: String,
    pub digest: Digest,
    /// Commitment to the full text; its payload is never erased.
    pub payload: Digest,
    pub tools: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyMinted {
    pub agent: String,
    pub by: String,
    pub expires: Time,
    /// Of the secret half; the secret itself is shown once and kept nowhere.
    pub hash: Digest,
    pub key: KeyId,
    /// The person it was given to: who uses it acts for them, whatever else it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyRevoked {
    pub by: String,
    pub key: KeyId,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Halted {
    pub by: String,
    /// What only reads goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reads_allowed: bool,
    pub scope: Scope,
    /// When it lifts itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    pub why: String,
}

/// A tool server describes a tool differently than before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSeen {
    /// Commitment to the description itself.
    pub definition: Digest,
    pub digest: Digest,
    pub tool: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunOpened {
    pub agent: String,
    /// What it borrows from the run that it is opened under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Limits>,
    pub expires: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implicit: Option<KeyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// For whom, as the agent says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    pub run: RunId,
    /// For whom, as the credential proves that opened it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunClosed {
    pub by: String,
    pub outcome: Closing,
    pub run: RunId,
    /// What kind of work it was, in the words of whoever closed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallDecided {
    /// Accounts wider than a run that it reserved in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountId>,
    pub agent: String,
    /// Who said yes to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<String>,
    /// Commitment to the canonical arguments.
    pub args: Digest,
    /// What people are asked, where the ruling is `ask`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    pub call: CallId,
    pub carrier: Carrier,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Digest>,
    /// Sequence of the control lane that the decision had seen.
    pub control_seq: u64,
    /// Where it goes, and to which hosts, where a limit asks: equal in the whole house, and telling nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Mark>,
    pub effect: String,
    /// The second decision of a call that people were asked about: what became of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends_ask: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// What `before` rules wanted of it, as far as its arguments tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Mark>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Mark>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Mark>,
    /// Why it was made into something else: the account that is so full, and how full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Box<Level>>,
    pub mark: Mark,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it was made into before it was decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obliged: Vec<Obligation>,
    /// What it is to a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<call::Part>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Digest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    pub reserved: Amount,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Arc<RuleRef>>,
    pub rules_digest: Digest,
    pub ruling: Ruling,
    pub run: RunId,
    /// The call whose bounded approval it passed by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<CallId>,
    pub tool: String,
    /// What it touches: equal in the whole house, and telling nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<Mark>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub would: Vec<Reason>,
}

impl CallDecided {
    /// What has no contract is taken for a write.
    pub fn reads(&self) -> bool {
        self.effect == "read"
    }

    /// Whether it counts as one of the agent's own calls: not what Remit does beside them.
    pub fn is_paced(&self) -> bool {
        is_own(self.part.as_ref())
    }
}

/// A call that the agent asked for: by itself, or as a step of its plan.
pub(crate) fn is_own(part: Option<&call::Part>) -> bool {
    matches!(part, None | Some(call::Part::Step { .. }))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallFinished {
    /// `gate`, `executor` (claimed, not seen), `restart`, `sweep`, `probe`, or the person who says so.
    pub by: String,
    pub call: CallId,
    pub duration_ms: u64,
    /// What it told, where `before` rules ask for it: equal inside the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Mark>,
    pub outcome: Outcome,
    pub posted: Amount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Digest>,
    /// Equality of the tool and its result inside the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_mark: Option<Mark>,
    pub run: RunId,
    /// It failed for a reason that passes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transient: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// How it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoKept>,
    /// In the words of the person who says how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Questioned {
    pub agent: String,
    pub args: Digest,
    pub by: String,
    pub call: CallId,
    pub control_seq: u64,
    pub rules_digest: Digest,
    pub tool: String,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestRefused {
    pub agent: String,
    pub code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusalsCounted {
    pub agent: String,
    pub count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

/// A tool failed so often in a row that it is left alone; or it works again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolRested {
    pub failures: u32,
    pub tool: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// None: it works again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// An account is as full as a threshold says: once for each account and threshold, and of several crossed at once
/// the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdCrossed {
    /// None: the account of the run itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    pub action: Action,
    pub agent: String,
    pub percent: u64,
    pub run: RunId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSteered {
    pub by: String,
    pub run: RunId,
    pub why: String,
}

/// Somebody let a run spend more, for a while; if it was paused, it goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunExtended {
    pub amount: Amount,
    pub by: String,
    pub run: RunId,
    pub until: Time,
    pub why: String,
}

/// What a run came to was judged again, after it was closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunCorrected {
    pub by: String,
    /// Of the message that said so, so that it says so once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Mark>,
    pub outcome: Closing,
    pub run: RunId,
    pub why: String,
}

/// What a run cost beside its calls: a person's minutes, a fee.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Charged {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountId>,
    pub amount: Amount,
    pub by: String,
    pub run: RunId,
    pub why: String,
}

/// An agent said what it learned, before it goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replanned {
    pub agent: String,
    /// Commitment to what was learned, in its words.
    pub learned: Digest,
    pub run: RunId,
}

/// Where and when an event happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamp {
    pub at: Time,
    pub lane: u16,
    pub lane_seq: u64,
    pub tenant: String,
}

#[derive(Serialize)]
struct Written<'a, B> {
    at: Time,
    body: &'a B,
    kind: &'a str,
    lane: u16,
    lane_seq: u64,
    tenant: &'a str,
    v: u64,
}

#[derive(Deserialize)]
struct Reading<'a> {
    at: Time,
    /// Read once its kind is known.
    #[serde(borrow)]
    body: &'a RawValue,
    kind: String,
    lane: u16,
    lane_seq: u64,
    tenant: String,
    v: u64,
}

fn written<B: Serialize>(stamp: &Stamp, kind: &str, body: &B) -> Vec<u8> {
    let Stamp { at, lane, lane_seq, tenant } = stamp;
    let (at, lane, lane_seq) = (*at, *lane, *lane_seq);
    // INVARIANT: our own types hold string keys and integers only, so writing them cannot fail.
    serde_json::to_vec(&Written { at, body, kind, lane, lane_seq, tenant, v: VERSION }).unwrap_or_default()
}

impl Event {
    pub fn kind(&self) -> &'static str {
        match self {
            Event::RulesActivated(_) => "rules_activated",
            Event::KeyMinted(_) => "key_minted",
            Event::KeyRevoked(_) => "key_revoked",
            Event::Halted(_) => "halted",
            Event::Resumed(_) => "resumed",
            Event::ToolSeen(_) => "tool_seen",
            Event::RunOpened(_) => "run_opened",
            Event::RunClosed(_) => "run_closed",
            Event::CallDecided(_) => "call_decided",
            Event::CallFinished(_) => "call_finished",
            Event::Answered(_) => "answered",
            Event::Collected(_) => "collected",
            Event::AskEscalated(_) => "ask_escalated",
            Event::Questioned(_) => "questioned",
            Event::RequestRefused(_) => "request_refused",
            Event::RefusalsCounted(_) => "refusals_counted",
            Event::ToolRested(_) => "tool_rested",
            Event::Replanned(_) => "replanned",
            Event::SlicesLent(_) => "slices_lent",
            Event::SlicesFreed(_) => "slices_freed",
            Event::SlicesReturned(_) => "slices_returned",
            Event::ThresholdCrossed(_) => "threshold_crossed",
            Event::RunPaused(_) => "run_paused",
            Event::RunResumed(_) => "run_resumed",
            Event::RunExtended(_) => "run_extended",
            Event::RunCorrected(_) => "run_corrected",
            Event::Charged(_) => "charged",
            Event::PhaseChanged(_) => "phase_changed",
            Event::PlanProposed(_) => "plan_proposed",
            Event::GroupBegun(_) => "group_begun",
            Event::StepJoined(_) => "step_joined",
            Event::CommitStarted(_) => "commit_started",
            Event::StepChecked(_) => "step_checked",
            Event::UnwindStarted(_) => "unwind_started",
            Event::CommitEnded(_) => "commit_ended",
            Event::ResidueAccepted(_) => "residue_accepted",
            Event::Claimed(_) => "claimed",
            Event::ClaimsReleased(_) => "claims_released",
            Event::SignedIn(_) => "signed_in",
            Event::SignedOut(_) => "signed_out",
            Event::IncidentSent(_) => "incident_sent",
        }
    }

    /// Whether every lane must have seen this before it decides again.
    pub fn bumps_epoch(&self) -> bool {
        use Event::{Halted, KeyMinted, KeyRevoked, Resumed, RulesActivated, ToolSeen};
        matches!(
            self,
            RulesActivated(_) | KeyMinted(_) | KeyRevoked(_) | Halted(_) | Resumed(_) | ToolSeen(_)
        )
    }

    /// The bytes that are stored, verbatim.
    pub fn encode(&self, stamp: &Stamp) -> Vec<u8> {
        let kind = self.kind();
        match self {
            Event::RulesActivated(body) => written(stamp, kind, body),
            Event::KeyMinted(body) => written(stamp, kind, body),
            Event::KeyRevoked(body) => written(stamp, kind, body),
            Event::Halted(body) | Event::Resumed(body) => written(stamp, kind, body),
            Event::ToolSeen(body) => written(stamp, kind, body),
            Event::RunOpened(body) => written(stamp, kind, body),
            Event::RunClosed(body) => written(stamp, kind, body),
            Event::CallDecided(body) => written(stamp, kind, body),
            Event::CallFinished(body) => written(stamp, kind, body),
            Event::Answered(body) => written(stamp, kind, body),
            Event::Collected(body) => written(stamp, kind, body),
            Event::AskEscalated(body) => written(stamp, kind, body),
            Event::Questioned(body) => written(stamp, kind, body),
            Event::RequestRefused(body) => written(stamp, kind, body),
            Event::RefusalsCounted(body) => written(stamp, kind, body),
            Event::ToolRested(body) => written(stamp, kind, body),
            Event::Replanned(body) => written(stamp, kind, body),
            Event::SlicesLent(body) => written(stamp, kind, body),
            Event::SlicesFreed(body) => written(stamp, kind, body),
            Event::SlicesReturned(body) => written(stamp, kind, body),
            Event::ThresholdCrossed(body) => written(stamp, kind, body),
            Event::RunPaused(body) | Event::RunResumed(body) => written(stamp, kind, body),
            Event::RunExtended(body) => written(stamp, kind, body),
            Event::RunCorrected(body) => written(stamp, kind, body),
            Event::Charged(body) => written(stamp, kind, body),
            Event::PhaseChanged(body) => written(stamp, kind, body),
            Event::PlanProposed(body) => written(stamp, kind, body),
            Event::GroupBegun(body) => written(stamp, kind, body),
            Event::StepJoined(body) => written(stamp, kind, body),
            Event::CommitStarted(body) => written(stamp, kind, body),
            Event::StepChecked(body) => written(stamp, kind, body),
            Event::UnwindStarted(body) => written(stamp, kind, body),
            Event::CommitEnded(body) => written(stamp, kind, body),
            Event::ResidueAccepted(body) => written(stamp, kind, body),
            Event::Claimed(body) => written(stamp, kind, body),
            Event::ClaimsReleased(body) => written(stamp, kind, body),
            Event::SignedIn(body) => written(stamp, kind, body),
            Event::SignedOut(body) => written(stamp, kind, body),
            Event::IncidentSent(body) => written(stamp, kind, body),
        }
    }

    pub fn decode(bytes: &[u8]) -> Result<(Stamp, Event), String> {
        fn body<B: serde::de::DeserializeOwned>(text: &RawValue) -> Result<B, String> {
            serde_json::from_str(text.get()).map_err(|error| error.to_string())
        }
        let read: Reading<'_> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if read.v != VERSION {
            return Err(format!("version {} of the encoding is not known here, only {VERSION}", read.v));
        }
        let event = match read.kind.as_str() {
            "rules_activated" => Event::RulesActivated(body(read.body)?),
            "key_minted" => Event::KeyMinted(body(read.body)?),
            "key_revoked" => Event::KeyRevoked(body(read.body)?),
            "halted" => Event::Halted(body(read.body)?),
            "resumed" => Event::Resumed(body(read.body)?),
            "tool_seen" => Event::ToolSeen(body(read.body)?),
            "run_opened" => Event::RunOpened(body(read.body)?),
            "run_closed" => Event::RunClosed(body(read.body)?),
            "call_decided" => Event::CallDecided(Box::new(body(read.body)?)),
            "call_finished" => Event::CallFinished(body(read.body)?),
            "answered" => Event::Answered(Box::new(body(read.body)?)),
            "collected" => Event::Collected(body(read.body)?),
            "ask_escalated" => Event::AskEscalated(body(read.body)?),
            "questioned" => Event::Questioned(Box::new(body(read.body)?)),
            "request_refused" => Event::RequestRefused(body(read.body)?),
            "refusals_counted" => Event::RefusalsCounted(body(read.body)?),
            "tool_rested" => Event::ToolRested(body(read.body)?),
            "replanned" => Event::Replanned(body(read.body)?),
            "slices_lent" => Event::SlicesLent(body(read.body)?),
            "slices_freed" => Event::SlicesFreed(body(read.body)?),
            "slices_returned" => Event::SlicesReturned(body(read.body)?),
            "threshold_crossed" => Event::ThresholdCrossed(body(read.body)?),
            "run_paused" => Event::RunPaused(body(read.body)?),
            "run_resumed" => Event::RunResumed(body(read.body)?),
            "run_extended" => Event::RunExtended(body(read.body)?),
            "run_corrected" => Event::RunCorrected(body(read.body)?),
            "charged" => Event::Charged(body(read.body)?),
            "phase_changed" => Event::PhaseChanged(body(read.body)?),
            "plan_proposed" => Event::PlanProposed(Box::new(body(read.body)?)),
            "group_begun" => Event::GroupBegun(body(read.body)?),
            "step_joined" => Event::StepJoined(Box::new(body(read.body)?)),
            "commit_started" => Event::CommitStarted(body(read.body)?),
            "step_checked" => Event::StepChecked(body(read.body)?),
            "unwind_started" => Event::UnwindStarted(body(read.body)?),
            "commit_ended" => Event::CommitEnded(body(read.body)?),
            "residue_accepted" => Event::ResidueAccepted(body(read.body)?),
            "claimed" => Event::Claimed(body(read.body)?),
            "claims_released" => Event::ClaimsReleased(body(read.body)?),
            "signed_in" => Event::SignedIn(body(read.body)?),
            "signed_out" => Event::SignedOut(body(read.body)?),
            "incident_sent" => Event::IncidentSent(body(read.body)?),
            other => return Err(format!("the event kind `{other}` is not known here")),
        };
        let stamp = Stamp { at: read.at, lane: read.lane, lane_seq: read.lane_seq, tenant: read.tenant };
        Ok((stamp, event))
    }
}
