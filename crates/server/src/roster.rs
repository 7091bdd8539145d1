//! Agents as people see them: the manifest, the keys, and what the rules make of it.

use std::sync::Arc;

use api::agent::{AgentList, AgentShown, AgentView};
use axum::Json;
use axum::extract::{Path, State};
use gate::Gate;
use kernel::agent::Manifest;
use kernel::halt::Scope;

use crate::authn::Person;
use crate::control::key_view;
use crate::house::Shared;
use crate::refusal::{Answer, Refusal};
use crate::rules;

/// Every tool.
const ANY: &str = "*";

pub(crate) async fn agents(_: Person, State(house): State<Shared>) -> Json<AgentList> {
    let rules = house.gate.rules();
    Json(AgentList { items: rules.book.agents.values().map(|agent| view(&house.gate, agent)).collect() })
}

pub(crate) async fn agent(
    _: Person,
    State(house): State<Shared>,
    Path(name): Path<String>,
) -> Answer<AgentShown> {
    let rules = house.gate.rules();
    let Some(manifest) = rules.agent(&name) else {
        return Err(Refusal::not_found(&format!("the agent `{name}`")));
    };
    let found = rules::found(Arc::clone(&rules), ANY.to_owned(), None).await?;
    let can = found.into_iter().filter(|one| one.agent == name).map(rules::who_can_view).collect();
    let keys = house.gate.keys();
    Ok(Json(AgentShown {
        agent: view(&house.gate, manifest),
        manifest: serde_json::to_value(manifest).unwrap_or_default(),
        can,
        keys_valid: keys.iter().filter(|key| key.agent == name).map(key_view).collect(),
        rules_digest: rules.digest.to_string(),
    }))
}

fn view(gate: &Gate, manifest: &Manifest) -> AgentView {
    let name = &manifest.agent;
    let keys = gate.keys().iter().filter(|key| key.agent == *name).count();
    let covers = |scope: &Scope| *scope == Scope::All || *scope == Scope::Agent(name.clone());
    AgentView {
        agent: name.clone(),
        owner: manifest.owner.clone(),
        purpose: manifest.purpose.clone(),
        env: manifest.env.clone(),
        mode: manifest.mode.name().to_owned(),
        executor: manifest.executor,
        keys: u64::try_from(keys).unwrap_or(u64::MAX),
        halted: gate.halts().iter().any(|(scope, _)| covers(scope)),
    }
}
