//! What people do: keys, halts, closing a run. Each answer comes after it is in force.

use api::people::{Halt, HaltList, HaltView, KeyList, KeyMinted, KeyView, MintKey, ResumeQuery, WhyQuery};
use api::problem::Code;
use api::run::{CloseRun, Recorded};
use axum::Json;
use axum::extract::{Path, State};
use kernel::halt::Scope;
use kernel::id::{KeyId, RunId};

use crate::ask::{Query, Told, id};
use crate::authn::Operator;
use crate::house::Shared;
use crate::refusal::{Answer, Refusal};
use crate::words;

const KEY_TTL_SECONDS: u64 = 90 * 86_400;
const KEY_TTL_SECONDS_MAX: u64 = 366 * 86_400;
const KEY_TTL_SECONDS_MIN: u64 = 60;
/// Said when nobody gives a reason.
const NO_WHY: &str = "no reason given";

pub(crate) async fn mint_key(
    State(house): State<Shared>,
    Path(agent): Path<String>,
    Told(body): Told<MintKey>,
) -> Answer<KeyMinted> {
    let ttl = body.ttl_seconds.unwrap_or(KEY_TTL_SECONDS);
    if !(KEY_TTL_SECONDS_MIN..=KEY_TTL_SECONDS_MAX).contains(&ttl) {
        let detail = format!("a key lives between {KEY_TTL_SECONDS_MIN} and {KEY_TTL_SECONDS_MAX} seconds");
        return Err(Refusal::new(Code::BadRequest, detail).at("/ttl_seconds"));
    }
    let minted = house.gate.key_mint(&agent, ttl.saturating_mul(1000), Operator::NAME).await?;
    let minted = minted.map_err(|reason| Refusal::law(&reason))?;
    Ok(Json(KeyMinted {
        key: minted.key.to_string(),
        secret: minted.secret,
        expires: minted.expires.to_string(),
    }))
}

pub(crate) async fn keys(_: Operator, State(house): State<Shared>) -> Json<KeyList> {
    Json(KeyList { items: house.gate.keys().iter().map(key_view).collect() })
}

pub(crate) async fn agent_keys(
    _: Operator,
    State(house): State<Shared>,
    Path(agent): Path<String>,
) -> Json<KeyList> {
    let keys = house.gate.keys();
    Json(KeyList { items: keys.iter().filter(|key| key.agent == agent).map(key_view).collect() })
}

fn key_view(info: &gate::KeyInfo) -> KeyView {
    KeyView { key: info.key.to_string(), agent: info.agent.clone(), expires: info.expires.to_string() }
}

pub(crate) async fn revoke_key(
    _: Operator,
    State(house): State<Shared>,
    Path(key): Path<String>,
    Query(query): Query<WhyQuery>,
) -> Answer<Recorded> {
    let why = query.why.as_deref().unwrap_or(NO_WHY);
    recorded(house.gate.key_revoke(id::<KeyId>(&key)?, why, Operator::NAME).await?)
}

pub(crate) async fn halts(_: Operator, State(house): State<Shared>) -> Json<HaltList> {
    let halts = house.gate.halts().into_iter();
    let items = halts.map(|(scope, halt)| HaltView {
        scope: scope.to_string(),
        why: halt.why,
        by: halt.by,
        since: halt.since.to_string(),
    });
    Json(HaltList { items: items.collect() })
}

pub(crate) async fn halt(State(house): State<Shared>, Told(body): Told<Halt>) -> Answer<Recorded> {
    let scope = scope(&body.scope, "/scope")?;
    recorded(house.gate.halt(scope, &body.why, Operator::NAME).await?)
}

pub(crate) async fn resume(
    _: Operator,
    State(house): State<Shared>,
    Query(query): Query<ResumeQuery>,
) -> Answer<Recorded> {
    let scope = scope(&query.scope, "query")?;
    recorded(house.gate.resume(scope, query.why.as_deref().unwrap_or(NO_WHY), Operator::NAME).await?)
}

pub(crate) async fn close_run(
    State(house): State<Shared>,
    Path(run): Path<String>,
    Told(body): Told<CloseRun>,
) -> Answer<Recorded> {
    let outcome = words::closing(body.outcome);
    recorded(house.gate.run_close(id::<RunId>(&run)?, None, outcome, Operator::NAME).await?)
}

fn scope(text: &str, at: &str) -> Result<Scope, Refusal> {
    // A blank before a name would make a halt that covers nothing.
    let text = text.trim().replace(": ", ":");
    text.parse::<Scope>().map_err(|error| Refusal::new(Code::BadRequest, error.to_string()).at(at))
}

fn recorded(done: Result<gate::Receipt, kernel::reason::Reason>) -> Answer<Recorded> {
    let receipt = done.map_err(|reason| Refusal::law(&reason))?;
    Ok(Json(Recorded { receipt: words::receipt(receipt) }))
}
