//! What a system of people's own says of a run is heeded once, whatever becomes of Remit meanwhile.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gate::clock::{Clock, Wall};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::TokioExecutor;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::house::{House, people};
use crate::install::{CREDENTIAL, Install, Serve};
use crate::toolserver::ToolServer;

/// The desk, with one system that may say what runs came to. Its secret is what `DESK_KEY` holds.
async fn house() -> House {
    let tools = ToolServer::start().await;
    let install = Install::new(&tools.url());
    let text = std::fs::read_to_string(install.path("remit.yaml")).unwrap();
    let inbound = "inbound: [{ webhook: crm, secret: \"env:DESK_KEY\" }]\n";
    std::fs::write(install.path("remit.yaml"), text + inbound).unwrap();
    let serve = install.serve();
    let minted: Value =
        people(&install, &serve).post("/v1/agents/refund-desk/keys", &json!({})).await.unwrap();
    let key = minted["secret"].as_str().unwrap().to_owned();
    House { install, tools, serve, key }
}

/// Sends one signed message; the status, and what was answered.
async fn send(serve: &Serve, id: &str, body: &Value) -> (u16, Value) {
    let (at, body) = (Wall.now().0 / 1_000, body.to_string());
    let key = hmac::Key::new(hmac::HMAC_SHA256, CREDENTIAL.as_bytes());
    let tag = STANDARD.encode(hmac::sign(&key, format!("{id}.{at}.{body}").as_bytes()));
    let request = http::Request::post(format!("{}/v1/hooks/crm/correct", serve.people))
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", format!("v1,{tag}"));
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let answer = Http::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn corrections(house: &House) -> Vec<Value> {
    let events = house.events().await;
    let of = events.into_iter().filter(|event| event.event["kind"] == "run_corrected");
    of.map(|event| event.event["body"]["by"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_again_after_a_kill_is_known() {
    let mut house = house().await;
    let run = house.run().await.opened.run;
    house.install.remit(&["run", "close", &run, "--outcome", "success"]).ok();
    let wrong = json!({ "run": run, "outcome": "failure", "why": "the customer came back" });
    let (status, heeded) = send(&house.serve, "m1", &wrong).await;
    assert_eq!((status, &heeded["again"]), (200, &json!(false)), "{heeded}");
    let right = ["run", "correct", &run, "--outcome", "success", "--why", "it was another order"];
    house.install.remit(&right).ok();

    house.serve.signal(Signal::KILL);
    house.serve.ended();
    house.serve = house.install.serve();
    // It is signed anew, as senders do that try again; and it changes nothing.
    let again = send(&house.serve, "m1", &wrong).await;
    assert_eq!(again, (200, json!({ "again": true, "receipt": null })));
    assert_eq!(corrections(&house).await, ["webhook:crm", "operator"]);
    let shown = house.install.remit(&["--json", "run", "show", &run]).ok().json();
    assert_eq!(shown["run"]["outcome"], "success", "{shown}");
    house.install.remit(&["explain", &run]).ok().holds(&["corrected", "to success by operator"]);

    // An orderly stop writes a snapshot; what was heeded is known from that, too.
    let House { install, tools, serve, key } = house;
    serve.stop();
    let house = House { serve: install.serve(), install, tools, key };
    assert_eq!(send(&house.serve, "m1", &wrong).await, (200, json!({ "again": true, "receipt": null })));
    let (_, other) = send(&house.serve, "m2", &wrong).await;
    assert_eq!(other["again"], false, "the same words under another id are another message");
    assert_eq!(corrections(&house).await, ["webhook:crm", "operator", "webhook:crm"]);
}
