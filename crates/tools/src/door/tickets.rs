//! Tickets: calls that wait for people, and how each kind of client waits with them.
//!
//! A client of 2026-07-28 is told in a result (`input_required`) and asks again with a state that is sealed for it: it
//! may be restarted in between, and so may Remit. One with a session is sent to the console where it can be
//! (`elicitation/create`, mode `url`), and is held with progress for a while. Whoever has waited long enough is told
//! the ticket: the very same call, made again, waits on. Nobody's hang-up changes anything of what waits.

use std::time::Duration;

use gate::error::Error;
use gate::{Answered, Ticket};
use kernel::id::CallId;
use serde_json::{Value, json};
use stdx::digest::Digest;
use tokio::time::Instant;

use super::Visit;
use super::methods::Request;
use super::questions::Client;
use super::refused::Refused;
use super::told;
use crate::mcp::era::{self, Version};
use crate::mcp::wire::{self, Members};

/// What our states begin with: others are of questions that servers ask (`states.rs`).
const PREFIX: &str = "tk_";
/// How often a client is told to ask again with its state. Clients give up after ten rounds, with an error that says
/// less than what they are told here.
const ROUNDS_MAX: u64 = 8;
/// A state outlives its ticket by so much: whoever comes late is told how it ended.
const LATE_MS: u64 = 3_600_000;
/// How often a client that is held hears that it still waits.
const PROGRESS: Duration = Duration::from_secs(5);
/// The name of our one question.
const QUESTION: &str = "approval";

/// What a wait came to.
pub(super) enum Waited {
    Over(Box<Answered>),
    /// What the client is told meanwhile.
    Told(Members),
}

/// One request that waits: who asks, and for exactly what.
pub(super) struct Wait<'r> {
    request: &'r Request<'r>,
    tool: String,
    /// What is asked for, read again where it is wanted: few calls wait.
    args: Args<'r>,
    /// How often the client has come back.
    rounds: u64,
}

type Args<'r> = Box<dyn Fn() -> Value + Send + Sync + 'r>;

