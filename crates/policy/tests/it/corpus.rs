//! A corpus: rules, facts → decision and the rules that determined it.

use policy::{Answer, Decision, May, RuleSet};
use serde_json::{Value, json};

use crate::world::{build, facts, may};

const NIGHT: &str = r#"// Free rules beside the manifests.
@id("night")
@reason("no writes to production at night without the on-call's yes")
forbid (principal, action in Remit::Action::"write", resource)
when { context.env == "prod" && context.hour < 6 }
unless { context.approvals.contains("oncall") };
"#;

fn desk() -> RuleSet {
    let mut large = may("refund-desk", "stripe.refund", "args.amount_cents <= 50000");
    large.ask = Some("finance".into());
    let mut mail = may("refund-desk", "mail.send", "");
    mail.to = vec!["*@customers.example".into(), "*@acme.example".into()];
    let mays = [
        may("refund-desk", "crm.*", ""),
        may("refund-desk", "stripe.refund", "args.amount_cents <= 5000"),
        large,
        mail,
        may("stranger", "crm.*", ""),
        may("tester", "crm.*", ""),
        may("kb-reader", "stripe.refund", "args.rate.lessThan(decimal(\"0.5\"))"),
    ];
    build(&mays, NIGHT)
}

fn refund(cents: i64) -> Value {
    json!({ "amount_cents": cents, "charge_id": "ch", "rate": 0.25 })
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.rules.iter().map(|rule| rule.id.as_str()).collect()
}

#[test]
fn corpus() {
    use Decision::{Allow, Ask, Deny};
    let set = desk();
    let small = "refund-desk.stripe.refund.args.amount_cents <= 5000";
    let large = "refund-desk.stripe.refund.args.amount_cents <= 50000";
    let text = json!({ "text": "hello" });
    type Row<'a> = (&'a str, &'a str, Value, i64, &'a [&'a str], Decision, Vec<&'a str>, &'a [&'a str]);
    let rows: Vec<Row<'_>> = vec![
        (
            "refund-desk",
            "crm.lookup_ticket",
            json!({ "id": "1" }),
            12,
            &[],
            Allow,
            vec!["refund-desk.crm.*."],
            &[],
        ),
        (
            "refund-desk",
            "crm.lookup_ticket",
            json!({ "id": "1" }),
            3,
            &[],
            Allow,
            vec!["refund-desk.crm.*."],
            &[],
        ),
        ("refund-desk", "crm.add_note", text.clone(), 3, &[], Ask, vec!["night"], &["oncall"]),
        ("refund-desk", "crm.add_note", text.clone(), 3, &["oncall"], Allow, vec!["refund-desk.crm.*."], &[]),
        ("refund-desk", "stripe.refund", refund(5000), 12, &[], Allow, vec![small], &[]),
        ("refund-desk", "stripe.refund", refund(5001), 12, &[], Ask, vec![large], &["finance"]),
        ("refund-desk", "stripe.refund", refund(5001), 12, &["finance"], Allow, vec![large], &[]),
        ("refund-desk", "stripe.refund", refund(5001), 3, &[], Ask, vec!["night"], &["finance", "oncall"]),
        ("refund-desk", "stripe.refund", refund(5001), 3, &["oncall"], Ask, vec![large], &["finance"]),
        ("refund-desk", "stripe.refund", refund(5000), 3, &[], Ask, vec!["night"], &["oncall"]),
        ("refund-desk", "stripe.refund", refund(50001), 12, &[], Deny, vec![], &[]),
        ("refund-desk", "stripe.refund", refund(50001), 12, &["finance"], Deny, vec![], &[]),
        ("kb-reader", "crm.add_note", text.clone(), 12, &[], Deny, vec![], &[]),
        (
            "kb-reader",
            "stripe.refund",
            refund(1),
            12,
            &[],
            Allow,
            vec!["kb-reader.stripe.refund.args.rate.lessThan(decimal(\"0.5\"))"],
            &[],
        ),
        ("stranger", "crm.add_note", text.clone(), 12, &[], Deny, vec!["remit.env"], &[]),
        ("stranger", "crm.add_note", text.clone(), 3, &[], Deny, vec!["remit.env", "night"], &[]),
        ("tester", "crm.add_note", text.clone(), 12, &[], Allow, vec!["tester.crm.*."], &[]),
        ("nobody", "crm.add_note", text.clone(), 12, &[], Deny, vec![], &[]),
        ("refund-desk", "crm.unknown", text.clone(), 12, &[], Deny, vec![], &[]),
    ];
    for (agent, tool, args, hour, approvals, decision, rules, ask) in rows {
        let approvals: Vec<String> = approvals.iter().map(|group| (*group).to_owned()).collect();
        let facts = policy::Facts { hour, approvals: &approvals, ..facts(agent, tool, &args) };
        let answer = set.decide(&facts);
        let row = format!("{agent} {tool} {args} at {hour} with {approvals:?}: {answer:?}");
        assert_eq!(answer, set.decide_whole(&facts), "{row}");
        assert_eq!((answer.decision, ids(&answer)), (decision, rules), "{row}");
        assert_eq!(answer.ask, ask, "{row}");
    }
}

