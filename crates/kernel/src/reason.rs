//! A reason: one check's finding. Which check, which rule, in words a person reads, and what would make it pass.
//!
//! It holds names, limits and JSON Pointers, never a value from the arguments: values live in erasable payloads.

use std::fmt;
use std::sync::Arc;

use policy::RuleRef;
use serde::{Deserialize, Serialize};

use crate::account::said;

const LOOP_REMEDY: &str = "stop repeating it: say what was learned (`remit.replan`, or POST /v1/runs/{run}/replan), \
    then do something else, or close the run and say that it cannot be done";
const PHASE_REMEDY: &str = "read what you need, then propose all that you mean to write as one plan (`remit.plan`, or \
    POST /v1/runs/{run}/plan) and commit it (`remit.commit`, or POST /v1/runs/{run}/commit)";
const OBLIGATION_REMEDY: &str = "send it in `heeds` with the decision (`cap`, `instead`, `model`) and do what its \
    `obligations` say, or let Remit carry the call out";
const PAUSED_REMEDY: &str = "wait until an operator extends or resumes it; retrying does not help";
const REPLAN_REMEDY: &str = "look first whether it happened (read what it should have changed) and say what was \
    learned (`remit.replan`, or POST /v1/runs/{run}/replan); then it may come again, or change its arguments";

macro_rules! codes {
    ($($variant:ident => $text:literal,)*) => {
        /// Every way the law says no. Each code has a page in `docs/errors`.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        pub enum Code {
            $(#[serde(rename = $text)] $variant,)*
        }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Code::$variant => $text,)*
                }
            }
        }
    };
}

codes! {
    // codes:start
    Halted => "halted",
    AgentUnknown => "agent_unknown",
    RunUnknown => "run_unknown",
    RunExpired => "run_expired",
    // No longer given: it is read from ledgers of before.
    RunRequired => "run_required",
    ExecutorRequired => "executor_required",
    ToolUnknown => "tool_unknown",
    ToolChanged => "tool_changed",
    SchemaMismatch => "schema_mismatch",
    DestinationInvalid => "destination_invalid",
    DestinationForbidden => "destination_forbidden",
    ContentForbidden => "content_forbidden",
    LimitReached => "limit_reached",
    LoopDetected => "loop_detected",
    ReplanRequired => "replan_required",
    PhaseForbids => "phase_forbids",
    NoRuleAllows => "no_rule_allows",
    RuleForbids => "rule_forbids",
    RuleErred => "rule_erred",
    BudgetExceeded => "budget_exceeded",
    ApprovalUnavailable => "approval_unavailable",
    ApprovalRequired => "approval_required",
    ApprovalDenied => "approval_denied",
    ApprovalExpired => "approval_expired",
    ApprovalCancelled => "approval_cancelled",
    ApprovalStale => "approval_stale",
    ApprovalUnknown => "approval_unknown",
    NotAnApprover => "not_an_approver",
    OwnRequest => "own_request",
    ReasonRequired => "reason_required",
    AlreadyAnswered => "already_answered",
    EditRefused => "edit_refused",
    Proposed => "proposed",
    ProposalsWait => "proposals_wait",
    IdempotencyConflict => "idempotency_conflict",
    CallUnknown => "call_unknown",
    KeyUnknown => "key_unknown",
    RunPaused => "run_paused",
    RunNotPaused => "run_not_paused",
    RunOpen => "run_open",
    ExtensionTooLarge => "extension_too_large",
    CountInvalid => "count_invalid",
    ObligationUndeclared => "obligation_undeclared",
    DeliveryRepeated => "delivery_repeated",
    DepthReached => "depth_reached",
    ChildrenReached => "children_reached",
    HaltUnknown => "halt_unknown",
    ScopeUnknown => "scope_unknown",
    PlanInvalid => "plan_invalid",
    PlanUnknown => "plan_unknown",
    PlanDenied => "plan_denied",
    PlanStale => "plan_stale",
    PlanDeviates => "plan_deviates",
    StepNotDue => "step_not_due",
    CommitUnderWay => "commit_under_way",
    PlanStuck => "plan_stuck",
    ReadRequired => "read_required",
    ResourceClaimed => "resource_claimed",
    ClaimLost => "claim_lost",
    VersionChanged => "version_changed",
    UndoUnknown => "undo_unknown",
    UndoChanged => "undo_changed",
    UndoExpired => "undo_expired",
    TouchedLater => "touched_later",
    CannotUnwind => "cannot_unwind",
    NothingStuck => "nothing_stuck",
    GroupOver => "group_over",
    ResidueOpen => "residue_open",
    // codes:end
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// Fields stand in alphabetical order, so that serde writes the canonical bytes (see `event`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Whose budget, if not that of the call's own run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Groups whose yes would be needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<String>,
    /// JSON Pointer into the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    pub code: Code,
    /// What was expected, or the name of what is meant; never what was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Rules that would allow it, were their conditions met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub near: Vec<Arc<RuleRef>>,
    /// When it may come again, if time alone helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<RuleRef>>,
}

