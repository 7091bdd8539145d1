//! What a contract takes out of a result is neither told nor stored.

use gate::CallAsk;
use gate::port::Feed;
use kernel::contract::{Forbidden, Pattern};
use serde_json::json;

use crate::book::{book, desk};
use crate::stage::{Stage, ask, lookup, stores};

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_redacted_before_it_is_told_or_stored() {
    for (log, folder) in stores() {
        let mut book = book(vec![desk()]);
        book.tools.get_mut("crm.lookup").unwrap().redact.fields = vec![vec!["ticket".into()]];
        let stage = Stage::new(log, folder, book).await;
        let run = stage.open().await.run;
        let asked = || CallAsk { idempotency_key: Some("once".into()), ..lookup(run) };
        let told = stage.gate.call(&stage.caller, asked()).await.unwrap();
        assert_eq!(told.result, Some(json!({})));
        // The second answer comes from what was stored.
        let again = stage.gate.call(&stage.caller, asked()).await.unwrap();
        assert_eq!((again.result, stage.world.count()), (Some(json!({})), 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_pass_never_reaches_the_world() {
    let mut book = book(vec![desk()]);
    let note = book.tools.get_mut("crm.note").unwrap();
    note.redact.arguments = vec![Forbidden { pattern: Pattern::CreditCard, unless_to: Vec::new() }];
    let (stage, _) = Stage::memory(book).await;
    let run = stage.open().await.run;
    let note = |text: &str| ask(run, "crm.note", json!({ "text": text }));
    let refused = stage.gate.call(&stage.caller, note("paid with 4111 1111 1111 1111")).await.unwrap();
    assert!(!refused.verdict.allows());
    assert_eq!(stage.world.count(), 0);
    assert!(stage.gate.call(&stage.caller, note("paid")).await.unwrap().verdict.allows());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_whose_fields_are_taken_out_is_not_heard_under_way() {
    for (fields, words) in [(vec![], 1), (vec![vec!["address".into()]], 0)] {
        let mut book = book(vec![desk()]);
        book.tools.get_mut("mail.send").unwrap().redact.fields = fields;
        let (stage, _) = Stage::memory(book).await;
        let run = stage.open().await.run;
        let (feed, mut heard) = tokio::sync::mpsc::channel(4);
        let asked = ask(run, "mail.send", json!({ "to": "ann@example.com" }));
        stage.world.go.notify_one();
        stage.gate.call_fed(&stage.caller, asked, Feed::new(feed), None).await.unwrap();
        assert_eq!(std::iter::from_fn(|| heard.try_recv().ok()).count(), words);
    }
}
