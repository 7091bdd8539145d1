//! Plans through both listeners: an agent proposes, commits and aborts; a person reads, takes back and settles.

use std::sync::Arc;

use kernel::deed::{Deed, Undo};
use kernel::rules::Rules;
use serde_json::{Value, json};

use crate::world::{World, book, get, post};

/// An editor: creates, and may delete what is his own.
const MORTY: &str = "u-02ac";
const OWNER: &str = "morty@the-citadel.com";

struct Agent {
    world: World,
    key: String,
    token: String,
    run: String,
}

/// Morty works in phases, and what he creates is deleted when it is taken back.
async fn agent() -> Agent {
    let world = World::new().await;
    let mut book = book();
    book.agents.get_mut(MORTY).unwrap().phases = true;
    let create = book.tools.get_mut("todo.can_create_todo").unwrap();
    let args = json!({ "type": "{args.type}", "id": "{args.id}", "ownerID": OWNER });
    let tool = "todo.can_delete_todo".to_owned();
    let undo = Undo::Tool { args, retries: 0, tool, within_ms: Some(60_000) };
    create.deed = Deed { undo: Some(undo), touches: vec!["todo:{args.id}".to_owned()], ..Deed::default() };
    let rules = Rules::compile(book).unwrap_or_else(|problems| panic!("{problems:#?}"));
    world.gate.activate(Arc::new(rules), "test").await.unwrap();
    let key = world.key(MORTY).await;
    let (_, opened) = post("/v1/runs", &json!({})).key(&key).send(&world.agents).await;
    let (token, run) = (opened["token"].as_str().unwrap(), opened["run"].as_str().unwrap());
    Agent { key, token: token.to_owned(), run: run.to_owned(), world }
}

impl Agent {
    async fn ask(&self, verb: &str, body: Value) -> (u16, Value) {
        let ask = post(&format!("/v1/runs/{}/{verb}", self.run), &body);
        let (status, answer) =
            ask.key(&self.key).with("remit-run", &self.token).send(&self.world.agents).await;
        (status.as_u16(), answer)
    }

    async fn person(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, answer) = post(path, &body).operator().send(&self.world.people).await;
        (status.as_u16(), answer)
    }

    async fn plan_shown(&self) -> Value {
        let path = format!("/v1/runs/{}/plan", self.run);
        let (status, plan) = get(&path).operator().send(&self.world.people).await;
        assert_eq!(status, 200, "{plan}");
        plan
    }
}

fn create(id: &str) -> Value {
    json!({ "id": id, "tool": "todo.can_create_todo", "args": { "type": "todo", "id": id } })
}

/// A step whose expectation does not come true: the read answers with what it was asked.
fn create_in_vain(id: &str, after: &str) -> Value {
    let expect = json!({ "tool": "user.can_read_user", "args": { "type": "user", "id": "x" },
        "that": "result.id == \"somebody else\"" });
    let mut step = create(id);
    step["expect"] = expect;
    step["after"] = json!([after]);
    step
}

