//! The bytes of events of money: canonical, read as they were written, and the same for ever.

use expect_test::expect;
use kernel::account::{Amount, Limits};
use kernel::command::Closing;
use kernel::event::{
    Charged, Event, RunClosed, RunCorrected, RunExtended, RunOpened, RunSteered, SlicesFreed, SlicesLent,
    SlicesReturned, Stamp, ThresholdCrossed,
};
use kernel::id::{Mark, RunId};
use kernel::lending::Part;
use kernel::obligation::Level;
use kernel::threshold::Action;
use kernel::time::Time;
use kernel::window::{AccountId, Owner, Window};
use stdx::digest::Digest;

/// One event of each kind, with every optional field set.
fn one_of_each() -> Vec<Event> {
    let (run, by, why, agent) = (RunId(2), "dana".to_owned(), "urgent".to_owned(), "desk".to_owned());
    let amount = Amount {
        calls: 1,
        counted: [("refunded_cents".to_owned(), 2)].into(),
        human_minutes: 3,
        irreversible: 4,
        retries: 5,
        seconds: 6,
        tokens: 7,
        tokens_cached: 1,
        tokens_in: 2,
        tokens_out: 4,
        usd_nanos: 8,
        writes: 9,
    };
    let budget = Some(Limits { usd_nanos: Some(0), counted: amount.counted.clone(), ..Limits::default() });
    let account = |owner, window| AccountId { owner, window, from: Time(1_795_219_200_000) };
    let day = account(Owner::Agent(agent.as_str().into()), Window::Day);
    let month = account(Owner::Tenant("default".into()), Window::Month);
    let slices = vec![Part { account: day.clone(), amount: amount.clone() }];
    let steered = RunSteered { by: by.clone(), run, why: why.clone() };
    let action = Action::Notify;
    vec![
        Event::RunOpened(RunOpened {
            vouched: None,
            agent: agent.clone(),
            budget,
            expires: Time(5),
            idle_ms: None,
            implicit: None,
            intent: None,
            parent: Some(RunId(1)),
            person: None,
            run,
        }),
        Event::RunClosed(RunClosed {
            by: by.clone(),
            outcome: Closing::Success,
            run,
            workflow: Some("refund".into()),
        }),
        Event::SlicesLent(SlicesLent { slices: slices.clone(), to: 1 }),
        Event::SlicesFreed(SlicesFreed { from: 1, slices: slices.clone() }),
        Event::SlicesReturned(SlicesReturned { slices }),
        Event::ThresholdCrossed(ThresholdCrossed { account: Some(month), action, agent, percent: 90, run }),
        Event::RunPaused(steered.clone()),
        Event::RunResumed(steered),
        Event::RunExtended(RunExtended {
            amount: amount.clone(),
            by: by.clone(),
            run,
            until: Time(7),
            why: why.clone(),
        }),
        Event::RunCorrected(RunCorrected {
            by: by.clone(),
            delivery: Some(Mark([7; 16])),
            outcome: Closing::Failure,
            run,
            why: why.clone(),
        }),
        Event::Charged(Charged { accounts: vec![day], amount, by, run, why }),
    ]
}

