//! Commands: what is asked of the law. A command changes nothing; the events that it leads to do.

use std::sync::Arc;

use stdx::digest::Digest;

use crate::account::Limits;
use crate::approval::Terms;
use crate::balance::{Balance, Whose};
use crate::call::{Call, Settlement};
use crate::event::{IncidentSent, SignedIn, ToolRested};
use crate::halt::Scope;
use crate::id::{CallId, KeyId, Mark, RunId};
use crate::lending::{Need, Part};
use crate::obligation::{Level, Obligation};
use crate::phase::Phase;
use crate::plan::{DraftedPlan, PlanVerdict};
use crate::progress::{Expectation, PlanState};
use crate::reason::Code;
use crate::steer::Steer;
use crate::time::Time;
use crate::undo::UndoKept;
use crate::window::AccountId;

/// Asked of the clerk of one lane.
#[derive(Clone, Debug)]
pub enum Command {
    OpenRun(OpenRun),
    CloseRun {
        run: RunId,
        agent: Option<String>,
        outcome: Closing,
        workflow: Option<String>,
        by: String,
    },
    Propose(Arc<Call>),
    /// The same after control had nothing more to lend: it is decided by what the lane holds.
    ProposeLast(Arc<Call>),
    /// A question without a run: no reservation, no permit; recorded.
    Question {
        call: Arc<Call>,
        by: String,
    },
    Settle(Settlement),
    /// A person answers a call that waits.
    Answer(Box<PersonAnswer>),
    /// A call that waits has the yeses it needs: it is decided again, on the rules and the budget of now.
    Release(Arc<Call>),
    /// The same after control had nothing more to lend.
    ReleaseLast(Arc<Call>),
    /// The agent was told what became of a call that waited.
    Collect {
        call: CallId,
        run: RunId,
        agent: String,
    },
    /// A door refused a known agent's request before it became a call.
    Refused {
        agent: String,
        run: Option<RunId>,
        code: String,
    },
    /// Refusals of an agent that were not recorded one by one, by the run they named.
    CountRefusals {
        agent: String,
        counts: Vec<(Option<RunId>, u64)>,
    },
    /// A tool that kept failing is left alone, or works again.
    ToolRested(ToolRested),
    /// Somebody does something to a run from outside.
    Steer {
        run: RunId,
        steer: Steer,
        by: String,
        why: String,
    },
    /// A question about accounts; nothing is recorded.
    Balance(Whose),
    /// What the lane does not use of these accounts goes back to control.
    GiveBack(Vec<AccountId>),
    /// An agent says what it learned, before it goes on.
    Replan {
        run: RunId,
        agent: String,
        /// Commitment to what was learned.
        learned: Digest,
    },
    /// An agent moves its run between `explore` and `decide`.
    Phase {
        run: RunId,
        agent: String,
        to: Phase,
    },
    /// An agent proposes a plan: `Answer::Plan`.
    Plan {
        run: RunId,
        agent: String,
        plan: Arc<DraftedPlan>,
    },
    /// From here on what the run writes belongs to one group, which is committed or taken back as one.
    Begin {
        run: RunId,
        agent: String,
    },
    /// A call that writes becomes a step of its run's group: `Answer::Joined`.
    Join(Arc<Call>),
    /// The same after control had nothing more to lend.
    JoinLast(Arc<Call>),
    /// How far a plan is, as far as that is durable: `Answer::Progress`.
    Stand {
        run: RunId,
        version: u32,
    },
    /// What people said yes to of a run's proposals becomes a plan: `Answer::Plan`.
    Gather {
        ticket: CallId,
        plan: Arc<DraftedPlan>,
    },
    /// An agent lets its plan be carried out; what it touches is claimed already.
    Commit {
        run: RunId,
        agent: String,
        version: u32,
        /// The name under which people are asked, if they must be.
        ticket: CallId,
        /// Whose wish it is, if somebody asks for it just now.
        credential: Option<KeyId>,
        /// Control has nothing more to lend for it.
        is_last: bool,
    },
    /// The plan is given up: by its agent, or by a person (`agent` is none).
    Abort {
        run: RunId,
        agent: Option<String>,
        by: String,
        why: String,
    },
    /// What came of looking after a step.
    StepChecked(Looked),
    /// `Move::Unwind`.
    Unwind {
        run: RunId,
        why: String,
    },
    /// `Move::Pause`.
    Pause {
        run: RunId,
        why: String,
    },
    /// `Move::Finish`; it is judged again.
    EndCommit {
        run: RunId,
    },
    /// A person knows what became of a call of unknown end.
    ResolveCall {
        call: CallId,
        done: bool,
        /// How it is taken back, as far as that can be told without its result.
        undo: Option<UndoKept>,
        by: String,
        why: String,
    },
    /// What was committed is taken back: all, or one step with what builds on it. `dry`: only told.
    TakeBack {
        run: RunId,
        step: Option<String>,
        dry: bool,
        by: String,
        why: String,
    },
    /// A person accepts what is left of a plan, be it over or stuck.
    AcceptResidue {
        run: RunId,
        by: String,
        why: String,
    },
    /// Ends what is overdue: permits nobody reported on, runs past their time.
    Sweep,
    /// The process has just started: what was under way is unknown.
    Restarted,
}

