//! The bytes of events of approvals: canonical, read as they were written, and the same for ever.

use expect_test::expect;
use kernel::account::{Amount, Limits};
use kernel::approval::{Asked, Edited, Part, RiskPart, Terms};
use kernel::call::Carrier;
use kernel::event::{Answered, AskEscalated, CallDecided, Collected, Event, Stamp};
use kernel::id::{CallId, KeyId, Mark, RunId};
use kernel::time::Time;
use kernel::verdict::Ruling;
use stdx::digest::Digest;

/// A call that waits, as the log has it.
pub(crate) fn asked(call: CallId, run: RunId) -> CallDecided {
    let (digest, mark) = (Digest::of(b"x"), Mark([8; 16]));
    let risk = [Part::Amount, Part::Destination, Part::Effect, Part::FirstUse, Part::Hour, Part::Labels];
    CallDecided {
        accounts: Vec::new(),
        agent: "desk".into(),
        approved: Vec::new(),
        args: digest,
        asked: Some(Asked {
            bound: digest,
            cost: Amount { usd_nanos: 5, ..Amount::default() },
            credential: Some(KeyId(3)),
            expires: Time(7),
            persons: Vec::new(),
            places: vec![mark],
            plan: Some(2),
            risk: risk.map(|part| RiskPart { part, points: 9 }).into(),
            with: None,
        }),
        call,
        carrier: Carrier::Gate,
        context_tokens: None,
        contract: None,
        control_seq: 1,
        destinations: Vec::new(),
        effect: "irreversible".into(),
        ends_ask: false,
        expires: None,
        facts: Vec::new(),
        hosts: Vec::new(),
        key: None,
        level: None,
        mark,
        model: None,
        obliged: Vec::new(),
        part: None,
        reasoning: None,
        reasons: vec![crate::bytes::reason("leads", 7)],
        reserved: Amount::default(),
        rules: Vec::new(),
        rules_digest: digest,
        ruling: Ruling::Ask,
        run,
        standing: None,
        tool: "pay.refund".into(),
        touches: Vec::new(),
        would: Vec::new(),
    }
}

pub(crate) fn answered(call: CallId, run: RunId) -> Answered {
    let (digest, mark) = (Digest::of(b"x"), Mark([9; 16]));
    let marks = || vec![mark];
    let terms = Terms {
        amount: Limits { usd_nanos: Some(9), ..Limits::default() },
        caps: [("/cents".to_owned(), 5)].into(),
        same: [("/to".to_owned(), mark)].into(),
        times: 3,
        until: Time(8),
    };
    Answered {
        agent: "desk".into(),
        bound: digest,
        by: "lee".into(),
        call,
        edited: Some(Edited { args: digest, destinations: marks(), hosts: marks(), mark, places: marks() }),
        groups: vec!["leads".into()],
        only: Vec::new(),
        run,
        standing: Some(terms),
        tool: "pay.refund".into(),
        words: Some(digest),
        yes: true,
    }
}

