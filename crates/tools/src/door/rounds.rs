//! Rounds: a server may want to know more before it goes on, and whoever calls it is asked.
//!
//! What a server may want is what its contract offers and the client can do. A server of 2026-07-28 says it in its
//! result and is called again with the answers; one of 2025-11-25 or older asks while its call is under way. A client
//! of 2026-07-28 is told in a result and asks again (`states.rs`, `live.rs`); one with a session is asked on its
//! stream (`questions.rs`). Either way each answer is a call on the line of its own (`server.elicit`, `server.sample`,
//! `server.list_roots`) before the server hears of it.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gate::error::Error;
use gate::port::{Feed, Question};
use gate::{Answered, CallAsk};
use kernel::call::Outcome;
use kernel::contract::Contract;
use serde_json::{Value, json};
use stdx::digest::Digest;
use tokio::sync::{mpsc, watch};

use super::live::{self, Live, Parked, Step};
use super::methods::Request;
use super::questions::Client;
use super::refused::{REFUSED, Refused};
use super::{Visit, offers};
use crate::mcp::era::{self, InputRequired, Version};
use crate::mcp::via::{ANSWER, CAPABILITIES, QUESTIONS};
use crate::mcp::wire::{self, Members, RpcError};

/// How often one request of a client with a session may be made again because its server wants more.
const ROUNDS_MAX: usize = 16;

/// What a request came to.
pub(super) enum Walked {
    Told(Members),
    /// An answer that may not be given, by the name of the tool that stands for it.
    Denied(String, Box<Answered>),
    /// People are asked first.
    Asked(Box<Answered>),
    House(Error),
}

/// One request that may take several rounds.
pub(super) struct Round<'r> {
    visit: &'r Visit,
    server: &'r str,
    capabilities: Members,
    contract: &'r Contract,
    ask: &'r CallAsk,
    /// None: the client is asked in results.
    client: Option<Client>,
}

/// Where a call begins, or goes on.
enum Begun {
    /// With what the reach is told of the client.
    With(Value),
    Live(Box<Live>),
    Denied(String, Box<Answered>),
}

// What is seldom waited for stands in boxes: the state of a call that is under way is moved several times, and would
// else be as large as the largest of it.

/// Carries a call out; in as many rounds as its server wants and its client answers.
pub(super) async fn walk(
    request: &Request<'_>,
    contract: Option<&Contract>,
    ask: CallAsk,
    told: impl Fn(Answered) -> Result<Members, Refused>,
) -> Result<Walked, Refused> {
    let Request { visit, feed, unwanted, .. } = request;
    let Some(round) = contract.and_then(|contract| Round::of(request, contract, &ask)) else {
        let answered = visit.door.gate.call_fed(&visit.caller, ask, feed.clone(), unwanted.clone()).await;
        return match answered {
            Ok(answered) if answered.ticket.is_some() => Ok(Walked::Asked(Box::new(answered))),
            Ok(answered) => Ok(Walked::Told(told(answered)?)),
            Err(error) => Ok(Walked::House(error)),
        };
    };
    let mut begun = round.begun(&request.params).await?;
    for _ in 0..ROUNDS_MAX {
        let answered = match begun {
            Begun::Denied(tool, denied) => return Ok(Walked::Denied(tool, denied)),
            Begun::Live(live) => Box::pin(round.go_on(live)).await?,
            Begun::With(aside) => {
                let feed = feed.clone().with_aside(aside);
                round.carried(ask.clone(), feed, unwanted.clone()).await?
            }
        };
        let result = match answered {
            Came::Asks(wanted) => return Ok(Walked::Told(wanted)),
            Came::Ended(ended) => match *ended {
                Err(error) => return Ok(Walked::House(error)),
                Ok(answered) if answered.ticket.is_some() => return Ok(Walked::Asked(Box::new(answered))),
                Ok(answered) => told(answered)?,
            },
        };
        match (era::input_required(&result), &round.client) {
            (None, _) => return Ok(Walked::Told(result)),
            (Some(wanted), None) => return round.told_wanted(&wanted, result).map(Walked::Told),
            (Some(wanted), Some(client))
                if wanted.requests.values().all(|asked| round.may(asked).is_ok()) =>
            {
                begun = Begun::With(Box::pin(round.answers(client, wanted)).await?);
            }
            // What the client cannot be asked, its revision says as well as it can.
            (Some(_), Some(_)) => return Ok(Walked::Told(result)),
        }
    }
    Err(Refused::new(wire::INTERNAL_ERROR, "the server wants to know more without end").recorded())
}

