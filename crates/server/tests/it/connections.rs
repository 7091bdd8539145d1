//! Real sockets: the typed client, a stream of events, and a stop.

use std::time::Duration;

use api::client::{Client, Error};
use api::people::{EventView, KeyMinted, MintKey};
use api::run::{OpenRun, RunOpened};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{CLERK, OPERATOR_KEY, World};

async fn listen(router: axum::Router, world: &World) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (address, tokio::spawn(server::serve(listener, router, world.stop.subscribe())))
}

#[tokio::test]
async fn the_typed_client_asks_follows_and_is_let_go() {
    let world = World::new().await;
    let (agents, serving_agents) = listen(world.agents.clone(), &world).await;
    let (people, serving_people) = listen(world.people.clone(), &world).await;
    let operator = Client::new(&format!("http://{people}"), Some(OPERATOR_KEY.to_owned()));
    let mut follow = operator.follow("/v1/tail?from=0").await.unwrap();
    let first: EventView = follow.next().await.unwrap().unwrap();
    assert_eq!(first.index, 0);
    let minted: KeyMinted = operator.post("/v1/agents/clerk/keys", &MintKey::default()).await.unwrap();
    let agent = Client::new(&format!("http://{agents}"), Some(minted.secret));
    let opened: RunOpened = agent.post("/v1/runs", &OpenRun::default()).await.unwrap();
    let inside = agent.in_run(&opened.token);
    let body = json!({"tool": "desk.look", "args": {"ticket": 3}});
    let answer: api::call::Answered = inside.post("/v1/calls", &body).await.unwrap();
    assert_eq!(answer.verdict.ruling, "allow");
    let index = answer.receipt.unwrap().index;
    while follow.next::<EventView>().await.unwrap().unwrap().index < index {}
    let refused = agent.post::<_, api::call::Answered>("/v1/calls", &body).await.unwrap_err();
    assert!(matches!(&refused, Error::Problem(problem) if problem.code == "run_token_missing"), "{refused}");

    world.stop.send_replace(true);
    let ended = async { while let Ok(Some(_)) = follow.next::<EventView>().await {} };
    tokio::time::timeout(Duration::from_secs(5), ended).await.expect("a stream ends when Remit stops");
    tokio::time::timeout(Duration::from_secs(5), serving_agents).await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(5), serving_people).await.unwrap().unwrap();
    assert_eq!(world.gate.rules().agent(CLERK).unwrap().agent, CLERK);
}

/// Sends bytes as they are and returns the status line.
async fn bytes(address: &str, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(sent).await;
    let mut answer = vec![0; 4096];
    let length =
        tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap().unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_head_beyond_its_limits_is_refused() {
    let world = World::new().await;
    let (address, _serving) = listen(world.agents.clone(), &world).await;
    let many: String = (0..100).map(|number| format!("x-{number}: y\r\n")).collect();
    let long = "y".repeat(200 << 10);
    let head = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n";
    assert!(bytes(&address, format!("{head}\r\n").as_bytes()).await.contains("200"));
    assert!(bytes(&address, format!("{head}{many}\r\n").as_bytes()).await.contains("431"));
    assert!(bytes(&address, format!("{head}x: {long}\r\n\r\n").as_bytes()).await.contains("431"));
    let twice = "content-length: 3\r\ntransfer-encoding: chunked\r\n";
    let smuggled = format!("POST /v1/runs HTTP/1.1\r\nhost: localhost\r\n{twice}\r\n0\r\n\r\n");
    assert!(!bytes(&address, smuggled.as_bytes()).await.contains("200"));
}
