//! What was spent, day by day.

use serde_json::{Value, json};

use crate::world::{CLERK, World, get, post};

#[tokio::test]
async fn each_day_tells_what_agents_and_tools_came_to() {
    let world = World::new().await;
    let (key, token) = world.run(CLERK).await;
    for ticket in [1, 2, 500] {
        let call = json!({ "tool": "desk.look", "args": { "ticket": ticket } });
        let ask = post("/v1/calls", &call).key(&key).with("remit-run", &token);
        assert_eq!(ask.send(&world.agents).await.0, 200);
    }
    let runs = get("/v1/runs?after=2").operator().send(&world.people).await.1;
    let run = runs["items"][0]["run"].as_str().unwrap();
    let charge = json!({ "amount": { "usd_nanos": 70 }, "why": "a stamp" });
    let charged = post(&format!("/v1/runs/{run}/charge"), &charge).operator().send(&world.people).await;
    assert_eq!(charged.0, 200, "{}", charged.1);

    let days = async |query: &str| -> Value {
        let (status, report) = get(&format!("/v1/spend/days{query}")).operator().send(&world.people).await;
        assert_eq!(status, 200, "{report}");
        report
    };
    let report = days("?within=7d").await;
    let today = &report["until"];
    let clerk = json!({ "day": today, "of": CLERK, "allowed": 2, "denied": 1, "cost_usd_nanos": 20_000_070 });
    assert_eq!(report["items"], json!([clerk]), "{report}");
    assert!(report["from"].as_str() < today.as_str() && today.as_str().unwrap().len() == 10);
    let look =
        json!({ "day": today, "of": "desk.look", "allowed": 2, "denied": 1, "cost_usd_nanos": 20_000_000 });
    let beside = json!({ "day": today, "of": "", "allowed": 0, "denied": 0, "cost_usd_nanos": 70 });
    assert_eq!(days("?by=tool").await["items"], json!([beside, look]));
    assert_eq!(days("?by=tool&within=1d").await["from"], *today, "today is one of the days");
    for wrong in ["?by=run", "?within=400d", "?within=0s"] {
        get(&format!("/v1/spend/days{wrong}")).operator().problem(&world.people, 400, "bad_request").await;
    }
}
