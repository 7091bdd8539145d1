//! Tools as people see them: what was accepted, what their servers say now, and what differs.

use api::tool::{ToolList, ToolShown, ToolView};
use axum::Json;
use axum::extract::{Path, State};
use gate::Gate;
use kernel::contract::Contract;

use crate::authn::Operator;
use crate::house::Shared;
use crate::refusal::{Answer, Refusal};

pub(crate) async fn tools(_: Operator, State(house): State<Shared>) -> Json<ToolList> {
    let rules = house.gate.rules();
    Json(ToolList { items: rules.book.tools.values().map(|tool| view(&house.gate, tool)).collect() })
}

pub(crate) async fn tool(
    _: Operator,
    State(house): State<Shared>,
    Path(name): Path<String>,
) -> Answer<ToolShown> {
    let rules = house.gate.rules();
    let Some(contract) = rules.book.tools.get(&name) else {
        return Err(Refusal::not_found(&format!("the tool `{name}`")));
    };
    let tool = view(&house.gate, contract);
    let mut shown = ToolShown { definition: contract.definition.clone(), tool, ..ToolShown::default() };
    if shown.tool.quarantined
        && let Some((index, now)) = house.gate.definition_seen(&name).await?
    {
        let before = contract.definition.clone().unwrap_or_default();
        shown.diff = stdx::diff::lines(&format!("{before:#}"), &format!("{now:#}"));
        (shown.seen_index, shown.now) = (Some(index), Some(now));
    }
    Ok(Json(shown))
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
        quarantined: accepted.is_some() && seen.is_some() && seen != accepted,
    }
}
