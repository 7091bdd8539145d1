//! Doors of other protocols: who asks is proved before them, and they are told.

use axum::Router;
use axum::extract::Extension;
use axum::routing::any;
use gate::Caller;
use kernel::id::RunId;
use serde_json::json;

use crate::world::{CLERK, World, get, post, raw};

/// A door that says who came, in which run, and with how much.
fn door() -> Router {
    let told = |Extension(caller): Extension<Caller>, run: Option<Extension<RunId>>, body: String| async move {
        format!("{} {} {}", caller.agent, run.is_some(), body.len())
    };
    Router::new().route("/door", any(told))
}

#[tokio::test]
async fn a_door_is_told_whose_key_and_which_run() {
    let world = World::with_doors(door()).await;
    let (key, run) = world.run(CLERK).await;
    let (_, told) = post("/door", &json!({})).key(&key).send(&world.agents).await;
    assert_eq!(told, "clerk false 2");
    let (_, told) = post("/door", &json!({})).key(&key).with("remit-run", &run).send(&world.agents).await;
    assert_eq!(told, "clerk true 2");
}

#[tokio::test]
async fn nobody_gets_to_a_door_without_a_key_and_is_told_so_in_the_form_that_clients_know() {
    let world = World::with_doors(door()).await;
    for ask in [get("/door"), get("/door").key("rk_forged_key"), get("/door").operator()] {
        let answer = ask.answer(&world.agents).await;
        assert_eq!(answer.status(), 401);
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer realm=\"remit\", error=\"invalid_token\""), "{challenge}");
    }
}

#[tokio::test]
async fn a_door_has_the_guards_of_every_route() {
    let world = World::with_doors(door()).await;
    let (key, _) = world.run(CLERK).await;
    let other = world.run("portal").await.1;
    let post = || raw("/door", "{}").key(&key);
    post().with("origin", "https://evil.example").problem(&world.agents, 403, "forbidden_origin").await;
    post().with("remit-run", "rt_forged.x").problem(&world.agents, 401, "run_token_refused").await;
    post().with("remit-run", &other).problem(&world.agents, 401, "run_token_refused").await;
    let large = vec![b' '; api::BODY_BYTES_MAX + 1];
    raw("/door", large).key(&key).problem(&world.agents, 413, "too_large").await;
    raw("/door?token=x", "").key(&key).problem(&world.agents, 400, "token_in_url").await;
}
