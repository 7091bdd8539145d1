//! Whether the process is up, and whether it can decide and record.

use api::people::Health;
use axum::Json;
use axum::extract::State;

use crate::house::Shared;
use crate::refusal::Answer;

pub(crate) async fn health() -> Json<Health> {
    Json(Health { ok: true, trouble: None })
}

pub(crate) async fn ready(State(house): State<Shared>) -> Answer<Health> {
    house.gate.ready()?;
    Ok(Json(Health { ok: true, trouble: None }))
}
