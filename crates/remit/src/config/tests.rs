//! The example loads as it is; every way to get it wrong says where and what would be right; the reference is golden.

mod deeds;

use std::path::Path;

use expect_test::{ExpectFile, expect_file};

use kernel::book::House;

use super::*;

const EXAMPLE: [(&str, &str); 5] = [
    ("remit.yaml", include_str!("../../../../examples/refund-desk/remit.yaml")),
    ("agents/claims-desk.yaml", include_str!("../../../../examples/refund-desk/agents/claims-desk.yaml")),
    ("agents/refund-desk.yaml", include_str!("../../../../examples/refund-desk/agents/refund-desk.yaml")),
    ("tools/desk.yaml", include_str!("../../../../examples/refund-desk/tools/desk.yaml")),
    ("policies/house.cedar", include_str!("../../../../examples/refund-desk/policies/house.cedar")),
];

/// The sections, keys and values of the agreed shape, to the letter.
const AGREED: &str = r#"
policy_engine: { mode: zero_trust, evaluation: per_action, fallback: deny }
delegation: { token_ttl_seconds: 300, max_depth: 3, scope_inheritance: narrow_only }
audit: { storage: append_only, schema_version: "1.0", capture_reasoning: false, retention_days: 2555 }
quotas:
  enforcement_level: prompt
  max_actions_per_prompt: 7
  max_compute_tokens: 500000
  circuit_breaker: pause_and_notify
identity: { provider: oidc, agent_registration: dynamic, impersonation: supported, shared_keys: disabled }
"#;

fn at(path: &str) -> ExpectFile {
    expect_file![format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))]
}

fn embedded(files: &[(&str, &str)]) -> Result<Loaded, Problems> {
    load_embedded(files, Path::new("/nowhere"))
}

/// The example with one piece of one file replaced.
fn changed(file: &str, old: &str, new: &str) -> Result<Loaded, Problems> {
    let mut files = EXAMPLE.map(|(name, text)| (name, text.to_owned()));
    let (_, text) = files.iter_mut().find(|(name, _)| *name == file).expect("a file of the example");
    assert!(text.contains(old), "{file} no longer holds {old:?}");
    *text = text.replacen(old, new, 1);
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    embedded(&files)
}

