//! Rounds (2026-07-28): a server may want input before it goes on, and the client then asks again with the answers.
//!
//! What the server may want is what its contract offers and the client can do. Each answer is a call on the line of its
//! own (`server.elicit`, `server.sample`, `server.list_roots`) before the server hears of it. The server's own state is
//! nested in ours, which is sealed: only this key may go on with it, on the same request, in time.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use gate::port::Feed;
use gate::{Answered, CallAsk};
use kernel::contract::Contract;
use kernel::id::RunId;
use serde_json::{Value, json};
use stdx::digest::Digest;
use stdx::encode::{base64url, unbase64url};
use tokio::time::Instant;

use super::methods::Request;
use super::refused::Refused;
use super::{Visit, offers};
use crate::mcp::era::{self, InputRequired};
use crate::mcp::via::{ANSWER, CAPABILITIES, QUESTIONS};
use crate::mcp::wire::{self, Members};

/// A person may take their time.
pub(super) const STATE_TTL: Duration = Duration::from_secs(15 * 60);
/// What a server may want, and its state, together.
const STATE_BYTES_MAX: usize = 64 * 1024;

/// What a round begins with.
pub(super) enum Begun {
    /// The feed, with what the reach is told of the client.
    With(Feed),
    /// An answer that may not be given, by the name of the tool that stands for it.
    Denied(String, Answered),
}

/// One request that may take several rounds.
pub(super) struct Round<'r> {
    visit: &'r Visit,
    server: &'r str,
    capabilities: Members,
    /// Who asks, and for what: a state is good for nothing else.
    bound: Vec<u8>,
    run: RunId,
}

impl<'r> Round<'r> {
    /// None: in this revision or on this tool a server cannot want anything.
    pub(super) fn of(
        request: &Request<'r>,
        contract: &'r Contract,
        args: &Value,
        run: RunId,
    ) -> Option<Self> {
        let is_mcp = contract.via.get("mcp").is_some();
        if !request.version.is_stateless() || !is_mcp || !era::may_want(&request.method) {
            return None;
        }
        let (visit, server) = (request.visit, contract.server.as_str());
        let can = request.params.get("_meta").and_then(|meta| meta.get(era::META_CLIENT_CAPABILITIES));
        let mut capabilities = Members::new();
        for (method, name) in QUESTIONS {
            let can = can.and_then(|can| can.get(name)).filter(|_| question(visit, server, method).is_some());
            capabilities.extend(can.map(|can| (name.to_owned(), can.clone())));
        }
        let bound = json!([visit.caller.key.to_string(), contract.name, args]);
        let bound = Digest::of(&stdx::json::canonical(&bound)).to_string().into_bytes();
        Some(Round { visit, server, capabilities, bound, run })
    }

    /// Answers without a state of ours answer nothing that was asked: the server is asked from the beginning.
    pub(super) async fn begun(round: Option<&Self>, params: &Members, feed: Feed) -> Result<Begun, Refused> {
        let Some(round) = round else { return Ok(Begun::With(feed)) };
        let aside = Members::from_iter([(CAPABILITIES.to_owned(), round.capabilities.clone().into())]);
        match params.get(era::REQUEST_STATE).filter(|state| !state.is_null()) {
            Some(state) => round.resumed(state, params, aside, feed).await,
            None => Ok(Begun::With(feed.with_aside(aside.into()))),
        }
    }

    async fn resumed(
        &self,
        state: &Value,
        params: &Members,
        mut aside: Members,
        feed: Feed,
    ) -> Result<Begun, Refused> {
        let states = &self.visit.door.states;
        let wanted = state.as_str().and_then(|state| states.open(state, &self.bound)).ok_or_else(|| {
            let words =
                "`requestState` was not given out for this request, or is too old: ask again without it";
            Refused::params(words)
        })?;
        let answers = params.get(era::INPUT_RESPONSES).and_then(Value::as_object);
        let mut given = Members::new();
        for (name, asked) in &wanted.requests {
            // What is left out, or is no answer, the server asks for again.
            let Some(answer) = answers.and_then(|answers| answers.get(name)).filter(|it| it.is_object())
            else {
                continue;
            };
            match self.answer(asked, answer).await? {
                Ok(answer) => given.insert(name.clone(), answer),
                Err((tool, denied)) => return Ok(Begun::Denied(tool, denied)),
            };
        }
        aside.insert(era::INPUT_RESPONSES.to_owned(), given.into());
        aside.extend(wanted.state.map(|state| (era::REQUEST_STATE.to_owned(), state.into())));
        Ok(Begun::With(feed.with_aside(aside.into())))
    }

