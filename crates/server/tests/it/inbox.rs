//! What waits for people: as its agent asks for it, as people see it, and who may answer.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Ask, Browser, CLERK, PAYER, World, delete, get, post};

/// One call that waits, and whoever asked for it.
struct Asked {
    key: String,
    token: String,
    ticket: String,
}

/// In a run for this person.
async fn asked_for(world: &World, person: &str) -> Asked {
    let key = world.key(PAYER).await;
    let open = post("/v1/runs", &json!({ "person": person, "intent": "pay the bills" })).key(&key);
    let (_, run) = open.send(&world.agents).await;
    let token = run["token"].as_str().unwrap().to_owned();
    let (status, answered) = pay(&key, &token, 500).send(&world.agents).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answered:#}");
    Asked { key, token, ticket: answered["waiting"]["ticket"].as_str().unwrap().to_owned() }
}

fn pay(key: &str, token: &str, cents: u64) -> Ask {
    let ask = json!({ "tool": "desk.pay", "args": { "cents": cents }, "reason": "the bill is due" });
    post("/v1/calls", &ask).key(key).with("remit-run", token)
}

impl Asked {
    async fn shown(&self, world: &World) -> Value {
        let (status, shown) = get(&format!("/v1/inbox/{}", self.ticket)).operator().send(&world.people).await;
        assert_eq!(status, 200, "{shown}");
        shown
    }

    async fn bound(&self, world: &World) -> String {
        self.shown(world).await["item"]["bound"].as_str().unwrap().to_owned()
    }

    fn answer(&self, body: &Value) -> Ask {
        post(&format!("/v1/inbox/{}/answer", self.ticket), body)
    }

    async fn yes(&self, world: &World) -> Value {
        json!({ "yes": true, "bound": self.bound(world).await, "words": "seen" })
    }

    /// What its agent is told in the end.
    async fn ended(&self, world: &World) -> Value {
        let path = format!("/v1/tickets/{}?wait=5s", self.ticket);
        let (status, told) = get(&path).key(&self.key).send(&world.agents).await;
        assert_eq!((status, &told["state"]), (StatusCode::OK, &json!("ended")), "{told:#}");
        told["answered"].clone()
    }
}

async fn person(world: &World, name: &str) -> Browser {
    world.sign_in(Some(name)).await
}

#[tokio::test]
async fn a_call_that_asks_is_taken_and_waits_for_an_approver() {
    let world = World::new().await;
    let asked = asked_for(&world, "ada").await;
    let again = pay(&asked.key, &asked.token, 500).answer(&world.agents).await;
    assert_eq!(again.status(), StatusCode::ACCEPTED);
    assert_eq!(again.headers()["location"], format!("/v1/tickets/{}?wait=20s", asked.ticket));
    let (_, own) = get("/v1/tickets").key(&asked.key).send(&world.agents).await;
    assert_eq!(own["items"].as_array().unwrap().len(), 1, "the same call asks nobody anew: {own}");
    assert_eq!(own["items"][0]["groups"], json!(["finance"]));
    assert_eq!(own["items"][0]["console"], format!("http://people.example/inbox/{}", asked.ticket));

    let fay = person(&world, "fay").await;
    let (_, inbox) = get("/v1/inbox").page(&fay).send(&world.people).await;
    let item = &inbox["items"][0];
    assert_eq!(
        (&inbox["waiting"], &inbox["mine"], &item["may_answer"]),
        (&json!(1), &json!(1), &json!(true))
    );
    assert_eq!(item["person"], "ada");
    assert!(item["risk"]["score"].as_u64().unwrap() > 0 && item["risk"]["parts"][0]["says"].is_string());
    let shown = asked.shown(&world).await;
    assert_eq!((&shown["args"], &shown["reason"]), (&json!({ "cents": 500 }), &json!("the bill is due")));
    assert_eq!((&shown["intent"], &shown["undo"]), (&json!("pay the bills"), &json!("it cannot be undone")));
    assert_eq!(shown["rules"][0]["id"], format!("{PAYER}.may[0]"));

    let (status, taken) = asked.answer(&asked.yes(&world).await).page(&fay).send(&world.people).await;
    assert_eq!((status, &taken["state"]), (StatusCode::OK, &json!("released")), "{taken}");
    let ended = asked.ended(&world).await;
    assert_eq!((&ended["verdict"]["ruling"], &ended["outcome"]), (&json!("allow"), &json!("succeeded")));
    assert_eq!(
        (&ended["result"], &ended["approved"]),
        (&json!({ "cents": 500 }), &json!(["fay"])),
        "{ended}"
    );
    let (_, inbox) = get("/v1/inbox").page(&fay).send(&world.people).await;
    assert_eq!(inbox["items"], json!([]));
    let read = get(&format!("/v1/calls/{}?wait=1s", asked.ticket)).key(&asked.key);
    let (status, call) = read.send(&world.agents).await;
    assert_eq!((status, &call["call"]["outcome"]), (StatusCode::OK, &json!("succeeded")), "{call}");
    let late = json!({ "yes": true, "bound": item["bound"], "words": "again" });
    asked.answer(&late).page(&fay).problem(&world.people, 404, "approval_unknown").await;
}

