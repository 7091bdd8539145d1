//! Rules: a manifest's `when`, its list of destinations, and free Cedar text; three parts, parted by `---` lines.
//!
//! Whatever they hold, one entry is one permit or none, and what compiles can be asked without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{
    AgentDecl, Effect, Facts, FreeRules, May, Operation, Options, Origin, Question, ToolDecl, World,
};
use serde_json::json;

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(3, "\n---\n");
    let (when, to, cedar) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    let to: Vec<String> = to.into_iter().flat_map(str::lines).map(str::to_owned).collect();
    let may = May {
        agent: "desk".to_owned(),
        id: "desk.may[0]".to_owned(),
        tool: "crm.pay".to_owned(),
        when: when.filter(|when| !when.is_empty()).map(str::to_owned),
        when_origin: None,
        to,
        ask: None,
        origin: Origin { file: "agents/desk.yaml".to_owned(), line: 1, column: 1 },
    };
    let free = FreeRules { file: "policies/house.cedar".to_owned(), text: cedar.to_owned() };
    let nothing = FreeRules { text: String::new(), ..free.clone() };
    let options = Options::default();
    // The entry alone first: no text of it may become a second rule.
    if let Ok(set) = policy::compile(&world(), std::slice::from_ref(&may), &[nothing], &options) {
        assert_eq!(set.rule_count(), 2, "one entry and the built-in rule became something else");
    }
    let Ok(set) = policy::compile(&world(), &[may], &[free], &options) else { return };
    let args = json!({ "amount": 5, "to": "ada@example.com", "tags": ["a"], "deep": { "flag": true } });
    let answer = set.decide(&facts(&args));
    assert_eq!(answer, set.decide(&facts(&args)), "the same question had two answers");
    set.who_can(&Question { target: "crm.*".to_owned(), args: Some(args) });
    assert!(!set.cedar().is_empty());
});

fn world() -> World {
    let input = json!({
        "type": "object", "required": ["amount"], "additionalProperties": false,
        "properties": {
            "amount": { "type": "integer" }, "to": { "type": "string" },
            "tags": { "type": "array", "items": { "type": "string" } },
            "deep": { "type": "object", "properties": { "flag": { "type": "boolean" } } },
        },
    });
    let tool = ToolDecl {
        name: "crm.pay".to_owned(),
        server: "crm".to_owned(),
        env: "prod".to_owned(),
        effect: Effect::Irreversible,
        operation: Operation::Write,
        input,
    };
    let agent = AgentDecl {
        name: "desk".to_owned(),
        tenant: "default".to_owned(),
        env: "prod".to_owned(),
        ..AgentDecl::default()
    };
    World { agents: vec![agent], tools: vec![tool] }
}

fn facts(args: &serde_json::Value) -> Facts<'_> {
    Facts {
        agent: "desk",
        tool: "crm.pay",
        args,
        phase: "off",
        run_age_seconds: 1,
        run_calls: 1,
        spent_percent: 1,
        labels: &[],
        subject: "ada",
        depth: 0,
        approvals: &[],
        destinations: &[],
        hour: 12,
        weekday: 1,
    }
}
