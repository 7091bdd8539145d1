//! Webhooks: people's systems are told of what happened, signed, tried again, and each event under one id for ever;
//! and chats, in words with a link.
//!
//! A hook follows the ledger and remembers how far it has told, so that a restart forgets nothing. Whoever gets the
//! same `webhook-id` twice has been told twice. The form is that of the Standard Webhooks: `webhook-id`,
//! `webhook-timestamp`, and `webhook-signature`, an HMAC-SHA256 over `id.timestamp.body`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::http::header::CONTENT_TYPE;
use ::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gate::Gate;
use gate::vault::open_reference;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::client::{self, Wire};
use crate::error::Error;
use crate::resolve::Resolver;

const CONNECT_WAIT: Duration = Duration::from_secs(5);
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Tries of one event; the waits between them double from the first.
const TRIES: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Events read at once, and how long to wait for more.
const READ_MAX: usize = 200;
const IDLE: Duration = Duration::from_secs(30);
/// Longer words are cut in a chat.
const PLAIN_CHARS_MAX: usize = 200;
const RETRY_READ: Duration = Duration::from_secs(1);
/// What comes shortly after one another is read at once.
const GATHER: Duration = Duration::from_millis(50);
/// Events that concern nobody, and may be read again after a restart.
const FORGOTTEN_MAX: u64 = 2_000;

/// What a hook is told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// People are asked for a yes, or others are because nobody answered.
    Ask,
    /// A threshold with the action `notify` or `stop` was crossed.
    Gate,
    /// A run was paused, goes on, or was extended.
    Pause,
    /// Something was halted or resumed.
    Halt,
}

/// One hook, as the configuration has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hook {
    /// An address, or where one is kept: `env:NAME`, `file:PATH`.
    pub address: String,
    pub form: Form,
    pub on: Vec<On>,
}

/// How a hook is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Form {
    /// The event itself, signed with a secret that is kept there: `env:NAME`, `file:PATH`.
    Signed { secret: String },
    /// A sentence with a link, as Slack and what is like it take it. Its address is its secret.
    Chat,
}

/// The hooks that are told of what happens, until Remit stops.
pub struct Hooks {
    gate: Gate,
    folder: PathBuf,
    console: String,
    wire: Wire,
    stop: watch::Receiver<bool>,
    /// Whoever drops the sender ends the telling.
    told: Mutex<Vec<(Hook, watch::Sender<()>)>>,
}

impl Hooks {
    /// `console`: where links lead.
    pub fn new(
        gate: &Gate,
        folder: &Path,
        console: &str,
        stop: &watch::Receiver<bool>,
    ) -> Result<Hooks, Error> {
        let connector = client::connector(CONNECT_WAIT, Resolver::system())?;
        Ok(Hooks {
            gate: gate.clone(),
            folder: folder.to_owned(),
            console: console.to_owned(),
            wire: client::wire(connector, 1, IDLE),
            stop: stop.clone(),
            told: Mutex::default(),
        })
    }

    /// From now on these are told, and no others. Who was told before goes on where it stood; who is new is told of
    /// what happens from now on. False: they were these before.
    pub fn know(&self, hooks: &[Hook]) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let before = told.len();
        told.retain(|(hook, _)| hooks.contains(hook));
        let mut changes = told.len() < before;
        for hook in hooks {
            if told.iter().all(|(known, _)| known != hook) {
                let (ends, wanted) = watch::channel(());
                tokio::spawn(self.teller(hook).run(self.stop.clone(), wanted));
                told.push((hook.clone(), ends));
                changes = true;
            }
        }
        changes
    }

    fn teller(&self, hook: &Hook) -> Teller {
        let mark = stdx::digest::Digest::of(format!("{}\n{:?}", hook.address, hook.on).as_bytes());
        let place = self.folder.join(format!("webhook-{}.next", mark.short()));
        let (gate, wire, console) = (self.gate.clone(), self.wire.clone(), self.console.clone());
        Teller { gate, hook: hook.clone(), wire, place, remembered: 0, console }
    }
}

struct Teller {
    gate: Gate,
    hook: Hook,
    wire: Wire,
    /// Holds the index of the first event that it has not told.
    place: PathBuf,
    /// What stands there.
    remembered: u64,
    /// Where links lead.
    console: String,
}

