//! Messages from systems of people's own: signed, of now, and heeded once. All they may say is what a run came to.
//!
//! The form is that of the Standard Webhooks, as Remit's own: `webhook-id`, `webhook-timestamp`, and
//! `webhook-signature`, which is `v1,` and the base64 of an HMAC-SHA256 over `id.timestamp.body`.

use std::collections::BTreeMap;

use api::budget::{HookCorrection, HookHeeded};
use api::problem::Code;
use aws_lc_rs::hmac;
use axum::Json;
use axum::extract::{Path, Request, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gate::vault::open_reference;
use http::HeaderMap;
use kernel::id::RunId;
use kernel::reason::Code as LawCode;
use kernel::steer::Steer;
use kernel::time::Time;

use crate::ask::{decode, id, whole};
use crate::house::{House, Shared};
use crate::refusal::{Answer, Refusal};
use crate::words;

/// Where the secret of each sender is kept, by its name.
pub type Inbound = BTreeMap<String, String>;

/// A message says little.
const BODY_BYTES_MAX: usize = 16 << 10;
const ID_BYTES_MAX: usize = 256;
const TIMESTAMP_BYTES_MAX: usize = 20;
/// A message is of now, give or take what clocks differ by and what a message takes.
const AGE_MS_MAX: u64 = 5 * 60_000;
/// Signatures in one header: a sender that changes its secret signs with both.
const SIGNATURES_MAX: usize = 8;

/// What a closed run came to in truth, by the word of a system that proves to be itself.
pub(crate) async fn correct(
    State(house): State<Shared>,
    Path(hook): Path<String>,
    request: Request,
) -> Answer<HookHeeded> {
    let (parts, body) = request.into_parts();
    let body = whole(&parts.headers, body, BODY_BYTES_MAX).await?;
    let message = proved(&house, &hook, &parts.headers, &body)?;
    let said: HookCorrection = decode(&body)?;
    if said.why.trim().is_empty() {
        return Err(Refusal::new(Code::BadRequest, "say why").at("/why"));
    }
    let delivery = Some(house.gate.delivery_mark(&hook, message));
    let steer = Steer::Correct { outcome: words::closing(said.outcome), delivery };
    let by = format!("webhook:{hook}");
    match house.gate.run_steer(id::<RunId>(&said.run)?, steer, &said.why, &by).await? {
        Ok(receipt) => Ok(Json(HookHeeded { receipt: Some(words::receipt(receipt)), again: false })),
        // Whoever sends it again was not told that it came: now it is.
        Err(reason) if reason.code == LawCode::DeliveryRepeated => {
            Ok(Json(HookHeeded { receipt: None, again: true }))
        }
        Err(reason) => Err(Refusal::law(&reason)),
    }
}

/// The id of a message that this sender signed, and signed now. What is wrong with it is told alike, whatever it is,
/// but for its age.
fn proved<'h>(house: &House, hook: &str, headers: &'h HeaderMap, body: &Bytes) -> Result<&'h str, Refusal> {
    let refused = |detail: &str| Refusal::new(Code::SignatureRefused, detail);
    let unsigned = || refused("no sender of this name signed this message");
    let header = |name: &str| {
        let mut sent = headers.get_all(name).iter();
        let first = sent.next().and_then(|value| value.to_str().ok());
        first.filter(|_| sent.next().is_none())
    };
    let (Some(message), Some(at), Some(signatures)) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
    else {
        return Err(refused(
            "`webhook-id`, `webhook-timestamp` and `webhook-signature` are needed, once each",
        ));
    };
    if message.is_empty() || message.len() > ID_BYTES_MAX || at.len() > TIMESTAMP_BYTES_MAX {
        return Err(unsigned());
    }
    let reference = house.options.inbound.borrow().get(hook).cloned().ok_or_else(unsigned)?;
    let secret = open_reference(&reference).map_err(|error| {
        tracing::error!(%error, hook, "the secret of a webhook cannot be opened");
        unsigned()
    })?;
    let signed = [message.as_bytes(), b".", at.as_bytes(), b".", body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal());
    let is_ours = |signature: &str| {
        let tag = signature.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        tag.is_some_and(|tag| hmac::verify(&key, &signed, &tag).is_ok())
    };
    if !signatures.split(' ').take(SIGNATURES_MAX).any(is_ours) {
        return Err(unsigned());
    }
    let at =
        at.parse::<u64>().ok().map(|seconds| Time(seconds.saturating_mul(1_000))).ok_or_else(unsigned)?;
    let now = house.options.clock.now();
    if now.since_ms(at).max(at.since_ms(now)) > AGE_MS_MAX {
        return Err(refused("this message is not of now: its time is more than five minutes away"));
    }
    Ok(message)
}