impl<'r> Wait<'r> {
    pub(super) fn of(
        request: &'r Request<'r>,
        tool: &str,
        args: impl Fn() -> Value + Send + Sync + 'r,
    ) -> Wait<'r> {
        Wait { request, tool: tool.to_owned(), args: Box::new(args), rounds: 0 }
    }

    /// A state is good for this agent and this request alone.
    fn bound(&self) -> Vec<u8> {
        let bound = json!([self.request.visit.caller.agent, self.tool, (self.args)()]);
        Digest::of(&stdx::json::canonical(&bound)).to_string().into_bytes()
    }

    /// The ticket whose state the client brings back, if it brings one of ours.
    pub(super) fn brought_back(&mut self) -> Result<Option<CallId>, Refused> {
        let state = self.request.params.get(era::REQUEST_STATE).and_then(Value::as_str);
        let Some(state) = state.and_then(|state| state.strip_prefix(PREFIX)) else { return Ok(None) };
        if self.request.session.is_some() {
            return Err(not_ours());
        }
        let gate = &self.request.visit.door.gate;
        let words = gate.open_state(state, &self.bound()).ok_or_else(not_ours)?;
        let (ticket, until, rounds): (CallId, u64, u64) =
            serde_json::from_slice(&words).map_err(|_| not_ours())?;
        if gate.now().0 > until {
            return Err(not_ours());
        }
        self.rounds = rounds;
        Ok(Some(ticket))
    }

    /// Goes on with a ticket that was brought back.
    pub(super) async fn taken_up(&self, ticket: CallId) -> Result<Waited, Refused> {
        let answered = self.ask(ticket, Duration::ZERO).await?;
        match answered.ticket.clone() {
            Some(ticket) => self.wait(ticket).await,
            None => Ok(Waited::Over(Box::new(answered))),
        }
    }

    /// As long as this kind of client waits.
    pub(super) async fn wait(&self, ticket: Ticket) -> Result<Waited, Refused> {
        let (request, hold) = (self.request, self.hold());
        // What is only proposed holds nobody.
        if ticket.proposed {
            return Ok(Waited::Told(self.pending(&ticket)));
        }
        let Some(session) = request.session else { return self.in_results(ticket, hold).await };
        let can = session.capabilities.get("elicitation").is_some_and(|can| can.get("url").is_some());
        let client = Client::of(session, request.asks.clone());
        let client = client.filter(|_| can && request.version >= Version::V2025_11_25);
        let over = match client {
            Some(client) => self.sent_to_the_console(&client, &ticket, hold).await?,
            None => self.held(&ticket, hold).await?,
        };
        Ok(over.map_or_else(|| Waited::Told(self.pending(&ticket)), |over| Waited::Over(Box::new(over))))
    }

    // ---- Clients that are asked in results ----------------------------------------------------------------

    async fn in_results(&self, ticket: Ticket, hold: Duration) -> Result<Waited, Refused> {
        let meta = self.request.params.get("_meta");
        let can =
            meta.and_then(|meta| meta.get(era::META_CLIENT_CAPABILITIES)?.get("elicitation")?.get("url"));
        if self.rounds == 0 && can.is_some() {
            let asked =
                json!({ QUESTION: { "method": "elicitation/create", "params": self.address(&ticket) } });
            return self.again(&ticket, Some(asked)).map(Waited::Told);
        }
        if self.is_unwanted() {
            return Ok(Waited::Told(self.pending(&ticket)));
        }
        if let Some(over) = self.held(&ticket, hold).await? {
            return Ok(Waited::Over(Box::new(over)));
        }
        if self.rounds >= ROUNDS_MAX {
            return Ok(Waited::Told(self.pending(&ticket)));
        }
        self.again(&ticket, None).map(Waited::Told)
    }

    /// Whether the client's person does not want to wait for it.
    fn is_unwanted(&self) -> bool {
        let answers = self.request.params.get(era::INPUT_RESPONSES);
        let action = answers.and_then(|all| all.get(QUESTION)?.get("action")).and_then(Value::as_str);
        matches!(action, Some("decline" | "cancel"))
    }

    fn again(&self, ticket: &Ticket, asked: Option<Value>) -> Result<Members, Refused> {
        let until = ticket.expires.plus_ms(LATE_MS).0;
        let words = stdx::json::canonical(&json!([ticket.call, until, self.rounds + 1]));
        let state =
            self.request.visit.door.gate.seal_state(&words, &self.bound()).ok_or_else(|| {
                Refused::new(wire::INTERNAL_ERROR, "the state could not be sealed").recorded()
            })?;
        let mut result = Members::new();
        result.insert("resultType".to_owned(), "input_required".into());
        result.extend(asked.map(|asked| ("inputRequests".to_owned(), asked)));
        result.insert(era::REQUEST_STATE.to_owned(), format!("{PREFIX}{state}").into());
        result.insert("_meta".to_owned(), json!({ told::META_TICKET: self.told(ticket) }));
        Ok(result)
    }

    // ---- Clients that are held ----------------------------------------------------------------------------

    /// Sends the client's person to the console while it is held. Only an approver can answer there; whoever says here
    /// that they do not want to go there is held no longer.
    async fn sent_to_the_console(
        &self,
        client: &Client,
        ticket: &Ticket,
        hold: Duration,
    ) -> Result<Option<Answered>, Refused> {
        let mut params = self.address(ticket);
        params.insert("elicitationId".to_owned(), ticket.call.to_string().into());
        let mut held = std::pin::pin!(self.held(ticket, hold));
        let said = tokio::select! {
            biased;
            over = held.as_mut() => return over,
            said = client.ask("elicitation/create", params) => said,
        };
        let action = said.as_ref().ok().and_then(|said| said.get("action")).and_then(Value::as_str);
        if matches!(action, Some("decline" | "cancel")) {
            return Ok(None);
        }
        held.await
    }

    fn hold(&self) -> Duration {
        Duration::from_millis(self.request.visit.door.gate.rules().book.house.approvals.hold_ms)
    }

    /// Waits, and says so now and then. None: it waits still.
    async fn held(&self, ticket: &Ticket, hold: Duration) -> Result<Option<Answered>, Refused> {
        let (began, mut unwanted) = (Instant::now(), self.request.unwanted.clone());
        let mut cancelled = std::pin::pin!(async {
            let gone = match &mut unwanted {
                Some(unwanted) => unwanted.wait_for(|unwanted| *unwanted).await.is_ok(),
                None => false,
            };
            if !gone {
                std::future::pending::<()>().await;
            }
        });
        loop {
            let left = hold.saturating_sub(began.elapsed());
            let answered = tokio::select! {
                biased;
                () = cancelled.as_mut() => return Ok(None),
                answered = self.ask(ticket.call, left.min(PROGRESS)) => answered?,
            };
            if answered.ticket.is_none() {
                return Ok(Some(answered));
            }
            if began.elapsed() >= hold {
                return Ok(None);
            }
            let message = match answered.ticket {
                Some(ticket) if !ticket.groups.is_empty() => {
                    format!("still waiting for a yes from {}", ticket.groups.join(" and "))
                }
                _ => "people said yes; it is under way".to_owned(),
            };
            let params = json!({ "progress": began.elapsed().as_secs(), "message": message });
            self.request.feed.send(json!({ "method": "notifications/progress", "params": params }));
        }
    }

    async fn ask(&self, ticket: CallId, wait: Duration) -> Result<Answered, Refused> {
        let Visit { door, caller, .. } = self.request.visit;
        door.gate.wait_ticket(caller, ticket, wait).await.map_err(|error| match error {
            Error::NotFound { .. } => not_ours(),
            error => Refused::house(&error),
        })
    }

    // ---- Words --------------------------------------------------------------------------------------------

    fn address(&self, ticket: &Ticket) -> Members {
        let message = format!(
            "Remit asks a person before `{}` is called. An approver of {} can say yes or no there; the page shows \
             exactly what is asked.",
            ticket.tool,
            ticket.groups.join(" and ")
        );
        let url = self.console(ticket);
        let members = [("mode", Value::from("url")), ("message", message.into()), ("url", url.into())];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn console(&self, ticket: &Ticket) -> String {
        format!("{}/inbox/{}", self.request.visit.door.console, ticket.call)
    }

    fn told(&self, ticket: &Ticket) -> Value {
        told::ticket(ticket, &self.request.visit.door.console)
    }

    fn pending(&self, ticket: &Ticket) -> Members {
        told::pending(ticket, self.told(ticket))
    }
}

fn not_ours() -> Refused {
    Refused::params("`requestState` was not given out for this request, or is too old: ask again without it")
}
