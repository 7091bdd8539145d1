//! Resources, prompts and completions: each is a call of the contract that stands for its method.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::world::{CLERK, Client, OTHER, World, stateless};
use crate::door::news::{Audience, Wants, Watching, told};
use crate::door::offers::lister;
use crate::door::relay::LEVELS;
use crate::door::session::{Listening, Sessions};
use crate::door::{Scope, session};
use crate::mcp::era::{self, Version};
use crate::mcp::upstream::{Kind, News, What};
use crate::mcp::wire::Id;

/// Asks for a resource, whose header is its URI.
async fn read(client: &Client, uri: &str) -> super::world::Answer {
    let (mut headers, body) = stateless("resources/read", json!({ "uri": uri }));
    headers.push(("mcp-name", uri.to_owned()));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    client.send("POST", &headers, &body).await
}

#[tokio::test]
async fn each_is_carried_out_with_the_arguments_that_its_contract_takes() {
    let client = World::new().await.client(CLERK).await;
    assert_eq!(read(&client, "m://1").await.result()["uri"], "m://1");
    let prompt = client.ask("prompts/get", json!({ "name": "mail.hello", "arguments": { "to": "a" } })).await;
    let result = prompt.result();
    assert_eq!((&result["name"], &result["arguments"]), (&json!("hello"), &json!({ "to": "a" })));
    let one = client.at("/mcp/mail").ask("prompts/get", json!({ "name": "hello" })).await;
    assert_eq!(one.result()["name"], "hello");
    let about = json!({ "ref": { "type": "ref/prompt", "name": "mail.hello" }, "argument": { "name": "to", "value": "a" } });
    let completed = client.ask("completion/complete", about).await;
    assert_eq!(completed.result()["ref"], json!({ "type": "ref/prompt", "name": "hello" }));
    let strange = client.ask("prompts/get", json!({ "name": "other.hello" })).await;
    assert_eq!(strange.error(), (200, -32602));
    let none = client.ask("prompts/get", json!({ "name": "mail.none" })).await;
    assert_eq!(none.body["error"]["message"], "no such prompt", "a server's own error keeps its words");
}

#[tokio::test]
async fn a_refusal_of_what_is_no_tool_is_an_error_with_the_verdict() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    world.halt("tool:mail.read_resource").await;
    let answer = read(&client, "m://1").await;
    assert_eq!(answer.error(), (200, -32003));
    let data = &answer.body["error"]["data"];
    assert_eq!((&data["code"], data["receipt"]["index"].is_u64()), (&json!("halted"), true), "{data}");
}