fn warnings(loaded: &Loaded) -> String {
    loaded.warnings.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn the_example_loads_from_disk_and_from_memory_alike() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/refund-desk");
    let disk = load(&folder.join("remit.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
    let memory = embedded(&EXAMPLE).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(disk.book, memory.book);
    assert_eq!(disk.book.digest(), memory.book.digest());
    assert_eq!(disk.settings.data, folder.join("./data"));
    assert_eq!(memory.settings.data, Path::new("/nowhere"));
    let book = String::from_utf8(memory.book.text()).expect("text");
    let pretty: serde_json::Value = serde_json::from_str(&book).expect("JSON");
    at("tests/config/refund-desk.json").assert_eq(&format!("{pretty:#}\n"));
}

#[test]
fn the_agreed_sections_load_and_each_key_is_used_or_named_in_a_warning() {
    let loaded = embedded(&[("remit.yaml", AGREED)]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.book.house.calls_per_run_max, 7);
    assert!(!loaded.book.house.capture_reasoning);
    at("tests/config/agreed.txt").assert_eq(&warnings(&loaded));
}

#[test]
fn nothing_written_means_safe_defaults() {
    let loaded = embedded(&[("remit.yaml", "{}")]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.book.house, House::default());
    assert!(
        loaded.settings.agents_listen.ip().is_loopback() && loaded.settings.people_listen.ip().is_loopback()
    );
    assert_eq!(loaded.settings.disk_reserve_bytes, 64 << 20);
    assert!(loaded.book.tools.is_empty() && loaded.warnings.is_empty());
}

#[test]
fn money_is_read_exactly() {
    let cases = [
        ("0.30", Some(300_000_000)),
        ("2.00", Some(2_000_000_000)),
        ("0.000000001", Some(1)),
        ("999999999.999999999", Some(999_999_999_999_999_999)),
        ("0.1", Some(100_000_000)),
        ("7", Some(7_000_000_000)),
        ("0.0000000001", None),
        ("1000000000", None),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        (".5", None),
        ("5.", None),
        ("1_000", None),
        ("$1", None),
        ("", None),
        (".inf", None),
    ];
    for (text, nanos) in cases {
        assert_eq!(yaml::usd_nanos(text), nanos, "{text}");
    }
}

#[test]
fn phases_are_words_or_truths() {
    let agent = "agents/refund-desk.yaml";
    for (word, on) in [("on", true), ("off", false), ("true", true), ("false", false), ("\"off\"", false)] {
        let loaded = changed(agent, "phases: off", &format!("phases: {word}")).expect("loads");
        let manifest = loaded.book.agents.get("refund-desk").expect("the agent");
        assert_eq!(manifest.phases, on, "{word}");
        assert!(!warnings(&loaded).contains("phase"), "{word}: {}", warnings(&loaded));
    }
}

#[test]
fn a_pin_that_holds_is_kept() {
    let loaded = embedded(&EXAMPLE).expect("loads");
    let digest = loaded.book.tools.get("desk.lookup_ticket").expect("the tool").input_digest();
    let pinned =
        changed("tools/desk.yaml", "    effect: read\n", &format!("    effect: read\n    pin: {digest}\n"));
    assert_eq!(
        pinned.expect("loads").book.tools.get("desk.lookup_ticket").expect("the tool").pin,
        Some(digest)
    );
}

const NOTES: &str = r#"
server: notes
via: { stdio: { command: notes-mcp, args: ["--local"], env: { NOTES_TOKEN: "env:NOTES_TOKEN" } } }
offers: [resources, prompts, completions]
tools:
  add-note:
    effect: reversible
    destinations: [{ email: args.to }]
    idempotency: { field: key }
    stamp: { field: meta.run }
    redact: { arguments: [secrets, { pattern: email, unless_to: ["*@example.com"] }], results: [iban], fields: [author.phone] }
    care: { retries: 9, queue: 0 }
    limits: { concurrent: 2 }
"#;

#[test]
fn every_kind_of_destination_is_read_as_it_is_written() {
    let kinds = ["email", "host", "url", "webhook", "channel", "path", "text"];
    for kind in kinds {
        let loaded = changed(TOOL, "{ email: args.to }", &format!("{{ {kind}: args.to }}")).expect(kind);
        let path = &loaded.book.tools.get("desk.mail_customer").expect("the tool").destinations[0];
        assert_eq!((serde_json::json!(path.kind), &path.host), (serde_json::json!(kind), &None));
    }
    let text = "destinations: [{ repository: args.to, name: args.subject, at: gitlab.example }]\n    to: [\"gitlab.example/acme/*\"]";
    let loaded = changed(TOOL, "destinations: [{ email: args.to }]", text).expect("a repository");
    let tool = loaded.book.tools.get("desk.mail_customer").expect("the tool");
    assert_eq!(tool.destinations[0].host.as_deref(), Some("gitlab.example"));
    assert_eq!(tool.destinations[0].name, Some(vec!["subject".to_owned()]));
    assert_eq!(tool.to, ["gitlab.example/acme/*"]);
}

const NOTES_PINS: &str = r#"{ "add-note": { "name": "add-note", "description": "Adds a note.", "inputSchema": {
  "type": "object", "properties": { "to": { "type": "string" }, "key": { "type": "string" },
  "meta": { "type": "object", "properties": { "run": { "type": "string" } } } } } } }"#;

#[test]
fn a_tool_of_an_mcp_server_is_what_was_accepted_of_it() {
    let [root, _, agent, tool, rules] = EXAMPLE;
    let notes = ("tools/notes.yaml", NOTES);
    let loaded = embedded(&[root, agent, tool, rules, notes, ("tools/notes.pins.json", NOTES_PINS)]);
    let book = loaded.unwrap_or_else(|problems| panic!("{problems}")).book;
    let names: Vec<&str> =
        book.tools.keys().filter(|name| name.starts_with("notes.")).map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "notes.add-note",
            "notes.complete",
            "notes.get_prompt",
            "notes.read_resource",
            "notes.subscribe_resource",
            "notes.unsubscribe_resource"
        ]
    );
    let note = book.tools.get("notes.add-note").expect("the tool");
    let definition = note.definition.as_ref().expect("its definition");
    assert_eq!(note.pin, Some(tools::mcp::definition_digest(definition)));
    assert_eq!((note.about.as_str(), note.care.retries, note.care.concurrent), ("Adds a note.", 5, 2));
    kernel::rules::Rules::compile(book).unwrap_or_else(|problems| panic!("{problems:?}"));

    check("not-accepted", &embedded(&[root, agent, tool, rules, notes]).expect_err("no pins"));
    let bad = ("tools/notes.pins.json", "{ \"add-note\": 1, \"add-note\": 2 }");
    check("pins-malformed", &embedded(&[root, agent, tool, rules, notes, bad]).expect_err("bad pins"));
    let taken = NOTES_PINS.replacen("add-note", "complete", 1);
    let contracts = NOTES.replace("add-note", "complete");
    let files =
        [root, agent, tool, rules, ("tools/notes.yaml", &contracts), ("tools/notes.pins.json", &taken)];
    check("offers-taken", &embedded(&files).expect_err("a name twice"));
}

