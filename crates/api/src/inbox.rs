//! The inbox: calls that wait for a person's yes, what a person is shown of one, and the answer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::budget::Spend;
use crate::call::{Answered, Receipt, RuleView};
use crate::plan::Difference;

// ---- For agents -------------------------------------------------------------------------------------------

/// A call that waits for people. Nothing was called yet. The very same call, made again, gets this very ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    /// The call itself: under this name it is asked for.
    pub ticket: String,
    pub run: String,
    pub tool: String,
    /// Groups of people that must say yes. None: they did, and it is under way.
    pub groups: Vec<String>,
    pub asked: String,
    /// No answer until then is a no.
    pub expires: String,
    /// Where the outcome is asked for, on the agents' address; `wait` holds the answer back until there is one.
    pub poll: String,
    /// Where a person answers.
    pub console: String,
    /// It was proposed, and nobody need wait for it: people see it with all else that its run proposes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
    /// The later proposal that takes its place: this one would not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// Its agent is told when it has ended, at the address that it named.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub callback: bool,
}

/// `?wait=`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitQuery {
    /// Holds the answer back until the ticket has ended, at most so long: `10s`; a minute at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
}

/// `GET /v1/tickets/{call}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Ticket {
    pub ticket: String,
    /// `waiting`, `proposed` (which nobody need wait for), or `ended`: then `answered` says how.
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// As the call would have been answered had nobody been asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answered>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TicketList {
    pub items: Vec<Waiting>,
}

// ---- For people -------------------------------------------------------------------------------------------

/// `GET /v1/inbox`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InboxQuery {
    /// As this person of the configuration sees it. Only with the operator's key.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Only what this person may answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<bool>,
}

/// What waits, the riskiest first, what is of one run beside each other.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Inbox {
    pub items: Vec<InboxItem>,
    /// All that wait, whoever may answer them.
    pub waiting: u64,
    /// Those of them that this person may answer.
    pub mine: u64,
    /// A reason must be given for a risk of so much or more.
    pub reason_from: u64,
    /// One run may ask so often, and then it is paused.
    pub per_run_max: u64,
    /// One agent may ask so often within an hour.
    pub per_agent_hour_max: u64,
}

/// How far one group is with its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupAsked {
    pub group: String,
    /// So many of the group must say yes.
    pub quorum: u64,
    /// Who has said yes to what it is now.
    pub yes: Vec<String>,
    /// Who may answer for it.
    pub members: Vec<String>,
    /// From then on these may answer for it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalates: Option<Escalates>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Escalates {
    pub to: String,
    pub at: String,
}

/// One part of a risk score.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RiskPart {
    pub name: String,
    pub points: u64,
    /// What it says, in words.
    pub says: String,
}

/// How risky, from 0 to 100, and of what that is the sum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Risk {
    pub score: u64,
    pub parts: Vec<RiskPart>,
}

/// One call that waits, as a list shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InboxItem {
    pub call: String,
    /// `call`, `plan`, or `proposals`: all that a run proposes.
    pub kind: String,
    pub run: String,
    pub agent: String,
    /// The person for whom the agent says it acts.
    pub person: Option<String>,
    pub tool: String,
    /// `read`, `reversible` or `irreversible`
    pub effect: String,
    pub asked: String,
    pub expires: String,
    pub groups: Vec<GroupAsked>,
    pub risk: Risk,
    pub cost_usd_nanos: u64,
    /// What the answer is bound to: an answer to anything else is refused.
    pub bound: String,
    /// Whether this person may answer it.
    pub may_answer: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_not: Option<String>,
    /// A yes must say why.
    pub reason_required: bool,
}

/// One that was answered before, like this one: the same tool, of the same agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Similar {
    pub call: String,
    pub at: String,
    pub yes: bool,
    pub by: String,
}