impl Reason {
    pub fn new(code: Code) -> Reason {
        Reason {
            account: None,
            ask: Vec::new(),
            at: None,
            code,
            detail: None,
            limit: None,
            near: Vec::new(),
            retry_after_seconds: None,
            rule: None,
        }
    }

    /// Time alone helps, this much of it, rounded up; a limit of none never lets anything pass.
    pub(crate) fn retry_after_ms(mut self, ms: u64) -> Reason {
        self.retry_after_seconds = (ms < u64::MAX).then(|| ms.div_ceil(1_000).max(1));
        self
    }

    pub fn at(mut self, pointer: impl Into<String>) -> Reason {
        self.at = Some(pointer.into());
        self
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Reason {
        self.detail = Some(detail.into());
        self
    }

    pub fn account(mut self, account: impl Into<String>) -> Reason {
        self.account = Some(account.into());
        self
    }

    pub fn limit(mut self, limit: u64) -> Reason {
        self.limit = Some(limit);
        self
    }

    /// What was found, in one sentence.
    pub fn says(&self) -> String {
        let detail = self.detail.as_deref().unwrap_or("it");
        let at = self.at.as_deref().filter(|at| !at.is_empty()).unwrap_or("/");
        let limit = self.limit.unwrap_or(0);
        match self.code {
            Code::Halted => format!("halted: {detail}"),
            Code::AgentUnknown => format!("no manifest names the agent `{detail}`"),
            Code::RunUnknown => "this run is closed, or was never opened here".to_owned(),
            Code::RunExpired => "this run's time is over".to_owned(),
            Code::RunRequired => "this agent works in phases, and this call names no run".to_owned(),
            Code::ExecutorRequired => "only an agent with the role `executor` may do this".to_owned(),
            Code::ToolUnknown => format!("there is no tool `{detail}`: no contract declares it"),
            Code::ToolChanged => {
                format!("`{detail}` is quarantined: its server describes it otherwise than it was accepted")
            }
            Code::SchemaMismatch => format!("the arguments do not fit the tool's schema at {at}: {detail}"),
            Code::DestinationInvalid => format!("the destination at {at} cannot be read as {detail}"),
            Code::DestinationForbidden => {
                format!("the destination at {at} is none that this tool may reach; it may reach: {detail}")
            }
            Code::ContentForbidden => format!("the arguments hold {detail} at {at}, which may not pass here"),
            Code::LimitReached => format!("no more than {limit} {detail}, and so many there were"),
            Code::LoopDetected => format!("this run goes in circles: {detail}, {limit} times"),
            Code::ReplanRequired => "this very write failed before, and nothing was learned since".to_owned(),
            Code::PhaseForbids => format!("a run in phase `{detail}` only reads"),
            Code::NoRuleAllows => "no rule allows this call".to_owned(),
            Code::RuleForbids => format!("forbidden by {}", self.cited()),
            Code::RuleErred => format!("{} could not be evaluated: {detail}", self.cited()),
            Code::BudgetExceeded => match &self.account {
                Some(account) => {
                    format!("{account} has a budget of {}, which would be exceeded", said(limit, detail))
                }
                None => format!("the run's budget of {} would be exceeded", said(limit, detail)),
            },
            Code::ApprovalUnavailable => {
                format!("needs a yes from {}, and nobody there can give it", self.ask.join(" and "))
            }
            Code::ApprovalRequired => format!("waits for a yes from {}", self.ask.join(" and ")),
            Code::ApprovalDenied => format!("{detail} said no"),
            Code::ApprovalExpired => "nobody said yes in time".to_owned(),
            Code::ApprovalCancelled => format!("nobody is asked any more: {detail}"),
            Code::ApprovalStale => "it is no longer what you were shown".to_owned(),
            Code::ApprovalUnknown => "no such call waits for an answer".to_owned(),
            Code::NotAnApprover => format!("only members of {detail} may answer this"),
            Code::OwnRequest => format!("this was asked for on behalf of {detail}, who may not answer it"),
            Code::ReasonRequired => format!("a yes to a call of risk {limit} or more needs a reason"),
            Code::AlreadyAnswered => format!("{detail} has said yes to this already"),
            Code::EditRefused => format!("these arguments would not pass: {detail}"),
            Code::Proposed => format!("proposed, and not done: {} sees all of it", self.ask.join(" and ")),
            Code::ProposalsWait => "what this run proposed waits for people".to_owned(),
            Code::IdempotencyConflict => "this idempotency key came before with other arguments".to_owned(),
            Code::CallUnknown => "no such call is waiting for an outcome".to_owned(),
            Code::KeyUnknown => format!("there is no key `{detail}`"),
            Code::RunPaused => format!("the run waits for a person: {detail}"),
            Code::RunNotPaused => "this run is not paused".to_owned(),
            Code::RunOpen => "this run is still open".to_owned(),
            Code::ExtensionTooLarge if limit == 0 => format!("this run cannot be extended by {detail}"),
            Code::ExtensionTooLarge => {
                format!(
                    "a run can be extended by no more than it began with, which is {}",
                    said(limit, detail)
                )
            }
            Code::HaltUnknown => format!("nothing is halted by the name of {detail}"),
            Code::ScopeUnknown => format!("nobody knows the {detail}"),
            _ => self.says_of_budgets(detail, at, limit),
        }
    }

    /// The same of budgets, and of runs under runs.
    fn says_of_budgets(&self, detail: &str, at: &str, limit: u64) -> String {
        match self.code {
            Code::CountInvalid => {
                format!("`{detail}` is counted from the argument at {at}, which is no whole number")
            }
            Code::ObligationUndeclared => {
                let level = self.account.as_deref().unwrap_or("a budget has come to its gate `degrade`");
                format!("{level}; this executor does not say that it heeds `{detail}`")
            }
            Code::DeliveryRepeated => "this very message came before, and was heeded then".to_owned(),
            Code::DepthReached => format!("runs may be opened {limit} deep under one another"),
            Code::ChildrenReached => format!("a run may have {limit} open runs under it"),
            _ => self.says_of_plans(detail, at),
        }
    }

    /// The same of plans and of what they leave.
    fn says_of_plans(&self, detail: &str, at: &str) -> String {
        match self.code {
            Code::PlanInvalid => format!("the plan cannot be read at {at}: {detail}"),
            Code::PlanUnknown => "this run has no such plan".to_owned(),
            Code::PlanDenied => "this plan was denied, so it cannot be committed".to_owned(),
            Code::PlanStale => {
                "its run has since come to a threshold of a budget that wants it looked at again".to_owned()
            }
            Code::PlanDeviates => format!("this is not the step as it was planned: {detail}"),
            Code::StepNotDue => format!("this step is not due: {detail}"),
            Code::CommitUnderWay => "a plan of this run is being carried out".to_owned(),
            Code::PlanStuck => {
                format!("nobody knows whether {detail} happened, and only a person can find out")
            }
            Code::ReadRequired => format!("`{detail}` must have been read before, with the same values"),
            Code::ResourceClaimed => format!("what it touches is claimed by {detail}"),
            Code::ClaimLost => "what it touches is not claimed by this run, or no longer".to_owned(),
            Code::VersionChanged => format!("it is not taken back: {detail}"),
            Code::UndoUnknown => "nothing is kept to take this call back with".to_owned(),
            Code::UndoChanged => format!("`{detail}` is not the tool that this undo was kept for"),
            Code::UndoExpired => format!("the time to take it back is over: {detail}"),
            Code::TouchedLater => format!("a later run has touched the same since: {detail}"),
            Code::CannotUnwind => format!("this cannot be taken back: {detail}"),
            Code::NothingStuck => "nothing of this run waits for a person".to_owned(),
            Code::GroupOver => format!("the group that this belonged to was taken back: {detail}"),
            Code::ResidueOpen => {
                "something is left of an earlier plan of this run, and nobody has looked at it".to_owned()
            }
            other => other.name().to_owned(),
        }
    }

    /// What would make it pass, in words an agent or its developer can act on.
    pub fn remedy(&self) -> String {
        match self.code {
            Code::Halted => "wait until an operator resumes it; retrying does not help".to_owned(),
            Code::AgentUnknown => "add a manifest for it under agents/".to_owned(),
            Code::RunUnknown | Code::RunExpired | Code::RunRequired => "open a new run".to_owned(),
            Code::ExecutorRequired => {
                "let Remit carry the call, or give the agent `roles: [executor]` in its manifest".to_owned()
            }
            Code::ToolUnknown => "use a full name, `server.tool`, of a declared tool".to_owned(),
            Code::ToolChanged => {
                "do without it until an operator has read the change: `remit tool diff`, then `remit tool accept`"
                    .to_owned()
            }
            Code::SchemaMismatch => "send arguments that fit the schema".to_owned(),
            Code::DestinationInvalid => {
                "write each destination in its plain form, one a value: no lists, user names, escapes or odd spellings"
                    .to_owned()
            }
            Code::DestinationForbidden => {
                "send it to a place in that list, or ask an operator to add this one to the tool's `to`".to_owned()
            }
            Code::ContentForbidden => {
                "take it out, or send it only where the tool's contract lets it go (`redact.arguments`)".to_owned()
            }
            Code::LimitReached => match self.retry_after_seconds {
                Some(seconds) => format!("try again in {seconds} s"),
                None => "do without it, or open a new run for a new prompt".to_owned(),
            },
            Code::LoopDetected => LOOP_REMEDY.to_owned(),
            Code::ReplanRequired => REPLAN_REMEDY.to_owned(),
            Code::PhaseForbids => PHASE_REMEDY.to_owned(),
            Code::NoRuleAllows => self.near_words(),
            Code::RuleForbids => "choose an action that the rule does not forbid".to_owned(),
            Code::RuleErred => "fix the rule; a rule that errs always denies".to_owned(),
            Code::BudgetExceeded => {
                "finish with what is left, or ask an operator for a larger budget".to_owned()
            }
            Code::ApprovalUnavailable
            | Code::ApprovalRequired
            | Code::ApprovalDenied
            | Code::ApprovalExpired
            | Code::ApprovalCancelled
            | Code::ApprovalStale
            | Code::ApprovalUnknown
            | Code::NotAnApprover
            | Code::OwnRequest
            | Code::ReasonRequired
            | Code::AlreadyAnswered
            | Code::EditRefused
            | Code::Proposed
            | Code::ProposalsWait => approval_remedy(self.code).to_owned(),
            Code::IdempotencyConflict => "use a new key for a new call".to_owned(),
            Code::CallUnknown => "report an outcome once, for a call that was permitted".to_owned(),
            Code::KeyUnknown => "list the keys with `remit agent keys`".to_owned(),
            Code::RunPaused => PAUSED_REMEDY.to_owned(),
            Code::RunNotPaused => "nothing needs to be done".to_owned(),
            Code::RunOpen => "close it with its outcome instead".to_owned(),
            Code::ObligationUndeclared => OBLIGATION_REMEDY.to_owned(),
            Code::DeliveryRepeated => "nothing: send what is new under an id of its own".to_owned(),
            Code::ExtensionTooLarge => "ask for less, or raise the budget in the manifest".to_owned(),
            Code::CountInvalid => "send the argument as a whole number that is not negative".to_owned(),
            Code::DepthReached => "do the work in the run that is open".to_owned(),
            Code::ChildrenReached => "close one of them first".to_owned(),
            Code::HaltUnknown => "`remit halts` lists what is halted".to_owned(),
            Code::ScopeUnknown => {
                "write the right name, or force the halt if the rules no longer hold it (`--force`)".to_owned()
            }
            _ => self.plan_remedy().to_owned(),
        }
    }

    /// The same of plans.
    fn plan_remedy(&self) -> &'static str {
        match self.code {
            Code::PlanInvalid => "mend the plan there and propose it again",
            Code::PlanUnknown => "propose a plan, and name the version of the last one",
            Code::PlanStale => "look at what is left, and propose the plan again, as it is or smaller",
            Code::PlanDenied => "read the reasons of its steps, and propose a plan without them",
            Code::PlanDeviates => "propose a new version of the plan instead",
            Code::StepNotDue => "let Remit carry the plan out",
            Code::CommitUnderWay => "wait for its end, or abort it",
            Code::PlanStuck => {
                "a person looks where it would be, then `remit run resolve CALL --as done` or `--as not-done`"
            }
            Code::ReadRequired => "read it first, in this run, then try again",
            Code::ResourceClaimed => "wait until that run is over, then try again",
            Code::ClaimLost => "propose the plan again",
            Code::VersionChanged => "look at both versions, mend it by hand, then `remit run accept`",
            Code::UndoUnknown => "mend it by hand, then `remit run accept`",
            Code::UndoChanged => "read what changed in the tool, mend it by hand, then `remit run accept`",
            Code::UndoExpired => "mend it by hand",
            Code::TouchedLater => "take the later runs back first",
            Code::CannotUnwind => "mend it by hand",
            Code::GroupOver => {
                "read anew, then begin another group (`remit.begin`, or POST /v1/runs/{run}/begin)"
            }
            Code::ResidueOpen => {
                "a person must look at it (`remit run plan`) and `remit run accept` what stays"
            }
            // Whatever else there is has its words in `remedy`.
            _ => "`remit runs --stuck` lists what waits",
        }
    }

