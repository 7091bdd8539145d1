//! Who can do a thing, and under which conditions.

use policy::{Question, RuleSet, WhoCan};
use serde_json::json;

use crate::world::{build, may};

fn ask(set: &RuleSet, target: &str, args: Option<serde_json::Value>) -> Vec<WhoCan> {
    set.who_can(&Question { target: target.into(), args })
}

fn set() -> RuleSet {
    let mut large = may("refund-desk", "stripe.refund", "args.amount_cents <= 50000");
    large.ask = Some("finance".into());
    let mut mail = may("refund-desk", "mail.send", "");
    mail.to = vec!["*@customers.example".into()];
    let text = r#"
@id("night") @reason("it is day") forbid (principal, action in Remit::Action::"write", resource) when { context.hour < 6 };
@id("never") forbid (principal == Remit::Agent::"kb-reader", action in Remit::Action::"irreversible", resource);
@id("all-read") permit (principal in Remit::Group::"support", action in Remit::Action::"read", resource);
"#;
    build(
        &[
            may("refund-desk", "stripe.refund", "args.amount_cents <= 5000"),
            large,
            mail,
            may("kb-reader", "stripe.refund", ""),
            may("stranger", "stripe.refund", ""),
        ],
        text,
    )
}

#[test]
fn conditions_approvals_and_forbids_are_said() {
    let found = ask(&set(), "stripe.refund", None);
    let said: Vec<_> = found
        .iter()
        .map(|who| (who.agent.as_str(), who.only_if.join(" · "), who.needs_approval.as_deref()))
        .collect();
    assert_eq!(
        said,
        [
            ("refund-desk", "args.amount_cents <= 5000 · unless it is day".to_owned(), None),
            (
                "refund-desk",
                "args.amount_cents <= 50000 · approved by finance · unless it is day".to_owned(),
                Some("finance")
            ),
        ]
    );
}

#[test]
fn arguments_are_evaluated_exactly() {
    let found = |cents: i64| {
        let args = json!({ "amount_cents": cents, "charge_id": "c", "rate": 1 });
        ask(&set(), "stripe.refund", Some(args))
            .into_iter()
            .map(|who| who.rule.words.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(found(5000).len(), 2);
    assert_eq!(found(5001), ["args.amount_cents <= 50000; approved by finance"]);
    assert!(found(50001).is_empty());
}

#[test]
fn effects_operations_globs_and_destinations() {
    let set = set();
    let who = |target: &str| {
        let mut found: Vec<_> =
            ask(&set, target, None).into_iter().map(|who| format!("{} {}", who.agent, who.tool)).collect();
        found.dedup();
        found
    };
    assert_eq!(who("read"), ["refund-desk crm.lookup_ticket", "tester crm.lookup_ticket"]);
    assert_eq!(who("crm.*"), ["refund-desk crm.lookup_ticket", "tester crm.lookup_ticket"]);
    assert_eq!(who("irreversible"), ["refund-desk mail.send", "refund-desk stripe.refund"]);
    assert_eq!(who("write"), ["refund-desk mail.send", "refund-desk stripe.refund"]);
    assert_eq!(who("execute"), ["refund-desk mail.send"]);
    assert_eq!(who("to:ann@customers.example"), ["refund-desk mail.send", "refund-desk stripe.refund"]);
    assert_eq!(who("to:*@evil.example"), ["refund-desk stripe.refund"]);
    assert!(ask(&set, "read", None).iter().all(|who| who.by_free_permit));
    assert!(ask(&set, "write", None).iter().all(|who| !who.by_free_permit));
}