/// How far a call came.
enum Came {
    Ended(Box<Result<Answered, Error>>),
    Asks(Members),
}

impl<'r> Round<'r> {
    /// None: in this revision or of this client a server cannot want anything.
    fn of(request: &Request<'r>, contract: &'r Contract, ask: &'r CallAsk) -> Option<Self> {
        if contract.via.get("mcp").is_none() || !era::may_want(&request.method) {
            return None;
        }
        let (visit, server) = (request.visit, contract.server.as_str());
        let client = request.session.and_then(|session| Client::of(session, request.asks.clone()));
        let can = match request.session {
            Some(session) => client.is_some().then_some(&session.capabilities),
            None => {
                let meta = request.params.get("_meta");
                meta.and_then(|meta| meta.get(era::META_CLIENT_CAPABILITIES)?.as_object())
            }
        };
        let mut capabilities = Members::new();
        for (method, name) in QUESTIONS {
            let can = can.and_then(|can| can.get(name)).filter(|_| has(request.version, method));
            let can = can.filter(|_| offers::question(visit, server, method).is_some());
            capabilities.extend(can.map(|can| (name.to_owned(), can.clone())));
        }
        // Older clients have nothing to say of rounds, so there are none where none can be asked.
        if capabilities.is_empty() && request.session.is_some() {
            return None;
        }
        Some(Round { visit, server, capabilities, contract, ask, client })
    }

    /// Who asks, and for what: a state is good for nothing else.
    fn bound(&self) -> Vec<u8> {
        let bound = json!([self.visit.caller.key.to_string(), self.contract.name, self.ask.args]);
        Digest::of(&stdx::json::canonical(&bound)).to_string().into_bytes()
    }

    /// Answers without a state of ours answer nothing that was asked: the server is asked from the beginning.
    async fn begun(&self, params: &Members) -> Result<Begun, Refused> {
        let state = params.get(era::REQUEST_STATE).filter(|state| !state.is_null());
        let Some(state) = state.filter(|_| self.client.is_none()) else {
            return Ok(Begun::With(self.aside().into()));
        };
        let states = &self.visit.door.states;
        let opened = state.as_str().and_then(|state| states.open(state, &self.bound()));
        let (wanted, parked) = opened.ok_or_else(too_old)?;
        let answers = params.get(era::INPUT_RESPONSES).and_then(Value::as_object);
        // What is left out, or is no answer, the server asks for again.
        let answer = |name: &String| answers.and_then(|all| all.get(name)).filter(|it| it.is_object());
        if let Some(name) = parked {
            let live = self.visit.door.parked.take(&name, self.visit.caller.key).ok_or_else(too_old)?;
            return Box::pin(self.taken_up(live, &wanted.requests, answer)).await;
        }
        let mut given = Members::new();
        for (name, asked) in &wanted.requests {
            let Some(answer) = answer(name) else { continue };
            match Box::pin(self.answer(asked, answer)).await? {
                Ok(answer) => given.insert(name.clone(), answer),
                Err((tool, denied)) => return Ok(Begun::Denied(tool, denied)),
            };
        }
        Ok(Begun::With(self.aside_with(given, wanted.state)))
    }

