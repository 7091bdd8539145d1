//! Every route of both listeners, in one table.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{agent, authzen, budget, call, inbox, incident, observe, people, person, plan, run, story, tool};

pub const RUNS: &str = "/v1/runs";
pub const RUN: &str = "/v1/runs/{run}";
pub const RUN_INCIDENT: &str = "/v1/runs/{run}/incident";
pub const INCIDENTS: &str = "/v1/incidents";
pub const RUN_CLOSE: &str = "/v1/runs/{run}/close";
pub const RUN_BUDGET: &str = "/v1/runs/{run}/budget";
pub const RUN_PAUSE: &str = "/v1/runs/{run}/pause";
pub const RUN_RESUME: &str = "/v1/runs/{run}/resume";
pub const RUN_EXTEND: &str = "/v1/runs/{run}/extend";
pub const RUN_CHARGE: &str = "/v1/runs/{run}/charge";
pub const RUN_CORRECT: &str = "/v1/runs/{run}/correct";
/// Where a system of people's own says what a run came to.
pub const HOOK_CORRECT: &str = "/v1/hooks/{hook}/correct";
pub const BUDGET: &str = "/v1/budget";
pub const SPEND: &str = "/v1/spend";
pub const OBSERVED: &str = "/v1/observed";
pub const SPEND_DAYS: &str = "/v1/spend/days";
pub const TOP: &str = "/v1/top";
pub const RUN_REPLAN: &str = "/v1/runs/{run}/replan";
pub const RUN_PHASE: &str = "/v1/runs/{run}/phase";
pub const RUN_PLAN: &str = "/v1/runs/{run}/plan";
pub const RUN_BEGIN: &str = "/v1/runs/{run}/begin";
pub const RUN_COMMIT: &str = "/v1/runs/{run}/commit";
pub const RUN_ABORT: &str = "/v1/runs/{run}/abort";
pub const RUN_UNDO: &str = "/v1/runs/{run}/undo";
pub const RUN_ACCEPT: &str = "/v1/runs/{run}/accept";
pub const CALLS: &str = "/v1/calls";
pub const CALL: &str = "/v1/calls/{call}";
pub const CALL_RESOLVE: &str = "/v1/calls/{call}/resolve";
pub const CALL_OUTCOME: &str = "/v1/calls/{call}/outcome";
pub const DECISIONS: &str = "/v1/decisions";
pub const TICKETS: &str = "/v1/tickets";
pub const TICKET: &str = "/v1/tickets/{call}";
pub const WHOAMI: &str = "/v1/whoami";
pub const EVALUATION: &str = "/access/v1/evaluation";
pub const EVALUATIONS: &str = "/access/v1/evaluations";
pub const AUTHZEN_CONFIGURATION: &str = "/.well-known/authzen-configuration";
/// The public key of permit tokens.
pub const PERMIT_KEYS: &str = "/v1/permit-keys";
pub const HEALTHZ: &str = "/healthz";
pub const READYZ: &str = "/readyz";

pub const EXPLAIN: &str = "/v1/explain/{id}";
pub const EVENTS: &str = "/v1/events";
pub const TAIL: &str = "/v1/tail";
pub const WHO_CAN: &str = "/v1/who-can";
pub const POLICY: &str = "/v1/policy";
pub const POLICY_EXPLAIN: &str = "/v1/policy/explain";
pub const POLICY_FILES: &str = "/v1/policy/files";
pub const POLICY_CHANGE: &str = "/v1/policy/change";
pub const AGENTS: &str = "/v1/agents";
pub const AGENT: &str = "/v1/agents/{agent}";
pub const LOGINS: &str = "/v1/logins";
pub const SESSION: &str = "/v1/session";
pub const AGENT_KEYS: &str = "/v1/agents/{agent}/keys";
pub const KEYS: &str = "/v1/keys";
pub const KEY: &str = "/v1/keys/{key}";
pub const TOOLS: &str = "/v1/tools";
pub const TOOL: &str = "/v1/tools/{tool}";
pub const TOOL_ACCEPT: &str = "/v1/tools/{tool}/accept";
pub const HALTS: &str = "/v1/halts";
pub const INBOX: &str = "/v1/inbox";
pub const INBOX_STATS: &str = "/v1/inbox/stats";
pub const INBOX_CALL: &str = "/v1/inbox/{call}";
pub const INBOX_ANSWER: &str = "/v1/inbox/{call}/answer";
pub const STATUS: &str = "/v1/status";
pub const METRICS: &str = "/metrics";
pub const OPENAPI: &str = "/openapi.json";
pub const FRONT: &str = "/";