    /// Walks the line with one answer; what comes back is what the server may hear.
    async fn answer(
        &self,
        asked: &Value,
        answer: &Value,
    ) -> Result<Result<Value, (String, Answered)>, Refused> {
        let method = asked.get("method").and_then(Value::as_str).unwrap_or_default();
        let tool = question(self.visit, self.server, method).ok_or_else(|| unasked(method))?;
        let args = asked.get("params").cloned().unwrap_or_else(|| json!({}));
        let (reason, model, context_tokens, idempotency_key) = (None, None, None, None);
        let ask = CallAsk {
            run: self.run,
            tool: tool.clone(),
            args,
            reason,
            model,
            context_tokens,
            idempotency_key,
        };
        let feed = Feed::default().with_aside(json!({ ANSWER: answer }));
        let answered = self.visit.door.gate.call_fed(&self.visit.caller, ask, feed, None).await;
        let answered = answered.map_err(|error| Refused::house(&error))?;
        match answered.result.clone() {
            Some(answer) if answered.verdict.allows() => Ok(Ok(answer)),
            _ => Ok(Err((tool, answered))),
        }
    }

    /// A result as the client gets it: what is wanted is checked, and the server's state is nested in ours.
    pub(super) fn ended(round: Option<&Self>, mut result: Members) -> Result<Members, Refused> {
        let (Some(round), Some(wanted)) = (round, era::input_required(&result)) else { return Ok(result) };
        for asked in wanted.requests.values() {
            let method = asked.get("method").and_then(Value::as_str).unwrap_or_default();
            let capability = QUESTIONS.iter().find(|(it, _)| *it == method).map(|(_, name)| *name);
            if !capability.is_some_and(|name| round.capabilities.contains_key(name)) {
                return Err(unasked(method));
            }
        }
        let state = round.visit.door.states.seal(&wanted, &round.bound);
        let state = state.ok_or_else(|| {
            Refused::new(wire::INTERNAL_ERROR, "the server wants more input than Remit passes on").recorded()
        })?;
        result.insert(era::REQUEST_STATE.to_owned(), state.into());
        Ok(result)
    }
}

/// The name of the tool that stands for what the server asks, if it could ever be allowed to this caller.
fn question(visit: &Visit, server: &str, method: &str) -> Option<String> {
    let contracts = offers::contracts(visit, method);
    contracts.iter().find(|contract| contract.server == server).map(|contract| contract.name.clone())
}

fn unasked(method: &str) -> Refused {
    let words = format!("the server asks the client for `{method}`, which its contract does not let it");
    Refused::new(wire::INTERNAL_ERROR, words).recorded()
}

// ---- States -----------------------------------------------------------------------------------------------

/// Seals what a client gives back. The key is of this process: after a restart the client begins again.
pub(super) struct States {
    key: Option<RandomizedNonceKey>,
    began: Instant,
}

impl Default for States {
    fn default() -> States {
        let mut key = [0; 32];
        let key = rand::fill(&mut key).and_then(|()| RandomizedNonceKey::new(&AES_256_GCM, &key)).ok();
        States { key, began: Instant::now() }
    }
}

impl States {
    /// None: it is too long.
    pub(super) fn seal(&self, wanted: &InputRequired, bound: &[u8]) -> Option<String> {
        let until = (self.began.elapsed() + STATE_TTL).as_millis().to_string();
        let mut bytes = stdx::json::canonical(&json!([until, wanted.requests, wanted.state]));
        if bytes.len() > STATE_BYTES_MAX {
            return None;
        }
        let nonce = self.key.as_ref()?.seal_in_place_append_tag(Aad::from(bound), &mut bytes).ok()?;
        bytes.extend_from_slice(nonce.as_ref());
        Some(base64url(&bytes))
    }

    /// None: it is not ours, not for this request, or too old.
    pub(super) fn open(&self, state: &str, bound: &[u8]) -> Option<InputRequired> {
        let mut bytes = unbase64url(state)?;
        let nonce = bytes.split_off(bytes.len().checked_sub(NONCE_LEN)?);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        let plain = self.key.as_ref()?.open_in_place(nonce, Aad::from(bound), &mut bytes).ok()?;
        let (until, requests, state): (String, Members, Option<String>) =
            serde_json::from_slice(plain).ok()?;
        let until = Duration::from_millis(until.parse().ok()?);
        (self.began.elapsed() <= until).then_some(InputRequired { requests, state })
    }
}
