//! What people do: keys, closing a run; halts are in `halts`. Each answer comes after it is in force.

use api::people::{KeyList, KeyMinted, KeyView, MintKey, Through, WhyQuery};
use api::problem::Code;
use api::run::{CloseRun, Recorded};
use axum::Json;
use axum::extract::{Path, State};
use kernel::id::{KeyId, RunId};

use crate::ask::{Query, Told, id};
use crate::authn::Person;
use crate::house::Shared;
use crate::refusal::{Answer, Refusal};
use crate::words;

const KEY_TTL_SECONDS: u64 = 90 * 86_400;
const KEY_TTL_SECONDS_MAX: u64 = 366 * 86_400;
const KEY_TTL_SECONDS_MIN: u64 = 60;
/// Said when nobody gives a reason.
pub(crate) const NO_WHY: &str = "no reason given";

pub(crate) async fn mint_key(
    person: Person,
    State(house): State<Shared>,
    Path(agent): Path<String>,
    Told(body): Told<MintKey>,
) -> Answer<KeyMinted> {
    let ttl = body.ttl_seconds.unwrap_or(KEY_TTL_SECONDS);
    if !(KEY_TTL_SECONDS_MIN..=KEY_TTL_SECONDS_MAX).contains(&ttl) {
        let detail = format!("a key lives between {KEY_TTL_SECONDS_MIN} and {KEY_TTL_SECONDS_MAX} seconds");
        return Err(Refusal::new(Code::BadRequest, detail).at("/ttl_seconds"));
    }
    let by = match body.through {
        Some(Through::Wrap) => format!("{} (remit wrap)", person.name),
        None => person.name,
    };
    let (ttl_ms, given_to) = (ttl.saturating_mul(1000), body.person.as_deref());
    let minted = house.gate.key_mint_for(&agent, ttl_ms, &by, given_to).await?;
    let minted = minted.map_err(|reason| Refusal::law(&reason))?;
    Ok(Json(KeyMinted {
        key: minted.key.to_string(),
        secret: minted.secret,
        expires: minted.expires.to_string(),
    }))
}

pub(crate) async fn keys(_: Person, State(house): State<Shared>) -> Json<KeyList> {
    Json(KeyList { items: house.gate.keys().iter().map(key_view).collect() })
}

pub(crate) async fn agent_keys(
    _: Person,
    State(house): State<Shared>,
    Path(agent): Path<String>,
) -> Json<KeyList> {
    let keys = house.gate.keys();
    Json(KeyList { items: keys.iter().filter(|key| key.agent == agent).map(key_view).collect() })
}

pub(crate) fn key_view(info: &gate::KeyInfo) -> KeyView {
    let (key, agent, expires) = (info.key.to_string(), info.agent.clone(), info.expires.to_string());
    KeyView { key, agent, expires, person: info.person.clone() }
}

pub(crate) async fn revoke_key(
    person: Person,
    State(house): State<Shared>,
    Path(key): Path<String>,
    Query(query): Query<WhyQuery>,
) -> Answer<Recorded> {
    let why = query.why.as_deref().unwrap_or(NO_WHY);
    recorded(house.gate.key_revoke(id::<KeyId>(&key)?, why, &person.name).await?)
}

pub(crate) async fn close_run(
    person: Person,
    State(house): State<Shared>,
    Path(run): Path<String>,
    Told(body): Told<CloseRun>,
) -> Answer<Recorded> {
    let outcome = words::closing(body.outcome);
    recorded(house.gate.run_close(id::<RunId>(&run)?, None, outcome, body.workflow, &person.name).await?)
}

pub(crate) fn recorded(done: Result<gate::Receipt, kernel::reason::Reason>) -> Answer<Recorded> {
    let receipt = done.map_err(|reason| Refusal::law(&reason))?;
    Ok(Json(Recorded { receipt: words::receipt(receipt) }))
}
