//! A house that is up: an installation, its tool server, an operator, and an agent with a key in an open run.

use api::call::{Answered, CallAsk};
use api::client::{Client, Error};
use api::people::{EventPage, EventView, KeyMinted};
use api::run::{OpenRun, RunOpened};
use serde_json::{Value, json};

use crate::install::{Install, Serve};
use crate::toolserver::ToolServer;

pub struct House {
    pub install: Install,
    pub tools: ToolServer,
    pub serve: Serve,
    pub key: String,
}

impl House {
    pub async fn up() -> House {
        let tools = ToolServer::start().await;
        let install = Install::new(&tools.url());
        let serve = install.serve();
        let minted: KeyMinted =
            people(&install, &serve).post("/v1/agents/refund-desk/keys", &json!({})).await.unwrap();
        House { install, tools, serve, key: minted.secret }
    }

    pub fn people(&self) -> Client {
        people(&self.install, &self.serve)
    }

    pub async fn run(&self) -> AgentRun {
        open_run(&self.serve.agents, &self.key).await.unwrap()
    }

    pub async fn events(&self) -> Vec<EventView> {
        events(&self.people()).await
    }
}

pub fn people(install: &Install, serve: &Serve) -> Client {
    Client::new(&serve.people, Some(install.operator_key()))
}

/// The whole ledger, page by page.
pub async fn events(people: &Client) -> Vec<EventView> {
    let (mut all, mut from) = (Vec::new(), Some(0));
    while let Some(next) = from {
        let page: EventPage = people.get(&format!("/v1/events?from={next}&limit=7")).await.unwrap();
        all.extend(page.items);
        from = page.next;
    }
    for (place, event) in all.iter().enumerate() {
        assert_eq!(usize::try_from(event.index).unwrap(), place, "the ledger has no gaps");
    }
    all
}

/// An agent inside a run.
pub struct AgentRun {
    pub agent: Client,
    pub opened: RunOpened,
}

pub async fn open_run(agents: &str, key: &str) -> Result<AgentRun, Error> {
    let agent = Client::new(agents, Some(key.to_owned()));
    let open = OpenRun {
        person: Some("ana@customers.example".to_owned()),
        intent: Some("answer a ticket".to_owned()),
        budget: None,
    };
    let opened: RunOpened = agent.post("/v1/runs", &open).await?;
    Ok(AgentRun { agent: agent.in_run(&opened.token), opened })
}

impl AgentRun {
    pub async fn call(&self, tool: &str, args: Value) -> Result<Answered, Error> {
        let ask = CallAsk {
            tool: tool.to_owned(),
            args,
            reason: Some("the ticket asks for it".to_owned()),
            model: Some("a-model".to_owned()),
            context_tokens: Some(1_200),
            idempotency_key: None,
            heeds: Vec::new(),
            callback: None,
        };
        self.agent.post("/v1/calls", &ask).await
    }

    pub async fn refund(&self, cents: u64) -> Result<Answered, Error> {
        self.call("desk.refund_charge", refund_of("ch_1", cents)).await
    }
}

pub fn refund_of(charge: &str, cents: u64) -> Value {
    json!({ "charge_id": charge, "amount_cents": cents, "currency": "eur" })
}

/// The code of a refused call's first reason.
pub fn refused_for(answered: &Answered) -> &str {
    assert_eq!(answered.verdict.ruling, "deny");
    &answered.verdict.reasons[0].code
}
