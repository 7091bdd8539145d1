//! What every route demands, over the whole table of routes.

use api::endpoint::{Auth, ENDPOINTS, Endpoint, Face, Method};
use axum::Router;
use http::{Request, header};
use serde_json::json;

use crate::world::{Ask, CLERK, World, get, post, raw};

fn ask(endpoint: &Endpoint, host: &str) -> Ask {
    let path = endpoint.path.replace("{run}", "run_x").replace("{call}", "call_x").replace("{id}", "run_x");
    let path = path.replace("{agent}", CLERK).replace("{key}", "key_x").replace("{tool}", "a.b");
    let method = endpoint.method.name();
    Ask(Request::builder().method(method).uri(path).header(header::HOST, host), Default::default())
}

fn each(world: &World) -> Vec<(&'static Endpoint, Router)> {
    let mut all = Vec::new();
    for endpoint in ENDPOINTS {
        if endpoint.face != Face::People {
            all.push((endpoint, world.agents.clone()));
        }
        if endpoint.face != Face::Agents {
            all.push((endpoint, world.people.clone()));
        }
    }
    all
}

#[tokio::test]
async fn no_route_answers_a_foreign_host_or_page() {
    let world = World::new().await;
    for (endpoint, router) in each(&world) {
        ask(endpoint, "evil.example").problem(&router, 403, "forbidden_host").await;
        let page = ask(endpoint, "127.0.0.1:7470").with("origin", "https://evil.example");
        page.problem(&router, 403, "forbidden_origin").await;
    }
}

#[tokio::test]
async fn no_route_that_asks_who_answers_nobody() {
    let world = World::new().await;
    for (endpoint, router) in each(&world) {
        if endpoint.id == "signIn" {
            // Whoever signs in is nobody yet; `sessions` says what it demands.
            ask(endpoint, "localhost").problem(&router, 403, "csrf_refused").await;
        } else if endpoint.auth == Auth::Signed {
            ask(endpoint, "localhost").problem(&router, 401, "signature_refused").await;
            ask(endpoint, "localhost").operator().problem(&router, 401, "signature_refused").await;
        } else if endpoint.auth == Auth::None {
            assert_eq!(ask(endpoint, "localhost").answer(&router).await.status(), 200, "{}", endpoint.path);
        } else {
            ask(endpoint, "localhost").problem(&router, 401, "key_refused").await;
            ask(endpoint, "localhost").key("rk_nobody").problem(&router, 401, "key_refused").await;
        }
    }
}

#[tokio::test]
async fn an_agents_key_opens_nothing_of_peoples_and_the_operators_nothing_of_agents() {
    let world = World::new().await;
    let key = world.key(CLERK).await;
    for (endpoint, router) in each(&world) {
        match endpoint.auth {
            Auth::Viewer | Auth::Approver | Auth::Auditor | Auth::Operator | Auth::OperatorKey => {
                drop(ask(endpoint, "localhost").key(&key).problem(&router, 403, "forbidden").await)
            }
            Auth::None | Auth::Signed => {}
            _ => drop(ask(endpoint, "localhost").operator().problem(&router, 401, "key_refused").await),
        }
    }
}

#[tokio::test]
async fn every_route_of_the_table_is_mounted() {
    let world = World::new().await;
    for (endpoint, router) in each(&world) {
        let status = ask(endpoint, "localhost").operator().answer(&router).await.status();
        assert!(
            status != 405 && (status != 404 || endpoint.path.contains('{')),
            "{} {status}",
            endpoint.path
        );
    }
}

#[tokio::test]
async fn answers_carry_the_security_headers() {
    let world = World::new().await;
    for ask in [get("/healthz"), get("/nowhere"), get("/healthz").with("origin", "null")] {
        let answer = ask.answer(&world.people).await;
        assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
        assert!(
            answer.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .contains("default-src 'none'")
        );
    }
}

#[tokio::test]
async fn bad_requests_have_exact_codes() {
    let world = World::new().await;
    let (key, run) = world.run(CLERK).await;
    let call = |body: &str| raw("/v1/calls", body.to_owned()).key(&key).with("remit-run", &run);
    let agents = &world.agents;
    get("/v1/nowhere").problem(agents, 404, "not_found").await;
    get("/v1/calls").problem(agents, 405, "method_not_allowed").await;
    get("/v1/whoami?access_token=x").key(&key).problem(agents, 400, "token_in_url").await;
    call("{").problem(agents, 400, "malformed_json").await;
    call(r#"{"tool":"a.b","tool":"c.d"}"#).problem(agents, 400, "malformed_json").await;
    call(&"[".repeat(70)).problem(agents, 400, "malformed_json").await;
    call(r#"{"tool":"a.b","run":"x"}"#).problem(agents, 400, "bad_request").await;
    let problem = call(r#"{"tool":7}"#).problem(agents, 400, "bad_request").await;
    assert_eq!(problem["at"], "/tool");
    call(r#"{"tool":"a.b"}"#).with("content-type", "text/plain").problem(agents, 400, "bad_request").await;
    call(&" ".repeat(api::BODY_BYTES_MAX + 1)).problem(agents, 413, "too_large").await;
    let body = json!({"tool": "desk.look"});
    post("/v1/calls", &body).key(&key).problem(agents, 400, "run_token_missing").await;
    post("/v1/calls", &body).key(&key).with("remit-run", "x").problem(agents, 401, "run_token_refused").await;
    post("/v1/calls", &body).with("remit-run", &run).problem(agents, 401, "key_refused").await;
    let other = world.key("portal").await;
    post("/v1/calls", &body)
        .key(&other)
        .with("remit-run", &run)
        .problem(agents, 401, "run_token_refused")
        .await;
    get("/v1/runs?colour=red").operator().problem(&world.people, 400, "bad_request").await;
    get("/v1/runs/run_x").operator().problem(&world.people, 404, "not_found").await;
}

#[tokio::test]
async fn a_405_says_what_is_taken() {
    let world = World::new().await;
    let answer = get("/v1/calls").answer(&world.agents).await;
    assert_eq!(answer.headers()[header::ALLOW], "POST");
}

#[tokio::test]
async fn a_refused_request_of_a_known_agent_is_in_the_ledger() {
    let world = World::new().await;
    let (key, run) = world.run(CLERK).await;
    let bad = || raw("/v1/calls", "{").key(&key).with("remit-run", &run);
    bad().problem(&world.agents, 400, "malformed_json").await;
    let (_, page) = get("/v1/events?limit=500").operator().send(&world.people).await;
    let text = page.to_string();
    assert!(text.contains("malformed_json"), "{text}");
}

#[test]
fn the_table_names_a_method_for_each_route() {
    assert!(api::openapi::has(Face::Agents, Method::Post, "/v1/calls"));
    assert!(!api::openapi::has(Face::Agents, Method::Get, "/v1/events"));
}