#[test]
fn a_default_deny_names_the_permits_that_were_near() {
    let args = refund(50001);
    let answer = desk().decide(&facts("refund-desk", "stripe.refund", &args));
    let near: Vec<&str> = answer.near.iter().map(|rule| rule.words.as_str()).collect();
    assert_eq!(near, ["args.amount_cents <= 5000", "args.amount_cents <= 50000; approved by finance"]);
}

#[test]
fn every_destination_must_be_within_the_list() {
    let (set, args) = (desk(), json!({}));
    for (to, decision) in [
        (vec!["Ann@Customers.Example"], Decision::Allow),
        (vec!["ann@customers.example", "bo@acme.example"], Decision::Allow),
        (vec!["ann@customers.example", "eve@evil.example"], Decision::Deny),
        (vec![], Decision::Deny),
    ] {
        let to: Vec<String> = to.into_iter().map(str::to_owned).collect();
        let facts = policy::Facts { destinations: &to, ..facts("refund-desk", "mail.send", &args) };
        assert_eq!(set.decide(&facts).decision, decision, "{to:?}");
        assert_eq!(set.decide_whole(&facts).decision, decision, "{to:?}");
    }
}

#[test]
fn an_erring_forbid_denies() {
    let text = r#"@id("sum") forbid (principal, action == Remit::Action::"stripe.refund", resource)
        when { context.args.amount_cents * 1000 > 9000000000 };"#;
    let set = build(&[may("refund-desk", "stripe.refund", "")], text);
    let args = refund(i64::MAX);
    let answer = set.decide(&facts("refund-desk", "stripe.refund", &args));
    assert_eq!(answer.decision, Decision::Deny);
    assert_eq!(answer.errors.len(), 1);
    assert_eq!(answer.errors[0].0.id, "sum");
    assert_eq!(answer, set.decide_whole(&facts("refund-desk", "stripe.refund", &args)));
    assert_eq!(set.decide(&facts("refund-desk", "stripe.refund", &refund(5))).decision, Decision::Allow);
}

#[test]
fn what_takes_back_heeds_only_the_rules_that_say_so_and_an_error_of_theirs() {
    let scope = r#"forbid (principal, action == Remit::Action::"stripe.refund", resource)"#;
    let text = format!(
        "@id(\"plain\") {scope};\n\
         @id(\"undo\") @applies(\"undo\") {scope} when {{ context.args.amount_cents > 5 }};\n\
         @id(\"sum\") @applies(\"undo\") {scope} when {{ context.args.amount_cents * 1000 > 9000000000000000000 }};\n\
         @id(\"other\") @applies(\"undo\") forbid (principal, action == Remit::Action::\"mail.send\", resource);"
    );
    let set = build(&[may("refund-desk", "stripe.refund", "")], &text);
    let forbids = |cents| {
        let found = set.forbids_undo(&facts("refund-desk", "stripe.refund", &refund(cents)));
        found.map(|(rule, error)| (rule.id.clone(), error.is_some()))
    };
    assert_eq!(forbids(5), None);
    assert_eq!(forbids(6), Some(("undo".to_owned(), false)));
    assert_eq!(forbids(i64::MAX), Some(("sum".to_owned(), true)));
}

#[test]
fn a_value_that_does_not_fit_its_type_is_absent_and_denies() {
    let set = desk();
    for (args, decision) in [
        (json!({ "rate": 0.1234 }), Decision::Allow),
        (json!({ "rate": 0.12345 }), Decision::Deny),
        (json!({ "rate": 1e30 }), Decision::Deny),
        (json!({ "rate": "0.1" }), Decision::Deny),
        (json!({}), Decision::Deny),
        (json!(null), Decision::Deny),
    ] {
        let answer = set.decide(&facts("kb-reader", "stripe.refund", &args));
        assert_eq!(
            (answer.decision, answer.errors.len()),
            (decision, usize::from(decision == Decision::Deny)),
            "{args}"
        );
    }
}

#[test]
fn no_rules_no_permission() {
    let set = build(&[], "");
    let args = json!({});
    assert_eq!(set.decide(&facts("refund-desk", "mail.send", &args)).decision, Decision::Deny);
    assert!(!set.can_ever("refund-desk", "mail.send"));
}

#[test]
fn can_ever_sees_permits_and_unconditional_forbids() {
    let mays: Vec<May> =
        ["refund-desk", "stranger", "kb-reader"].iter().map(|a| may(a, "mail.send", "hour < 3")).collect();
    let set = build(
        &mays,
        r#"forbid (principal in Remit::Group::"readers", action in Remit::Action::"mail.*", resource is Remit::Tool);"#,
    );
    assert!(set.can_ever("refund-desk", "mail.send"));
    assert!(!set.can_ever("kb-reader", "mail.send"), "its group is forbidden");
    assert!(!set.can_ever("stranger", "mail.send"), "its environment is another");
    assert!(!set.can_ever("tester", "mail.send"), "nothing permits it");
    assert_eq!(set.in_scope("kb-reader", "mail.send"), 3);
    assert_eq!(set.rule_count(), 5);
}

#[test]
fn the_rules_can_be_printed_and_read_back() {
    let set = desk();
    let text = set.cedar();
    assert!(text.contains("// agents/a.yaml:6\n"), "{text}");
    assert_eq!(text.parse::<cedar_policy::PolicySet>().unwrap().policies().count(), set.rule_count());
    assert!(cedar_policy::Schema::from_cedarschema_str(&set.schema()).is_ok());
}