fn states(plan: &Value) -> Vec<&str> {
    plan["steps"].as_array().unwrap().iter().map(|step| step["state"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_plan_is_judged_committed_shown_and_taken_back() {
    let agent = agent().await;
    let body = json!({ "tool": "todo.can_create_todo", "args": { "type": "todo", "id": "a" } });
    let early = post("/v1/calls", &body).key(&agent.key).with("remit-run", &agent.token);
    let (_, early) = early.send(&agent.world.agents).await;
    assert_eq!(early["verdict"]["reasons"][0]["code"], "phase_forbids", "{early}");

    let (status, verdict) = agent.ask("plan", json!({ "steps": [create("a"), create("b")] })).await;
    assert_eq!((status, &verdict["ruling"]), (200, &json!("allow")), "{verdict}");
    assert_eq!(verdict["steps"][0]["undo"], "todo.can_delete_todo");
    assert_eq!(verdict["cost"]["usd_nanos"], 20_000_000);
    assert_eq!(states(&agent.plan_shown().await), ["waiting", "waiting"], "nothing has happened yet");

    let (status, ended) = agent.ask("commit", json!({ "version": verdict["version"] })).await;
    assert_eq!((status, &ended["plan"]["stage"]), (200, &json!("committed")), "{ended}");
    assert_eq!(ended["plan"]["says"], "committed: all 2 steps stand");
    let own = get(&format!("/v1/runs/{}/plan", agent.run)).key(&agent.key);
    assert_eq!(states(&own.send(&agent.world.agents).await.1), ["done", "done"]);

    let undo = format!("/v1/runs/{}/undo", agent.run);
    let (status, problem) = agent.person(&undo, json!({})).await;
    assert_eq!((status, &problem["at"]), (400, &json!("/why")), "nobody takes back without saying why");
    let (status, dry) = agent.person(&undo, json!({ "dry": true })).await;
    assert_eq!((status, dry["steps"].as_array().map(Vec::len)), (200, Some(2)), "{dry}");
    assert_eq!(states(&agent.plan_shown().await), ["done", "done"], "it was only asked");
    let (status, back) = agent.person(&undo, json!({ "why": "a test" })).await;
    assert_eq!((status, states(&back["plan"])), (200, vec!["undone", "undone"]), "{back}");
    let path = format!("/v1/explain/{}?after={}", agent.run, verdict["receipt"]["index"]);
    let (_, story) = get(&path).operator().send(&agent.world.people).await;
    let text = story["text"].as_str().unwrap();
    assert!(text.contains("`a` todo.can_create_todo undone") && text.contains("taken back by"), "{text}");
}

#[tokio::test]
async fn a_plan_that_fails_is_rolled_back_and_its_agent_is_told_so() {
    let agent = agent().await;
    let steps = json!({ "steps": [create("a"), create_in_vain("b", "a")] });
    let (_, verdict) = agent.ask("plan", steps).await;
    assert_eq!(verdict["ruling"], "allow", "{verdict}");
    let (status, ended) = agent.ask("commit", json!({})).await;
    assert_eq!((status, &ended["plan"]["stage"]), (200, &json!("rolled_back")), "{ended}");
    assert!(ended["next"].as_str().unwrap().contains("remit.replan"), "{ended}");
    assert_eq!(states(&ended["plan"])[0], "undone");
    assert_eq!(ended["plan"]["residue"], json!([]));
}

#[tokio::test]
async fn what_is_no_plan_is_refused_with_its_place_and_what_is_denied_is_answered() {
    let agent = agent().await;
    let (status, problem) = agent.ask("plan", json!({ "steps": [] })).await;
    assert_eq!((status, &problem["code"], &problem["at"]), (400, &json!("plan_invalid"), &json!("/steps")));
    let (status, problem) = agent.ask("plan", json!({ "steps": [{ "id": "a", "tol": "x" }] })).await;
    assert_eq!((status, &problem["code"]), (400, &json!("bad_request")), "{problem}");
    let theirs = json!({ "id": "a", "tool": "todo.can_delete_todo",
        "args": { "type": "todo", "id": "a", "ownerID": "rick@the-citadel.com" } });
    let (status, verdict) = agent.ask("plan", json!({ "steps": [theirs] })).await;
    assert_eq!((status, &verdict["ruling"]), (200, &json!("deny")), "{verdict}");
    assert_eq!(verdict["steps"][0]["reasons"][0]["code"], "no_rule_allows");
    assert_eq!(verdict["cannot_be_undone"], json!(["a"]));
    let (status, problem) = agent.ask("commit", json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("plan_denied")), "{problem}");
    let (status, phase) = agent.ask("phase", json!({ "to": "explore" })).await;
    assert_eq!((status, phase), (200, json!({ "phase": "explore" })));
    let (status, problem) = agent.ask("phase", json!({ "to": "commit" })).await;
    assert_eq!((status, &problem["code"]), (400, &json!("bad_request")), "there is no way into it but one");
}

#[tokio::test]
async fn a_plan_is_its_agents_own_and_what_waits_for_nobody_is_no_list() {
    let agent = agent().await;
    agent.ask("plan", json!({ "steps": [create("a")] })).await;
    let path = format!("/v1/runs/{}/plan", agent.run);
    let other = agent.world.key("clerk").await;
    get(&path).key(&other).problem(&agent.world.agents, 404, "not_found").await;
    let (other_key, other_token) = agent.world.run("clerk").await;
    for verb in ["phase", "plan", "commit", "abort"] {
        let body = match verb {
            "phase" => json!({ "to": "decide" }),
            "plan" => json!({ "steps": [create("a")] }),
            _ => json!({}),
        };
        let ask = post(&format!("/v1/runs/{}/{verb}", agent.run), &body);
        let ask = ask.key(&other_key).with("remit-run", &other_token);
        ask.problem(&agent.world.agents, 401, "run_token_refused").await;
    }
    let (status, stuck) = get("/v1/runs?stuck=true").operator().send(&agent.world.people).await;
    assert_eq!((status.as_u16(), &stuck["items"]), (200, &json!([])));
    let (status, problem) =
        agent.person(&format!("/v1/runs/{}/accept", agent.run), json!({ "why": "seen" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("nothing_stuck")), "{problem}");
    let call = "/v1/calls/call_01m807z5bnqfcna7se22b7r3tv/resolve";
    let (status, problem) = agent.person(call, json!({ "as": "not-done", "why": "looked" })).await;
    assert_eq!((status, &problem["code"]), (404, &json!("call_unknown")), "{problem}");
}

#[tokio::test]
async fn what_nobody_knows_is_said_with_its_calls_and_waits_until_a_person_says_or_leaves_it() {
    let agent = agent().await;
    let waiting = async || {
        let (_, page) = get("/v1/runs?stuck=true").operator().send(&agent.world.people).await;
        page["items"].as_array().unwrap().len()
    };
    agent.ask("plan", json!({ "steps": [create("lost")] })).await;
    let (status, ended) = agent.ask("commit", json!({})).await;
    assert_eq!((status, &ended["plan"]["stuck"]), (200, &json!(["lost"])), "{ended}");
    let call = ended["plan"]["steps"][0]["unsettled"][0].as_str().unwrap().to_owned();
    assert_eq!(waiting().await, 1);
    for (verb, body) in [("undo", json!({ "why": "w" })), ("close", json!({ "outcome": "success" }))] {
        let (status, problem) = agent.person(&format!("/v1/runs/{}/{verb}", agent.run), body).await;
        assert_eq!((status, &problem["code"]), (409, &json!("plan_stuck")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(&call), "{problem}");
        assert!(problem["remedy"].as_str().unwrap().contains("remit run resolve"), "{problem}");
    }
    let (_, again) = agent.ask("commit", json!({})).await;
    assert_eq!(again, ended, "whoever commits again begins nothing");

    let resolve = format!("/v1/calls/{call}/resolve");
    let (status, _) = agent.person(&resolve, json!({ "as": "not-done", "why": "it is not there" })).await;
    assert_eq!(status, 200);
    let (_, ended) = agent.ask("commit", json!({})).await;
    let told = (&ended["plan"]["stage"], &ended["plan"]["steps"][0]["trouble"]);
    assert_eq!(told, (&json!("rolled_back"), &json!("never_happened")), "{ended}");
    assert_eq!(waiting().await, 0);

    // The very same again would want to hear first what was learned.
    let mut other = create("lost");
    other["args"]["type"] = json!("list");
    agent.ask("plan", json!({ "steps": [other] })).await;
    agent.ask("commit", json!({})).await;
    assert_eq!(waiting().await, 1);
    let (status, _) = agent.person(&format!("/v1/runs/{}/accept", agent.run), json!({ "why": "fine" })).await;
    assert_eq!((status, waiting().await), (200, 0), "what was left as it is waits for nobody");
    let plan = agent.plan_shown().await;
    assert_eq!((&plan["stage"], &plan["residue"][0]["what"]), (&json!("quarantined"), &json!("unknown")));
}