    /// A call that waits for answers goes on with those that there are; its server is told which may not be given.
    async fn taken_up<'a>(
        &self,
        mut live: Live,
        requests: &Members,
        answer: impl Fn(&String) -> Option<&'a Value>,
    ) -> Result<Begun, Refused> {
        for (name, asked) in requests {
            let Some(answer) = answer(name) else { continue };
            let answer = match self.answer(asked, answer).await? {
                Ok(answer) => Ok(answer),
                Err((tool, denied)) => Err(refusal(&tool, &denied)),
            };
            live.answer(name, answer);
        }
        Ok(Begun::Live(Box::new(live)))
    }

    async fn carried(
        &self,
        ask: CallAsk,
        feed: Feed,
        unwanted: Option<watch::Receiver<bool>>,
    ) -> Result<Came, Refused> {
        let (gate, caller) = (&self.visit.door.gate, &self.visit.caller);
        if self.capabilities.is_empty() {
            let ended = gate.call_fed(caller, ask, feed, unwanted).await;
            return Ok(Came::Ended(Box::new(ended)));
        }
        let Some(client) = &self.client else {
            let live = Box::new(Live::begin(gate.clone(), caller.clone(), ask, feed));
            return Box::pin(self.go_on(live)).await;
        };
        Box::pin(self.carried_and_asked(client, ask, feed, unwanted)).await
    }

    /// As `carried`, for a client that answers while its call is under way.
    async fn carried_and_asked(
        &self,
        client: &Client,
        ask: CallAsk,
        feed: Feed,
        unwanted: Option<watch::Receiver<bool>>,
    ) -> Result<Came, Refused> {
        let (gate, caller) = (&self.visit.door.gate, &self.visit.caller);
        let (to, mut questions) = mpsc::channel(live::OPEN_MAX);
        let work = gate.call_fed(caller, ask, feed.with_questions(to), unwanted);
        let mut work = std::pin::pin!(work);
        let mut answering = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                // What is still asked is taken back with `answering`.
                came = work.as_mut() => return Ok(Came::Ended(Box::new(came))),
                Some(()) = answering.next() => {}
                Some(question) = questions.recv(), if answering.len() < live::OPEN_MAX => {
                    answering.push(self.put(client, question));
                }
            }
        }
    }

    /// Goes on with a call for a client that is asked in results, until it is over or the client must be asked.
    async fn go_on(&self, mut live: Box<Live>) -> Result<Came, Refused> {
        let asks = live.wanted();
        let asks = if asks.is_empty() { live.step().await } else { Step::Asks(asks) };
        let wanted = match asks {
            Step::Came(came) => return Ok(Came::Ended(came)),
            Step::Asks(wanted) => wanted,
        };
        for (name, asked) in &wanted {
            if let Err(refused) = self.may(asked) {
                live.answer(name, Err(*refused.error));
            }
        }
        let requests = live.wanted();
        if requests.is_empty() {
            return Box::pin(self.go_on(live)).await;
        }
        let (parked, owner) = (&self.visit.door.parked, self.visit.caller.key);
        let parked = Parked::park(parked, *live, owner).ok_or_else(|| {
            let words = "too many calls of this key wait for answers to their servers; answer those first";
            Refused::new(wire::INTERNAL_ERROR, words).recorded()
        })?;
        let wanted = InputRequired { requests, state: None };
        let result = Members::from_iter([
            ("resultType".to_owned(), "input_required".into()),
            ("inputRequests".to_owned(), wanted.requests.clone().into()),
        ]);
        self.sealed(&wanted, Some(&parked), result).map(Came::Asks)
    }

    /// A result as a client of 2026-07-28 gets it: what is wanted is checked, and the server's state is nested in ours.
    fn told_wanted(&self, wanted: &InputRequired, result: Members) -> Result<Members, Refused> {
        wanted.requests.values().try_for_each(|asked| self.may(asked).map(drop))?;
        self.sealed(wanted, None, result)
    }

    fn sealed(
        &self,
        wanted: &InputRequired,
        parked: Option<&str>,
        mut result: Members,
    ) -> Result<Members, Refused> {
        let state = self.visit.door.states.seal(wanted, parked, &self.bound()).ok_or_else(|| {
            Refused::new(wire::INTERNAL_ERROR, "the server wants more input than Remit passes on").recorded()
        })?;
        result.insert(era::REQUEST_STATE.to_owned(), state.into());
        Ok(result)
    }

    fn aside(&self) -> Members {
        Members::from_iter([(CAPABILITIES.to_owned(), self.capabilities.clone().into())])
    }

    fn aside_with(&self, given: Members, state: Option<String>) -> Value {
        let mut aside = self.aside();
        aside.insert(era::INPUT_RESPONSES.to_owned(), given.into());
        aside.extend(state.map(|state| (era::REQUEST_STATE.to_owned(), state.into())));
        aside.into()
    }

    /// The name of the tool that stands for what the server asks, if it may and the client can.
    fn may(&self, asked: &Value) -> Result<String, Refused> {
        let method = asked.get("method").and_then(Value::as_str).unwrap_or_default();
        let capability = QUESTIONS.iter().find(|(it, _)| *it == method).map(|(_, name)| *name);
        let can = capability.and_then(|name| self.capabilities.get(name));
        let mode = asked.get("params").and_then(|params| params.get("mode")).and_then(Value::as_str);
        // An address to visit is asked for only of those who say that they can be sent there.
        let can = can.filter(|can| mode != Some("url") || can.get("url").is_some());
        can.and_then(|_| offers::question(self.visit, self.server, method)).ok_or_else(|| unasked(method))
    }

    // ---- Answers ------------------------------------------------------------------------------------------

    /// Walks the line with an answer that is there already; what comes back is what the server may hear.
    async fn answer(
        &self,
        asked: &Value,
        answer: &Value,
    ) -> Result<Result<Value, (String, Box<Answered>)>, Refused> {
        let tool = self.may(asked)?;
        let feed = Feed::default().with_aside(json!({ ANSWER: answer }));
        let ask = self.question(&tool, asked);
        let answered = self.visit.door.gate.call_fed(&self.visit.caller, ask, feed, None).await;
        let answered = answered.map_err(|error| Refused::house(&error))?;
        match answered.result.clone() {
            Some(answer) if is_given(&answered) => Ok(Ok(answer)),
            _ => Ok(Err((tool, Box::new(answered)))),
        }
    }

    /// All that the server wants, asked of the client one after the other.
    async fn answers(&self, client: &Client, wanted: InputRequired) -> Result<Value, Refused> {
        let mut given = Members::new();
        for (name, asked) in &wanted.requests {
            let answer = self.asked(client, asked).await.map_err(|error| {
                let method = asked.get("method").and_then(Value::as_str).unwrap_or_default();
                let words = format!("the server asks the client for `{method}`: {}", error.message);
                Refused::new(wire::INTERNAL_ERROR, words).recorded()
            })?;
            given.insert(name.clone(), answer);
        }
        Ok(self.aside_with(given, wanted.state))
    }

    async fn put(&self, client: &Client, question: Question) {
        let Question { asked, mut answer } = question;
        tokio::select! {
            biased;
            // The server waits no longer, so the client is not asked any longer.
            () = answer.closed() => {}
            said = self.asked(client, &asked) => {
                let _ = answer.send(live::told(said));
            }
        }
    }

    /// Walks the line with a question; once it may be asked, the client is.
    async fn asked(&self, client: &Client, asked: &Value) -> Result<Value, RpcError> {
        let tool = self.may(asked).map_err(|refused| *refused.error)?;
        let method = asked.get("method").and_then(Value::as_str).unwrap_or_default();
        let (to, mut questions) = mpsc::channel::<Question>(1);
        let ask = self.question(&tool, asked);
        let feed = Feed::default().with_questions(to);
        let work = self.visit.door.gate.call_fed(&self.visit.caller, ask, feed, None);
        let mut work = std::pin::pin!(work);
        let answered = loop {
            tokio::select! {
                biased;
                answered = work.as_mut() => break answered,
                Some(Question { asked, answer }) = questions.recv() => {
                    let params = asked.as_object().cloned().unwrap_or_default();
                    let said = client.ask(method, params).await;
                    let _ = answer.send(live::told(said.map(Value::Object)));
                }
            }
        };
        let answered = answered.map_err(|error| *Refused::house(&error).error)?;
        match answered.result.clone() {
            Some(answer) if is_given(&answered) => Ok(answer),
            _ => Err(refusal(&tool, &answered)),
        }
    }

    fn question(&self, tool: &str, asked: &Value) -> CallAsk {
        let args = asked.get("params").cloned().unwrap_or_else(|| json!({}));
        let (reason, model, context_tokens, idempotency_key) = (None, None, None, None);
        let (run, tool) = (self.ask.run, tool.to_owned());
        CallAsk { run, tool, args, reason, model, context_tokens, idempotency_key }
    }
}

/// Whether servers of a revision can ask clients of it for this.
fn has(version: Version, method: &str) -> bool {
    method != "elicitation/create" || version >= Version::V2025_06_18
}

fn is_given(answered: &Answered) -> bool {
    answered.verdict.allows() && answered.outcome == Some(Outcome::Succeeded)
}

/// What a server is told in the place of an answer.
fn refusal(tool: &str, answered: &Answered) -> RpcError {
    if let Some(reason) = answered.verdict.reasons.first().filter(|_| !answered.verdict.allows()) {
        return RpcError::new(REFUSED, format!("`{tool}` is refused: {}", reason.says()));
    }
    let said = answered.result.as_ref().and_then(|said| said.get("error")?.get("message")?.as_str());
    let trouble = said.or(answered.trouble.as_deref()).unwrap_or("there is no answer");
    RpcError::new(wire::INTERNAL_ERROR, trouble)
}

fn unasked(method: &str) -> Refused {
    let words =
        format!("the server asks the client for `{method}`, which it cannot do or the contract forbids");
    Refused::new(wire::INTERNAL_ERROR, words).recorded()
}

fn too_old() -> Refused {
    Refused::params("`requestState` was not given out for this request, or is too old: ask again without it")
}