/// What the engine saw of a step: after it, or when nobody knew whether it, or its undo, happened.
#[derive(Clone, Debug)]
pub struct Looked {
    pub run: RunId,
    /// Of the plan.
    pub version: u32,
    pub step: u16,
    /// It could not even be asked, and why: then it has failed.
    pub barred: Option<String>,
    /// After `Move::Check`.
    pub expectation: Option<Expectation>,
    /// After `Move::Probe`: held, if the deed's effect is there.
    pub happened: Option<Expectation>,
    /// Equality of the version read after the deed.
    pub seen: Option<Mark>,
    /// After a probe that says it happened: how it is taken back.
    pub undo: Option<UndoKept>,
}

#[derive(Clone, Debug)]
pub struct PersonAnswer {
    pub call: CallId,
    pub by: String,
    pub yes: bool,
    /// What the person saw.
    pub bound: Digest,
    /// Commitment to what they wrote.
    pub words: Option<Digest>,
    /// The call as they would have it.
    pub edit: Option<Arc<Call>>,
    pub standing: Option<Terms>,
    /// Of proposals: those that it is a yes to; none named: all.
    pub only: Vec<CallId>,
}

#[derive(Clone, Debug)]
pub struct OpenRun {
    pub run: RunId,
    pub agent: String,
    /// For whom, as the agent says.
    pub person: Option<String>,
    /// Commitment to what it is for, in the agent's words.
    pub intent: Option<Digest>,
    /// The credential of calls that name no run: it has one run at a time, closed when idle.
    pub implicit: Option<KeyId>,
    /// The run that it is opened under.
    pub parent: Option<RunId>,
    /// What it borrows from that run; without it, it takes from there call by call.
    pub budget: Option<Limits>,
    /// The credential that opens it.
    pub credential: Option<KeyId>,
}

/// How a run ended, in the words of whoever closed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Closing {
    Success,
    Failure,
    Abandoned,
    Expired,
}

impl Closing {
    pub fn name(self) -> &'static str {
        match self {
            Closing::Success => "success",
            Closing::Failure => "failure",
            Closing::Abandoned => "abandoned",
            Closing::Expired => "expired",
        }
    }
}

/// Asked of the control lane: what all lanes must know before they decide again.
#[derive(Clone, Debug)]
pub enum ControlCommand {
    Activate {
        digest: Digest,
        payload: Digest,
        agents: u64,
        tools: u64,
        by: String,
    },
    MintKey {
        key: KeyId,
        agent: String,
        hash: Digest,
        expires: Time,
        by: String,
        /// The person it is given to.
        person: Option<String>,
    },
    RevokeKey {
        key: KeyId,
        by: String,
        why: String,
    },
    Halt {
        scope: Scope,
        why: String,
        by: String,
        until: Option<Time>,
        reads_allowed: bool,
        /// Also by a name that the rules do not hold.
        force: bool,
    },
    Resume {
        scope: Scope,
        why: String,
        by: String,
    },
    /// Lifts the halts whose time is over.
    LiftOverdue {
        now: Time,
    },
    /// What a plan touches becomes its own: all of it or nothing. Again: for longer, or for more.
    Claim {
        run: RunId,
        marks: Vec<Mark>,
        until: Time,
        now: Time,
    },
    /// A run's claims end.
    Release {
        run: RunId,
        /// Its plan was committed; until then somebody may take it back.
        committed: Option<Time>,
    },
    /// A person begins a session in a browser.
    SignIn(SignedIn),
    /// A session ends before its time; one that is not known ends without a word.
    SignOut {
        hash: Digest,
    },
    /// A run is sent away to be looked at, or that has ended.
    SendIncident(IncidentSent),
    /// A tool server was asked what it offers.
    SeeTool {
        tool: String,
        digest: Digest,
        definition: Digest,
    },
}

/// What the law answers, beside the events.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Verdict(crate::verdict::Verdict),
    /// This idempotency key was seen before: the first call's answer stands.
    Same {
        call: CallId,
        verdict: crate::verdict::Verdict,
        ended: Option<Ended>,
    },
    Opened {
        run: RunId,
        expires: Time,
    },
    /// The same call waits for people already.
    Waiting(CallId),
    /// People will be asked: the call must come again with marks of where it goes, and of these arguments.
    Marks(Vec<String>),
    /// It may come again as this: an account is as full as its gate `degrade` says. Nothing was decided yet.
    Obliged {
        by: Vec<Obligation>,
        level: Box<Level>,
    },
    /// A person's answer counts; whether the call can be released now.
    Given {
        complete: bool,
        bound: Digest,
        waits_for: Vec<String>,
    },
    Done,
    /// What is said to a plan.
    Plan(Box<PlanVerdict>),
    /// The phase that the run is in now.
    Phase(Phase),
    /// Its run has a group open: the call must come again to join that.
    Joins,
    /// It is a step of its run's group now, and of which version.
    Joined {
        verdict: crate::verdict::Verdict,
        step: u16,
        version: u32,
    },
    /// The plan as it stands after the command.
    Progress(Box<PlanState>),
    /// What would be taken back, in order, by the places of the steps; nothing was done.
    WouldTakeBack(Vec<u16>),
    Balances(Vec<Balance>),
    /// The lane's slices of these accounts do not reach; nothing was decided yet.
    Short(Vec<Need>),
    /// All that the lane ever gave back.
    Returned(Vec<Part>),
    Refused(crate::reason::Reason),
}

/// What is remembered of an ended call, to answer its idempotency key again.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    pub outcome: crate::call::Outcome,
    pub result: Option<Digest>,
}

impl Answer {
    pub(crate) fn refused(code: Code) -> Answer {
        Answer::Refused(crate::reason::Reason::new(code))
    }
}
