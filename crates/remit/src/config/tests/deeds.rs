//! What contracts and manifests say of plans: read as it is written, and every mistake says where.

use kernel::deed::{Companion, Expect, Undo, VersionRead};
use kernel::progress::{OnFailure, OnHalt};
use serde_json::json;

use super::*;

const CLAIMS: &str = "agents/claims-desk.yaml";
const UNDO: &str =
    "undo: { tool: desk.cancel_refund, args: { refund_id: \"{result.refund_id}\" }, within: 24h }";
const DELAY: &str = "destinations: [{ email: args.to }]";

#[test]
fn a_deed_is_what_its_contract_says() {
    let book = embedded(&EXAMPLE).unwrap_or_else(|problems| panic!("{problems}")).book;
    let refund = book.tools.get("desk.refund_charge").expect("the tool");
    let args = json!({ "charge_id": "{args.charge_id}" });
    let tool = "desk.get_charge".to_owned();
    assert_eq!(refund.deed.touches, ["charge:{args.charge_id}"]);
    assert_eq!(refund.deed.preview, Some(Companion { args: args.clone(), tool: tool.clone() }));
    let that = "result.refunded_cents >= args.amount_cents".to_owned();
    assert_eq!(refund.deed.expect, Some(Expect { args: args.clone(), that, tool: tool.clone() }));
    let value = vec!["refunded_cents".to_owned()];
    assert_eq!(refund.deed.version, Some(VersionRead { args, tool, value }));
    let undo = Undo::Tool {
        args: json!({ "refund_id": "{result.refund_id}" }),
        retries: 3,
        tool: "desk.cancel_refund".to_owned(),
        within_ms: Some(86_400_000),
    };
    assert_eq!(refund.deed.undo, Some(undo));
    assert!(refund.takes_back() && refund.repeats());
    let cancel = book.tools.get("desk.cancel_refund").expect("the tool");
    assert!(cancel.deed.is_plain() && !cancel.takes_back(), "`undo: none` is none");
    assert!(book.tools.get("desk.lookup_ticket").expect("the tool").deed.is_plain());
}

#[test]
fn a_delay_a_probe_and_a_before_image_are_read() {
    let delayed = changed(TOOL, DELAY, &format!("{DELAY}\n    delay: 90s")).expect("loads").book;
    assert_eq!(delayed.tools.get("desk.mail_customer").expect("the tool").deed.delay_ms, Some(90_000));
    let restore = "undo: { restore: { read: { tool: desk.get_charge, args: { charge_id: \"{args.charge_id}\" } }, \
        write: { tool: desk.refund_charge, args: { charge_id: \"{args.charge_id}\", amount_cents: \"{before.cents}\", \
        currency: eur } } }, retries: 0 }\n    probe: { tool: desk.get_charge, args: { charge_id: \
        \"{args.charge_id}\" }, that: result.refunded_cents > 0 }";
    let book = changed(TOOL, UNDO, restore).unwrap_or_else(|problems| panic!("{problems}")).book;
    let deed = &book.tools.get("desk.refund_charge").expect("the tool").deed;
    assert_eq!(deed.probe.as_ref().expect("a probe").that, "result.refunded_cents > 0");
    let Some(Undo::Restore { read, retries: 0, within_ms: None, write }) = &deed.undo else {
        panic!("{:?}", deed.undo)
    };
    assert_eq!((read.tool.as_str(), write.tool.as_str()), ("desk.get_charge", "desk.refund_charge"));
    assert_eq!(write.args["amount_cents"], "{before.cents}");
}

#[test]
fn a_manifest_says_what_comes_before_and_what_a_failure_leads_to() {
    let book = embedded(&EXAMPLE).expect("loads").book;
    let commits = &book.agents.get("claims-desk").expect("the agent").commits;
    assert_eq!((commits.on_failure, commits.on_halt), (OnFailure::Unwind, OnHalt::Hold));
    let [before] = commits.before.as_slice() else { panic!("{commits:?}") };
    assert_eq!((before.tool.as_str(), before.read.as_str()), ("desk.refund_charge", "desk.lookup_ticket"));
    assert_eq!(before.same.get("args.charge_id").map(String::as_str), Some("result.charge_id"));
    assert_eq!(before.within_ms, Some(600_000));
    assert!(book.agents.get("refund-desk").expect("the agent").commits.is_usual());
    let other = changed(CLAIMS, "on_failure: unwind ", "on_failure: pause_for_replan ").expect("loads").book;
    let commits = &other.agents.get("claims-desk").expect("the agent").commits;
    assert_eq!(commits.on_failure, OnFailure::PauseForReplan);
    let other = changed(CLAIMS, "on_halt: hold ", "on_halt: unwind ").expect("loads").book;
    assert_eq!(other.agents.get("claims-desk").expect("the agent").commits.on_halt, OnHalt::Unwind);
}