/// A yes that was said to it so far; a no would have ended it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    pub by: String,
    pub at: String,
    /// To what it is now; a yes to what it was before does not count.
    pub counts: bool,
}

/// `GET /v1/inbox/{call}`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct InboxShown {
    pub item: InboxItem,
    /// Why the agent wants it: the agent's words, which nobody has checked.
    pub reason: Option<String>,
    /// Exactly what is sent if it is approved. None if they were erased.
    pub args: Option<Value>,
    /// As the agent asked for it, where an approver has changed that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_args: Option<Value>,
    /// What the tool says of itself.
    pub about: String,
    /// What the run is for, in the agent's words.
    pub intent: Option<String>,
    /// The persons of the run and of the runs above it: none of them may approve it.
    pub chain: Vec<String>,
    pub model: Option<String>,
    /// In words: whether it can be taken back.
    pub undo: String,
    /// The rules that would then allow it.
    pub rules: Vec<RuleView>,
    pub said: Vec<Said>,
    /// What calls like it got, newest first.
    pub similar: Vec<Similar>,
    /// Other calls of the same run that wait.
    pub beside: Vec<String>,
    /// Each write that it is about: the call itself, the steps of the plan, or what the run proposes, in order.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// The schema of the arguments, for whoever changes them.
    pub input: Value,
}

/// One write, and what is there before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Its call, or the id of its step.
    pub id: String,
    pub tool: String,
    /// `read`, `reversible` or `irreversible`
    pub effect: String,
    /// The tool that would take it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// What it costs at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd_nanos: Option<u64>,
    /// What is there now, where the tool's contract names a read for that (`preview`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What of it becomes another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<Difference>,
    /// Exactly what would be sent. None if it was erased.
    pub after: Option<Value>,
    /// Why what is there now cannot be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The agent's words, which nobody has checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The later proposal that takes its place: this one would not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// Others of these that touch the same: look at them together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<String>,
}

/// A yes to more than this one call: to so many like it, and not for long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// So many calls after this one.
    pub times: u64,
    /// For how long: `2h`; a week at most.
    pub within: String,
    /// Arguments that must be as they are here: JSON Pointers, such as `/charge_id`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub same: Vec<String>,
    /// Whole numbers among the arguments that may be at most so much: by JSON Pointer, such as `/amount_cents`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub at_most: BTreeMap<String, u64>,
    /// What all of them together may cost.
    #[serde(default)]
    pub spend: Spend,
}

/// `POST /v1/inbox/{call}/answer`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerCall {
    pub yes: bool,
    /// As it was shown: what the answer is to.
    pub bound: String,
    /// Why. The agent is told, whichever way it goes; a no without words is told as a no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Of what a run proposes: only these of its calls; what is left out is refused. All of them, if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// The arguments as they are to be sent instead. What policy would refuse is refused here, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// The person of the configuration who answers. Only with the operator's key, which is nobody by itself.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AnswerTaken {
    pub receipt: Receipt,
    /// `waiting`: others must answer, too; `released`: it is decided again on the rules of now, and if they still allow
    /// it, carried out; `denied`: it will not be done.
    pub state: String,
    /// What further answers are bound to.
    pub bound: String,
    /// Groups that are still to say yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

// ---- Stats ------------------------------------------------------------------------------------------------

/// `GET /v1/inbox/stats`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatsQuery {
    /// How far back: `30d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
}

/// How people answer: whether they still look.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct InboxStats {
    pub within: String,
    pub approvers: Vec<AnswerFigures>,
    pub rules: Vec<AnswerFigures>,
}

/// Of one approver, or of one rule that asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerFigures {
    /// A person, or the id of a rule.
    pub of: String,
    pub approved: u64,
    pub denied: u64,
    pub approved_percent: u64,
    /// From the ask to the answer, in the middle of all.
    pub seconds_median: u64,
    /// Five or more, and never a no: either the rule asks too much, or nobody looks.
    pub always_approved: bool,
}
