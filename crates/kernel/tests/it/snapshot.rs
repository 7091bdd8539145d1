//! Snapshots: a fold that was written and read back goes on as the fold that was not.

use expect_test::{Expect, expect};
use kernel::account::Amount;
use kernel::call::{Carrier, Outcome};
use kernel::event::{
    CallDecided, CallFinished, Event, Halted, KeyMinted, KeyRevoked, RequestRefused, RulesActivated,
    RunOpened, Stamp,
};
use kernel::halt::Scope;
use kernel::id::{CallId, KeyId, Mark, RunId};
use kernel::snapshot::{Fold, read, write};
use kernel::state::{Control, State};
use kernel::time::Time;
use kernel::verdict::Ruling;
use proptest::prelude::*;
use stdx::digest::Digest;

use crate::fold::{play, step, text};

fn fold<F: Fold>(mut from: F, events: &[(Stamp, Event)]) -> F {
    events.iter().for_each(|(stamp, event)| from.apply(stamp, event));
    from
}

fn stamped(lane: u16, events: Vec<Event>) -> Vec<(Stamp, Event)> {
    let stamp = |lane_seq| Stamp { at: Time(1_000 + lane_seq), lane, lane_seq, tenant: "default".into() };
    (1..).map(stamp).zip(events).collect()
}