    fn near_words(&self) -> String {
        let near: Vec<String> =
            self.near.iter().map(|rule| format!("`{}` ({}:{})", rule.words, rule.file, rule.line)).collect();
        if near.is_empty() {
            "nothing in this agent's manifest allows this tool at all".to_owned()
        } else {
            format!("it would be allowed if {}", near.join(", or if "))
        }
    }

    fn cited(&self) -> String {
        match &self.rule {
            Some(rule) => format!("rule `{}` ({}:{}): {}", rule.id, rule.file, rule.line, rule.words),
            None => "a rule".to_owned(),
        }
    }
}

/// What helps whoever asked people, or was asked.
fn approval_remedy(code: Code) -> &'static str {
    match code {
        Code::ApprovalUnavailable => {
            "keep to what needs none; an operator can give people the role `approver:GROUP`"
        }
        Code::ApprovalRequired => {
            "do something else meanwhile and make the same call again later: it answers how it ended"
        }
        Code::ApprovalDenied => "do without it, and tell whoever you work for",
        Code::ApprovalExpired => "ask again if it is still needed",
        Code::ApprovalCancelled => "ask again when that is over, if it is still needed",
        Code::ApprovalStale => "look at it again: its arguments, its tool or the rules have changed",
        Code::ApprovalUnknown => "`remit inbox` lists what waits; this may have ended meanwhile",
        Code::NotAnApprover => "ask one of them; roles stand under `people` in remit.yaml",
        Code::OwnRequest => "somebody else of the group must answer",
        Code::ReasonRequired => "say why (`--why`)",
        Code::AlreadyAnswered => "somebody else must say yes, too",
        Code::EditRefused => "change them within what the rules allow, or say no",
        Code::Proposed => "go on; what becomes of it `remit.status` says, or GET /v1/tickets/{call}",
        Code::ProposalsWait => {
            "leave it open until they have answered, or close it as `abandoned`, which takes the proposals back"
        }
        _ => "nothing needs to be done",
    }
}