#[test]
fn golden() {
    let stamp = Stamp { at: Time(9), lane: 1, lane_seq: 9, tenant: "default".into() };
    let mut lines = String::new();
    for event in one_of_each() {
        let bytes = event.encode(&stamp);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(bytes, stdx::json::canonical(&value));
        assert_eq!(Event::decode(&bytes).unwrap(), (stamp.clone(), event));
        lines += &format!("{}\n", value["kind"].as_str().unwrap());
        lines += &format!("{}\n", value["body"]);
    }
    expect![[r#"
        run_opened
        {"agent":"desk","budget":{"counted":{"refunded_cents":2},"usd_nanos":0},"expires":5,"parent":"run_00000000000000000000000001","run":"run_00000000000000000000000002"}
        run_closed
        {"by":"dana","outcome":"success","run":"run_00000000000000000000000002","workflow":"refund"}
        slices_lent
        {"slices":[{"account":"agent:desk/day/1795219200000","amount":{"calls":1,"counted":{"refunded_cents":2},"human_minutes":3,"irreversible":4,"retries":5,"seconds":6,"tokens":7,"tokens_cached":1,"tokens_in":2,"tokens_out":4,"usd_nanos":8,"writes":9}}],"to":1}
        slices_freed
        {"from":1,"slices":[{"account":"agent:desk/day/1795219200000","amount":{"calls":1,"counted":{"refunded_cents":2},"human_minutes":3,"irreversible":4,"retries":5,"seconds":6,"tokens":7,"tokens_cached":1,"tokens_in":2,"tokens_out":4,"usd_nanos":8,"writes":9}}]}
        slices_returned
        {"slices":[{"account":"agent:desk/day/1795219200000","amount":{"calls":1,"counted":{"refunded_cents":2},"human_minutes":3,"irreversible":4,"retries":5,"seconds":6,"tokens":7,"tokens_cached":1,"tokens_in":2,"tokens_out":4,"usd_nanos":8,"writes":9}}]}
        threshold_crossed
        {"account":"tenant:default/month/1795219200000","action":"notify","agent":"desk","percent":90,"run":"run_00000000000000000000000002"}
        run_paused
        {"by":"dana","run":"run_00000000000000000000000002","why":"urgent"}
        run_resumed
        {"by":"dana","run":"run_00000000000000000000000002","why":"urgent"}
        run_extended
        {"amount":{"calls":1,"counted":{"refunded_cents":2},"human_minutes":3,"irreversible":4,"retries":5,"seconds":6,"tokens":7,"tokens_cached":1,"tokens_in":2,"tokens_out":4,"usd_nanos":8,"writes":9},"by":"dana","run":"run_00000000000000000000000002","until":7,"why":"urgent"}
        run_corrected
        {"by":"dana","delivery":"07070707070707070707070707070707","outcome":"failure","run":"run_00000000000000000000000002","why":"urgent"}
        charged
        {"accounts":["agent:desk/day/1795219200000"],"amount":{"calls":1,"counted":{"refunded_cents":2},"human_minutes":3,"irreversible":4,"retries":5,"seconds":6,"tokens":7,"tokens_cached":1,"tokens_in":2,"tokens_out":4,"usd_nanos":8,"writes":9},"by":"dana","run":"run_00000000000000000000000002","why":"urgent"}
    "#]].assert_eq(&lines);
}

/// What was written before there were other currencies says that nothing was taken of them.
#[test]
fn an_amount_without_a_currency_is_none_of_it() {
    let old: Amount = serde_json::from_str(r#"{"calls":1,"usd_nanos":5,"writes":1}"#).unwrap();
    assert_eq!(old, Amount { calls: 1, usd_nanos: 5, writes: 1, ..Amount::default() });
    assert_eq!(serde_json::to_string(&old).unwrap(), r#"{"calls":1,"usd_nanos":5,"writes":1}"#);
}

/// A call that was made into something smaller and cheaper: what it is bound to, and the account that was so full.
#[test]
fn a_bound_decision() {
    let levels = [
        (
            r#"{"account":"agent:desk/day/1795219200000","currency":"usd_nanos","gate":50,"limit":5000000000,"percent":62}"#,
            "62 % of the day's budget of 5 usd of agent:desk is spent or set aside, and its gate `degrade` is at 50 %",
        ),
        (
            r#"{"above":"run_00000000000000000000000001","currency":"calls","gate":40,"limit":8,"percent":50}"#,
            "50 % of the budget of 8 calls of the run above, run_00000000000000000000000001, is spent or set aside, \
             and its gate `degrade` is at 40 %",
        ),
        (
            r#"{"currency":"refunded_cents","gate":50,"limit":200000,"percent":90}"#,
            "90 % of the run's budget of 200000 refunded_cents is spent or set aside, and its gate `degrade` is at 50 %",
        ),
    ];
    for (level, says) in levels {
        let digest = Digest::of(b"x");
        let text = format!(
            r#"{{"at":9,"body":{{"agent":"desk","args":"{digest}","call":"call_00000000000000000000000003","carrier":"gate","control_seq":1,"effect":"read","level":{level},"mark":"02020202020202020202020202020202","obliged":[{{"cap":{{"at":["page","limit"],"most":5}}}},{{"instead":{{"of":"web.deep","tool":"web.quick"}}}},{{"model":{{"class":"small"}}}}],"reserved":{{}},"rules_digest":"{digest}","ruling":"allow","run":"run_00000000000000000000000002","tool":"web.quick"}},"kind":"call_decided","lane":1,"lane_seq":9,"tenant":"default","v":1}}"#
        );
        let (stamp, event) = Event::decode(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(event.encode(&stamp)).unwrap(), text);
        let Event::CallDecided(decided) = event else { panic!("{event:?}") };
        assert_eq!(decided.level.as_deref().map(Level::says).as_deref(), Some(says));
        assert_eq!(decided.verdict().level, decided.level);
    }
}