/// File, what is written there, what to write instead.
type Bad = (&'static str, &'static str, &'static str, &'static str);

const REMIT: &str = "remit.yaml";
const AGENT: &str = "agents/refund-desk.yaml";
const TOOL: &str = "tools/desk.yaml";

#[rustfmt::skip]
const BAD: &[Bad] = &[
    ("unknown-section", REMIT, "quotas:", "quota:"),
    ("unknown-key", AGENT, "    when: args.amount_cents <= 5000", "    wenn: args.amount_cents <= 5000"),
    ("unknown-key-tool", TOOL, "    about: Sends", "    abuot: Sends"),
    ("missing-key", AGENT, "owner: dana@example.com ", "# "),
    ("duplicate-key", AGENT, "mode: enforce", "mode: enforce\nmode: observe"),
    ("type-number", REMIT, "max_actions_per_prompt: 200", "max_actions_per_prompt: many"),
    ("type-negative", AGENT, "per_run: 2", "per_run: -2"),
    ("type-list", AGENT, "to: [\"*@customers.example\"]", "to: \"*@customers.example\""),
    ("type-mapping", REMIT, "store: { sqlite: ./data }", "store: ./data"),
    ("type-boolean", REMIT, "capture_reasoning: true", "capture_reasoning: yes"),
    ("not-yaml", AGENT, "tool: desk.lookup_ticket", "tool: \"desk.lookup_ticket"),
    ("merge-key", TOOL, "env: prod", "<<: { env: prod }"),
    ("fallback-allow", REMIT, "fallback: deny", "fallback: allow"),
    ("shared-keys", REMIT, "shared_keys: disabled", "shared_keys: enabled"),
    ("schema-version", REMIT, "\"1.0\"", "\"2.0\""),
    ("mode", AGENT, "mode: enforce", "mode: enforced"),
    ("notify", REMIT, "store:", "notify:\n  - { slack: \"env:SLACK_WEBHOOK\", secret: \"env:OTHER\", on: [ask] }\nstore:"),
    ("notify-slack-literal", REMIT, "store:", "notify:\n  - { slack: \"https://hooks.example/T1/sk-live-4242\", on: [ask] }\nstore:"),
    ("approvals-misspelt", REMIT, "store:", "approvals: { qourum: 2 }\nstore:"),
    ("approvals-risk", REMIT, "store:", "approvals: { reason_from: 102, risk: { work: [19, 7] } }\nstore:"),
    ("approvals-quorum", REMIT, "store:", "approvals: { groups: { support-leads: { quorum: 0 } } }\nstore:"),
    ("modes-misspelt", AGENT, "mode: enforce", "modes: { write: propose }"),
    ("postgres", REMIT, "sqlite: ./data", "postgres: \"env:URL\""),
    ("address", REMIT, "\"127.0.0.1:7470\"", "\"localhost:7470\""),
    ("people-not-loopback", REMIT, "\"127.0.0.1:7471\"", "\"0.0.0.0:7471\""),
    ("same-address", REMIT, "\"127.0.0.1:7471\"", "\"127.0.0.1:7470\""),
    ("role", REMIT, "[operator,", "[operater,"),
    ("person-twice", REMIT, "lee@example.com", "dana@example.com"),
    ("person-reserved", REMIT, "lee@example.com", "operator"),
    ("zero-calls", REMIT, "max_actions_per_prompt: 200", "max_actions_per_prompt: 0"),
    ("duration", REMIT, "store:", "runs: { ttl: 1 hour }\nstore:"),
    ("duration-bounds", TOOL, "timeout: 10s", "timeout: 2h"),
    ("path", REMIT, "store:", "tools: contracts/*.yaml\nstore:"),
    ("path-star", REMIT, "store:", "tools: \"*/desk.yaml\"\nstore:"),
    ("host", REMIT, "store:", "hosts: [\"https://remit.example.com\"]\nstore:"),
    ("console", REMIT, "listen: {", "listen: { console: \"https://remit.example.com/inbox\","),
    ("traces", REMIT, "listen: {", "listen: { traces: \"https://tracing.example.com/{id}\","),
    ("agent-name", AGENT, "agent: refund-desk", "agent: refund desk"),
    ("unknown-tool", AGENT, "desk.lookup_ticket", "desk.lookup_tiket"),
    ("unknown-server", AGENT, "desk.lookup_ticket", "helpdesk.lookup_ticket"),
    ("pattern-matches-nothing", AGENT, "desk.lookup_ticket", "crm.*"),
    ("no-destination", AGENT, "- tool: desk.lookup_ticket", "- tool: desk.lookup_ticket\n    to: [\"*\"]"),
    ("phases-word", AGENT, "phases: off", "phases: maybe"),
    ("unbuilt-manifest", AGENT, "budget:", "delegate: { depth: 1 }\nbudget:"),
    ("currency-misspelt", AGENT, "calls: 40", "cals: 40"),
    ("count-misspelt", AGENT, "refunded_cents: 200000", "refunded_cent: 200000"),
    ("gate-percent", AGENT, "50: degrade", "150: degrade"),
    ("gate-stop", AGENT, "75: decide", "75: stop"),
    ("count-argument", TOOL, "args.amount_cents }", "args.amount_cent }"),
    ("count-name", TOOL, "refunded_cents: args", "calls: args"),
    ("zone", REMIT, "store:", "calendar: { zone: Europe/Berln }\nstore:"),
    ("notify-secret", REMIT, "store:", "notify:\n  - { webhook: \"https://a.example\", secret: sk-live-4242, on: [gate] }\nstore:"),
    ("incidents-secret", REMIT, "store:", "incidents:\n  - { name: tracker, github: acme/agents, token: sk-live-4242 }\nstore:"),
    ("incidents-where", REMIT, "store:", "incidents:\n  - { name: tracker, github: acme/agents, secret: \"env:A\" }\nstore:"),
    ("incidents-repository", REMIT, "store:", "incidents:\n  - { name: tracker, github: https://github.com/acme, token: \"env:A\" }\nstore:"),
    ("callbacks-secret", REMIT, "store:", "callbacks:\n  - { agents: [refund-desk], origins: [\"https://a.example\"], secret: sk-live-4242 }\nstore:"),
    ("callbacks-origin", REMIT, "store:", "callbacks:\n  - { agents: [refund-desk], origins: [\"https://a.example/in\"], secret: \"env:A\" }\nstore:"),
    ("callbacks-nobody", REMIT, "store:", "callbacks:\n  - { agents: [], origins: [\"https://a.example\"], secret: \"env:A\" }\nstore:"),
    ("money", AGENT, "usd: 2.00", "usd: $2"),
    ("money-too-fine", TOOL, "usd: 0.30", "usd: 0.0000000001"),
    ("literal-secret", TOOL, "env: prod", "env: prod\ncredential: { bearer: sk-live-4242 }"),
    ("literal-secret-in-block", TOOL, "env: prod", "env: prod\ncredential:\n  bearer: |\n    sk-live-4242\n    sk-live-4242"),
    ("literal-secret-beside-another-mistake", TOOL, "env: prod", "credential: { bearer: \"sk-live-4242\" }\nenvy: prod"),
    ("literal-secret-below", TOOL, "env: prod", "env: prod\ncredential: {\n  bearer:\n  sk-live-4242 }"),
    ("literal-secret-anchored", TOOL, "env: prod", "env: prod\ncredential: { bearer: &it sk-live-4242 }"),
    ("literal-secret-as-key", TOOL, "env: prod", "env: prod\ncredential: { sk-live-4242 }"),
    ("literal-secret-under-wrong-key", TOOL, "env: prod", "env: prod\ncredential:\n  token: sk-live-4242"),
    ("literal-secret-in-header", TOOL, "http: {", "http: { headers: { authorization: Bearer sk-live-4242 },"),
    ("duplicate-tool", TOOL, "  refund_charge:", "  lookup_ticket: { effect: read, input: { type: object } }\n  refund_charge:"),
    ("literal-secret-alone", TOOL, "env: prod", "credential: sk-live-4242\nenv: prod"),
    ("url", TOOL, "http://127.0.0.1:7480", "127.0.0.1:7480"),
    ("url-password", TOOL, "http://127.0.0.1:7480", "http://desk:sk-live-4242@127.0.0.1:7480"),
    ("unbuilt-via", TOOL, "http: { url: \"http://127.0.0.1:7480\" }", "openapi: { file: desk.json }"),
    ("via-twice", TOOL, "http: {", "mcp: { url: \"http://127.0.0.1:9001/mcp\" }, http: {"),
    ("offers-of-http", TOOL, "env: prod", "env: prod\noffers: [resources]"),
    ("no-input", TOOL, "    input:\n      type: object", "    inputs:\n      type: object"),
    ("stamp-misspelt", TOOL, "    cost: { usd: 0.30 }", "    cost: { usd: 0.30 }\n    stamp: { field: note.run }"),
    ("redact-misspelt", TOOL, "    cost: { usd: 0.30 }", "    cost: { usd: 0.30 }\n    redact: { results: [secret] }"),
    ("unbuilt-contract", TOOL, "    limits: { timeout: 10s }", "    limits: { timeout: 10s, per_hour: 60 }\n    cache: {}"),
    ("destination-misspelt", TOOL, "email: args.to", "email: args.too"),
    ("destination-kind", TOOL, "{ email: args.to }", "{ email: args.to, host: args.to }"),
    ("destination-at", TOOL, "{ email: args.to }", "{ email: args.to, at: gitlab.example }"),
    ("destination-name", TOOL, "{ email: args.to }", "{ email: args.to, name: args.subject }"),
    ("destination-none", TOOL, "{ email: args.to }", "{ at: gitlab.example }"),
    ("to-comma", AGENT, "to: [\"*@customers.example\"]", "to: [\"*@customers.example, *\"]"),
    ("tool-to-nothing", TOOL, "destinations: [{ email: args.to }]", "destinations: [{ email: args.to }]\n    to: []"),
    ("tool-to-comma", TOOL, "destinations: [{ email: args.to }]", "destinations: [{ email: args.to }]\n    to: [\"/srv/a,/**\"]"),
    ("tool-to-nowhere", TOOL, "    cost: { usd: 0.30 }", "    cost: { usd: 0.30 }\n    to: [\"*@customers.example\"]"),
    ("unless-to-nowhere", TOOL, "    cost: { usd: 0.30 }", "    cost: { usd: 0.30 }\n    redact: { arguments: [{ pattern: iban, unless_to: [\"*@bank.example\"] }] }"),
    ("redact-field", TOOL, "    cost: { usd: 0.30 }", "    cost: { usd: 0.30 }\n    redact: { fields: [\"customer..email\"] }"),
    ("fallback-unknown", TOOL, "    effect: read\n", "    effect: read\n    fallback: { tool: desk.lookup }\n"),
    ("fallback-itself", TOOL, "    effect: read\n", "    effect: read\n    fallback: { tool: desk.lookup_ticket }\n"),
    ("fallback-does-more", TOOL, "    effect: read\n", "    effect: read\n    fallback: { tool: desk.refund_charge }\n"),
    ("fallback-both", TOOL, "    effect: read\n", "    effect: read\n    fallback: { tool: desk.refund_charge, answer: {} }\n"),
    ("message-too-large", REMIT, "agents: \"127.0.0.1:7470\"", "message_mb: 64, agents: \"127.0.0.1:7470\""),
    ("input-not-an-object", TOOL, "type: object", "type: string"),
    ("pin-changed", TOOL, "    effect: read\n", "    effect: read\n    pin: sha256:0000000000000000000000000000000000000000000000000000000000000000\n"),
    ("pin-malformed", TOOL, "    effect: read\n", "    effect: read\n    pin: sha256:beef\n"),
    ("http-path", TOOL, "    effect: read\n", "    effect: read\n    path: ../admin\n"),
];

