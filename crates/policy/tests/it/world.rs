//! One small world that all tests share.

use policy::{
    AgentDecl, Effect, Facts, FreeRules, May, Operation, Options, Origin, Problem, RuleSet, ToolDecl, World,
    compile,
};
use serde_json::{Value, json};

pub(crate) fn world() -> World {
    let agent = |name: &str, tenant: &str, group: &str, env: &str, crosses: &[&str]| AgentDecl {
        name: name.into(),
        tenant: tenant.into(),
        groups: vec![group.into()],
        env: env.into(),
        crosses: crosses.iter().map(|env| (*env).to_owned()).collect(),
    };
    World {
        agents: vec![
            agent("refund-desk", "acme", "support", "prod", &[]),
            agent("kb-reader", "acme", "readers", "prod", &[]),
            agent("tester", "acme", "support", "staging", &["prod"]),
            agent("stranger", "other", "readers", "staging", &[]),
        ],
        tools: vec![
            tool(
                "crm.lookup_ticket",
                Effect::Read,
                Operation::Read,
                &json!({ "type": "object", "required": ["id"],
                "properties": { "id": { "type": "string" } } }),
            ),
            tool(
                "crm.add_note",
                Effect::Reversible,
                Operation::Write,
                &json!({ "type": "object", "required": ["text"],
                "properties": { "text": { "type": "string" }, "tags": { "type": "array", "items": { "type": "string" } } } }),
            ),
            tool("stripe.refund", Effect::Irreversible, Operation::Write, &refund()),
            tool(
                "mail.send",
                Effect::Irreversible,
                Operation::Execute,
                &json!({ "type": "object",
                "properties": { "subject": { "type": "string" } } }),
            ),
        ],
    }
}

fn refund() -> Value {
    json!({ "type": "object", "required": ["amount_cents", "charge_id", "rate"], "properties": {
        "amount_cents": { "type": "integer" }, "charge_id": { "type": "string" }, "rate": { "type": "number" },
        "note": { "type": "string" }, "mode": { "enum": ["full", "part"] },
        "to": { "type": "object", "required": ["iban"], "properties": { "iban": { "type": "string" } } },
        "odd": { "anyOf": [{ "type": "string" }, { "type": "null" }] } } })
}

fn tool(name: &str, effect: Effect, operation: Operation, input: &Value) -> ToolDecl {
    let server = name.split('.').next().unwrap().to_owned();
    ToolDecl { name: name.into(), server, env: "prod".into(), effect, operation, input: input.clone() }
}

pub(crate) fn may(agent: &str, tool: &str, when: &str) -> May {
    May {
        agent: agent.into(),
        id: format!("{agent}.{tool}.{when}"),
        tool: tool.into(),
        when: (!when.is_empty()).then(|| when.to_owned()),
        when_origin: Some(Origin { file: "agents/a.yaml".into(), line: 7, column: 11 }),
        origin: Origin { file: "agents/a.yaml".into(), line: 6, column: 5 },
        ..May::default()
    }
}

pub(crate) fn free(text: &str) -> Vec<FreeRules> {
    vec![FreeRules { file: "house.cedar".into(), text: text.into() }]
}

pub(crate) fn build(mays: &[May], text: &str) -> RuleSet {
    try_build(mays, text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

pub(crate) fn try_build(mays: &[May], text: &str) -> Result<RuleSet, Vec<Problem>> {
    compile(&world(), mays, &free(text), &Options { allow_permits: true })
}

pub(crate) fn facts<'a>(agent: &'a str, tool: &'a str, args: &'a Value) -> Facts<'a> {
    Facts {
        agent,
        tool,
        args,
        phase: "commit",
        run_age_seconds: 10,
        run_calls: 3,
        spent_percent: 20,
        labels: &[],
        subject: "dana@example.com",
        depth: 0,
        approvals: &[],
        destinations: &[],
        hour: 12,
        weekday: 2,
    }
}
