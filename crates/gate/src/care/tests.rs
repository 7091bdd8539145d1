//! Turns, tries and rests, with a clock that is moved by hand.

use serde_json::json;

use super::*;

fn contract(effect: Effect, rule: Rule) -> Contract {
    let base = json!({
        "about": "", "credential": null, "cost_usd_nanos": 0, "destinations": [], "effect": effect, "env": "prod",
        "idempotency_header": null, "input": {}, "labels": [], "name": "crm.note", "operation": "write",
        "pin": null, "result_bytes_max": 1, "server": "crm", "timeout_ms": 1, "tool": "note", "via": {}
    });
    Contract { care: rule, ..serde_json::from_value(base).unwrap() }
}

fn reached(outcome: Outcome, trouble: Option<&str>) -> Reached {
    Reached { outcome, body: Vec::new(), trouble: trouble.map(str::to_owned), said: None, used: None }
}

#[tokio::test]
async fn calls_take_turns_and_too_many_are_told_at_once() {
    let care = Care::default();
    let tool = contract(Effect::Read, Rule { concurrent: 1, queue: 1, ..Rule::default() });
    let first = care.turn(&tool, Time(0)).await.unwrap();
    let waiting = care.turn(&tool, Time(0));
    tokio::pin!(waiting);
    assert!(futures_pending(waiting.as_mut()).await);
    assert_eq!(care.turn(&tool, Time(0)).await.err().unwrap(), NotNow::Busy);
    drop(first);
    assert!(waiting.await.is_ok());
    assert!(care.turn(&tool, Time(0)).await.is_ok());
}

async fn futures_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    tokio::time::timeout(Duration::from_millis(20), future.as_mut()).await.is_err()
}

#[tokio::test]
async fn a_tool_that_keeps_failing_rests_and_one_call_finds_out_whether_it_works() {
    let care = Care::default();
    let tool = contract(Effect::Read, Rule { failures_max: 2, ..Rule::default() });
    let failed = reached(Outcome::Failed, Some("timeout"));
    assert_eq!(care.learned(&tool, &failed, Time(0)), None);
    let until = Some(Time(5_000));
    assert_eq!(care.learned(&tool, &failed, Time(0)), Some(Moved { failures: 2, until }));
    assert_eq!(care.turn(&tool, Time(1_000)).await.err().unwrap(), NotNow::Resting { for_ms: 4_000 });

    let trying = care.turn(&tool, Time(5_000)).await.ok().unwrap();
    assert_eq!(care.turn(&tool, Time(5_000)).await.err().unwrap(), NotNow::Resting { for_ms: 1_000 });
    let longer = Moved { failures: 3, until: Some(Time(15_000)) };
    assert_eq!(care.learned(&tool, &failed, Time(5_000)), Some(longer));
    drop(trying);

    assert!(care.turn(&tool, Time(15_000)).await.is_ok());
    let fine = reached(Outcome::Failed, Some("status_404"));
    assert_eq!(care.learned(&tool, &fine, Time(15_000)), Some(Moved { failures: 3, until: None }));
    assert!(care.turn(&tool, Time(15_000)).await.is_ok() && care.turn(&tool, Time(15_000)).await.is_ok());
    assert_eq!(care.learned(&tool, &fine, Time(15_000)), None);
}

#[test]
fn only_what_cannot_happen_twice_is_tried_again() {
    let care = Care::default();
    let rule = || Rule { retries: 2, ..Rule::default() };
    let read = contract(Effect::Read, rule());
    let write = contract(Effect::Reversible, rule());
    let keyed = Contract { idempotency_field: Some("key".into()), ..contract(Effect::Irreversible, rule()) };
    let lost = reached(Outcome::Unknown, Some("timeout"));
    let wait = |tool: &Contract, tries: u32, how: &Reached| {
        care.again(tool, RunId(1), tries, how).map(|wait| wait.as_millis())
    };
    assert_eq!(
        [wait(&read, 0, &lost), wait(&read, 1, &lost), wait(&read, 2, &lost)],
        [Some(100), Some(200), None]
    );
    assert_eq!((wait(&write, 0, &lost), wait(&keyed, 0, &lost)), (None, Some(100)));
    assert_eq!(wait(&write, 0, &reached(Outcome::NotDispatched, Some("unreachable"))), Some(100));
    for told in [Some("status_404"), Some("cancelled"), None] {
        assert_eq!(wait(&read, 0, &reached(Outcome::Failed, told)), None, "{told:?}");
    }
}

#[test]
fn a_run_has_only_so_many_tries() {
    let care = Care::default();
    let read = contract(Effect::Read, Rule::default());
    let lost = reached(Outcome::Failed, Some("timeout"));
    let granted = |run| (0..200).filter(|_| care.again(&read, RunId(run), 0, &lost).is_some()).count();
    assert_eq!((granted(1), granted(1), granted(2)), (50, 0, 50));
}

#[tokio::test]
async fn a_trial_that_comes_to_nothing_leaves_the_next_call_to_try() {
    let care = Care::default();
    let tool = contract(Effect::Read, Rule { failures_max: 1, ..Rule::default() });
    assert!(care.learned(&tool, &reached(Outcome::Failed, Some("reset")), Time(0)).is_some());
    for told in ["cancelled", "credential_missing"] {
        let trying = care.turn(&tool, Time(9_000)).await.ok().unwrap();
        assert_eq!(care.learned(&tool, &reached(Outcome::NotDispatched, Some(told)), Time(9_000)), None);
        assert!(care.turn(&tool, Time(9_000)).await.is_err(), "{told} says nothing of the tool");
        drop(trying);
    }
    assert!(care.turn(&tool, Time(9_000)).await.is_ok());
}