#[test]
fn every_mistake_says_where_and_what_would_be_right() {
    for (name, file, old, new) in BAD {
        let problems = match changed(file, old, new) {
            Ok(loaded) => panic!("{name} was accepted, with {:?}", loaded.warnings),
            Err(problems) => problems,
        };
        check(name, &problems);
    }
}

#[test]
fn the_rules_of_the_example_compile() {
    let Loaded { book, sources, .. } = embedded(&EXAMPLE).expect("loads");
    if let Err(problems) = kernel::rules::Rules::compile(book) {
        let list = problems.into_iter().map(Problem::from).collect();
        panic!("{}", Problems::new(list, sources));
    }
}

#[test]
fn a_problem_of_a_rule_prints_like_any_other() {
    let cases = [
        ("rule-when", AGENT, "args.amount_cents <= 5000", "args.amount_cent <= 5000"),
        ("rule-free", "policies/house.cedar", "context.args.currency", "context.args.curency"),
    ];
    for (name, file, old, new) in cases {
        let Loaded { book, sources, .. } = changed(file, old, new).expect("loads");
        let problems = kernel::rules::Rules::compile(book).expect_err(name);
        check(name, &Problems::new(problems.into_iter().map(Problem::from).collect(), sources));
    }
}

#[test]
fn two_files_may_not_declare_the_same_thing() {
    let [root, _, agent, tool, rules] = EXAMPLE;
    let again = embedded(&[root, agent, ("agents/second.yaml", agent.1), tool, rules]);
    check("duplicate-agent", &again.expect_err("a second agent of one name"));
    let again = embedded(&[root, agent, tool, ("tools/second.yaml", tool.1), rules]);
    check("duplicate-server", &again.expect_err("a second server of one name"));
}

