//! Sessions of browsers: links, cookies, what proves that a request is the console's own, and how they end.

use std::sync::Arc;

use api::person::Role;
use http::header;
use serde_json::json;

use crate::world::{CLERK, ORIGIN, World, delete, get, post};

const HALT: &str = "/v1/halts";

fn halt_all() -> serde_json::Value {
    json!({ "scope": "all", "why": "a test" })
}

#[tokio::test]
async fn a_link_signs_in_once_and_its_cookie_is_for_no_script_and_no_other_site() {
    let world = World::new().await;
    let code = world.code(Some("olga")).await;
    let sign_in = || post("/v1/session", &json!({ "code": code })).with("origin", ORIGIN);
    let answer = sign_in().answer(&world.people).await;
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("remit_7470="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200"), "{cookie}");
    sign_in().problem(&world.people, 401, "login_refused").await;
}

#[tokio::test]
async fn behind_tls_the_cookie_stays_on_tls() {
    let world = World::new().await;
    let ask = post("/v1/session", &json!({ "code": world.code(None).await }));
    let answer = ask.with("origin", "https://127.0.0.1:7470").answer(&world.people).await;
    assert!(answer.headers()[header::SET_COOKIE].to_str().unwrap().ends_with("; Secure"));
}

#[tokio::test]
async fn a_link_is_good_for_five_minutes_and_a_session_for_twelve_hours() {
    let world = World::new().await;
    let code = world.code(None).await;
    world.clock.forward_ms(5 * 60_000);
    let late = post("/v1/session", &json!({ "code": code })).with("origin", ORIGIN);
    late.problem(&world.people, 401, "login_refused").await;
    let browser = world.sign_in(None).await;
    world.clock.forward_ms(12 * 3_600_000 - 5_000);
    assert_eq!(get("/v1/status").page(&browser).send(&world.people).await.0, 200);
    world.clock.forward_ms(5_000);
    get("/v1/status").page(&browser).problem(&world.people, 401, "session_refused").await;
}

#[tokio::test]
async fn another_page_cannot_sign_its_visitor_in() {
    let world = World::new().await;
    let ask = json!({ "code": world.code(None).await });
    post("/v1/session", &ask).problem(&world.people, 403, "csrf_refused").await;
    let other_port = post("/v1/session", &ask).with("origin", "http://127.0.0.1:9999");
    other_port.problem(&world.people, 403, "forbidden_origin").await;
    // And the code is still good: nobody has used it.
    assert_eq!(post("/v1/session", &ask).with("origin", ORIGIN).send(&world.people).await.0, 200);
}

#[tokio::test]
async fn what_changes_something_needs_the_origin_and_the_token_of_its_session() {
    let world = World::new().await;
    let (browser, other) = (world.sign_in(None).await, world.sign_in(None).await);
    let cookie = || post(HALT, &halt_all()).with("cookie", &browser.cookie);
    cookie().with("remit-csrf", &browser.csrf).problem(&world.people, 403, "csrf_refused").await;
    cookie().with("origin", ORIGIN).problem(&world.people, 403, "csrf_refused").await;
    let borrowed = cookie().with("origin", ORIGIN).with("remit-csrf", &other.csrf);
    borrowed.problem(&world.people, 403, "csrf_refused").await;
    let opaque = cookie().with("origin", "null").with("remit-csrf", &browser.csrf);
    opaque.problem(&world.people, 403, "forbidden_origin").await;
    let schemeless = delete("/v1/halts?scope=all").with("cookie", &browser.cookie).with("origin", ORIGIN);
    schemeless.problem(&world.people, 403, "csrf_refused").await;
    assert!(world.gate.halts().is_empty());
    assert_eq!(post(HALT, &halt_all()).page(&browser).send(&world.people).await.0, 200);
    assert_eq!(world.gate.halts().len(), 1);
}

#[tokio::test]
async fn pages_of_other_ports_of_this_host_read_nothing() {
    let world = World::new().await;
    let browser = world.sign_in(None).await;
    let ask = |from: &str| get("/v1/status").with("cookie", &browser.cookie).with("sec-fetch-site", from);
    for from in ["same-site", "cross-site"] {
        ask(from).problem(&world.people, 403, "csrf_refused").await;
    }
    for from in ["same-origin", "none"] {
        assert_eq!(ask(from).send(&world.people).await.0, 200);
    }
}

#[tokio::test]
async fn a_cookie_counts_by_its_port_once_and_never_beside_a_key() {
    let world = World::new().await;
    let browser = world.sign_in(None).await;
    let status = || get("/v1/status");
    let (_, secret) = browser.cookie.split_once('=').unwrap();
    let other_port = format!("remit_9999={secret}");
    status().with("cookie", &other_port).problem(&world.people, 401, "key_refused").await;
    let twice = format!("{}; {}", browser.cookie, browser.cookie);
    status().with("cookie", &twice).problem(&world.people, 401, "key_refused").await;
    status().page(&browser).key("rk_nobody").problem(&world.people, 401, "key_refused").await;
    let beside = format!("theme=dark; {}; x=y", browser.cookie);
    assert_eq!(status().with("cookie", &beside).send(&world.people).await.0, 200);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let world = World::new().await;
    let browser = world.sign_in(Some("vera")).await;
    let answer = delete("/v1/session").page(&browser).answer(&world.people).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    get("/v1/status").page(&browser).problem(&world.people, 401, "session_refused").await;
}

#[tokio::test]
async fn roles_are_those_of_now_and_who_is_taken_out_is_nobody() {
    let world = World::new().await;
    let browser = world.sign_in(Some("olga")).await;
    let mint = || post(&format!("/v1/agents/{CLERK}/keys"), &json!({})).page(&browser);
    assert_eq!(mint().send(&world.people).await.0, 200);
    let only = |roles: Vec<Role>| Arc::new([("olga".to_owned(), roles)].into_iter().collect());
    world.directory.send_replace(only(vec![Role::Viewer]));
    mint().problem(&world.people, 403, "role_forbidden").await;
    world.directory.send_replace(Arc::default());
    mint().problem(&world.people, 401, "session_refused").await;
}

#[tokio::test]
async fn links_are_for_people_of_the_configuration_who_have_a_role() {
    let world = World::new().await;
    for name in ["nobody", "eve", ""] {
        let ask = post("/v1/logins", &json!({ "as": name })).operator();
        ask.problem(&world.people, 404, "not_found").await;
    }
    // No session makes links, not even one of the key's holder.
    let browser = world.sign_in(None).await;
    let ask = post("/v1/logins", &json!({})).page(&browser);
    ask.problem(&world.people, 403, "role_forbidden").await;
}

#[tokio::test]
async fn what_a_person_does_is_recorded_with_their_name() {
    let world = World::new().await;
    let browser = world.sign_in(Some("olga")).await;
    post(HALT, &halt_all()).page(&browser).send(&world.people).await;
    assert_eq!(world.gate.halts()[0].1.by, "olga");
    let mint = post(&format!("/v1/agents/{CLERK}/keys"), &json!({})).page(&browser);
    let (_, minted) = mint.send(&world.people).await;
    let path = format!("/v1/keys/{}?why=lost", minted["key"].as_str().unwrap());
    assert_eq!(delete(&path).page(&browser).send(&world.people).await.0, 200);
    let (_, page) = get("/v1/events?limit=500").operator().send(&world.people).await;
    let events = page["items"].as_array().unwrap().iter().map(|item| &item["event"]);
    let by: Vec<&str> =
        events.filter_map(|event| event["body"]["by"].as_str()).filter(|by| *by == "olga").collect();
    assert_eq!(by.len(), 4, "signed in, halted, minted, revoked: {page}");
    let (_, session) = get("/v1/session").page(&browser).send(&world.people).await;
    assert_eq!((&session["person"], &session["may_operate"]), (&json!("olga"), &json!(true)));
}

#[tokio::test]
async fn a_viewer_follows_work_and_not_the_whole_ledger() {
    let world = World::new().await;
    let _ = world.run(CLERK).await;
    let mut seen = Vec::new();
    for name in ["vera", "aude"] {
        let browser = world.sign_in(Some(name)).await;
        let answer = get("/v1/tail?from=0").page(&browser).answer(&world.people).await;
        let mut body = answer.into_body().into_data_stream();
        let piece = futures_util::StreamExt::next(&mut body).await.unwrap().unwrap();
        seen.push(String::from_utf8(piece.to_vec()).unwrap());
    }
    assert!(seen[0].contains("run_opened") && !seen[0].contains("key_minted"), "{}", seen[0]);
    assert!(seen[1].contains("run_opened") && seen[1].contains("key_minted"), "{}", seen[1]);
}

#[tokio::test]
async fn the_ledger_says_who_signed_in_and_out_and_holds_nothing_that_signs_in() {
    let world = World::new().await;
    let code = world.code(Some("vera")).await;
    let ask = post("/v1/session", &json!({ "code": code })).with("origin", ORIGIN);
    let answer = ask.answer(&world.people).await;
    let set = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    let cookie = set.split(';').next().unwrap().to_owned();
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let browser =
        crate::world::Browser { cookie: cookie.clone(), csrf: told["csrf"].as_str().unwrap().to_owned() };
    delete("/v1/session").page(&browser).answer(&world.people).await;
    let (_, page) = get("/v1/events?limit=500").operator().send(&world.people).await;
    let text = page.to_string();
    for secret in [code.as_str(), cookie.split_once('=').unwrap().1, browser.csrf.as_str()] {
        assert!(!text.contains(secret), "{secret}");
    }
    let events = page["items"].as_array().unwrap().iter().map(|item| &item["event"]);
    let people: Vec<_> =
        events.filter(|event| event["kind"].as_str().unwrap().starts_with("signed")).collect();
    assert_eq!(people.len(), 2);
    assert_eq!((&people[0]["kind"], &people[1]["kind"]), (&json!("signed_in"), &json!("signed_out")));
    assert_eq!((&people[0]["body"]["by"], &people[0]["body"]["roles"]), (&json!("vera"), &json!(["viewer"])));
    assert_eq!(people[0]["body"]["hash"], people[1]["body"]["hash"]);
}
