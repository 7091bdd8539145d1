//! The bytes of events: golden, canonical, and read back as they were written.

use std::sync::Arc;

use expect_test::expect;
use kernel::account::Amount;
use kernel::call::{Carrier, Outcome};
use kernel::command::Closing;
use kernel::event::{
    CallDecided, CallFinished, Event, Halted, KeyMinted, KeyRevoked, Questioned, RefusalsCounted,
    RequestRefused, RulesActivated, RunClosed, RunOpened, Stamp, ToolRested, ToolSeen,
};
use kernel::halt::Scope;
use kernel::id::{CallId, KeyId, Mark, RunId};
use kernel::policy::RuleRef;
use kernel::reason::{Code, Reason};
use kernel::time::Time;
use kernel::verdict::{Ruling, Verdict};
use proptest::prelude::*;
use stdx::digest::Digest;

pub(crate) fn reason(text: &str, number: u64) -> Reason {
    let rule = Arc::new(RuleRef {
        id: text.into(),
        file: "house.cedar".into(),
        line: 3,
        words: text.into(),
        forbids: true,
    });
    let mut reason = Reason::new(Code::RuleForbids).at(text).detail(text).limit(number);
    reason.ask = vec![text.into()];
    reason.near = vec![rule.clone()];
    reason.rule = Some(rule);
    reason
}

/// One event of each kind, with every optional field set.
fn one_of_each(text: &str, number: u64) -> Vec<Event> {
    let (call, run, key, time, digest) = (CallId(1), RunId(2), KeyId(3), Time(number), Digest::of(b"x"));
    let (by, agent, why) = (text.to_owned(), text.to_owned(), text.to_owned());
    let amount = Amount { calls: 1, usd_nanos: number, writes: 1, ..Amount::default() };
    let reasons = vec![reason(text, number)];
    let rules = reasons[0].near.clone();
    let verdict = Verdict {
        level: None,
        obligations: Vec::new(),
        reasons: reasons.clone(),
        rules: rules.clone(),
        ruling: Ruling::Deny,
        would: reasons.clone(),
        left: None,
    };
    let halted = Halted {
        by: by.clone(),
        reads_allowed: false,
        scope: Scope::Agent(text.to_owned()),
        until: None,
        why: why.clone(),
    };
    vec![
        Event::RulesActivated(RulesActivated {
            agents: 1,
            by: by.clone(),
            digest,
            payload: digest,
            tools: number,
        }),
        Event::KeyMinted(KeyMinted {
            person: None,
            agent: agent.clone(),
            by: by.clone(),
            expires: time,
            hash: digest,
            key,
        }),
        Event::KeyRevoked(KeyRevoked { by: by.clone(), key, why: why.clone() }),
        Event::Halted(halted.clone()),
        Event::Resumed(halted),
        Event::ToolRested(ToolRested {
            failures: 5,
            tool: text.to_owned(),
            trouble: Some(text.to_owned()),
            until: Some(time),
        }),
        Event::ToolSeen(ToolSeen { definition: digest, digest, tool: text.to_owned() }),
        Event::RunOpened(RunOpened {
            vouched: None,
            agent: agent.clone(),
            budget: None,
            expires: time,
            idle_ms: Some(number),
            implicit: Some(key),
            intent: Some(digest),
            parent: None,
            person: Some(text.to_owned()),
            run,
        }),
        Event::RunClosed(RunClosed { by: by.clone(), outcome: Closing::Success, run, workflow: None }),
        Event::CallDecided(Box::new(CallDecided {
            level: None,
            obliged: Vec::new(),
            part: None,
            touches: Vec::new(),
            facts: Vec::new(),
            accounts: Vec::new(),
            agent: agent.clone(),
            approved: Vec::new(),
            args: digest,
            asked: None,
            call,
            carrier: Carrier::Executor,
            context_tokens: Some(number),
            contract: Some(digest),
            control_seq: number,
            destinations: Vec::new(),
            effect: "read".into(),
            ends_ask: false,
            expires: Some(time),
            hosts: Vec::new(),
            key: Some(Mark([7; 16])),
            mark: Mark([8; 16]),
            model: Some(text.to_owned()),
            reasoning: Some(digest),
            reasons: reasons.clone(),
            reserved: amount.clone(),
            rules,
            rules_digest: digest,
            ruling: Ruling::Deny,
            run,
            standing: None,
            tool: text.to_owned(),
            would: reasons,
        })),
        Event::CallFinished(CallFinished {
            undo: None,
            facts: Vec::new(),
            why: None,
            by: by.clone(),
            call,
            duration_ms: number,
            outcome: Outcome::NotDispatched,
            posted: amount.clone(),
            result: Some(digest),
            result_mark: None,
            run,
            transient: false,
            trouble: Some(text.to_owned()),
        }),
        Event::Questioned(Box::new(Questioned {
            agent: agent.clone(),
            args: digest,
            by,
            call,
            control_seq: number,
            rules_digest: digest,
            tool: text.to_owned(),
            verdict,
        })),
        Event::RequestRefused(RequestRefused { agent: agent.clone(), code: text.to_owned(), run: Some(run) }),
        Event::RefusalsCounted(RefusalsCounted { agent, count: number, run: Some(run) }),
    ]
}

fn stamp(text: &str, number: u64) -> Stamp {
    Stamp { at: Time(number), lane: 1, lane_seq: number, tenant: text.to_owned() }
}

fn law(event: &Event, stamp: &Stamp) {
    let bytes = event.encode(stamp);
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let canonical = stdx::json::canonical(&value);
    assert!(bytes == canonical, "{}", String::from_utf8_lossy(&bytes));
    assert_eq!(Event::decode(&bytes).unwrap(), (stamp.clone(), event.clone()));
}