impl Teller {
    async fn run(mut self, mut stop: watch::Receiver<bool>, mut wanted: watch::Receiver<()>) {
        let known = std::fs::read_to_string(&self.place).ok().and_then(|text| text.trim().parse().ok());
        let mut next: u64 = known.unwrap_or_else(|| self.gate.counts().head_index);
        self.remember(next);
        loop {
            tokio::select! {
                told = self.round(next) => next = told,
                _ = stop.wait_for(|stop| *stop) => return,
                _ = wanted.changed() => return,
            }
        }
    }

    /// Tells what there is, or waits for it; returns where to go on.
    async fn round(&mut self, next: u64) -> u64 {
        let events = match self.gate.events(next, READ_MAX).await {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(%error, "a webhook cannot read the ledger; it is tried again");
                tokio::time::sleep(RETRY_READ).await;
                return next;
            }
        };
        if events.is_empty() {
            self.gate.wait_past(next, IDLE).await;
            return next;
        }
        let mut at = next;
        for event in events {
            if let Some(what) = wanted(&self.hook.on, &event.event) {
                self.tell(event.index, what, &event.event).await;
                at = event.index + 1;
                self.remember(at);
            }
            at = event.index + 1;
        }
        if at > self.remembered.saturating_add(FORGOTTEN_MAX) {
            self.remember(at);
        }
        tokio::time::sleep(GATHER).await;
        at
    }

    /// Beside and renamed, so that no crash leaves half a number.
    fn remember(&mut self, next: u64) {
        self.remembered = next;
        let beside = self.place.with_extension("tmp");
        let written =
            std::fs::write(&beside, next.to_string()).and_then(|()| std::fs::rename(&beside, &self.place));
        if let Err(error) = written {
            tracing::warn!(%error, "how far a webhook has told cannot be remembered; it may tell twice");
        }
    }

    async fn tell(&self, index: u64, what: &str, event: &Value) {
        let body = match &self.hook.form {
            Form::Signed { .. } => json!({
                "type": what,
                "timestamp": event.get("at"),
                "data": {
                    "index": index, "kind": event.get("kind"), "event": event.get("body"),
                    "link": link(what, event, &self.console),
                },
            }),
            Form::Chat => json!({ "text": sentence(what, event, &self.console) }),
        };
        let body = Bytes::from(body.to_string());
        let mut wait = FIRST_WAIT;
        for tried in 1..=TRIES {
            match self.send(index, body.clone()).await {
                Ok(()) => return,
                Err(why) => tracing::warn!(index, tried, why, "a webhook was not delivered"),
            }
            if tried < TRIES {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
        tracing::error!(index, what, "a webhook was given up: nobody was told of this event");
    }

    async fn send(&self, index: u64, body: Bytes) -> Result<(), String> {
        let uri = address(&self.hook.address)?;
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Form::Signed { secret } = &self.hook.form {
            let secret = open_reference(secret).map_err(|error| error.to_string())?;
            let now_seconds = self.gate.now().0 / 1_000;
            *request.headers_mut() = signed(index, now_seconds, &body, secret.reveal());
        }
        match tokio::time::timeout(ANSWER_WAIT, self.wire.request(request)).await {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
            Ok(Ok(answer)) => Err(status(answer.status())),
            Ok(Err(error)) if client::is_private(&error) => {
                Err("its name leads to a private address".to_owned())
            }
            Ok(Err(_)) => Err("it cannot be reached".to_owned()),
            Err(_) => Err("it did not answer in time".to_owned()),
        }
    }
}

/// Where a hook is: written out, or kept elsewhere. It may hold a secret of its own, so no error repeats it.
pub(crate) fn address(written: &str) -> Result<Uri, String> {
    let text = match written.starts_with("env:") || written.starts_with("file:") {
        true => {
            let secret = open_reference(written).map_err(|error| error.to_string())?;
            String::from_utf8(secret.reveal().to_vec()).map_err(|_| "its address is no text".to_owned())?
        }
        false => written.to_owned(),
    };
    text.parse().map_err(|_| "its address cannot be read".to_owned())
}

fn status(status: StatusCode) -> String {
    format!("it answered {}", status.as_u16())
}

/// Which type of news an event is, if the hook wants it.
fn wanted(on: &[On], event: &Value) -> Option<&'static str> {
    let action = || event.pointer("/body/action").and_then(Value::as_str);
    // Of what a run proposes the first is news; who looks sees the rest beside it.
    let joins =
        || event.pointer("/body/asked/with").is_some_and(|with| Some(with) != event.pointer("/body/call"));
    let asks = || event.pointer("/body/ruling").and_then(Value::as_str) == Some("ask") && !joins();
    let (kind, what) = match event.get("kind").and_then(Value::as_str)? {
        "call_decided" if asks() => (On::Ask, "ask.waits"),
        "ask_escalated" => (On::Ask, "ask.escalated"),
        "threshold_crossed" if matches!(action(), Some("notify" | "stop")) => (On::Gate, "gate.crossed"),
        "run_paused" => (On::Pause, "run.paused"),
        "run_resumed" => (On::Pause, "run.resumed"),
        "run_extended" => (On::Pause, "run.extended"),
        "halted" => (On::Halt, "halt.began"),
        "resumed" => (On::Halt, "halt.ended"),
        _ => return None,
    };
    on.contains(&kind).then_some(what)
}

