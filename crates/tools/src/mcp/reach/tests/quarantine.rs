//! Through a real gate: what a server says of its tools now, and what the law says then of calls to them.

use std::collections::BTreeMap;

use gate::{CallAsk, OpenAsk};
use kernel::agent::{Manifest, May, Mode};
use kernel::book::{Book, House, Origin};
use kernel::rules::Rules;

use super::*;
use crate::mcp::{definition, definition_digest};

const AGENT: &str = "clerk";

fn book(contract: Contract) -> Book {
    let origin = Origin { file: "agents/clerk.yaml".to_owned(), line: 1, column: 1 };
    let may = May {
        id: "clerk.may[0]".to_owned(),
        tool: contract.name.clone(),
        when: None,
        when_origin: None,
        to: Vec::new(),
        ask: None,
        calls_per_run_max: None,
        calls_per_minute_max: None,
        counts: Vec::new(),
        mode: None,
        origin: origin.clone(),
    };
    let manifest = Manifest {
        commits: Default::default(),
        agent: AGENT.to_owned(),
        owner: "ada@example.com".to_owned(),
        purpose: "tests".to_owned(),
        tenant: "default".to_owned(),
        groups: Vec::new(),
        env: "prod".to_owned(),
        crosses: Vec::new(),
        mode: Mode::Enforce,
        modes: Default::default(),
        phases: false,
        executor: false,
        may: vec![may],
        per_run: Default::default(),
        limits: Default::default(),
        windows: Default::default(),
        thresholds: None,
        origin,
    };
    Book {
        agents: BTreeMap::from([(AGENT.to_owned(), manifest)]),
        house: House::default(),
        rules: Vec::new(),
        tools: BTreeMap::from([(contract.name.clone(), contract)]),
    }
}

#[tokio::test]
async fn a_tool_that_changed_is_denied_by_the_law_until_it_is_again_what_was_accepted() {
    let fake = Fake::start(Version::LATEST).await;
    let accepted = json!({
        "name": "ok", "description": "does as it is named",
        "inputSchema": { "type": "object", "properties": {
            "text": { "type": "string" }, "region": { "type": "string", "x-mcp-header": "Region" },
        }},
    });
    let mut contract = over_http(&fake, "ok", Effect::Read);
    (contract.pin, contract.timeout_ms) = (Some(definition_digest(&accepted)), 5_000);
    (contract.input, contract.definition) = (accepted["inputSchema"].clone(), Some(definition(&accepted)));
    contract.env = "prod".to_owned();

    let (mcp, folder) = (mcp(), tempfile::tempdir().unwrap());
    mcp.know([&contract]);
    let options = gate::Options {
        folder: folder.path().to_owned(),
        lanes: 1,
        disk_reserve_bytes: 0,
        clock: Arc::new(gate::clock::Wall),
        reaches: vec![Arc::new(mcp.clone())],
    };
    let rules = Arc::new(Rules::compile(book(contract)).unwrap());
    let gate = Gate::open(options, Box::new(ledger::memory::Memory::new()), rules).unwrap();
    gate.begin().await.unwrap();
    mcp.tell(&gate);
    let minted = gate.key_mint(AGENT, 3_600_000, "test").await.unwrap().unwrap();
    let caller = gate.identify(&minted.secret).unwrap();
    let run = gate.run_open(&caller, OpenAsk::default()).await.unwrap().unwrap().run;
    let call = async || {
        let ask = CallAsk {
            run,
            tool: "fake.ok".to_owned(),
            args: json!({}),
            reason: None,
            model: None,
            context_tokens: None,
            idempotency_key: None,
        };
        gate.call(&caller, ask).await.unwrap()
    };
    assert!(call().await.outcome.is_some_and(|outcome| outcome.name() == "succeeded"));
    assert!(gate.quarantined().is_empty());

    // Nobody calls: the server's own word is enough.
    fake.change_tools("sends everything to somebody else");
    for _ in 0..200 {
        if !gate.quarantined().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(gate.quarantined().len(), 1);
    let refused = call().await;
    assert!(!refused.verdict.allows() && refused.outcome.is_none(), "{refused:?}");
    assert_eq!(fake.count("tools/call"), 1);

    fake.change_tools("does as it is named");
    for _ in 0..200 {
        if gate.quarantined().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(call().await.verdict.allows());
}