#[tokio::test]
async fn only_an_approver_of_the_group_answers_and_not_for_themselves() {
    let world = World::new().await;
    let asked = asked_for(&world, "fred").await;
    let yes = asked.yes(&world).await;
    for name in ["vera", "aude", "olga"] {
        let browser = person(&world, name).await;
        let (status, inbox) = get("/v1/inbox").page(&browser).send(&world.people).await;
        assert_eq!(
            (status, &inbox["items"][0]["may_answer"]),
            (StatusCode::OK, &json!(false)),
            "{name} looks"
        );
        asked.answer(&yes).page(&browser).problem(&world.people, 403, "role_forbidden").await;
    }
    let legal = person(&world, "leo").await;
    asked.answer(&yes).page(&legal).problem(&world.people, 403, "not_an_approver").await;
    // Fred approves for finance, and the run is for Fred.
    let fred = person(&world, "fred").await;
    asked.answer(&yes).page(&fred).problem(&world.people, 403, "own_request").await;
    let (_, inbox) = get("/v1/inbox").page(&fred).send(&world.people).await;
    assert!(inbox["items"][0]["may_not"].as_str().unwrap().contains("asked for you"), "{inbox}");
    asked.answer(&yes).problem(&world.people, 401, "key_refused").await;
    asked.answer(&yes).key(&asked.key).problem(&world.people, 403, "forbidden").await;
    let mut other = yes.clone();
    other["bound"] = json!(stdx::digest::Digest::of(b"another").to_string());
    let fay = person(&world, "fay").await;
    asked.answer(&other).page(&fay).problem(&world.people, 409, "approval_stale").await;
    asked
        .answer(&json!({ "yes": true, "bound": "x" }))
        .page(&fay)
        .problem(&world.people, 400, "bad_request")
        .await;
    assert_eq!(asked.shown(&world).await["said"], json!([]), "nobody has said anything");
}

#[tokio::test]
async fn a_no_ends_it_and_its_words_reach_the_agent() {
    let world = World::new().await;
    let asked = asked_for(&world, "ada").await;
    let no = json!({ "yes": false, "bound": asked.bound(&world).await, "words": "not this month" });
    let fay = person(&world, "fay").await;
    let (status, taken) = asked.answer(&no).page(&fay).send(&world.people).await;
    assert_eq!((status, &taken["state"]), (StatusCode::OK, &json!("denied")), "{taken}");
    let ended = asked.ended(&world).await;
    assert_eq!(ended["verdict"]["reasons"][0]["code"], "approval_denied", "{ended}");
    assert_eq!(ended["words"], "not this month");
    // What was asked and answered is over: the same call is a new one.
    let (status, fresh) = pay(&asked.key, &asked.token, 500).send(&world.agents).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{fresh}");
    assert_ne!(fresh["waiting"]["ticket"], json!(asked.ticket));
    let (_, stats) = get("/v1/inbox/stats").page(&fay).send(&world.people).await;
    assert_eq!(stats["approvers"][0]["denied"], 1, "{stats}");
}

#[tokio::test]
async fn the_operators_key_acts_as_a_person_and_is_none_itself() {
    let world = World::new().await;
    let asked = asked_for(&world, "ada").await;
    let mut yes = asked.yes(&world).await;
    asked.answer(&yes).operator().problem(&world.people, 403, "role_forbidden").await;
    yes["as"] = json!("stranger");
    asked.answer(&yes).operator().problem(&world.people, 404, "not_found").await;
    yes["as"] = json!("fay");
    // A session is somebody already, whoever began it.
    for name in [None, Some("leo"), Some("olga")] {
        let browser = world.sign_in(name).await;
        asked.answer(&yes).page(&browser).problem(&world.people, 403, "role_forbidden").await;
        get("/v1/inbox?as=fay").page(&browser).problem(&world.people, 403, "role_forbidden").await;
    }
    let (_, seen) = get("/v1/inbox?as=fay&mine=true").operator().send(&world.people).await;
    assert_eq!(seen["items"].as_array().unwrap().len(), 1);
    let (status, taken) = asked.answer(&yes).operator().send(&world.people).await;
    assert_eq!((status, &taken["state"]), (StatusCode::OK, &json!("released")), "{taken}");
    assert_eq!(asked.ended(&world).await["approved"], json!(["fay"]));
}

#[tokio::test]
async fn an_approver_changes_what_is_sent_within_what_the_rules_allow() {
    let world = World::new().await;
    let asked = asked_for(&world, "ada").await;
    let fay = person(&world, "fay").await;
    let mut yes = asked.yes(&world).await;
    yes["edit"] = json!({ "cents": 5_000_000 });
    asked.answer(&yes).page(&fay).problem(&world.people, 409, "edit_refused").await;
    yes["edit"] = json!({ "cents": 400 });
    let (status, taken) = asked.answer(&yes).page(&fay).send(&world.people).await;
    assert_eq!((status, &taken["state"]), (StatusCode::OK, &json!("released")), "{taken}");
    let ended = asked.ended(&world).await;
    assert_eq!(
        (&ended["result"], &ended["edited"]),
        (&json!({ "cents": 400 }), &json!({ "cents": 400 })),
        "{ended}"
    );
}

#[tokio::test]
async fn another_agents_ticket_is_none_and_a_halt_cancels_what_waits() {
    let world = World::new().await;
    let asked = asked_for(&world, "ada").await;
    let path = format!("/v1/tickets/{}", asked.ticket);
    let other = world.key(CLERK).await;
    get(&path).key(&other).problem(&world.agents, 404, "not_found").await;
    get(&path).problem(&world.agents, 401, "key_refused").await;
    get(&format!("{path}?wait=2h")).key(&asked.key).problem(&world.agents, 400, "bad_request").await;
    let (_, own) = get("/v1/tickets").key(&other).send(&world.agents).await;
    assert_eq!(own["items"], json!([]));
    let halt = json!({ "scope": format!("agent:{PAYER}"), "why": "a test" });
    assert_eq!(post("/v1/halts", &halt).operator().send(&world.people).await.0, 200);
    let ended = asked.ended(&world).await;
    assert_eq!(ended["verdict"]["ruling"], "deny", "{ended}");
    let resume = delete(&format!("/v1/halts?scope=agent:{PAYER}")).operator();
    assert_eq!(resume.send(&world.people).await.0, 200);
}