/// Which listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Face {
    Agents,
    People,
    Both,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Auth {
    None,
    /// An agent's key.
    Agent,
    /// An agent's key and a run token.
    Run,
    /// The operator's key, or a person who is signed in and has any role.
    Viewer,
    /// The same, as somebody who may answer what waits: that is the law's to say.
    Approver,
    /// The same, and the role `auditor` or `operator`.
    Auditor,
    /// The same, and the role `operator`.
    Operator,
    /// The operator's key itself.
    OperatorKey,
    /// A signature under the secret of the webhook that the path names.
    Signed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a route answers with.
#[derive(Clone, Copy)]
pub enum Media {
    Json(SchemaOf),
    Text,
    Events,
}

#[derive(Clone, Copy)]
pub struct Endpoint {
    pub face: Face,
    pub method: Method,
    pub path: &'static str,
    /// Unique, and what generated clients call it.
    pub id: &'static str,
    pub about: &'static str,
    pub auth: Auth,
    pub query: Option<SchemaOf>,
    pub request: Option<SchemaOf>,
    pub answer: Media,
}

fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<T>()
}

fn anything(_: &mut SchemaGenerator) -> Schema {
    Schema::default()
}

const fn get(face: Face, auth: Auth, path: &'static str, id: &'static str, about: &'static str) -> Endpoint {
    let answer = Media::Text;
    Endpoint { face, method: Method::Get, path, id, about, auth, query: None, request: None, answer }
}

impl Endpoint {
    /// Whether its answer may be that people are asked first: 202.
    pub fn waits(&self) -> bool {
        self.method == Method::Post && self.face == Face::Agents && [CALLS, DECISIONS].contains(&self.path)
    }

    const fn post(self, request: SchemaOf) -> Endpoint {
        Endpoint { method: Method::Post, request: Some(request), ..self }
    }

    const fn delete(self) -> Endpoint {
        Endpoint { method: Method::Delete, ..self }
    }

    const fn query(self, query: SchemaOf) -> Endpoint {
        Endpoint { query: Some(query), ..self }
    }

    const fn json(self, answer: SchemaOf) -> Endpoint {
        Endpoint { answer: Media::Json(answer), ..self }
    }
}

use Auth::{Agent, Approver, Auditor, None as Nobody, Operator, OperatorKey, Run as InRun, Signed, Viewer};
use Face::{Agents, Both, People};

