//! One corpus of cases, answered alike by the library, the command line, the people's API, AuthZEN and a real call.

use std::path::Path;

use api::people::{PolicyAnswer, PolicyAsk};
use kernel::policy::Decision;
use serde_json::{Value, json};

use crate::house::House;

/// What is asked; what the rules say of it; the rules that decide.
fn corpus() -> Vec<(&'static str, Value, &'static str, &'static [&'static str])> {
    let refund = |cents: i64, currency: &str| json!({ "charge_id": "ch_1", "amount_cents": cents, "currency": currency });
    let mail = |to: &str| json!({ "to": to, "subject": "Your refund", "body": "It is on its way." });
    vec![
        ("desk.lookup_ticket", json!({ "ticket_id": "T-1" }), "allow", &["refund-desk.may[1]"]),
        ("desk.refund_charge", refund(1, "eur"), "allow", &["refund-desk.may[2]"]),
        ("desk.refund_charge", refund(5_000, "eur"), "allow", &["refund-desk.may[2]"]),
        ("desk.refund_charge", refund(5_001, "eur"), "ask", &["refund-desk.may[3]"]),
        ("desk.refund_charge", refund(50_000, "eur"), "ask", &["refund-desk.may[3]"]),
        ("desk.refund_charge", refund(50_001, "eur"), "deny", &[]),
        ("desk.refund_charge", refund(100, "usd"), "deny", &["refund-currency"]),
        ("desk.refund_charge", refund(9_000, "gbp"), "deny", &["refund-currency"]),
        ("desk.mail_customer", mail("ana@customers.example"), "allow", &["refund-desk.may[4]"]),
        ("desk.mail_customer", mail("Ana@CUSTOMERS.example"), "allow", &["refund-desk.may[4]"]),
        ("desk.mail_customer", mail("ana@customers.example.evil.example"), "deny", &[]),
        ("desk.mail_customer", mail("boss@elsewhere.example"), "deny", &[]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_face_gives_the_same_answer() {
    let house = House::up().await;
    let files = ["remit.yaml", "agents/refund-desk.yaml", "tools/desk.yaml", "policies/house.cedar"];
    let texts = files.map(|name| (name, std::fs::read_to_string(house.install.path(name)).unwrap()));
    let texts = texts.each_ref().map(|(name, text)| (*name, text.as_str()));
    let rules = remit::check_texts(&texts).unwrap();
    let people = house.people();
    let mut table = Vec::new();
    for (tool, args, expect, by) in corpus() {
        let case = format!("{tool} {args}");

        let now = kernel::time::Time(1_795_262_400_000);
        let library = kernel::decide::explain_policy(&rules, "refund-desk", tool, &args, now);
        let word = match library.decision {
            Decision::Allow => "allow",
            Decision::Ask => "ask",
            Decision::Deny => "deny",
        };
        let cited: Vec<&str> = library.rules.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!((word, cited.as_slice()), (expect, by), "the library: {case}");

        let text = args.to_string();
        let said =
            house.install.remit(&["policy", "explain", "refund-desk", tool, "--args", &text, "--json"]);
        let said = said.ok().json();
        let cited: Vec<&str> =
            said["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
        assert_eq!((said["decision"].as_str().unwrap(), cited.as_slice()), (expect, by), "the CLI: {case}");

        let ask = PolicyAsk { agent: "refund-desk".into(), tool: tool.into(), args: args.clone() };
        let told: PolicyAnswer = people.post("/v1/policy/explain", &ask).await.unwrap();
        let cited: Vec<&str> = told.rules.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!((told.decision.as_str(), cited.as_slice()), (expect, by), "the people's API: {case}");

        let run = house.run().await;
        let question = json!({ "subject": { "type": "agent", "id": "refund-desk" },
            "action": { "name": tool, "properties": args }, "resource": { "type": "tool", "id": tool } });
        let answer: Value = run.agent.post("/access/v1/evaluation", &question).await.unwrap();
        assert_eq!(answer["decision"], json!(expect == "allow"), "AuthZEN: {case}");

        let called = run.call(tool, args.clone()).await.unwrap();
        assert_eq!(called.verdict.ruling, expect, "a call: {case}");
        if expect == "ask" {
            assert_eq!(called.verdict.reasons[0].code, "approval_required", "a call: {case}");
        }
        table.push(
            json!({ "name": case, "agent": "refund-desk", "tool": tool, "args": args, "expect": expect }),
        );
    }
    let path = house.install.path("policies/corpus.test.yaml");
    std::fs::write(&path, json!({ "tests": table }).to_string()).unwrap();
    let count = format!("{} passed, 0 failed", table.len());
    house.install.remit(&["policy", "test", &Path::new(&path).display().to_string()]).ok().holds(&[&count]);
}
