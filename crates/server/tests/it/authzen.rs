//! AuthZEN's todo scenario: forty evaluations and three batches, over our own kernel.

use serde_json::{Value, json};

use crate::world::{CLERK, PORTAL, USERS, World, get, post};

const RICK: &str = "rick@the-citadel.com";

/// The scenario's own rules, told a second way.
fn expected(roles: &[&str], email: &str, action: &str, owner: Option<&str>) -> bool {
    let is = |role: &str| roles.contains(&role);
    let own = owner == Some(email);
    match action {
        "can_read_user" | "can_read_todos" => true,
        "can_create_todo" => is("admin") || is("editor"),
        "can_update_todo" => is("evil_genius") || (is("editor") && own),
        "can_delete_todo" => is("admin") || (is("editor") && own),
        _ => false,
    }
}

fn resource(action: &str, id: &str, owner: Option<&str>) -> Value {
    let kind = if action == "can_read_user" { "user" } else { "todo" };
    match owner {
        Some(owner) => json!({"type": kind, "id": id, "properties": {"ownerID": owner, "colour": "green"}}),
        None => json!({"type": kind, "id": id}),
    }
}

fn subject(id: &str) -> Value {
    json!({"type": "user", "id": id})
}

#[tokio::test]
async fn forty_evaluations() {
    let world = World::new().await;
    let key = world.key(PORTAL).await;
    let mut asked = 0;
    for (id, email, roles) in USERS {
        // Somebody else's: of rick for all, and of summer for rick himself.
        let other = if email == RICK { "summer@the-smiths.com" } else { RICK };
        let cases = [
            ("can_read_user", USERS[0].1, None),
            ("can_read_user", USERS[1].1, None),
            ("can_read_todos", "todo-1", None),
            ("can_create_todo", "todo-1", None),
            ("can_update_todo", "todo-1", Some(email)),
            ("can_update_todo", "todo-2", Some(other)),
            ("can_delete_todo", "todo-1", Some(email)),
            ("can_delete_todo", "todo-2", Some(other)),
        ];
        for (action, thing, owner) in cases {
            let body = json!({"subject": subject(id), "action": {"name": action},
                "resource": resource(action, thing, owner), "unknown": {"is": "ignored"}});
            let (status, answer) = post("/access/v1/evaluation", &body).key(&key).send(&world.agents).await;
            assert_eq!(status, 200, "{answer}");
            let wanted = expected(roles, email, action, owner);
            assert_eq!(answer["decision"], json!(wanted), "{email} {action} {owner:?}: {answer}");
            assert!(answer["context"]["receipt"]["index"].is_u64(), "{answer}");
            asked += 1;
        }
    }
    assert_eq!(asked, 40);
}

async fn batch(world: &World, body: Value) -> Vec<bool> {
    let key = world.key(PORTAL).await;
    let (status, answer) = post("/access/v1/evaluations", &body).key(&key).send(&world.agents).await;
    assert_eq!(status, 200, "{answer}");
    answer["evaluations"].as_array().unwrap().iter().map(|one| one["decision"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn three_batches() {
    let world = World::new().await;
    let (morty, email, _) = USERS[1];
    let todos = |owners: [&str; 3]| -> Vec<Value> {
        let one = |owner| json!({"resource": resource("can_update_todo", "t", Some(owner))});
        owners.into_iter().map(one).collect()
    };
    let base = |semantic: &str, owners| {
        json!({"subject": subject(morty), "action": {"name": "can_update_todo"},
            "evaluations": todos(owners), "options": {"evaluations_semantic": semantic}})
    };
    assert_eq!(batch(&world, base("execute_all", [email, RICK, email])).await, [true, false, true]);
    assert_eq!(batch(&world, base("deny_on_first_deny", [email, RICK, email])).await, [true, false]);
    assert_eq!(batch(&world, base("permit_on_first_permit", [RICK, email, RICK])).await, [false, true]);
}

#[tokio::test]
async fn who_or_what_is_unknown_is_denied_and_not_an_error() {
    let world = World::new().await;
    let key = world.key(PORTAL).await;
    let cases = [
        (subject("u-nobody"), "can_read_user", "agent_unknown"),
        (subject(USERS[0].0), "can_fly", "tool_unknown"),
    ];
    for (subject, action, code) in cases {
        let thing = resource("can_read_user", "x", None);
        let body = json!({"subject": subject, "action": {"name": action}, "resource": thing});
        let (status, answer) = post("/access/v1/evaluation", &body).key(&key).send(&world.agents).await;
        assert_eq!((status.as_u16(), &answer["decision"]), (200, &json!(false)), "{answer}");
        assert_eq!(answer["context"]["reasons"][0]["code"], code, "{answer}");
    }
}

#[tokio::test]
async fn only_an_executor_asks_about_others() {
    let world = World::new().await;
    let key = world.key(CLERK).await;
    let body = |id: &str| {
        json!({"subject": subject(id), "action": {"name": "can_read_user"},
        "resource": resource("can_read_user", "x", None)})
    };
    let own = post("/access/v1/evaluation", &body(CLERK)).key(&key).send(&world.agents).await;
    assert_eq!(own.0, 200, "{}", own.1);
    post("/access/v1/evaluation", &body(USERS[0].0)).key(&key).problem(&world.agents, 403, "forbidden").await;
}

#[tokio::test]
async fn a_missing_member_is_named() {
    let world = World::new().await;
    let key = world.key(PORTAL).await;
    let body = json!({"subject": subject("x"), "action": {"name": "y"}});
    post("/access/v1/evaluation", &body).key(&key).problem(&world.agents, 400, "bad_request").await;
    let body =
        json!({"subject": {"type": "user"}, "action": {"name": "y"}, "resource": {"type": "a", "id": "b"}});
    let problem =
        post("/access/v1/evaluation", &body).key(&key).problem(&world.agents, 400, "bad_request").await;
    assert_eq!(problem["at"], "/subject");
    let body = json!({"subject": subject("x"), "evaluations": [{"action": {"name": "y"}}]});
    let problem =
        post("/access/v1/evaluations", &body).key(&key).problem(&world.agents, 400, "bad_request").await;
    assert_eq!(problem["at"], "/evaluations/0/resource");
}

#[tokio::test]
async fn the_request_id_comes_back_and_the_configuration_says_where() {
    let world = World::new().await;
    let answer =
        get("/.well-known/authzen-configuration").with("x-request-id", "abc").answer(&world.agents).await;
    assert_eq!(answer.headers()["x-request-id"], "abc");
    let (_, found) = get("/.well-known/authzen-configuration").send(&world.agents).await;
    assert_eq!(found["access_evaluation_endpoint"], "http://127.0.0.1:7470/access/v1/evaluation");
}
