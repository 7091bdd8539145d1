//! What is too long is refused cleanly: nobody else's call fails for it.

use gate::HaltAsk;
use gate::{CallAsk, OpenAsk};
use kernel::halt::Scope;
use serde_json::json;

use crate::book::{book, desk, manifest, may, when};
use crate::stage::{Stage, ask, lookup, stores};

#[tokio::test(flavor = "multi_thread")]
async fn long_words_are_refused_before_they_are_decided() {
    for (log, folder) in stores() {
        let stage = Stage::new(log, folder, book(vec![desk()])).await;
        let run = stage.open().await.run;
        let long = || Some("x".repeat(20_000));
        let asks = [
            CallAsk { tool: long().unwrap(), ..lookup(run) },
            CallAsk { model: long(), ..lookup(run) },
            CallAsk { idempotency_key: long(), ..lookup(run) },
            CallAsk { reason: long(), ..lookup(run) },
        ];
        for asked in asks {
            assert_eq!(
                stage.gate.call(&stage.caller, asked.clone()).await.unwrap_err().code(),
                "bad_request"
            );
            assert_eq!(stage.gate.decide_only(&stage.caller, asked).await.unwrap_err().code(), "bad_request");
        }
        let person = OpenAsk { person: long(), ..Default::default() };
        assert_eq!(stage.gate.run_open(&stage.caller, person).await.unwrap_err().code(), "bad_request");
        let question = stage.gate.question(&stage.caller, "desk", &long().unwrap(), json!({})).await;
        assert_eq!(question.unwrap_err().code(), "bad_request");
        assert!(stage.gate.halt(HaltAsk::new(Scope::All, &long().unwrap(), "ann")).await.is_err());
        stage.gate.refused(&stage.caller, Some(run), &long().unwrap()).await;
        assert!(stage.gate.ready().is_ok());
        let many = CallAsk { context_tokens: Some(u64::MAX), ..lookup(run) };
        assert!(stage.gate.call(&stage.caller, many).await.unwrap().verdict.allows());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_arguments_fit_into_an_event() {
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    let run = stage.open().await.run;
    let (name, value) = ("n".repeat(40_000), "v".repeat(1 << 20));
    for args in [json!({ "id": value }), json!({ "id": { &name: value } }), json!({ &name: 1, "id": [name] })]
    {
        let answered = stage.gate.call(&stage.caller, ask(run, "crm.lookup", args)).await.unwrap();
        assert!(answered.receipt.is_some());
    }
    assert!(stage.gate.ready().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_pointer_is_cut() {
    let mut book = book(vec![desk()]);
    book.tools.get_mut("crm.lookup").unwrap().input =
        json!({ "additionalProperties": { "type": "integer" } });
    let (stage, _) = Stage::memory(book).await;
    let run = stage.open().await.run;
    let args = json!({ "ü".repeat(20_000): "not an integer" });
    let answered = stage.gate.call(&stage.caller, ask(run, "crm.lookup", args)).await.unwrap();
    assert!(answered.verdict.reasons[0].at.as_ref().unwrap().len() <= 256);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rules_that_agree_fit_into_an_event() {
    let all = (0..300).map(|n| may(&format!("desk.may[{n}]"), "*"));
    let near =
        (0..300).map(|n| when(&format!("late.may[{n}]"), "crm.lookup", &format!("args.id == \"{n}x\"")));
    let agents = vec![manifest("desk", all.collect()), manifest("late", near.collect())];
    let (stage, _) = Stage::memory(book(agents)).await;
    let run = stage.open().await.run;
    assert!(stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows());
    let key = stage.gate.key_mint("late", 60_000, "ann").await.unwrap().unwrap();
    let late = stage.gate.identify(&key.secret).unwrap();
    let run = stage.gate.run_open(&late, OpenAsk::default()).await.unwrap().unwrap().run;
    let answered = stage.gate.call(&late, lookup(run)).await.unwrap();
    assert!(!answered.verdict.allows() && answered.receipt.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_rules_that_load_fit_into_an_event_however_many_agree() {
    // Three bytes a character, and an id that fills what is kept of a rule to the last bytes.
    let rule = |agent: &str, n: u32, sign: &str| {
        let words = format!("args.id {sign} \"{n:03}{}\"", "語".repeat(380));
        when(&format!("{agent}.may[{n:03}]{}", "i".repeat(250)), "crm.lookup", &words)
    };
    let rules = |agent, sign| (0..20).map(|n| rule(agent, n, sign)).collect();
    let agents = vec![manifest("desk", rules("desk", "!=")), manifest("late", rules("late", "=="))];
    let (stage, _) = Stage::memory(book(agents)).await;
    let run = stage.open().await.run;
    let model = Some("\u{1}".repeat(128));
    let asked = CallAsk { model: model.clone(), idempotency_key: Some("k".repeat(256)), ..lookup(run) };
    let allowed = stage.gate.call(&stage.caller, asked).await.unwrap();
    assert!(allowed.verdict.allows() && allowed.receipt.is_some());
    let kept = |rules: &[_]| serde_json::to_vec(rules).unwrap().len();
    assert!(kept(&allowed.verdict.rules) > 8 * 1400, "these are not the longest rules");
    let key = stage.gate.key_mint("late", 60_000, "ann").await.unwrap().unwrap();
    let late = stage.gate.identify(&key.secret).unwrap();
    let run = stage.gate.run_open(&late, OpenAsk::default()).await.unwrap().unwrap().run;
    let denied = stage.gate.call(&late, CallAsk { model, ..lookup(run) }).await.unwrap();
    assert!(!denied.verdict.allows() && denied.receipt.is_some());
    assert!(kept(&denied.verdict.reasons[0].near) > 8 * 1400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_fit_harms_only_its_own_call() {
    // The name of a group whose yes is needed alone is longer than an event may be.
    let mut book = book(vec![manifest("desk", vec![may("a", "crm.lookup"), may("b", "crm.note")])]);
    let text = format!(
        "@reason(\"asks\")\nforbid (principal, action == Remit::Action::\"crm.lookup\", resource)\n\
         unless {{ context.approvals.contains(\"{}\") }};",
        "x".repeat(20_000)
    );
    book.rules = vec![kernel::book::RuleFile { file: "policies/house.cedar".to_owned(), text }];
    let (stage, _) = Stage::memory(book).await;
    let run = stage.open().await.run;
    let error = stage.gate.call(&stage.caller, lookup(run)).await.unwrap_err();
    assert_eq!(error.code(), "bad_request");
    assert!(stage.gate.call(&stage.caller, ask(run, "crm.note", json!({}))).await.unwrap().verdict.allows());
}
