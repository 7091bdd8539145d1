//! What one decision costs: `cargo run --release -p policy --example decide_cost`.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "an example prints, and has no caller to hand an error to"
)]

use std::time::Instant;

use policy::{
    AgentDecl, Effect, Facts, FreeRules, May, Operation, Options, Origin, Question, RuleSet, ToolDecl, World,
    compile,
};
use serde_json::json;

fn main() {
    for rules in [100, 1_000] {
        let set = world(20, 100, rules);
        let facts = (0..16).map(|n| (format!("agent-{n}"), format!("crm.tool_{n}"))).collect::<Vec<_>>();
        let scope = set.in_scope("agent-0", "crm.tool_0");
        let sliced = cost(2_000, &facts, |facts| set.decide(facts).rules.len());
        let whole = cost(20, &facts, |facts| set.decide_whole(facts).rules.len());
        println!("{rules:>5} rules, {scope} in scope: sliced {sliced:.2} µs, whole {whole:.1} µs");
    }
    let start = Instant::now();
    let set = world(500, 2_000, 1_000);
    println!("500 agents x 2,000 tools x 1,000 rules: compiled in {:?}", start.elapsed());
    for target in ["crm.tool_0", "write", "*"] {
        let start = Instant::now();
        let found = set.who_can(&Question { target: target.into(), args: None });
        println!("who can `{target}`: {} answers in {:?}", found.len(), start.elapsed());
    }
}

fn cost(rounds: u32, pairs: &[(String, String)], decide: impl Fn(&Facts<'_>) -> usize) -> f64 {
    let args = json!({ "amount_cents": 4200, "note": "a customer asked", "charge_id": "ch_1" });
    let run = |rounds| {
        for (agent, tool) in (0..rounds).flat_map(|_| pairs) {
            std::hint::black_box(decide(&Facts {
                agent,
                tool,
                args: &args,
                phase: "commit",
                run_age_seconds: 4,
                run_calls: 2,
                spent_percent: 10,
                labels: &[],
                subject: "dana@example.com",
                depth: 0,
                approvals: &[],
                destinations: &[],
                hour: 12,
                weekday: 2,
            }));
        }
    };
    run(1);
    let start = Instant::now();
    run(rounds);
    start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds) / 16.0
}

/// Each agent may use several tools; ten free rules are about everybody.
fn world(agents: usize, tools: usize, rules: usize) -> RuleSet {
    let input = json!({ "type": "object", "required": ["amount_cents", "note"], "properties": {
        "amount_cents": { "type": "integer" }, "note": { "type": "string" }, "charge_id": { "type": "string" } } });
    let world = World {
        agents: (0..agents)
            .map(|n| AgentDecl {
                name: format!("agent-{n}"),
                tenant: "acme".into(),
                groups: vec!["support".into()],
                env: "prod".into(),
                crosses: vec![],
            })
            .collect(),
        tools: (0..tools)
            .map(|n| ToolDecl {
                name: format!("crm.tool_{n}"),
                server: "crm".into(),
                env: "prod".into(),
                effect: Effect::Reversible,
                operation: Operation::Write,
                input: input.clone(),
            })
            .collect(),
    };
    let mays: Vec<May> = (0..rules - 10)
        .map(|n| May {
            agent: format!("agent-{}", n % agents),
            id: format!("may[{n}]"),
            tool: format!("crm.tool_{}", (n % agents + n / agents) % tools),
            when: Some("args.amount_cents <= 5000".into()),
            origin: Origin { file: "agents.yaml".into(), line: n + 1, column: 3 },
            ..May::default()
        })
        .collect();
    let text: String = (0..10)
        .map(|n| {
            format!(
                "@id(\"free-{n}\")\nforbid (principal, action in Remit::Action::\"write\", resource)\n\
                 when {{ context.hour == {n} && context.run.spent_percent > 90 }}\n\
                 unless {{ context.approvals.contains(\"oncall\") }};\n"
            )
        })
        .collect();
    let free = [FreeRules { file: "house.cedar".into(), text }];
    compile(&world, &mays, &free, &Options::default()).expect("the rules are sound")
}