#[tokio::test]
async fn what_nobody_offers_to_this_agent_does_not_exist() {
    let world = World::new().await;
    let (clerk, other) = (world.client(CLERK).await, world.client(OTHER).await);
    let capabilities = |answer: super::world::Answer| answer.result()["capabilities"].clone();
    let of_clerk = capabilities(clerk.ask("server/discover", json!({})).await);
    assert!(
        of_clerk["resources"].is_object()
            && of_clerk["prompts"].is_object()
            && of_clerk["completions"].is_object()
    );
    let of_other = capabilities(other.ask("server/discover", json!({})).await);
    let extensions = json!({ "io.modelcontextprotocol/tasks": {} });
    let none = json!({ "logging": {}, "tools": { "listChanged": true }, "extensions": extensions });
    assert_eq!(of_other, none);
    for method in ["resources/list", "resources/templates/list", "prompts/list", "completion/complete"] {
        assert_eq!(other.ask(method, json!({})).await.error(), (404, -32601), "{method}");
    }
    assert_eq!(read(&other, "m://1").await.error(), (404, -32601));
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_costs_its_own_items_only() {
    let client = World::new().await.client(CLERK).await;
    let answer = client.ask("prompts/list", json!({})).await;
    assert_eq!(answer.result()["prompts"], json!([]));
}

#[tokio::test]
async fn news_of_a_server_reach_those_who_may_use_it_and_asked() {
    let world = World::new().await;
    let (clerk, other) = (world.client(CLERK).await, world.client(OTHER).await);
    let (clerk, other) = (world.visit(&clerk), world.visit(&other));
    let news = |server: &str, what| News { server: Arc::from(server), what };
    let all = Wants { tools: true, prompts: true, resources: true };
    let wants = |wants| Audience::Subscription(Id::Number(7), wants, Default::default());
    assert!(told(&clerk, &wants(all), &news("mail", What::PromptsChanged)).is_some());
    assert!(told(&clerk, &wants(all), &news("mail", What::ResourcesChanged)).is_some());
    assert!(told(&clerk, &wants(all), &news("desk", What::PromptsChanged)).is_none(), "another server");
    assert!(told(&other, &wants(all), &news("mail", What::PromptsChanged)).is_none(), "another agent");
    let no_prompts = Wants { prompts: false, ..all };
    assert!(told(&clerk, &wants(no_prompts), &news("mail", What::PromptsChanged)).is_none(), "not asked for");

    let (session, listening) = listening(clerk.caller.key);
    let updated = || news("mail", What::ResourceUpdated { uri: "m://1".to_owned() });
    let audience = Audience::Session(listening);
    assert!(told(&clerk, &audience, &updated()).is_none(), "not subscribed to");
    assert!(session.watch("m://1"));
    assert!(told(&clerk, &audience, &updated()).is_some());
    session.unwatch("m://1");
    assert!(told(&clerk, &audience, &updated()).is_none());
    assert!((0..256).all(|n| session.watch(&n.to_string())) && !session.watch("one more"));
}

#[test]
fn a_resource_that_several_servers_have_is_nobodys() {
    let list = |server: &str, uri: &str| (server.to_owned(), vec![json!({ "uri": uri, "uriTemplate": uri })]);
    let lists = [list("a", "m://1"), list("b", "m://1"), list("c", "n://{id}/x")];
    assert_eq!(lister(&lists, Kind::Resources, "m://2").unwrap(), None);
    assert_eq!(lister(&lists[1..], Kind::Resources, "m://1").unwrap(), Some("b"));
    assert_eq!(lister(&lists, Kind::Templates, "n://7/x").unwrap(), Some("c"));
    let refused = lister(&lists, Kind::Resources, "m://1").unwrap_err();
    assert!(refused.error.message.ends_with("ask for it at `/mcp/a` or `/mcp/b`"), "{refused:?}");
}

#[tokio::test]
async fn a_stream_without_a_session_tells_of_the_resources_it_asked_for() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let visit = world.visit(&client);
    let wants = Wants { tools: false, prompts: false, resources: false };
    let uris = ["m://1", "m://1", "m://2"].into_iter();
    let watching = Watching::begin(&visit, Version::LATEST, &Default::default(), uris).await.unwrap();
    let audience = Audience::Subscription(Id::Number(7), wants, Box::new(watching));
    assert_eq!(world.gate.counts().allowed, 2, "each is a call");
    let updated =
        |uri: &str| News { server: "mail".into(), what: What::ResourceUpdated { uri: uri.to_owned() } };
    let heard = String::from_utf8(told(&visit, &audience, &updated("m://2")).unwrap().to_vec()).unwrap();
    assert!(heard.contains("m://2") && heard.contains(era::META_SUBSCRIPTION), "{heard}");
    assert!(told(&visit, &audience, &updated("m://3")).is_none(), "not asked for");
    drop(audience);
    for _ in 0..300 {
        if world.gate.counts().allowed == 4 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("what was subscribed to is let go of by a call, too");
}

#[tokio::test]
async fn a_resource_that_may_not_be_watched_is_left_out() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    world.halt("tool:mail.subscribe_resource").await;
    let uris = ["m://1"].into_iter();
    let visit = world.visit(&client);
    let watching = Watching::begin(&visit, Version::LATEST, &Default::default(), uris).await.unwrap();
    let wants = Wants { tools: true, prompts: true, resources: true };
    let audience = Audience::Subscription(Id::Number(7), wants, Box::new(watching));
    let updated = News { server: "mail".into(), what: What::ResourceUpdated { uri: "m://1".to_owned() } };
    assert!(told(&visit, &audience, &updated).is_none());
}

fn listening(key: kernel::id::KeyId) -> (Arc<session::Session>, Listening) {
    let session =
        Sessions::default().open(key, Scope(None), Version::V2025_11_25, None, Default::default()).unwrap();
    assert_eq!(LEVELS[session.level()], "debug");
    let listening = session.listen().unwrap();
    (session, listening)
}