#[test]
fn golden() {
    let (call, run, agent) = (CallId(1), RunId(2), "desk".to_owned());
    let allowed = CallDecided {
        approved: vec!["lee".into()],
        asked: None,
        ends_ask: true,
        reasons: Vec::new(),
        ruling: Ruling::Allow,
        standing: Some(call),
        ..asked(call, run)
    };
    let no = Answered {
        edited: None,
        groups: Vec::new(),
        standing: None,
        words: None,
        yes: false,
        ..answered(call, run)
    };
    let persons = vec!["ann".to_owned()];
    let proposed = Asked { persons, plan: None, with: Some(CallId(4)), ..asked(call, run).asked.unwrap() };
    let proposed = CallDecided { asked: Some(proposed), ..asked(call, run) };
    let picked = Answered { only: vec![CallId(4)], ..no.clone() };
    let (group, to, tool) = ("leads".to_owned(), "management".to_owned(), "pay.refund".to_owned());
    let events = vec![
        Event::CallDecided(Box::new(asked(call, run))),
        Event::CallDecided(Box::new(allowed)),
        Event::Answered(Box::new(answered(call, run))),
        Event::Answered(Box::new(no)),
        Event::CallDecided(Box::new(proposed)),
        Event::Answered(Box::new(picked)),
        Event::Collected(Collected { agent: agent.clone(), call, run }),
        Event::AskEscalated(AskEscalated { agent, call, group, run, to, tool }),
    ];
    let stamp = Stamp { at: Time(9), lane: 1, lane_seq: 9, tenant: "default".into() };
    let mut lines = String::new();
    for event in events {
        let bytes = event.encode(&stamp);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(bytes, stdx::json::canonical(&value));
        assert_eq!(Event::decode(&bytes).unwrap(), (stamp.clone(), event));
        lines += &format!("{}\n", value["kind"].as_str().unwrap());
        lines += &format!("{}\n", value["body"]).replace(&Digest::of(b"x").to_string(), "DIGEST");
    }
    expect![[r#"
        call_decided
        {"agent":"desk","args":"DIGEST","asked":{"bound":"DIGEST","cost":{"usd_nanos":5},"credential":"key_00000000000000000000000003","expires":7,"places":["08080808080808080808080808080808"],"plan":2,"risk":[{"part":"amount","points":9},{"part":"destination","points":9},{"part":"effect","points":9},{"part":"first_use","points":9},{"part":"hour","points":9},{"part":"labels","points":9}]},"call":"call_00000000000000000000000001","carrier":"gate","control_seq":1,"effect":"irreversible","mark":"08080808080808080808080808080808","reasons":[{"ask":["leads"],"at":"leads","code":"rule_forbids","detail":"leads","limit":7,"near":[{"file":"house.cedar","forbids":true,"id":"leads","line":3,"words":"leads"}],"rule":{"file":"house.cedar","forbids":true,"id":"leads","line":3,"words":"leads"}}],"reserved":{},"rules_digest":"DIGEST","ruling":"ask","run":"run_00000000000000000000000002","tool":"pay.refund"}
        call_decided
        {"agent":"desk","approved":["lee"],"args":"DIGEST","call":"call_00000000000000000000000001","carrier":"gate","control_seq":1,"effect":"irreversible","ends_ask":true,"mark":"08080808080808080808080808080808","reserved":{},"rules_digest":"DIGEST","ruling":"allow","run":"run_00000000000000000000000002","standing":"call_00000000000000000000000001","tool":"pay.refund"}
        answered
        {"agent":"desk","bound":"DIGEST","by":"lee","call":"call_00000000000000000000000001","edited":{"args":"DIGEST","destinations":["09090909090909090909090909090909"],"hosts":["09090909090909090909090909090909"],"mark":"09090909090909090909090909090909","places":["09090909090909090909090909090909"]},"groups":["leads"],"run":"run_00000000000000000000000002","standing":{"amount":{"usd_nanos":9},"caps":{"/cents":5},"same":{"/to":"09090909090909090909090909090909"},"times":3,"until":8},"tool":"pay.refund","words":"DIGEST","yes":true}
        answered
        {"agent":"desk","bound":"DIGEST","by":"lee","call":"call_00000000000000000000000001","groups":[],"run":"run_00000000000000000000000002","tool":"pay.refund","yes":false}
        call_decided
        {"agent":"desk","args":"DIGEST","asked":{"bound":"DIGEST","cost":{"usd_nanos":5},"credential":"key_00000000000000000000000003","expires":7,"persons":["ann"],"places":["08080808080808080808080808080808"],"risk":[{"part":"amount","points":9},{"part":"destination","points":9},{"part":"effect","points":9},{"part":"first_use","points":9},{"part":"hour","points":9},{"part":"labels","points":9}],"with":"call_00000000000000000000000004"},"call":"call_00000000000000000000000001","carrier":"gate","control_seq":1,"effect":"irreversible","mark":"08080808080808080808080808080808","reasons":[{"ask":["leads"],"at":"leads","code":"rule_forbids","detail":"leads","limit":7,"near":[{"file":"house.cedar","forbids":true,"id":"leads","line":3,"words":"leads"}],"rule":{"file":"house.cedar","forbids":true,"id":"leads","line":3,"words":"leads"}}],"reserved":{},"rules_digest":"DIGEST","ruling":"ask","run":"run_00000000000000000000000002","tool":"pay.refund"}
        answered
        {"agent":"desk","bound":"DIGEST","by":"lee","call":"call_00000000000000000000000001","groups":[],"only":["call_00000000000000000000000004"],"run":"run_00000000000000000000000002","tool":"pay.refund","yes":false}
        collected
        {"agent":"desk","call":"call_00000000000000000000000001","run":"run_00000000000000000000000002"}
        ask_escalated
        {"agent":"desk","call":"call_00000000000000000000000001","group":"leads","run":"run_00000000000000000000000002","to":"management","tool":"pay.refund"}
    "#]].assert_eq(&lines);
}
