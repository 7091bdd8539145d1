//! What would have hindered agents that are only watched.

use api::observe::{Observed, ObservedItem, ObservedQuery};
use api::problem::Code;
use axum::Json;
use axum::extract::State;
use kernel::reason::Code as Law;
use kernel::time::Time;

use crate::ask::Query;
use crate::authn::Person;
use crate::house::Shared;
use crate::refusal::{Answer, Refusal};

const USUAL: &str = "30d";
const MS_MAX: u64 = 3_650 * 86_400_000;

pub(crate) async fn report(
    _: Person,
    State(house): State<Shared>,
    Query(query): Query<ObservedQuery>,
) -> Answer<Observed> {
    let within = query.within.unwrap_or_else(|| USUAL.to_owned());
    let ms = stdx::duration::parse_ms(&within).filter(|ms| (1..=MS_MAX).contains(ms));
    let Some(ms) = ms else {
        return Err(Refusal::new(Code::BadRequest, "a duration such as `30d`, at most ten years").at("query"));
    };
    let from = Time(house.gate.now().0.saturating_sub(ms));
    let (as_of, rows) = house.gate.observed(query.agent, from).await?;
    let items = rows.into_iter().map(|row| ObservedItem {
        would: if row.code == Law::ApprovalRequired.name() { "ask" } else { "deny" }.to_owned(),
        agent: row.agent,
        tool: row.tool,
        code: row.code,
        rule: row.rule,
        times: row.times,
        call: row.call.to_string(),
    });
    Ok(Json(Observed { within, as_of, items: items.collect() }))
}
