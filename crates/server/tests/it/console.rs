//! The console as it is served: who gets it, under which policy, and what its page may load.

use http::{StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::world::{CLERK, World, get, post};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[tokio::test]
async fn browsers_get_the_page_and_others_the_text() {
    let world = World::new().await;
    let page = get("/").with("accept", BROWSER).answer(&world.people).await;
    assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    for accept in ["*/*", "text/plain", "application/json"] {
        let text = get("/").with("accept", accept).answer(&world.people).await;
        assert_eq!(text.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8", "{accept}");
    }
    get("/").with("accept", BROWSER).problem(&world.agents, 404, "not_found").await;
}

#[tokio::test]
async fn pages_let_nothing_in_but_their_own_scripts_and_styles() {
    let world = World::new().await;
    for path in ["/login", "/runs", "/runs/run_x", "/tools/a.b", "/console/app.js"] {
        let answer = get(path).answer(&world.people).await;
        let headers = answer.headers();
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path} {part}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
    }
}

#[tokio::test]
async fn what_the_page_and_its_modules_name_is_served_and_nothing_comes_from_elsewhere() {
    let world = World::new().await;
    let mut left = vec!["/runs".to_owned()];
    let mut seen = Vec::new();
    while let Some(path) = left.pop() {
        let answer = get(&path).answer(&world.people).await;
        assert_eq!(answer.status(), 200, "{path}");
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap();
        for word in text.split(['"', '\'']) {
            let named = match word.strip_prefix("./") {
                Some(name) if name.ends_with(".js") => format!("/console/{name}"),
                _ if word.starts_with("/console/") => word.to_owned(),
                _ => continue,
            };
            if !seen.contains(&named) {
                seen.push(named.clone());
                left.push(named);
            }
        }
        let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{path}");
        for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!text.contains(markup), "{path} uses {markup}");
        }
    }
    assert!(seen.len() >= 15, "{seen:?}");
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let world = World::new().await;
    let first = get("/console/app.js").answer(&world.people).await;
    assert_eq!(first.headers()[header::CACHE_CONTROL], "no-cache");
    let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
    let again = get("/console/app.js").with("if-none-match", &tag).answer(&world.people).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let other = get("/console/app.js").with("if-none-match", "\"x\"").answer(&world.people).await;
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn an_incident_holds_the_run_its_calls_and_all_its_events() {
    let world = World::new().await;
    let (key, token) = world.run(CLERK).await;
    for ticket in [7, 700] {
        let ask = serde_json::json!({ "tool": "desk.look", "args": { "ticket": ticket } });
        let (status, _) =
            post("/v1/calls", &ask).key(&key).with("remit-run", &token).send(&world.agents).await;
        assert_eq!(status, 200);
    }
    let (_, runs) = get("/v1/runs?after=99").operator().send(&world.people).await;
    let run = runs["items"][0]["run"].as_str().unwrap().to_owned();
    let close =
        post(&format!("/v1/runs/{run}/close"), &serde_json::json!({ "outcome": "failure" })).operator();
    let (_, closed) = close.send(&world.people).await;
    let index = closed["receipt"]["index"].as_u64().unwrap();
    // Somebody else's work, which is none of this run's.
    let _ = world.run(CLERK).await;
    get(&format!("/v1/runs/{run}?after={}", index + 1)).operator().send(&world.people).await;
    let (_, file) = get(&format!("/v1/runs/{run}/incident")).operator().send(&world.people).await;
    let kinds: Vec<&str> =
        file["events"].as_array().unwrap().iter().filter_map(|it| it["event"]["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        ["run_opened", "call_decided", "call_finished", "call_decided", "run_closed"],
        "{file:#}"
    );
    assert_eq!(file["calls"].as_array().unwrap().len(), 2);
    assert_eq!(file["rules_digests"], serde_json::json!([file["rules_now"]]));
    assert_eq!((&file["by"], &file["run"]["run"]), (&Value::from("operator"), &Value::from(run)));
}

#[tokio::test]
async fn agents_show_what_the_rules_make_of_them() {
    let world = World::new().await;
    let (_, list) = get("/v1/agents").operator().send(&world.people).await;
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().filter_map(|it| it["agent"].as_str()).collect();
    assert!(names.contains(&CLERK), "{list}");
    let _ = world.key(CLERK).await;
    let (_, clerk) = get(&format!("/v1/agents/{CLERK}")).operator().send(&world.people).await;
    assert_eq!((&clerk["agent"], &clerk["keys"]), (&Value::from(CLERK), &Value::from(1)));
    assert_eq!(clerk["can"][0]["tool"], "desk.look");
    assert_eq!(clerk["can"][0]["only_if"], serde_json::json!(["args.ticket <= 100"]));
    assert_eq!(clerk["can"].as_array().unwrap().len(), 1, "only its own: {clerk:#}");
    get("/v1/agents/eve").operator().problem(&world.people, 404, "not_found").await;
}

#[tokio::test]
async fn runs_are_found_by_person_and_by_what_went_wrong() {
    let world = World::new().await;
    let (key, token) = world.run(CLERK).await;
    let ask = serde_json::json!({ "tool": "desk.look", "args": { "ticket": 700 } });
    post("/v1/calls", &ask).key(&key).with("remit-run", &token).send(&world.agents).await;
    let _ = world.run(CLERK).await;
    let found = async |query: &str| {
        let (status, page) = get(&format!("/v1/runs?after=99&{query}")).operator().send(&world.people).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(found("q=ADA").await, 2);
    assert_eq!(found("q=%25").await, 0);
    assert_eq!(found("q=ada&only=denied").await, 1);
    assert_eq!(found("only=unknown").await, 0);
}