/// Where a person looks at it in the console, if it is about one call or one run.
fn link(what: &str, event: &Value, console: &str) -> Option<String> {
    let text = |at: &str| event.pointer(at).and_then(Value::as_str).map(plain);
    match what {
        "ask.waits" | "ask.escalated" => Some(format!("{console}/inbox/{}", text("/body/call")?)),
        _ => Some(format!("{console}/runs/{}", text("/body/run")?)),
    }
}

/// One event in words. It holds names and no arguments; what an agent wrote itself stays out of people's chats.
fn sentence(what: &str, event: &Value, console: &str) -> String {
    let text = |at: &str| event.pointer(&format!("/body{at}")).and_then(Value::as_str).unwrap_or("?");
    let named = |at: &str| plain(text(at));
    match what {
        "ask.waits" => {
            let groups = event.pointer("/body/reasons/0/ask").and_then(Value::as_array);
            let groups = groups.into_iter().flatten().filter_map(Value::as_str).map(plain);
            let groups = groups.collect::<Vec<_>>().join(" and ");
            let link = format!("{console}/inbox/{}", named("/call"));
            match event.pointer("/body/asked/with") {
                Some(_) => format!(
                    "{} proposes to write, and {groups} may say yes or no: first {}. {link}",
                    named("/agent"),
                    named("/tool")
                ),
                None => format!("{} asks {groups} for a yes: {}. {link}", named("/agent"), named("/tool")),
            }
        }
        "ask.escalated" => format!(
            "{} still waits for {}; {} may answer too: {}. {console}/inbox/{}",
            named("/agent"),
            named("/group"),
            named("/to"),
            named("/tool"),
            named("/call")
        ),
        "gate.crossed" => {
            let percent = event.pointer("/body/percent").and_then(Value::as_u64).unwrap_or(0);
            format!(
                "{} has used {percent} percent of a budget. {console}/runs/{}",
                named("/agent"),
                named("/run")
            )
        }
        "halt.began" => format!("{} was halted by {}: {}", named("/scope"), named("/by"), named("/why")),
        "halt.ended" => format!("{} goes on, says {}: {}", named("/scope"), named("/by"), named("/why")),
        other => {
            let end = other.rsplit('.').next().unwrap_or(other);
            format!(
                "a run was {end} by {}: {}. {console}/runs/{}",
                named("/by"),
                named("/why"),
                named("/run")
            )
        }
    }
}

/// A name or a reason in a chat: no markup of its own, so that nobody writes a link or calls a channel with it.
fn plain(text: &str) -> String {
    let shown = text.chars().filter(|letter| !letter.is_control()).take(PLAIN_CHARS_MAX);
    shown.collect::<String>().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The same event has the same id for ever; only its time and its signature are of this try.
fn signed(index: u64, now_seconds: u64, body: &[u8], secret: &[u8]) -> HeaderMap {
    signed_as(format!("remit_{index}"), now_seconds, body, secret)
}

pub(crate) fn signed_as(id: String, now_seconds: u64, body: &[u8], secret: &[u8]) -> HeaderMap {
    let at = now_seconds.to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    for part in [id.as_bytes(), b".", at.as_bytes(), b".", body] {
        context.update(part);
    }
    let signature = format!("v1,{}", STANDARD.encode(context.sign()));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [("webhook-id", id), ("webhook-timestamp", at), ("webhook-signature", signature)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests;