fn halts_and_keys(choices: &[(u8, u8)]) -> Vec<(Stamp, Event)> {
    let (by, why, digest) = (String::new, String::new, Digest::of(b"x"));
    let event = |(kind, which): &(u8, u8)| {
        let key = KeyId(u128::from(*which));
        let halted = Halted {
            by: by(),
            reads_allowed: which % 2 == 0,
            scope: Scope::Agent(format!("a{which}")),
            until: Some(Time(u64::from(*which))),
            why: why(),
        };
        let (agent, expires) = (format!("a{which}"), Time(u64::from(*which)));
        match kind {
            0 => Event::KeyMinted(KeyMinted { agent, by: by(), expires, hash: digest, key, person: None }),
            1 => Event::KeyRevoked(KeyRevoked { by: by(), key, why: why() }),
            2 => Event::Halted(halted),
            3 => Event::Resumed(halted),
            _ => Event::RulesActivated(RulesActivated {
                agents: 1,
                by: by(),
                digest,
                payload: digest,
                tools: 1,
            }),
        }
    };
    stamped(0, choices.iter().map(event).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_lane_goes_on_from_its_snapshot_as_from_the_log(
        steps in prop::collection::vec((step(), 0..2_000u64), 0..120), cut in any::<prop::sample::Index>()
    ) {
        let written = play(&steps).written;
        let (head, tail) = written.split_at(cut.index(written.len() + 1));
        let whole: State = fold(State::default(), &written);
        let again: State = fold(read("a", &write("a", &fold(State::default(), head))).unwrap(), tail);
        prop_assert_eq!(text(&again), text(&whole));
        prop_assert_eq!(write("a", &again), write("a", &whole));
    }

    #[test]
    fn control_goes_on_from_its_snapshot_as_from_the_log(
        choices in prop::collection::vec((0..5u8, 0..4u8), 0..40), cut in any::<prop::sample::Index>()
    ) {
        let written = halts_and_keys(&choices);
        let (head, tail) = written.split_at(cut.index(written.len() + 1));
        let whole: Control = fold(Control::default(), &written);
        let again: Control = fold(read("a", &write("a", &fold(Control::default(), head))).unwrap(), tail);
        prop_assert_eq!((again.seq, again.last, again.rules), (whole.seq, whole.last, whole.rules));
        prop_assert_eq!((&again.keys, &again.halts), (&whole.keys, &whole.halts));
        prop_assert_eq!(write("a", &again), write("a", &whole));
    }
}

/// An open run with a refused and an unknown call, and an agent that was refused outside its runs.
fn lane() -> Vec<(Stamp, Event)> {
    let (run, digest) = (RunId(2), Digest::of(b"x"));
    let amount = Amount { calls: 1, irreversible: 1, usd_nanos: 5, writes: 1, ..Amount::default() };
    let person = Some("kim".to_owned());
    let opened = RunOpened {
        vouched: None,
        agent: "desk".into(),
        budget: None,
        expires: Time(9_000),
        idle_ms: Some(500),
        implicit: Some(KeyId(7)),
        intent: Some(digest),
        parent: None,
        person,
        run,
    };
    let reasons = vec![crate::bytes::reason("house.line", 7)];
    let decided = |call, ruling| CallDecided {
        part: None,
        touches: Vec::new(),
        facts: Vec::new(),
        accounts: Vec::new(),
        agent: "desk".into(),
        approved: Vec::new(),
        args: digest,
        asked: None,
        call,
        carrier: Carrier::Executor,
        context_tokens: Some(7),
        contract: Some(digest),
        control_seq: 1,
        destinations: Vec::new(),
        effect: "read".into(),
        ends_ask: false,
        expires: Some(Time(8_000)),
        hosts: Vec::new(),
        key: Some(Mark([u8::try_from(call.0).unwrap(); 16])),
        mark: Mark([8; 16]),
        model: Some("a-model".into()),
        level: None,
        obliged: Vec::new(),
        reasoning: Some(digest),
        reasons: reasons.clone(),
        reserved: amount.clone(),
        rules: reasons[0].near.clone(),
        rules_digest: digest,
        ruling,
        run,
        standing: None,
        tool: "pay.refund".into(),
        would: reasons.clone(),
    };
    let finished = CallFinished {
        undo: None,
        facts: Vec::new(),
        why: None,
        by: "sweep".into(),
        call: CallId(4),
        duration_ms: 7,
        outcome: Outcome::Unknown,
        posted: Amount::default(),
        result: Some(digest),
        result_mark: None,
        run,
        transient: false,
        trouble: None,
    };
    stamped(
        1,
        vec![
            Event::RunOpened(opened),
            Event::CallDecided(Box::new(decided(CallId(3), Ruling::Deny))),
            Event::CallDecided(Box::new(decided(CallId(4), Ruling::Allow))),
            Event::CallDecided(Box::new(decided(CallId(5), Ruling::Allow))),
            Event::CallFinished(finished),
            Event::RequestRefused(RequestRefused { agent: "mail".into(), code: "bad".into(), run: None }),
            Event::CallDecided(Box::new(crate::bytes_approval::asked(CallId(6), run))),
            Event::Answered(Box::new(crate::bytes_approval::answered(CallId(6), run))),
        ],
    )
}

#[track_caller]
fn check_body(bytes: &[u8], want: Expect) {
    // If only this test is red, something outside `snapshot::SOURCES` has changed the body: raise its FORMAT.
    let (_, body) = std::str::from_utf8(bytes).unwrap().split_once('\n').unwrap();
    want.assert_eq(&body.replace(&Digest::of(b"x").to_string(), "DIGEST"));
}

#[test]
fn golden_lane() {
    check_body(
        &write("a", &fold(State::default(), &lane())),
        expect![[
            r#"{"seq":8,"last":1008,"runs":{"run_00000000000000000000000002":{"agent":"desk","person":"kim","vouched":null,"opened":1001,"expires":9000,"implicit":["key_00000000000000000000000007",500],"idle_ms":500,"touched":1007,"account":{"posted":{},"pending":{"calls":2,"irreversible":2,"usd_nanos":10,"writes":2},"lent":{}},"by_tool":{"pay.refund":2},"keyed":{"03030303030303030303030303030303":{"call":"call_00000000000000000000000003","args":"08080808080808080808080808080808","verdict":{"reasons":[{"ask":["house.line"],"at":"house.line","code":"rule_forbids","detail":"house.line","limit":7,"near":[{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}],"rule":{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}}],"rules":[{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}],"ruling":"deny","would":[{"ask":["house.line"],"at":"house.line","code":"rule_forbids","detail":"house.line","limit":7,"near":[{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}],"rule":{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}}]},"ended":null},"04040404040404040404040404040404":{"call":"call_00000000000000000000000004","args":"08080808080808080808080808080808","verdict":{"reasons":[{"ask":["house.line"],"at":"house.line","code":"rule_forbids","detail":"house.line","limit":7,"near":[{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}],"rule":{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}}],"rules":[{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}],"ruling":"allow","would":[{"ask":["house.line"],"at":"house.line","code":"rule_forbids","detail":"house.line","limit":7,"near":[{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}],"rule":{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}}]},"ended":{"outcome":"unknown","result":"DIGEST"}},"05050505050505050505050505050505":{"call":"call_00000000000000000000000005","args":"08080808080808080808080808080808","verdict":{"reasons":[{"ask":["house.line"],"at":"house.line","code":"rule_forbids","detail":"house.line","limit":7,"near":[{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}],"rule":{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}}],"rules":[{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}],"ruling":"allow","would":[{"ask":["house.line"],"at":"house.line","code":"rule_forbids","detail":"house.line","limit":7,"near":[{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}],"rule":{"file":"house.cedar","forbids":true,"id":"house.line","line":3,"words":"house.line"}}]},"ended":null}},"refusals":{"count":1,"since":1001},"pace":{"calls":2,"writes":0,"retries":0,"replans":0,"open":1,"destinations":[],"hosts":[],"made":{"known":{"08080808080808080808080808080808":{"count":2,"last":2,"failed":true,"broken_seq":null}},"count":2},"told":{"known":{},"count":0},"last_told":{},"turns":{"last":"08080808080808080808080808080808","before":"08080808080808080808080808080808","in_a_row":0},"read_seq":0,"replan_seq":0},"parent":null,"depth":0,"children":[],"loan":null,"crossed":0,"decide_seq":0,"paused":null,"extensions":[],"asks":1,"waiting":1,"tickets":{},"proposals":[],"phase":"explore","plans":[],"versions":0,"facts":{}}},"implicit":{"key_00000000000000000000000007":"run_00000000000000000000000002"},"calls":{"call_00000000000000000000000004":{"run":"run_00000000000000000000000002","agent":"desk","tool":"pay.refund","reserved":{"calls":1,"irreversible":1,"usd_nanos":5,"writes":1},"carrier":"executor","decided":1003,"expires":8000,"key":"04040404040404040404040404040404","mark":"08080808080808080808080808080808","reads":true,"seq":3,"unknown":true,"above":[],"accounts":[],"asked_mark":null,"part":null},"call_00000000000000000000000005":{"run":"run_00000000000000000000000002","agent":"desk","tool":"pay.refund","reserved":{"calls":1,"irreversible":1,"usd_nanos":5,"writes":1},"carrier":"executor","decided":1004,"expires":8000,"key":"05050505050505050505050505050505","mark":"08080808080808080808080808080808","reads":true,"seq":4,"unknown":false,"above":[],"accounts":[],"asked_mark":null,"part":null}},"due":[[7,{"ask":"call_00000000000000000000000006"}],[8000,{"call":"call_00000000000000000000000005"}],[9000,{"run":"run_00000000000000000000000002"}]],"refusals":{"mail":{"count":1,"since":0}},"agent_rates":{"desk":{"calls":[[1,2]],"writes":[],"retries":[],"tools":{"pay.refund":[[1,2]]},"destinations":{},"hosts":{}}},"tool_rates":{"pay.refund":{"calls":[[1,2]],"destinations":{}}},"lane":1,"shares":{},"share_ends":[],"pending":{"call_00000000000000000000000006":{"subject":"plan","plan":2,"agent":"desk","run":"run_00000000000000000000000002","above":[],"persons":["kim"],"tool":"pay.refund","effect":"irreversible","args":"DIGEST","mark":"09090909090909090909090909090909","destinations":["09090909090909090909090909090909"],"hosts":["09090909090909090909090909090909"],"places":["09090909090909090909090909090909"],"asked_mark":"08080808080808080808080808080808","asked_args":"DIGEST","key":null,"reasoning":null,"model":null,"context_tokens":null,"carrier":"gate","credential":"key_00000000000000000000000003","reason":{"ask":["leads"],"at":"leads","code":"rule_forbids","detail":"leads","limit":7,"near":[{"file":"house.cedar","forbids":true,"id":"leads","line":3,"words":"leads"}],"rule":{"file":"house.cedar","forbids":true,"id":"leads","line":3,"words":"leads"}},"cost":{"usd_nanos":5},"risk":[{"part":"amount","points":9},{"part":"destination","points":9},{"part":"effect","points":9},{"part":"first_use","points":9},{"part":"hour","points":9},{"part":"labels","points":9}],"asked":1007,"expires":7,"asked_seq":7,"args_seq":8,"yeses":[{"at":1008,"bound":"DIGEST","by":"lee","groups":["leads"],"only":[],"standing":{"amount":{"usd_nanos":9},"caps":{"/cents":5},"same":{"/to":"09090909090909090909090909090909"},"times":3,"until":8}}],"escalated":[]}},"answered":["call_00000000000000000000000006"],"standing":{},"habits":{},"asks":{"desk":{"count":1,"since":0}},"past":{},"past_ends":[],"deliveries":{}}"#
        ]],
    );
}

#[test]
fn golden_control() {
    let choices = [(0, 3), (0, 4), (1, 3), (2, 5), (4, 0)];
    check_body(
        &write("a", &fold(Control::default(), &halts_and_keys(&choices))),
        expect![[
            r#"{"seq":5,"last":1005,"rules":["DIGEST","DIGEST"],"keys":{"key_00000000000000000000000004":{"agent":"a4","hash":"DIGEST","expires":4,"person":null}},"halts":{"agent:a5":{"by":"","why":"","since":1004,"until":5}},"lending":{},"seen":{},"claims":{"marks":{},"runs":{}},"touched":{},"sessions":{}}"#
        ]],
    );
}

#[test]
fn what_is_not_whole_or_of_another_title_kind_or_version_is_not_read() {
    let bytes = write("a", &fold(State::default(), &lane()));
    assert!(read::<State>("a", &bytes).is_some());
    assert!(read::<State>("b", &bytes).is_none());
    assert!(read::<Control>("a", &bytes).is_none());
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(read::<State>("a", &changed).is_none(), "byte {at} was changed, and it was read");
        assert!(read::<State>("a", &bytes[..at]).is_none(), "it was cut at {at}, and it was read");
    }
    assert!(read::<State>("a", &[&bytes[..], b" "].concat()).is_none());
    let text = String::from_utf8(bytes).unwrap();
    let other = text.replace("remit snapshot 1 ", "remit snapshot 2 ");
    assert!(other != text && read::<State>("a", other.as_bytes()).is_none());
}
