//! Tools as people see them: what was accepted, what their servers say now, and what differs.

use api::problem::Code;
use api::tool::{AcceptTool, ToolAccepted, ToolList, ToolShown, ToolView};
use axum::Json;
use axum::extract::{Path, State};
use gate::Gate;
use kernel::contract::Contract;

use crate::ask::Told;
use crate::authn::Person;
use crate::house::Shared;
use crate::refusal::{Answer, Refusal};

pub(crate) async fn tools(_: Person, State(house): State<Shared>) -> Json<ToolList> {
    let rules = house.gate.rules();
    Json(ToolList { items: rules.book.tools.values().map(|tool| view(&house.gate, tool)).collect() })
}

pub(crate) async fn tool(
    _: Person,
    State(house): State<Shared>,
    Path(name): Path<String>,
) -> Answer<ToolShown> {
    let rules = house.gate.rules();
    let Some(contract) = rules.book.tools.get(&name) else {
        return Err(Refusal::not_found(&format!("the tool `{name}`")));
    };
    let tool = view(&house.gate, contract);
    let mut shown = ToolShown {
        definition: contract.definition.clone(),
        tool,
        contract: serde_json::to_value(contract).unwrap_or_default(),
        ..ToolShown::default()
    };
    if shown.tool.quarantined
        && let Some((index, now)) = house.gate.definition_seen(&name).await?
    {
        let before = contract.definition.clone().unwrap_or_default();
        shown.diff = stdx::diff::lines(&format!("{before:#}"), &format!("{now:#}"));
        (shown.seen_index, shown.now) = (Some(index), Some(now));
    }
    Ok(Json(shown))
}

/// What a person has read is what they accept: another description than the one they name is not.
pub(crate) async fn accept(
    person: Person,
    State(house): State<Shared>,
    Path(name): Path<String>,
    Told(ask): Told<AcceptTool>,
) -> Answer<ToolAccepted> {
    let Some(contract) = house.gate.rules().book.tools.get(&name).cloned() else {
        return Err(Refusal::not_found(&format!("the tool `{name}`")));
    };
    let tool = view(&house.gate, &contract);
    if !tool.quarantined || tool.seen.as_deref() != Some(ask.seen.as_str()) {
        let detail = format!("`{name}` is not quarantined for `{}`; read it again", ask.seen);
        return Err(Refusal::new(Code::BadRequest, detail).at("/seen"));
    }
    let Some((_, now)) = house.gate.definition_seen(&name).await? else {
        return Err(Refusal::not_found("what its server says now"));
    };
    // The views may be a moment behind the law, or ahead of it.
    if tools_digest(&now) != ask.seen {
        return Err(Refusal::new(Code::BadRequest, "its server has just said something else; read it again"));
    }
    let Some(accepts) = &house.options.accepts else {
        let detail = "the configuration of this Remit is not in files, so nothing can be accepted";
        return Err(Refusal::new(Code::BadRequest, detail));
    };
    let digest = accepts.accept(name, now, person.name).await;
    let digest = digest.map_err(|why| Refusal::new(Code::BadRequest, why))?;
    Ok(Json(ToolAccepted { accepted: ask.seen, rules_digest: digest.to_string() }))
}

fn tools_digest(definition: &serde_json::Value) -> String {
    stdx::digest::Digest::of(&stdx::json::canonical(definition)).to_string()
}

fn view(gate: &Gate, contract: &Contract) -> ToolView {
    let accepted = contract.definition.as_ref().and(contract.pin);
    let seen = gate.digest_seen(&contract.name);
    ToolView {
        tool: contract.name.clone(),
        server: contract.server.clone(),
        effect: contract.effect.name().to_owned(),
        env: contract.env.clone(),
        about: contract.about.clone(),
        accepted: accepted.map(|digest| digest.to_string()),
        seen: seen.map(|digest| digest.to_string()),
        resting_until: gate.rests_until(&contract.name).map(|until| until.to_string()),
        quarantined: accepted.is_some() && seen.is_some() && seen != accepted,
    }
}