#[test]
fn every_problem_of_every_file_is_found_at_once() {
    let [root, _, agent, tool, rules] = EXAMPLE;
    let agent = (agent.0, agent.1.replace("desk.mail_customer", "desk.male_customer").replace("2.00", "two"));
    let tool = (tool.0, tool.1.replace("0.30", "-1"));
    let again = embedded(&[root, (agent.0, &agent.1), (tool.0, &tool.1), rules]);
    check("several", &again.expect_err("three mistakes"));
}

#[test]
fn what_is_accepted_with_a_warning() {
    let written = AGENT_WITH_EVERY_WARNING;
    let remit = EXAMPLE[0].1.replace("127.0.0.1:7470", "0.0.0.0:7470");
    let loaded = embedded(&[("remit.yaml", &remit), (AGENT, written), EXAMPLE[3]]).expect("loads");
    at("tests/config/warnings.txt").assert_eq(&warnings(&loaded));
}

const AGENT_WITH_EVERY_WARNING: &str = "
agent: refund-desk
owner: dena@example.com
phases: on
mode: propose
may:
  - { tool: desk.refund_charge, ask: finanse }
budget: { per_run: { tokens: 200000 } }
";

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let problems = load(&folder.path().join("remit.yaml")).expect_err("no file");
    let shown = problems.to_string();
    assert!(shown.contains("remit.yaml") && shown.contains("cannot be read"), "{shown}");
}

