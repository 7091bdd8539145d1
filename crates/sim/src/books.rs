//! Two books of rules, so that a change of rules changes verdicts: one generous, one tight.

use std::sync::Arc;

use kernel::account::Limits;
use kernel::agent::{Manifest, May, Mode};
use kernel::approvers::{Approvals, Group};
use kernel::book::{Book, House, Origin};
use kernel::contract::{Contract, Effect, Operation};
use kernel::rules::Rules;
use kernel::stopping::{Caps, StoppingRules};
use kernel::window::Window;
use serde_json::{Value, json};

pub(crate) const AGENTS: [&str; 4] = ["clerk", "runner", "watched", ASKER];
/// Asks leads before it pays.
pub(crate) const ASKER: &str = "asker";
pub(crate) const ASKED: &str = "pay.refund";
/// Who may say yes, and somebody who may not.
pub(crate) const LEADS: [&str; 3] = ["lee", "lou", "max"];
pub(crate) const PEOPLE: [&str; 4] = ["lee", "lou", "max", "zoe"];
pub(crate) const TOOLS: [&str; 3] = ["crm.lookup", "crm.note", "pay.refund"];

pub(crate) fn both() -> Result<[Arc<Rules>; 2], String> {
    Ok([compile(book(false))?, compile(book(true))?])
}

pub(crate) fn compile(book: Book) -> Result<Arc<Rules>, String> {
    Rules::compile(book).map(Arc::new).map_err(|problems| format!("the book does not compile: {problems:?}"))
}

fn book(tight: bool) -> Book {
    let tools = [
        contract("crm.lookup", Effect::Read, 1, json!({ "id": { "type": "integer" } })),
        contract("crm.note", Effect::Reversible, 0, json!({ "text": { "type": "string" } })),
        contract("pay.refund", Effect::Irreversible, 10, json!({ "cents": { "type": "integer" } })),
    ];
    let month = Limits { usd_nanos: Some(if tight { 140 } else { 250 }), ..Limits::default() };
    let agents = AGENTS.map(|name| manifest(name, tight));
    Book {
        agents: agents.into_iter().map(|agent| (agent.agent.clone(), agent)).collect(),
        house: House {
            calls_per_run_max: if tight { 8 } else { 30 },
            run_ttl_ms: 600_000,
            refusals_per_minute_max: 5,
            pauses: tight,
            tenants: [("default".to_owned(), [(Window::Month, month)].into())].into(),
            children_max: 4,
            approvals: approvals(tight),
            ..House::default()
        },
        rules: Vec::new(),
        tools: tools.into_iter().map(|tool| (tool.name.clone(), tool)).collect(),
    }
}

/// One yes is enough, or two; a flood is stopped soon.
fn approvals(tight: bool) -> Approvals {
    let groups = |name: &str| if LEADS.contains(&name) { ["leads".to_owned()].into() } else { [].into() };
    Approvals {
        expires_ms: 90_000,
        groups: [("leads".to_owned(), Group { quorum: if tight { 2 } else { 1 }, escalate: None })].into(),
        people: PEOPLE.map(|name| (name.to_owned(), groups(name))).into(),
        per_agent_hour_max: 40,
        per_run_max: 4,
        reason_from: 101,
        ..Approvals::default()
    }
}

fn manifest(agent: &str, tight: bool) -> Manifest {
    let cents = if tight { "args.cents <= 20" } else { "args.cents <= 80" };
    let mut refund = may(agent, 1, "pay.refund", Some(cents));
    refund.calls_per_run_max = Some(if tight { 2 } else { 4 });
    refund.ask = (agent == ASKER).then(|| "leads".to_owned());
    let per_run = Limits {
        calls: Some(if tight { 6 } else { 12 }),
        irreversible: Some(3),
        seconds: Some(500),
        usd_nanos: Some(if tight { 15 } else { 35 }),
        writes: Some(if tight { 3 } else { 6 }),
        ..Limits::default()
    };
    let day = Limits { calls: Some(if tight { 20 } else { 45 }), ..Limits::default() };
    let per_minute =
        Caps { writes: (agent == "runner").then_some(if tight { 6 } else { 10 }), ..Caps::default() };
    Manifest {
        executor: agent != "clerk",
        mode: if agent == "watched" { Mode::Observe } else { Mode::Enforce },
        per_run,
        limits: StoppingRules { per_minute, ..StoppingRules::default() },
        windows: [(Window::Day, day)].into(),
        ..plain_manifest(agent, vec![may(agent, 0, "crm.*", None), refund])
    }
}

pub(crate) fn plain_manifest(agent: &str, may: Vec<May>) -> Manifest {
    Manifest {
        commits: Default::default(),
        agent: agent.to_owned(),
        owner: "leads".to_owned(),
        purpose: String::new(),
        tenant: "default".to_owned(),
        groups: Vec::new(),
        env: "prod".to_owned(),
        crosses: Vec::new(),
        mode: if agent == "watched" { Mode::Observe } else { Mode::Enforce },
        modes: Default::default(),
        phases: false,
        executor: false,
        may,
        per_run: Limits::default(),
        limits: Default::default(),
        windows: Default::default(),
        thresholds: None,
        origin: Origin::default(),
    }
}

pub(crate) fn may(agent: &str, line: usize, tool: &str, when: Option<&str>) -> May {
    May {
        id: format!("{agent}.may[{line}]"),
        tool: tool.to_owned(),
        when: when.map(str::to_owned),
        when_origin: when.map(|_| Origin::default()),
        to: Vec::new(),
        ask: None,
        calls_per_run_max: None,
        calls_per_minute_max: None,
        counts: Vec::new(),
        mode: None,
        origin: Origin { file: format!("agents/{agent}.yaml"), line: line + 1, column: 1 },
    }
}

pub(crate) fn contract(name: &str, effect: Effect, cost_usd_nanos: u64, properties: Value) -> Contract {
    let (server, tool) = name.split_once('.').unwrap_or((name, ""));
    let required: Vec<String> =
        properties.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
    Contract {
        deed: Default::default(),
        about: String::new(),
        credential: None,
        cost_usd_nanos,
        cost_tokens: 0,
        degrade: Default::default(),
        meter: Default::default(),
        counts: Vec::new(),
        destinations: Vec::new(),
        effect,
        env: "prod".to_owned(),
        idempotency_header: None,
        idempotency_field: None,
        definition: None,
        care: Default::default(),
        redact: Default::default(),
        stamp: None,
        to: Vec::new(),
        input: json!({ "type": "object", "properties": properties, "required": required }),
        labels: Vec::new(),
        name: name.to_owned(),
        operation: if effect == Effect::Read { Operation::Read } else { Operation::Write },
        pin: None,
        rate: Default::default(),
        result_bytes_max: 65_536,
        server: server.to_owned(),
        timeout_ms: 10_000,
        tool: tool.to_owned(),
        via: json!({}),
    }
}