#[test]
fn golden() {
    let lines = one_of_each("desk", 5).into_iter().map(|event| {
        String::from_utf8(event.encode(&stamp("default", 9)))
            .unwrap()
            .replace(&Digest::of(b"x").to_string(), "DIGEST")
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    expect![[r#"
        {"at":9,"body":{"agents":1,"by":"desk","digest":"DIGEST","payload":"DIGEST","tools":5},"kind":"rules_activated","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"agent":"desk","by":"desk","expires":5,"hash":"DIGEST","key":"key_00000000000000000000000003"},"kind":"key_minted","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"by":"desk","key":"key_00000000000000000000000003","why":"desk"},"kind":"key_revoked","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"by":"desk","scope":"agent:desk","why":"desk"},"kind":"halted","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"by":"desk","scope":"agent:desk","why":"desk"},"kind":"resumed","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"failures":5,"tool":"desk","trouble":"desk","until":5},"kind":"tool_rested","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"definition":"DIGEST","digest":"DIGEST","tool":"desk"},"kind":"tool_seen","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"agent":"desk","expires":5,"idle_ms":5,"implicit":"key_00000000000000000000000003","intent":"DIGEST","person":"desk","run":"run_00000000000000000000000002"},"kind":"run_opened","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"by":"desk","outcome":"success","run":"run_00000000000000000000000002"},"kind":"run_closed","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"agent":"desk","args":"DIGEST","call":"call_00000000000000000000000001","carrier":"executor","context_tokens":5,"contract":"DIGEST","control_seq":5,"effect":"read","expires":5,"key":"07070707070707070707070707070707","mark":"08080808080808080808080808080808","model":"desk","reasoning":"DIGEST","reasons":[{"ask":["desk"],"at":"desk","code":"rule_forbids","detail":"desk","limit":5,"near":[{"file":"house.cedar","forbids":true,"id":"desk","line":3,"words":"desk"}],"rule":{"file":"house.cedar","forbids":true,"id":"desk","line":3,"words":"desk"}}],"reserved":{"calls":1,"usd_nanos":5,"writes":1},"rules":[{"file":"house.cedar","forbids":true,"id":"desk","line":3,"words":"desk"}],"rules_digest":"DIGEST","ruling":"deny","run":"run_00000000000000000000000002","tool":"desk","would":[{"ask":["desk"],"at":"desk","code":"rule_forbids","detail":"desk","limit":5,"near":[{"file":"house.cedar","forbids":true,"id":"desk","line":3,"words":"desk"}],"rule":{"file":"house.cedar","forbids":true,"id":"desk","line":3,"words":"desk"}}]},"kind":"call_decided","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"by":"desk","call":"call_00000000000000000000000001","duration_ms":5,"outcome":"not_dispatched","posted":{"calls":1,"usd_nanos":5,"writes":1},"result":"DIGEST","run":"run_00000000000000000000000002","trouble":"desk"},"kind":"call_finished","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"agent":"desk","args":"DIGEST","by":"desk","call":"call_00000000000000000000000001","control_seq":5,"rules_digest":"DIGEST","tool":"desk","verdict":{"reasons":[{"ask":["desk"],"at":"desk","code":"rule_forbids","detail":"desk","limit":5,"near":[{"file":"house.cedar","forbids":true,"id":"desk","line":3,"words":"desk"}],"rule":{"file":"house.cedar","forbids":true,"id":"desk","line":3,"words":"desk"}}],"rules":[{"file":"house.cedar","forbids":true,"id":"desk","line":3,"words":"desk"}],"ruling":"deny","would":[{"ask":["desk"],"at":"desk","code":"rule_forbids","detail":"desk","limit":5,"near":[{"file":"house.cedar","forbids":true,"id":"desk","line":3,"words":"desk"}],"rule":{"file":"house.cedar","forbids":true,"id":"desk","line":3,"words":"desk"}}]}},"kind":"questioned","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"agent":"desk","code":"desk","run":"run_00000000000000000000000002"},"kind":"request_refused","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"agent":"desk","count":5,"run":"run_00000000000000000000000002"},"kind":"refusals_counted","lane":1,"lane_seq":9,"tenant":"default","v":1}"#]].assert_eq(&text);
}

#[test]
fn what_is_not_set_is_not_written() {
    let opened = RunOpened {
        vouched: None,
        agent: "desk".into(),
        budget: None,
        expires: Time(0),
        idle_ms: None,
        implicit: None,
        intent: None,
        parent: None,
        person: None,
        run: RunId(1),
    };
    let text = String::from_utf8(Event::RunOpened(opened).encode(&stamp("default", 1))).unwrap();
    assert!(!text.contains("null") && !text.contains("intent"), "{text}");
}

#[test]
fn another_version_or_kind_is_refused() {
    let bytes = one_of_each("desk", 5)[0].encode(&stamp("default", 9));
    let text = String::from_utf8(bytes).unwrap();
    assert!(Event::decode(text.replace("\"v\":1", "\"v\":2").as_bytes()).is_err());
    assert!(Event::decode(text.replace("rules_activated", "rules_guessed").as_bytes()).is_err());
}

/// RFC 8785 writes numbers as doubles do; beyond 2^53 they would not be exact.
const NUMBER_MAX: u64 = 1 << 53;

proptest! {
    #[test]
    fn every_kind_is_canonical_and_round_trips(text in "\\PC{1,12}|[\u{0}-\u{20}\"\\\\/é\u{7f}\u{2028}😀]{1,8}", number in 0..NUMBER_MAX) {
        for event in one_of_each(&text, number) {
            law(&event, &stamp(&text, number));
        }
    }
}
