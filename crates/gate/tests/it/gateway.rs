//! What doors of other protocols ask: a run for a credential, the tools in sight, word from a call under way.

use gate::HaltAsk;
use gate::port::Feed;
use kernel::call::Outcome;
use kernel::command::Closing;
use kernel::event::Event;
use kernel::reason::Code;
use serde_json::json;
use stdx::digest::Digest;
use tokio::sync::{mpsc, watch};

use crate::book::{book, desk, manifest, may};
use crate::stage::{Stage, ask, lookup, stores};

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_keeps_its_run_until_it_is_closed_or_idle() {
    for (log, folder) in stores() {
        let stage = Stage::new(log, folder, book(vec![desk()])).await;
        let (gate, caller) = (&stage.gate, &stage.caller);
        let first = gate.implicit_run(caller).await.unwrap().unwrap();
        assert_eq!(gate.implicit_run(caller).await.unwrap().unwrap(), first);
        assert!(gate.call(caller, lookup(first)).await.unwrap().verdict.allows());

        gate.run_close(first, None, Closing::Abandoned, None, "ann").await.unwrap().unwrap();
        let refused = gate.call(caller, lookup(first)).await.unwrap();
        assert_eq!(refused.verdict.reasons[0].code, Code::RunUnknown);
        let second = gate.implicit_run(caller).await.unwrap().unwrap();
        assert!(second != first && gate.call(caller, lookup(second)).await.unwrap().verdict.allows());

        stage.clock.0.fetch_add(1_800_000, std::sync::atomic::Ordering::Relaxed);
        let third = gate.implicit_run(caller).await.unwrap().unwrap();
        assert!(third != second && gate.call(caller, lookup(third)).await.unwrap().verdict.allows());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_of_a_key_ends_with_the_key() {
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    let (gate, caller) = (&stage.gate, &stage.caller);
    let run = gate.implicit_run(caller).await.unwrap().unwrap();
    gate.key_revoke(caller.key, "the wrapped client has ended", "ann").await.unwrap().unwrap();
    let closed =
        |event: &Event| matches!(event, Event::RunClosed(closed) if closed.run == run && closed.by == "ann");
    assert!(stage.events().iter().any(closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_sees_what_some_rule_could_allow_it() {
    let (stage, _) = Stage::memory(book(vec![manifest("desk", vec![may("a", "crm.*")])])).await;
    let seen: Vec<String> = stage.gate.visible(&stage.caller).iter().map(|tool| tool.name.clone()).collect();
    assert_eq!(seen, ["crm.lookup", "crm.note"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_description_quarantines_the_tool_before_it_is_told() {
    let mut book = book(vec![desk()]);
    let tool = book.tools.get_mut("crm.lookup").unwrap();
    (tool.definition, tool.pin) = (Some(json!({ "name": "lookup" })), Some(Digest::of(b"accepted")));
    let (stage, _) = Stage::memory(book).await;
    let (gate, caller) = (&stage.gate, &stage.caller);
    let run = stage.open().await.run;
    for (word, allowed, listed) in
        [(&b"accepted"[..], true, 0), (b"changed", false, 1), (b"changed", false, 1)]
    {
        gate.tool_seen("crm.lookup", Digest::of(word), &json!({ "name": "lookup" })).await.unwrap();
        assert_eq!(gate.call(caller, lookup(run)).await.unwrap().verdict.allows(), allowed);
        assert_eq!(gate.quarantined().len(), listed);
    }
    let seen = stage.events().into_iter().filter(|event| matches!(event, Event::ToolSeen(_))).count();
    assert_eq!(seen, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_hears_a_call_under_way_and_may_stop_wanting_it() {
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    let run = stage.open().await.run;
    let (feed, mut heard) = mpsc::channel(4);
    let (unwanted, unwanted_receiver) = watch::channel(false);
    let asked = ask(run, "mail.send", json!({ "to": "ann@example.com" }));
    let (gate, caller) = (stage.gate.clone(), stage.caller.clone());
    let call =
        tokio::spawn(
            async move { gate.call_fed(&caller, asked, Feed::new(feed), Some(unwanted_receiver)).await },
        );
    assert_eq!(heard.recv().await, Some(json!("sending")));
    unwanted.send_replace(true);
    let answered = call.await.unwrap().unwrap();
    assert_eq!((answered.outcome, answered.trouble.as_deref()), (Some(Outcome::Unknown), Some("cancelled")));
}

#[tokio::test(flavor = "multi_thread")]
async fn run_and_key_are_written_where_the_contract_says_and_decided_on() {
    let mut book = book(vec![desk()]);
    let note = book.tools.get_mut("crm.note").unwrap();
    (note.stamp, note.idempotency_field) = (Some(vec!["meta".into(), "run".into()]), Some("key".into()));
    note.input = json!({ "type": "object", "additionalProperties": false, "properties": {
        "text": { "type": "string" }, "key": { "type": "string" }, "meta": { "type": "object" } } });
    let (stage, _) = Stage::memory(book).await;
    let run = stage.open().await.run;
    let keyed = |args| gate::CallAsk { idempotency_key: Some("k".into()), ..ask(run, "crm.note", args) };
    let first = stage.gate.call(&stage.caller, keyed(json!({ "text": "x", "key": "mine" }))).await.unwrap();
    assert!(first.verdict.allows());
    let (_, view) = stage.gate.call_view(first.call, None).await.unwrap();
    let sent = json!({ "text": "x", "key": first.call.to_string(), "meta": { "run": run.to_string() } });
    assert_eq!(view.args, Some(sent.clone()));
    assert_eq!(stage.world.reached.lock().unwrap()[0].bytes, stdx::json::canonical(&sent));
    let again = stage.gate.call(&stage.caller, keyed(json!({ "text": "x", "key": "mine" }))).await.unwrap();
    assert!(again.again && again.call == first.call);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_its_turn_does_not_outlive_a_halt() {
    let mut book = book(vec![desk()]);
    book.tools.get_mut("mail.send").unwrap().care.concurrent = 1;
    let (stage, _) = Stage::memory(book).await;
    let run = stage.open().await.run;
    let send = || {
        let (gate, caller) = (stage.gate.clone(), stage.caller.clone());
        let asked = ask(run, "mail.send", json!({ "to": "ann@example.com" }));
        tokio::spawn(async move { gate.call(&caller, asked).await })
    };
    let first = send();
    stage.world.wait_for(1).await;
    let second = send();
    crate::stage::until(|| async { stage.gate.counts().allowed == 2 }).await;
    stage
        .gate
        .halt(HaltAsk::new(kernel::halt::Scope::Tool("mail.send".into()), "smoke", "ann"))
        .await
        .unwrap()
        .unwrap();
    let first = first.await.unwrap().unwrap();
    assert_eq!((first.outcome, first.trouble.as_deref()), (Some(Outcome::Unknown), Some("halted")));
    let second = second.await.unwrap().unwrap();
    assert_eq!((second.outcome, second.trouble.as_deref()), (Some(Outcome::NotDispatched), Some("halted")));
    assert_eq!(stage.world.count(), 1);
}
