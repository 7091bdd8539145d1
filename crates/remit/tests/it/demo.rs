//! `remit demo --once`: the first five minutes of a new user.

use std::process::{Command, Stdio};

use crate::install::{BINARY, Said};

#[test]
fn the_demo_tells_its_story_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("fresh");
    let demo = || {
        let mut command = Command::new(BINARY);
        command
            .args(["demo", "--once", "--data"])
            .arg(&data)
            .env_remove("REMIT_FAILPOINT")
            .stdin(Stdio::null());
        Said::of(&command.output().unwrap())
    };
    let said = demo().ok();
    said.holds(&["remit: ALLOW, succeeded", "remit: DENY", "receipt ", "remedy   ", "because  "]);
    said.holds(&["may borrow 0.50 usd", "[budget_exceeded]"]);
    said.holds(&["remit: ASK", "waits for finance", "lee@example.com: yes", "approved by lee@example.com"]);
    // What the desk itself wrote down: one refund of the run, one that was approved, one of the run under it, one mail,
    // nothing for the stranger. Of the claims: one refund that was cancelled when the other failed, then both, and the
    // mail last.
    let record = between(&said.out, "What the tool server says really happened:", "Why was");
    let deeds = |start: &str| record.lines().filter(|line| line.trim().starts_with(start)).count();
    assert_eq!((deeds("refund "), deeds("mail "), deeds("cancel ")), (6, 2, 1), "{record}");
    assert!(!record.contains("elsewhere"), "{record}");
    let claims = record.split_once("no refund of ch_1005").expect("the failing step").1;
    assert!(claims.trim_end().lines().last().is_some_and(|line| line.contains("dan@customers")), "{record}");
    let claims = between(&said.out, "Another agent", "What the tool server");
    for told in [
        "[phase_forbids]",
        "rolled back: `saucers` failed",
        "books are as they were",
        "committed: all 3 steps stand",
    ] {
        assert!(claims.contains(told), "{told}: {claims}");
    }
    let story = between(&said.out, "Why was", "agents' doors");
    assert!(story.contains("refund-desk") && story.contains("no_rule_allows"), "{story}");
    let cites_a_line = story.split("agents/refund-desk.yaml:").nth(1).and_then(|rest| rest.chars().next());
    assert!(cites_a_line.is_some_and(|c| c.is_ascii_digit()), "{story}");
    said.holds(&["people's API    http://127.0.0.1:", "remit --data", "explain call_"]);
    assert!(crate::start::only_for_its_owner(&data) >= 7);
    // The folder is all there is to check: a demo has no configuration beside it.
    let mut doctor = Command::new(BINARY);
    doctor.args(["doctor", "--data"]).arg(&data).current_dir(folder.path()).env_remove("REMIT_CONFIG");
    let healthy = Said::of(&doctor.output().unwrap()).ok();
    healthy.holds(&["the data folder of a demo", "events", "nothing is wrong"]);
    let elsewhere = Command::new(BINARY)
        .args(["doctor", "--data", "."])
        .current_dir(folder.path())
        .env_remove("REMIT_CONFIG")
        .output();
    Said::of(&elsewhere.unwrap()).fails().holds(&["no ledger can be read there", "store.sqlite"]);
    // A second demo in the same folder is told to take a fresh one.
    demo().fails().holds(&["has been used before", "fresh"]);
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("no {from:?} in {text}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to:?} in {text}")).0
}
