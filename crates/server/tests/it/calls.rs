//! A call through the real door, and what a person reads of it afterwards.

use http::Request;
use serde_json::{Value, json};

use crate::world::{Ask, CLERK, World, get, post};

async fn call(world: &World, key: &str, run: &str, body: Value) -> Value {
    let (status, answer) = post("/v1/calls", &body).key(key).with("remit-run", run).send(&world.agents).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn an_allowed_call_is_carried_recorded_and_explained() {
    let world = World::new().await;
    let (key, run) = world.run(CLERK).await;
    let body =
        json!({"tool": "desk.look", "args": {"ticket": 7}, "reason": "the customer asked", "model": "m-1"});
    let answer = call(&world, &key, &run, body).await;
    assert_eq!(answer["verdict"]["ruling"], "allow", "{answer}");
    assert_eq!((&answer["outcome"], &answer["result"]), (&json!("succeeded"), &json!({"ticket": 7})));
    let index = answer["receipt"]["index"].as_u64().unwrap();
    let id = answer["call"].as_str().unwrap();

    let (_, own) = get(&format!("/v1/calls/{id}?after={index}")).key(&key).send(&world.agents).await;
    assert_eq!(own["call"]["tool"], "desk.look", "{own}");
    let (_, story) = get(&format!("/v1/explain/{id}")).operator().send(&world.people).await;
    let text = story["text"].as_str().unwrap_or_else(|| panic!("{story}"));
    for part in
        ["clerk for ada; model m-1", "the customer asked", "clerk.may[0]", "{\"ticket\":7}", "succeeded"]
    {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let (_, story) = get(&format!("/v1/explain/{}", story["run"]["run"].as_str().unwrap()))
        .operator()
        .send(&world.people)
        .await;
    assert!(story["text"].as_str().unwrap().contains("try things"), "{story}");
}

#[tokio::test]
async fn a_refusal_is_an_answer_with_a_remedy() {
    let world = World::new().await;
    let (key, run) = world.run(CLERK).await;
    let answer = call(&world, &key, &run, json!({"tool": "desk.look", "args": {"ticket": 700}})).await;
    assert_eq!(answer["verdict"]["ruling"], "deny");
    assert_eq!(answer["verdict"]["reasons"][0]["code"], "no_rule_allows", "{answer}");
    assert!(
        answer["verdict"]["reasons"][0]["remedy"].as_str().unwrap().contains("args.ticket <= 100"),
        "{answer}"
    );
    let answer = call(&world, &key, &run, json!({"tool": "desk.look", "args": {"ticket": "x"}})).await;
    assert_eq!(answer["verdict"]["reasons"][0]["code"], "schema_mismatch");
    let answer = call(&world, &key, &run, json!({"tool": "desk.fly"})).await;
    assert_eq!(answer["verdict"]["reasons"][0]["code"], "tool_unknown");
}

#[tokio::test]
async fn another_agents_run_and_call_are_not_found() {
    let world = World::new().await;
    let (key, run) = world.run(CLERK).await;
    let answer = call(&world, &key, &run, json!({"tool": "desk.look", "args": {"ticket": 7}})).await;
    let other = world.key("portal").await;
    let path = format!("/v1/calls/{}", answer["call"].as_str().unwrap());
    get(&path).key(&other).problem(&world.agents, 404, "not_found").await;
    let (_, shown) = get(&path).key(&key).send(&world.agents).await;
    let path = format!("/v1/runs/{}", shown["call"]["run"].as_str().unwrap());
    get(&path).key(&other).problem(&world.agents, 404, "not_found").await;
    assert_eq!(get(&path).key(&key).answer(&world.agents).await.status(), 200);
}

#[tokio::test]
async fn a_halt_is_in_force_when_it_is_answered_and_until_it_is_lifted() {
    let world = World::new().await;
    let (key, run) = world.run(CLERK).await;
    let look = || json!({"tool": "desk.look", "args": {"ticket": 7}});
    let halt = json!({"scope": "agent:clerk", "why": "it misbehaves"});
    let (status, answer) = post("/v1/halts", &halt).operator().send(&world.people).await;
    assert_eq!(status, 200, "{answer}");
    let answer = call(&world, &key, &run, look()).await;
    assert_eq!(answer["verdict"]["reasons"][0]["code"], "halted", "{answer}");
    let (_, halts) = get("/v1/halts").operator().send(&world.people).await;
    assert_eq!(halts["items"][0]["why"], "it misbehaves");
    let lift = Request::delete("/v1/halts?scope=agent:clerk&why=mended").header("host", "localhost");
    assert_eq!(Ask(lift, Default::default()).operator().answer(&world.people).await.status(), 200);
    assert_eq!(call(&world, &key, &run, look()).await["verdict"]["ruling"], "allow");
    let halt = json!({"scope": "agents:clerk", "why": "x"});
    post("/v1/halts", &halt).operator().problem(&world.people, 400, "bad_request").await;
}

#[tokio::test]
async fn a_revoked_key_opens_nothing() {
    let world = World::new().await;
    let mint = post("/v1/agents/clerk/keys", &json!({"ttl_seconds": 600})).operator();
    let (_, minted) = mint.send(&world.people).await;
    let secret = minted["secret"].as_str().unwrap_or_else(|| panic!("{minted}"));
    let (_, who) = get("/v1/whoami").key(secret).send(&world.agents).await;
    assert_eq!(who["agent"], CLERK);
    let path = format!("/v1/keys/{}", minted["key"].as_str().unwrap());
    let revoke = Ask(Request::delete(path).header("host", "localhost"), Default::default()).operator();
    assert_eq!(revoke.answer(&world.people).await.status(), 200);
    get("/v1/whoami").key(secret).problem(&world.agents, 401, "key_refused").await;
    post("/v1/agents/nobody/keys", &json!({})).operator().problem(&world.people, 403, "agent_unknown").await;
}

#[tokio::test]
async fn people_ask_the_rules() {
    let world = World::new().await;
    let (_, who) = get("/v1/who-can?target=todo.can_delete_todo").operator().send(&world.people).await;
    let agents: Vec<&str> =
        who["items"].as_array().unwrap().iter().map(|one| one["agent"].as_str().unwrap()).collect();
    assert_eq!(agents, ["u-02ac", "u-7f31", "u-91be"], "{who}");
    let ask = json!({"agent": "clerk", "tool": "desk.look", "args": {"ticket": 1}});
    let (_, answer) = post("/v1/policy/explain", &ask).operator().send(&world.people).await;
    assert_eq!(answer["decision"], "allow", "{answer}");
    let (_, policy) = get("/v1/policy").operator().send(&world.people).await;
    assert!(policy["cedar"].as_str().unwrap().contains("permit"), "{policy}");
    let (_, metrics) = get("/metrics").operator().send(&world.people).await;
    assert!(metrics.as_str().unwrap().contains("\nremit_ready 1\n"), "{metrics}");
    let (_, status) = get("/v1/status").operator().send(&world.people).await;
    assert_eq!(status["ready"], true, "{status}");
}

#[tokio::test]
async fn a_run_is_closed_once_and_by_its_own_token() {
    let world = World::new().await;
    let (key, run) = world.run(CLERK).await;
    let (_, runs) = get("/v1/runs?agent=clerk&after=2").operator().send(&world.people).await;
    let id = runs["items"][0]["run"].as_str().unwrap_or_else(|| panic!("{runs}"));
    let close = |path: &str| post(path, &json!({"outcome": "success"})).key(&key).with("remit-run", &run);
    let path = format!("/v1/runs/{id}/close");
    assert_eq!(close(&path).answer(&world.agents).await.status(), 200);
    close(&path).problem(&world.agents, 404, "run_unknown").await;
    let (status, answer) = post("/v1/calls", &json!({"tool": "desk.look", "args": {"ticket": 1}}))
        .key(&key)
        .with("remit-run", &run)
        .send(&world.agents)
        .await;
    assert_eq!(
        (status.as_u16(), &answer["verdict"]["reasons"][0]["code"]),
        (200, &json!("run_unknown")),
        "{answer}"
    );
}
