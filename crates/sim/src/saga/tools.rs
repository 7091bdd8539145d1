//! The contracts of the one server in a world of plans: each kind of undo, and each way to find out what happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::agent::Manifest;
use kernel::book::{Book, House};
use kernel::contract::{Care, Contract, Effect};
use kernel::deed::{Companion, Deed, Expect, Undo, VersionRead};
use kernel::rules::Rules;
use kernel::stopping::StoppingRules;
use serde_json::{Value, json};

use crate::books;

/// Plans what it writes.
pub(crate) const AGENT: &str = "writer";
/// Works without phases, and groups its single calls.
pub(crate) const JOINER: &str = "joiner";
/// A tool that says nothing is given up after this.
pub(super) const TIMEOUT_MS: u64 = 25;
/// Tries after the first to take a deed back.
pub const UNDO_RETRIES: u32 = 2;
/// No run ends by itself here.
const RUN_TTL_MS: u64 = 30 * 24 * 3_600_000;

pub(super) fn rules_where(change: impl FnOnce(&mut Book)) -> Result<Arc<Rules>, String> {
    let manifest = |agent: &str| {
        let may = books::may(agent, 0, "*", None);
        Manifest { phases: agent == AGENT, ..books::plain_manifest(agent, vec![may]) }
    };
    let house = House {
        calls_per_run_max: 100_000,
        limits: StoppingRules::default(),
        run_ttl_ms: RUN_TTL_MS,
        ..House::default()
    };
    let agents = [AGENT, JOINER].map(|agent| (agent.to_owned(), manifest(agent))).into_iter().collect();
    let mut book = Book { agents, house, rules: Vec::new(), tools: contracts() };
    change(&mut book);
    books::compile(book)
}

fn contracts() -> BTreeMap<String, Contract> {
    let value = json!({ "id": "string", "value": "integer", "note": "string" });
    let dropped = json!({ "handle": "string", "note": "string" });
    let reads = [read("look", json!({ "id": "string" })), read("did", json!({ "note": "string" }))];
    let undos = [
        keyed("give", &amount(), Deed::default()),
        plain("give_plain", &amount(), Deed::default()),
        keyed("put", &value, Deed::default()),
        keyed("drop", &dropped, Deed::default()),
    ];
    let all = reads.into_iter().chain(undos).chain(takes()).chain(makes()).chain(finals());
    all.chain([set(&value)]).map(|contract| (contract.name.clone(), contract)).collect()
}

fn amount() -> Value {
    json!({ "id": "string", "amount": "integer", "note": "string" })
}

fn touches() -> Vec<String> {
    vec!["box:{args.id}".to_owned()]
}

fn took() -> Option<Expect> {
    Some(Expect {
        tool: "box.did".to_owned(),
        args: json!({ "note": "{args.note}" }),
        that: "result.done == true".to_owned(),
    })
}

/// What is given back, with a key and without.
fn takes() -> [Contract; 4] {
    let amount = amount();
    let give = |tool: &str| {
        Some(Undo::Tool {
            tool: tool.to_owned(),
            args: json!({ "id": "{args.id}", "amount": "{args.amount}", "note": "{args.note}" }),
            retries: UNDO_RETRIES,
            within_ms: Some(RUN_TTL_MS),
        })
    };
    let taken = || Deed { undo: give("box.give"), ..Deed::default() };
    [
        keyed("take", &amount, Deed { touches: touches(), preview: Some(look()), ..taken() }),
        plain("take_probed", &amount, Deed { probe: took(), ..taken() }),
        plain("take_plain", &amount, taken()),
        keyed("take_once", &amount, Deed { undo: give("box.give_plain"), ..Deed::default() }),
    ]
}

/// What is undone by a name that only the result tells.
fn makes() -> [Contract; 2] {
    let made = json!({ "name": "string", "note": "string" });
    let undo = || {
        Some(Undo::Tool {
            tool: "box.drop".to_owned(),
            args: json!({ "handle": "{result.handle}", "note": "{args.note}" }),
            retries: UNDO_RETRIES,
            within_ms: None,
        })
    };
    [
        keyed("make", &made, Deed { undo: undo(), ..Deed::default() }),
        plain("make_probed", &made, Deed { undo: undo(), probe: took(), ..Deed::default() }),
    ]
}

/// What is set back to what it was, if nobody else has changed it.
fn set(value: &Value) -> Contract {
    let undo = Undo::Restore {
        read: look(),
        write: Companion {
            tool: "box.put".to_owned(),
            args: json!({ "id": "{args.id}", "value": "{before.value}", "note": "{args.note}" }),
        },
        retries: UNDO_RETRIES,
        within_ms: None,
    };
    let expect = Expect {
        tool: "box.look".to_owned(),
        args: json!({ "id": "{args.id}" }),
        that: "result.value == args.value".to_owned(),
    };
    let version = VersionRead {
        tool: "box.look".to_owned(),
        args: json!({ "id": "{args.id}" }),
        value: vec!["version".to_owned()],
    };
    let (expect, version) = (Some(expect), Some(version));
    keyed("set", value, Deed { undo: Some(undo), touches: touches(), expect, version, ..Deed::default() })
}

/// What nobody takes back.
fn finals() -> [Contract; 4] {
    let mail = json!({ "to": "string", "note": "string" });
    let later = |delay_ms| Deed { delay_ms: Some(delay_ms), ..Deed::default() };
    let probed = Deed { probe: took(), ..Deed::default() };
    [
        final_one("mail", &mail, Deed::default()),
        final_one("mail_later", &mail, later(20)),
        final_one("mail_late", &mail, later(RUN_TTL_MS / 2)),
        Contract { idempotency_field: None, ..final_one("mail_plain", &mail, probed) },
    ]
}

fn look() -> Companion {
    Companion { tool: "box.look".to_owned(), args: json!({ "id": "{args.id}" }) }
}

fn read(tool: &str, properties: Value) -> Contract {
    contract(tool, Effect::Read, &properties, Deed::default())
}

/// The server knows the key, and does what comes twice once.
fn keyed(tool: &str, properties: &Value, deed: Deed) -> Contract {
    let plain = contract(tool, Effect::Reversible, properties, deed);
    Contract { idempotency_field: Some("key".to_owned()), ..plain }
}

fn plain(tool: &str, properties: &Value, deed: Deed) -> Contract {
    contract(tool, Effect::Reversible, properties, deed)
}

fn final_one(tool: &str, properties: &Value, deed: Deed) -> Contract {
    Contract { effect: Effect::Irreversible, ..keyed(tool, properties, deed) }
}

fn contract(tool: &str, effect: Effect, properties: &Value, deed: Deed) -> Contract {
    let members = properties.as_object().cloned().unwrap_or_default();
    let required: Vec<String> = members.keys().cloned().collect();
    let mut properties: BTreeMap<String, Value> =
        members.into_iter().map(|(name, kind)| (name, json!({ "type": kind }))).collect();
    properties.insert("key".to_owned(), json!({ "type": "string" }));
    let input = json!({ "type": "object", "properties": properties, "required": required,
                        "additionalProperties": false });
    Contract {
        // The engine's own tries are what is looked at, and no tool is left alone.
        care: Care { retries: 0, failures_max: u32::MAX, ..Care::default() },
        deed,
        input,
        timeout_ms: TIMEOUT_MS,
        via: json!({ "box": {} }),
        ..books::contract(&format!("box.{tool}"), effect, u64::from(effect.writes()), json!({}))
    }
}