pub const ENDPOINTS: &[Endpoint] = &[
    get(Agents, Agent, RUNS, "openRun", "Open a run. Its token goes with every call.")
        .post(of::<run::OpenRun>)
        .json(of::<run::RunOpened>),
    get(Agents, InRun, RUN_CLOSE, "closeRun", "Close one's own run.")
        .post(of::<run::CloseRun>)
        .json(of::<run::Recorded>),
    get(
        Agents,
        InRun,
        RUN_REPLAN,
        "replan",
        "Say what was learned: then a write that failed may come again, after a fresh read.",
    )
    .post(of::<run::Replan>)
    .json(of::<run::Recorded>),
    get(Agents, InRun, RUN_PHASE, "changePhase", "Go on to another phase: look, or decide what to write.")
        .post(of::<plan::ChangePhase>)
        .json(of::<plan::PhaseChanged>),
    get(
        Agents,
        InRun,
        RUN_PLAN,
        "proposePlan",
        "Propose all that the run means to write. It is judged and priced; nothing is written.",
    )
    .post(of::<plan::ProposePlan>)
    .json(of::<plan::PlanVerdict>),
    get(Agents, Agent, RUN_PLAN, "ownPlan", "Read the plan of one's own run, and what became of each step.")
        .json(of::<plan::PlanShown>),
    get(
        Agents,
        InRun,
        RUN_BEGIN,
        "beginGroup",
        "From here on what the run writes is committed, or given up, as one group: for agents without phases.",
    )
    .post(of::<plan::BeginGroup>)
    .json(of::<plan::PlanEnded>),
    get(
        Agents,
        InRun,
        RUN_COMMIT,
        "commitPlan",
        "Carry out the plan, or what a group holds: all or nothing. Answers when it is over, hang-up or not.",
    )
    .post(of::<plan::CommitPlan>)
    .json(of::<plan::PlanEnded>),
    get(Agents, InRun, RUN_ABORT, "abortPlan", "Give the plan, or the group, up: what was done of it is taken back.")
        .post(of::<plan::AbortPlan>)
        .json(of::<plan::PlanEnded>),
    get(Agents, Agent, RUN, "ownRun", "Read one's own run.")
        .query(of::<run::AfterQuery>)
        .json(of::<run::RunShown>),
    get(Agents, Agent, RUN_BUDGET, "ownBudget", "What one's own run may still spend.")
        .json(of::<budget::Balances>),
    get(
        Agents,
        InRun,
        CALLS,
        "call",
        "Propose a call and let Remit carry it out. A refusal is an answer: 200, `deny`. What waits for people: 202.",
    )
    .post(of::<call::CallAsk>)
    .json(of::<call::Answered>),
    get(
        Agents,
        InRun,
        DECISIONS,
        "decide",
        "Decide only: a verdict and, if allowed, a permit token for an executor.",
    )
    .post(of::<call::CallAsk>)
    .json(of::<call::Answered>),
    get(Agents, Agent, CALL_OUTCOME, "reportOutcome", "Report how a decided call ended.")
        .post(of::<call::OutcomeReport>)
        .json(of::<run::Recorded>),
    get(Agents, Agent, CALL, "ownCall", "Read one's own call.")
        .query(of::<call::OwnCallQuery>)
        .json(of::<call::CallShown>),
    get(Agents, Agent, TICKETS, "ownTickets", "One's own calls that wait for people.")
        .json(of::<inbox::TicketList>),
    get(Agents, Agent, TICKET, "ownTicket", "What became of one's own call that waited for people.")
        .query(of::<inbox::WaitQuery>)
        .json(of::<inbox::Ticket>),
    get(Agents, Agent, WHOAMI, "whoAmI", "Whose key this is.").json(of::<people::WhoAmI>),
    get(
        Agents,
        Agent,
        EVALUATION,
        "evaluate",
        "AuthZEN: one access evaluation. A recorded question; nothing is reserved.",
    )
    .post(of::<authzen::Evaluation>)
    .json(of::<authzen::Decision>),
    get(Agents, Agent, EVALUATIONS, "evaluateMany", "AuthZEN: several access evaluations.")
        .post(of::<authzen::Evaluations>)
        .json(of::<authzen::Decisions>),
    get(Agents, Nobody, AUTHZEN_CONFIGURATION, "authzenConfiguration", "AuthZEN: where things are.")
        .json(of::<authzen::Configuration>),
    get(
        Agents,
        Nobody,
        PERMIT_KEYS,
        "permitKeys",
        "The keys that permit tokens are checked with, as a JSON Web Key Set.",
    )
    .json(anything),
    get(Both, Nobody, HEALTHZ, "health", "The process is up.").json(of::<people::Health>),
    get(Both, Nobody, READYZ, "ready", "Calls can be decided and recorded.").json(of::<people::Health>),
    get(People, Viewer, RUNS, "runs", "List runs, newest first.")
        .query(of::<run::RunsQuery>)
        .json(of::<run::RunPage>),
    get(People, Viewer, RUN, "run", "Read a run and its calls.")
        .query(of::<run::AfterQuery>)
        .json(of::<run::RunShown>),
    get(People, Operator, RUN_CLOSE, "closeAnyRun", "Close a run.")
        .post(of::<run::CloseRun>)
        .json(of::<run::Recorded>),
    get(People, Viewer, BUDGET, "budget", "What a run, an agent or a tenant has spent and may still spend.")
        .query(of::<budget::BudgetQuery>)
        .json(of::<budget::Balances>),
    get(
        People,
        Viewer,
        SPEND,
        "spend",
        "What runs cost and came to, by agent or workflow beside the time before, or one by one.",
    )
    .query(of::<budget::SpendQuery>)
    .json(of::<budget::SpendReport>),
    get(
        People,
        Viewer,
        SPEND_DAYS,
        "spendDays",
        "What each agent, or each tool, came to day by day (UTC): calls, refusals, cost.",
    )
    .query(of::<budget::DaysQuery>)
    .json(of::<budget::DaysReport>),
    get(People, Viewer, TOP, "top", "Open runs that spend the most.")
        .query(of::<budget::TopQuery>)
        .json(of::<budget::Top>),
    get(People, Operator, RUN_PAUSE, "pauseRun", "Pause a run: its calls are refused until it goes on.")
        .post(of::<budget::SteerRun>)
        .json(of::<run::Recorded>),
    get(People, Operator, RUN_RESUME, "resumeRun", "Let a paused run go on.")
        .post(of::<budget::SteerRun>)
        .json(of::<run::Recorded>),
    get(People, Operator, RUN_EXTEND, "extendRun", "Let a run spend more for a while, and go on.")
        .post(of::<budget::ExtendRun>)
        .json(of::<run::Recorded>),
    get(People, Operator, RUN_CHARGE, "chargeRun", "Add what a run cost beside its calls: minutes, fees.")
        .post(of::<budget::ChargeRun>)
        .json(of::<run::Recorded>),
    get(People, Operator, RUN_CORRECT, "correctRun", "Say what a closed run came to in truth.")
        .post(of::<budget::CorrectRun>)
        .json(of::<run::Recorded>),
    get(
        People,
        Signed,
        HOOK_CORRECT,
        "hookCorrect",
        "A system of people's own says what a closed run came to in truth, in a message that it signed.",
    )
    .post(of::<budget::HookCorrection>)
    .json(of::<budget::HookHeeded>),
    get(People, Viewer, RUN_PLAN, "plan", "Read the plan of a run, and what became of each step.")
        .query(of::<plan::PlanQuery>)
        .json(of::<plan::PlanShown>),
    get(
        People,
        Operator,
        RUN_UNDO,
        "undoRun",
        "Take a committed run back, or one step of it; `dry` only says what would be done.",
    )
    .post(of::<plan::UndoRun>)
    .json(of::<plan::UndoAnswer>),
    get(
        People,
        Operator,
        RUN_ACCEPT,
        "acceptResidue",
        "Accept what a run has left behind: it stays as it is.",
    )
    .post(of::<plan::AcceptResidue>)
    .json(of::<run::Recorded>),
    get(
        People,
        Operator,
        CALL_RESOLVE,
        "resolveCall",
        "Say what became of a call that nobody knows the end of. Its plan goes on from there.",
    )
    .post(of::<plan::ResolveCall>)
    .json(of::<run::Recorded>),
    get(People, Viewer, CALLS, "calls", "List calls, newest first.")
        .query(of::<call::CallsQuery>)
        .json(of::<call::CallPage>),
    get(People, Viewer, CALL, "callShown", "Read a call.")
        .query(of::<run::AfterQuery>)
        .json(of::<call::CallShown>),
    get(
        People,
        Viewer,
        EXPLAIN,
        "explain",
        "Who asked, for whom, which rule, what it saw, what it cost, what happened.",
    )
    .query(of::<run::AfterQuery>)
    .json(of::<story::Story>),
    get(People, Auditor, EVENTS, "events", "The ledger's events, in order.")
        .query(of::<people::EventsQuery>)
        .json(of::<people::EventPage>),
    Endpoint {
        answer: Media::Events,
        ..get(People, Viewer, TAIL, "tail", "The ledger's events as they come.")
            .query(of::<people::TailQuery>)
    },
    get(People, Viewer, WHO_CAN, "whoCan", "Which agents can do a thing, by which rule, and only if what.")
        .query(of::<people::WhoCanQuery>)
        .json(of::<people::WhoCanList>),
    get(People, Viewer, POLICY, "policy", "The rules in force as Cedar text, and what is odd about them.")
        .json(of::<people::Policy>),
    get(People, Viewer, POLICY_EXPLAIN, "policyExplain", "What the rules alone would say to a call.")
        .post(of::<people::PolicyAsk>)
        .json(of::<people::PolicyAnswer>),
    get(People, Viewer, RUN_INCIDENT, "incident", "All that is known of a run, as one file.")
        .json(of::<incident::Incident>),
    get(People, Operator, RUN_INCIDENT, "sendIncident", "Send what is known of a run to a place of the configuration.")
        .post(of::<incident::SendIncident>)
        .json(of::<incident::IncidentSent>),
    get(People, Viewer, INCIDENTS, "incidentPlaces", "Where incidents may be sent.")
        .json(of::<incident::IncidentPlaces>),
    get(People, Viewer, POLICY_FILES, "policyFiles", "The manifests, contracts and rules as they are written.")
        .json(of::<people::PolicyFiles>),
    get(
        People,
        Viewer,
        POLICY_CHANGE,
        "policyChange",
        "What another text of one file would do: past calls that would be decided otherwise, and who could do what.",
    )
    .post(of::<people::PolicyChange>)
    .json(of::<people::PolicyChanged>),
    get(People, Viewer, AGENTS, "agents", "List the agents.").json(of::<agent::AgentList>),
    get(People, Viewer, AGENT, "agent", "Read an agent: its manifest, and what the rules make of it.")
        .json(of::<agent::AgentShown>),
    get(People, OperatorKey, LOGINS, "mintLogin", "Make a link that signs one person in, once.")
        .post(of::<person::MintLogin>)
        .json(of::<person::LoginMinted>),
    get(People, Nobody, SESSION, "signIn", "Sign in with a code. The session is a cookie.")
        .post(of::<person::SignIn>)
        .json(of::<person::SignedIn>),
    get(People, Viewer, SESSION, "session", "Who asks, and what they may do.").json(of::<person::Session>),
    get(People, Viewer, SESSION, "signOut", "End the session.").delete().json(of::<person::SignedOut>),
    get(People, Operator, AGENT_KEYS, "mintKey", "Mint a key for an agent. Its secret is shown once.")
        .post(of::<people::MintKey>)
        .json(of::<people::KeyMinted>),
    get(People, Viewer, AGENT_KEYS, "agentKeys", "List the valid keys of an agent.")
        .json(of::<people::KeyList>),
    get(People, Viewer, TOOLS, "tools", "List the tools, and which are quarantined.")
        .json(of::<tool::ToolList>),
    get(People, Viewer, TOOL, "tool", "Read a tool: what was accepted of it, and what its server says now.")
        .json(of::<tool::ToolShown>),
    get(
        People,
        Operator,
        TOOL_ACCEPT,
        "acceptTool",
        "Accept what a tool's server says of it now, as it was shown.",
    )
    .post(of::<tool::AcceptTool>)
    .json(of::<tool::ToolAccepted>),
    get(People, Viewer, KEYS, "keys", "List the keys that are valid.").json(of::<people::KeyList>),
    get(People, Operator, KEY, "revokeKey", "Revoke a key.")
        .delete()
        .query(of::<people::WhyQuery>)
        .json(of::<run::Recorded>),
    get(People, Viewer, HALTS, "halts", "List what is halted.").json(of::<people::HaltList>),
    get(People, Viewer, HALTS, "halt", "Halt: from its answer on, nothing in this scope is permitted.")
        .post(of::<people::Halt>)
        .json(of::<people::HaltReport>),
    get(People, Viewer, HALTS, "resume", "Resume what was halted.")
        .delete()
        .query(of::<people::ResumeQuery>)
        .json(of::<run::Recorded>),
    get(People, Viewer, INBOX, "inbox", "What waits for a person's yes, the riskiest first.")
        .query(of::<inbox::InboxQuery>)
        .json(of::<inbox::Inbox>),
    get(People, Viewer, INBOX_STATS, "inboxStats", "How people answer: how soon, how often with a yes.")
        .query(of::<inbox::StatsQuery>)
        .json(of::<inbox::InboxStats>),
    get(People, Viewer, INBOX_CALL, "inboxItem", "All there is to know before one answers.")
        .query(of::<inbox::InboxQuery>)
        .json(of::<inbox::InboxShown>),
    get(
        People,
        Approver,
        INBOX_ANSWER,
        "answer",
        "Say yes or no, as somebody who may: an approver of a group that is asked.",
    )
    .post(of::<inbox::AnswerCall>)
    .json(of::<inbox::AnswerTaken>),
    get(People, Viewer, OBSERVED, "observed", "What would have hindered agents that are only watched.")
        .query(of::<observe::ObservedQuery>)
        .json(of::<observe::Observed>),
    get(People, Viewer, STATUS, "status", "What is going on, in numbers.").json(of::<people::Status>),
    get(People, Viewer, METRICS, "metrics", "Metrics in Prometheus text form."),
    get(People, Nobody, OPENAPI, "openapi", "This document.").json(anything),
    get(People, Nobody, FRONT, "front", "What is here, and how to ask."),
];
