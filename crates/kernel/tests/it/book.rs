//! Builders of books: a world small enough to read, with one tool of each kind.

use kernel::agent::{Manifest, May, Mode};
use kernel::book::{Book, House, Origin, RuleFile};
use kernel::contract::{Contract, DestinationKind, DestinationPath, Effect, Operation};
use kernel::rules::Rules;
use kernel::stopping::StoppingRules;
use serde_json::{Value, json};

pub(crate) fn contract(name: &str, effect: Effect, input: Value) -> Contract {
    let (server, tool) = name.split_once('.').unwrap();
    Contract {
        deed: Default::default(),
        about: String::new(),
        credential: None,
        cost_usd_nanos: 0,
        cost_tokens: 0,
        degrade: Default::default(),
        meter: Default::default(),
        counts: Vec::new(),
        destinations: Vec::new(),
        effect,
        env: "prod".into(),
        idempotency_header: None,
        idempotency_field: None,
        definition: None,
        care: Default::default(),
        redact: Default::default(),
        stamp: None,
        to: Vec::new(),
        input,
        labels: Vec::new(),
        name: name.into(),
        operation: if effect == Effect::Read { Operation::Read } else { Operation::Write },
        pin: None,
        rate: Default::default(),
        result_bytes_max: 65_536,
        server: server.into(),
        timeout_ms: 10_000,
        tool: tool.into(),
        via: json!({ "test": {} }),
    }
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

pub(crate) fn manifest(agent: &str, may: Vec<May>) -> Manifest {
    Manifest {
        commits: Default::default(),
        agent: agent.into(),
        owner: "support-leads".into(),
        purpose: String::new(),
        tenant: "default".into(),
        groups: Vec::new(),
        env: "prod".into(),
        crosses: Vec::new(),
        mode: Mode::Enforce,
        modes: Default::default(),
        phases: false,
        executor: false,
        may,
        per_run: Default::default(),
        limits: Default::default(),
        windows: Default::default(),
        thresholds: None,
        origin: Origin::default(),
    }
}

pub(crate) fn may(id: &str, tool: &str) -> May {
    May {
        id: id.into(),
        tool: tool.into(),
        when: None,
        when_origin: None,
        to: Vec::new(),
        ask: None,
        calls_per_run_max: None,
        calls_per_minute_max: None,
        counts: Vec::new(),
        mode: None,
        origin: Origin { file: "agents/a.yaml".into(), line: 1, column: 1 },
    }
}

pub(crate) fn when(id: &str, tool: &str, when: &str) -> May {
    May { when: Some(when.into()), when_origin: Some(Origin::default()), ..may(id, tool) }
}

/// `crm.lookup` reads, `crm.note` is reversible, `pay.refund` costs 10 and is not; `mail.send` names a destination.
pub(crate) fn book(agents: Vec<Manifest>) -> Book {
    let id = json!({ "id": { "type": "string" } });
    let mut refund = contract(
        "pay.refund",
        Effect::Irreversible,
        object(json!({ "cents": { "type": "integer" } }), &["cents"]),
    );
    refund.cost_usd_nanos = 10;
    let mut mail =
        contract("mail.send", Effect::Irreversible, object(json!({ "to": { "type": "string" } }), &["to"]));
    mail.destinations = vec![DestinationPath {
        kind: DestinationKind::Email,
        host: None,
        name: None,
        path: vec!["to".into()],
    }];
    let tools = [
        contract("crm.lookup", Effect::Read, object(id, &["id"])),
        contract("crm.note", Effect::Reversible, object(json!({ "text": { "type": "string" } }), &[])),
        refund,
        mail,
    ];
    Book {
        agents: agents.into_iter().map(|agent| (agent.agent.clone(), agent)).collect(),
        // Scripts that say nothing of stopping rules are not about them.
        house: House { limits: StoppingRules::default(), ..House::default() },
        rules: Vec::new(),
        tools: tools.into_iter().map(|tool| (tool.name.clone(), tool)).collect(),
    }
}

/// An agent that may do everything.
pub(crate) fn anything(agent: &str) -> Manifest {
    manifest(agent, vec![may(&format!("{agent}.may"), "*")])
}

pub(crate) fn desk() -> Manifest {
    anything("desk")
}

pub(crate) fn with_rule(mut book: Book, text: &str) -> Book {
    book.rules.push(RuleFile { file: "house.cedar".into(), text: text.into() });
    book
}

pub(crate) fn compile(book: Book) -> Rules {
    Rules::compile(book).unwrap_or_else(|problems| panic!("{problems:#?}"))
}
