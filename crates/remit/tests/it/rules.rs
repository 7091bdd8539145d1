//! The rules, asked without starting anything.

use serde_json::json;

use crate::install::Install;

const SMALL: &str = r#"{"charge_id":"c","amount_cents":100,"currency":"eur"}"#;
const LARGE: &str = r#"{"charge_id":"c","amount_cents":12000,"currency":"eur"}"#;
const DOLLARS: &str = r#"{"charge_id":"c","amount_cents":100,"currency":"usd"}"#;
const TESTS: &str = "\
tests:
  - name: small refunds pass
    agent: refund-desk
    tool: desk.refund_charge
    args: { charge_id: c, amount_cents: 100, currency: eur }
    expect: allow
    rule: refund-desk.may[2]
  - name: larger ones need finance
    agent: refund-desk
    tool: desk.refund_charge
    args: { charge_id: c, amount_cents: 12000, currency: eur }
    expect: ask
  - name: no dollars
    agent: refund-desk
    tool: desk.refund_charge
    args: { charge_id: c, amount_cents: 100, currency: usd }
    expect: deny
    rule: refund-currency
";

fn install() -> Install {
    Install::new("http://127.0.0.1:9")
}

#[test]
fn policy_show_prints_the_rules_as_cedar() {
    let shown = install().remit(&["policy", "show"]).ok().out;
    for part in ["permit", "forbid", "refund-desk", "desk.refund_charge", "amount_cents", "refund-currency"] {
        assert!(shown.contains(part), "no {part} in:\n{shown}");
    }
}

#[test]
fn check_counts_what_it_checked() {
    let install = install();
    install.remit(&["check"]).ok().holds(&["ok: 1 agents, 5 tools", "sha256:"]);
    let json = install.remit(&["policy", "check", "--json"]).ok().json();
    assert_eq!((json["ok"].as_bool(), json["tools"].as_u64()), (Some(true), Some(5)));
    assert!(!install.data().exists(), "a check starts nothing");
}

#[test]
fn what_checks_and_tests_print_as_json_keeps_its_shape() {
    let install = install();
    let keys = |json: &serde_json::Value| {
        let mut keys: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    // What is accepted with a warning.
    install.edit("remit.yaml", "capture_reasoning: true }", "capture_reasoning: true, payload_days: 30 }");
    for args in [&["check", "--json"] as &[_], &["policy", "check", "--json"]] {
        let json = install.remit(args).ok().json();
        assert_eq!(keys(&json), "agents digest ok problems rules tools warnings");
        let problems = json["problems"].as_array().unwrap();
        assert_eq!(json["warnings"].as_u64(), Some(problems.len() as u64));
        assert_eq!(keys(&problems[0]), "code column file help line message severity");
    }
    let shown = install.remit(&["policy", "show", "--json"]).ok().json();
    assert_eq!(keys(&shown), "cedar digest rules");
    assert!(shown["cedar"].as_str().unwrap().contains("forbid"), "{shown}");

    std::fs::write(install.path("policies/desk.test.yaml"), TESTS).unwrap();
    let json = install.remit(&["policy", "test", "--json"]).ok().json();
    assert_eq!((&json["passed"], &json["failed"]), (&json!(3), &json!(0)));
    install.edit("policies/desk.test.yaml", "expect: deny", "expect: allow");
    let json = install.remit(&["policy", "test", "--json"]).fails().json();
    assert_eq!((&json["passed"], &json["failed"]), (&json!(2), &json!(1)));
    let wrong = &json["tests"][2];
    assert_eq!(keys(wrong), "file name passed why");
    assert!(wrong["why"].as_str().unwrap().contains("expected allow, got deny"), "{wrong}");

    install.edit("agents/refund-desk.yaml", "    when:", "    wenn:");
    let json = install.remit(&["check", "--json"]).fails().json();
    assert_eq!((json["ok"].as_bool(), json["problems"][0]["line"].as_u64()), (Some(false), Some(12)));
}

#[test]
fn policy_explain_names_the_rule_and_its_line() {
    let install = install();
    let explain =
        |args| install.remit(&["policy", "explain", "refund-desk", "desk.refund_charge", "--args", args]);
    explain(SMALL).ok().holds(&["allow", "refund-desk.may[2]", "agents/refund-desk.yaml:"]);
    explain(LARGE).ok().holds(&["ask", "finance"]);
    explain(DOLLARS).ok().holds(&["deny", "refund-currency", "policies/house.cedar:", "euros only"]);
    let asked = ["policy", "explain", "refund-desk", "desk.refund_charge", "--args", LARGE, "--json"];
    let json = install.remit(&asked).ok().json();
    assert_eq!((&json["decision"], &json["ask"]), (&json!("ask"), &json!(["finance"])));
    let wrong = install.remit(&["policy", "explain", "refund-desk", "desk.refund_charg"]).fails();
    wrong.holds(&["desk.refund_charg", "did you mean `desk.refund_charge`"]);
    let twice = r#"{"amount_cents":1,"amount_cents":2}"#;
    explain(twice).fails().holds(&["not strict JSON", "amount_cents"]);
}

#[test]
fn policy_test_runs_a_users_table() {
    let install = install();
    install.remit(&["policy", "test"]).fails().holds(&["no test was run"]);
    std::fs::write(install.path("policies/desk.test.yaml"), TESTS).unwrap();
    install.remit(&["policy", "test"]).ok().holds(&["3 passed, 0 failed"]);
    install.edit("policies/desk.test.yaml", "expect: deny", "expect: allow");
    install.remit(&["policy", "test"]).fails().holds(&[
        "FAILED",
        "no dollars",
        "expected allow, got deny",
        "2 passed, 1 failed",
    ]);
}

#[test]
fn who_can_answers_for_tools_effects_and_destinations() {
    let install = install();
    let who = |target| install.remit(&["who-can", target]).ok();
    who("desk.refund_charge").holds(&[
        "refund-desk",
        "refund-desk.may[2]",
        "amount_cents",
        "finance says yes",
    ]);
    who("irreversible").holds(&["desk.mail_customer"]);
    who("to:*@customers.example").holds(&["desk.mail_customer"]);
    let none = who("desk.delete_everything");
    assert!(none.out.is_empty(), "{none:?}");
    none.holds(&["nobody can"]);
    let rows = install.remit(&["who-can", "write", "--json"]).ok().json();
    let tools: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["tool"].as_str().unwrap()).collect();
    assert!(tools.contains(&"desk.refund_charge") && !tools.contains(&"desk.lookup_ticket"), "{rows}");
    let sure = install.remit(&["who-can", "desk.refund_charge", "--args", SMALL, "--json"]).ok().json();
    assert!(sure.as_array().unwrap().iter().any(|row| row["only_if"] == json!([])), "{sure}");
}

#[test]
fn the_schema_is_printed_for_editors_and_readers() {
    let schema = install().remit(&["schema"]).ok().json();
    assert!(schema.is_object());
    install().remit(&["schema", "--markdown"]).ok().holds(&["# Configuration", "`remit.yaml`"]);
}
