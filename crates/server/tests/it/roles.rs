//! Each route of people's with each role: what the table of roles says is what happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::endpoint::{Auth, ENDPOINTS, Endpoint, Face};
use api::person::Role;
use axum::body::Body;
use http::{Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::world::{Ask, Browser, CLERK, World, delete, post};

/// Of each role what it may ask, written out: a change of the table in the code must be made here too.
const VIEWER: [&str; 36] = [
    "agent",
    "agentKeys",
    "agents",
    "answer",
    "budget",
    "callShown",
    "calls",
    "explain",
    "halt",
    "halts",
    "inbox",
    "inboxItem",
    "inboxStats",
    "observed",
    "incident",
    "incidentPlaces",
    "keys",
    "metrics",
    "plan",
    "policy",
    "policyChange",
    "policyExplain",
    "policyFiles",
    "resume",
    "run",
    "runs",
    "session",
    "signOut",
    "spend",
    "spendDays",
    "status",
    "tail",
    "tool",
    "tools",
    "top",
    "whoCan",
];
const AUDITOR: [&str; 1] = ["events"];
const OPERATOR: [&str; 13] = [
    "acceptResidue",
    "acceptTool",
    "chargeRun",
    "closeAnyRun",
    "correctRun",
    "extendRun",
    "mintKey",
    "pauseRun",
    "resolveCall",
    "resumeRun",
    "revokeKey",
    "sendIncident",
    "undoRun",
];

fn ask(endpoint: &Endpoint) -> Ask {
    let path =
        endpoint.path.replace("{agent}", CLERK).replace("{key}", "key_x").replace("{tool}", "desk.look");
    let path = path.replace("{run}", "run_x").replace("{call}", "call_x").replace("{id}", "run_x");
    let request = Request::builder().method(endpoint.method.name()).uri(path);
    Ask(request.header(header::HOST, "127.0.0.1:7470"), Body::empty())
}

/// Whether the table of roles let this through; what became of it then is another matter.
async fn passes(world: &World, endpoint: &Endpoint, browser: &Browser) -> bool {
    let answer = ask(endpoint).page(browser).answer(&world.people).await;
    if answer.status() != 403 {
        return true;
    }
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    let problem: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(problem["code"], "role_forbidden", "{} {problem}", endpoint.id);
    false
}

/// Not what anybody may ask, and not what a system of people's own signs.
fn is_a_persons(endpoint: &&Endpoint) -> bool {
    endpoint.face == Face::People && !matches!(endpoint.auth, Auth::None | Auth::Signed)
}

#[tokio::test]
async fn each_role_may_ask_what_stands_here_and_nothing_else() {
    let world = World::new().await;
    let people = [("vera", 1), ("fay", 1), ("aude", 2), ("olga", 3)];
    let mut wrong = BTreeMap::new();
    for endpoint in ENDPOINTS.iter().filter(is_a_persons) {
        let least = match endpoint.id {
            id if VIEWER.contains(&id) => 1,
            id if AUDITOR.contains(&id) => 2,
            id if OPERATOR.contains(&id) => 3,
            // Only the operator's key itself, and no session.
            _ => 4,
        };
        for (name, level) in people {
            let browser = world.sign_in(Some(name)).await;
            if passes(&world, endpoint, &browser).await != (level >= least) {
                wrong.insert((endpoint.id, name), least);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn the_key_itself_may_ask_everything() {
    let world = World::new().await;
    for endpoint in ENDPOINTS.iter().filter(is_a_persons) {
        let status = ask(endpoint).operator().answer(&world.people).await.status();
        assert!(status != 401 && status != 403, "{} {status}", endpoint.id);
    }
}

/// Whatever their role; and of what they halted, they alone may lift it without being an operator.
#[tokio::test]
async fn an_owner_may_halt_their_agent_and_nothing_else() {
    let world = World::new().await;
    let viewer = vec![Role::Viewer];
    let people = [("ada@example.com", viewer.clone()), ("vera", viewer), ("olga", vec![Role::Operator])];
    let known = people.into_iter().map(|(name, roles)| (name.to_owned(), roles)).collect();
    world.directory.send_replace(Arc::new(known));
    let halt = async |name: &str, scope: &str| {
        let browser = world.sign_in(Some(name)).await;
        let ask = post("/v1/halts", &json!({ "scope": scope, "why": "it went wild" })).page(&browser);
        ask.send(&world.people).await.0.as_u16()
    };
    let resume = async |name: &str| {
        let browser = world.sign_in(Some(name)).await;
        let ask = delete("/v1/halts?scope=agent:clerk&why=mended").page(&browser);
        ask.send(&world.people).await.0.as_u16()
    };
    assert_eq!(halt("vera", "agent:clerk").await, 403);
    for scope in ["all", "tool:desk.look", "agent:nobody", "tenant:default", "writes"] {
        assert_eq!(halt("ada@example.com", scope).await, 403, "{scope}");
    }
    assert_eq!(halt("ada@example.com", "agent:clerk").await, 200);
    assert_eq!(resume("vera").await, 403);
    assert_eq!(resume("ada@example.com").await, 200);
    assert_eq!(halt("olga", "agent:clerk").await, 200);
    assert_eq!(resume("ada@example.com").await, 403);
    assert_eq!(resume("olga").await, 200);
}