#[test]
fn the_schema_accepts_what_the_loader_accepts() {
    let schema = jsonschema::validator_for(&json_schema()).expect("a schema");
    let agreed = ("agreed", AGREED);
    for (name, text) in EXAMPLE.iter().chain([&agreed, &(AGENT, AGENT_WITH_EVERY_WARNING)]) {
        if !name.ends_with(".cedar") {
            let value: serde_json::Value = Page::new(name, text).parse().expect("YAML");
            assert!(schema.is_valid(&value), "{name}: {:?}", schema.validate(&value));
        }
    }
    let wrong = serde_json::json!({ "policy_engine": { "fallback": "allow" } });
    assert!(!schema.is_valid(&wrong));
}

#[test]
fn the_reference_is_what_the_code_reads() {
    at("../../docs/reference/config.schema.json").assert_eq(&format!("{:#}\n", json_schema()));
    at("../../docs/reference/config.md").assert_eq(&reference_markdown());
}

fn check(name: &str, problems: &Problems) {
    assert!(problems.list.iter().any(|problem| problem.severity == Severity::Error), "{name}");
    for problem in &problems.list {
        assert!(
            problem.line > 0 && problem.column > 0 && problem.length > 0,
            "{name}: no place: {problem:?}"
        );
        assert!(problem.help.is_some(), "{name}: no help: {problem:?}");
    }
    let errors = problems.list.iter().filter(|problem| problem.severity == Severity::Error);
    let shown = errors.map(|problem| problem.render(&problems.sources, false)).collect::<Vec<_>>().join("\n");
    assert!(!problems.render(false).contains("4242"), "{name}: a secret is shown:\n{shown}");
    at(&format!("tests/config/bad/{name}.txt")).assert_eq(&shown);
}
