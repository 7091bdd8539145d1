//! Servers that make a task of a call: what it comes to, in either era.

use super::fake::Fake;
use super::*;

/// As a server of 2025-11-25 describes a tool that can be called in no other way.
fn tasked(fake: &Fake, tool: &str, effect: Effect) -> Contract {
    let definition = json!({ "name": tool, "execution": { "taskSupport": "required" } });
    Contract { definition: Some(definition), timeout_ms: 3_000, ..over_http(fake, tool, effect) }
}

#[tokio::test]
async fn a_call_that_becomes_a_task_comes_to_what_the_task_comes_to() {
    for version in [Version::V2025_11_25, Version::V2026_07_28] {
        let (fake, mcp) = (Fake::start(version).await, mcp());
        let done = call(&mcp, &tasked(&fake, "task", Effect::Reversible), json!({})).await;
        assert_eq!((told(&done), &body(&done)["n"]), (("succeeded", ""), &json!(2)), "{version:?}");
        assert_eq!(fake.count("tasks/get"), 3, "{version:?}");
        let first = fake.last("tools/call").body["params"].clone();
        assert_eq!(first["task"]["ttl"], 3_000);
        let can = &first["_meta"][era::META_CLIENT_CAPABILITIES]["extensions"];
        assert_eq!(can[era::TASKS].is_object(), version.is_stateless(), "{version:?}");
        let looked = fake.last("tasks/get");
        assert_eq!(looked.header("mcp-name").is_some(), version.is_stateless(), "{version:?}");
        let failed = call(&mcp, &tasked(&fake, "task_error", Effect::Reversible), json!({})).await;
        assert_eq!(told(&failed), ("failed", "rpc_32603"), "{version:?}");
        mcp.close().await;
    }
}

#[tokio::test]
async fn a_task_that_cannot_be_followed_is_never_guessed() {
    for version in [Version::V2025_11_25, Version::V2026_07_28] {
        let (fake, mcp) = (Fake::start(version).await, mcp());
        let lost = tasked(&fake, "task_lost", Effect::Reversible);
        assert_eq!(told(&call(&mcp, &lost, json!({})).await), ("unknown", "task_lost"), "{version:?}");
        let lost = tasked(&fake, "task_lost", Effect::Read);
        assert_eq!(told(&call(&mcp, &lost, json!({})).await), ("failed", "task_lost"), "{version:?}");
        let forever = Contract { timeout_ms: 400, ..tasked(&fake, "task_forever", Effect::Reversible) };
        assert_eq!(told(&call(&mcp, &forever, json!({})).await), ("unknown", "timeout"), "{version:?}");
        for _ in 0..200 {
            if fake.count("tasks/cancel") == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(
            fake.count("tasks/cancel"),
            3,
            "{version:?}: the server is told that nobody waits any more"
        );
        mcp.close().await;
    }
}

/// Without anybody to ask, the call ends; what its server did by then is not known.
#[tokio::test]
async fn a_task_that_wants_input_needs_somebody_to_ask() {
    let (fake, mcp) = (Fake::start(Version::V2026_07_28).await, mcp());
    let wants = tasked(&fake, "task_wants", Effect::Reversible);
    assert_eq!(told(&call(&mcp, &wants, json!({})).await), ("unknown", "input_required"));
    assert_eq!(fake.count("tasks/update"), 0);

    let (to, mut questions) = mpsc::channel::<gate::port::Question>(4);
    let feed = Feed::default().with_questions(to).with_aside(json!({ "capabilities": { "sampling": {} } }));
    let answering = tokio::spawn(async move {
        let question = questions.recv().await.unwrap();
        question.answer.send(json!({ "result": { "model": "m" } })).unwrap();
        question.asked
    });
    let (fake, mcp) = (Fake::start(Version::V2026_07_28).await, self::mcp());
    let wants = tasked(&fake, "task_wants", Effect::Reversible);
    let args = json!({});
    let done = carry(&mcp, Order { feed, ..order(&wants, &args) }).await;
    assert_eq!((told(&done), &body(&done)["n"]), (("succeeded", ""), &json!(2)));
    assert_eq!(answering.await.unwrap()["method"], "sampling/createMessage");
    let given = &fake.last("tasks/update").body["params"]["inputResponses"];
    assert_eq!(given["one"], json!({ "model": "m" }));
}