#[test]
fn what_claims_to_be_reversible_and_names_no_way_back_is_warned_of() {
    let loaded = changed(TOOL, UNDO, "").expect("loads");
    let shown = warnings(&loaded);
    assert!(shown.contains("`refund_charge` is `reversible` and names no `undo`"), "{shown}");
    assert!(shown.contains("tools/desk.yaml:") && shown.contains("undo: none"), "{shown}");
    for knowing in [changed(TOOL, UNDO, "undo: none"), embedded(&EXAMPLE)] {
        let shown = warnings(&knowing.expect("loads"));
        assert!(!shown.contains("undo"), "{shown}");
    }
}

#[rustfmt::skip]
const BAD: &[Bad] = &[
    ("undo-unknown-tool", TOOL, "tool: desk.cancel_refund", "tool: desk.cancel_refnd"),
    ("undo-reads", TOOL, "undo: { tool: desk.cancel_refund, args: { refund_id: \"{result.refund_id}\" }", "undo: { tool: desk.get_charge, args: { charge_id: \"{args.charge_id}\" }"),
    ("undo-word", TOOL, "undo: none", "undo: never"),
    ("undo-both", TOOL, UNDO, "undo: { tool: desk.cancel_refund, restore: { read: { tool: desk.get_charge }, write: { tool: desk.cancel_refund } } }"),
    ("undo-neither", TOOL, UNDO, "undo: { within: 24h }"),
    ("undo-key", TOOL, "within: 24h", "withing: 24h"),
    ("undo-within", TOOL, "within: 24h", "within: 200d"),
    ("undo-argument", TOOL, "refund_id: \"{result.refund_id}\"", "refund: \"{result.refund_id}\""),
    ("undo-argument-missing", TOOL, ", args: { refund_id: \"{result.refund_id}\" }", ""),
    ("undo-of-irreversible", TOOL, DELAY, "destinations: [{ email: args.to }]\n    undo: { tool: desk.cancel_refund, args: { refund_id: x } }"),
    ("undo-of-read", TOOL, "    effect: read\n    about: Reads one ticket", "    effect: read\n    undo: none\n    about: Reads one ticket"),
    ("undo-before", TOOL, "\"{result.refund_id}\"", "\"{before.refund_id}\""),
    ("template-open", TOOL, "\"{result.refund_id}\"", "\"{result.refund_id\""),
    ("template-root", TOOL, "\"charge:{args.charge_id}\"", "\"charge:{arg.charge_id}\""),
    ("template-argument", TOOL, "\"charge:{args.charge_id}\"", "\"charge:{args.charge}\""),
    ("template-too-early", TOOL, "\"charge:{args.charge_id}\"", "\"charge:{result.charge_id}\""),
    ("preview-writes", TOOL, "preview: { tool: desk.get_charge,", "preview: { tool: desk.refund_charge,"),
    ("version-value", TOOL, "value: result.refunded_cents", "value: refunded_cents"),
    ("condition", TOOL, "that: result.refunded_cents >= args.amount_cents", "that: result.refunded_cents => args.amount_cents"),
    ("condition-or", TOOL, "that: result.refunded_cents >= args.amount_cents", "that: result.refunded_cents == 1 or args.amount_cents == 2"),
    ("condition-argument", TOOL, "that: result.refunded_cents >= args.amount_cents", "that: result.refunded_cents >= args.amount"),
    ("delay-of-reversible", TOOL, "    touches: [", "    delay: 60s\n    touches: ["),
    ("delay-bounds", TOOL, DELAY, "destinations: [{ email: args.to }]\n    delay: 3d"),
    ("before-unknown-read", CLAIMS, "read: desk.lookup_ticket", "read: desk.lookup_tiket"),
    ("before-unknown-write", CLAIMS, "{ tool: desk.refund_charge, read", "{ tool: desk.refund_charges, read"),
    ("before-writes", CLAIMS, "read: desk.lookup_ticket", "read: desk.mail_customer"),
    ("before-same", CLAIMS, "result.charge_id", "charge_id"),
    ("before-argument", CLAIMS, "args.charge_id", "args.charge"),
    ("before-asked", CLAIMS, "result.charge_id", "args.charge_id"),
    ("on-failure", CLAIMS, "on_failure: unwind ", "on_failure: rewind "),
    ("on-halt", CLAIMS, "on_halt: hold ", "on_halt: held "),
];

#[test]
fn every_mistake_of_a_deed_says_where_and_what_would_be_right() {
    for (name, file, old, new) in BAD {
        match changed(file, old, new) {
            Ok(loaded) => panic!("{name} was accepted, with {:?}", loaded.warnings),
            Err(problems) => check(name, &problems),
        }
    }
}
