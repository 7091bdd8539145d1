//! What a call is before it is decided: its name, its bytes, and all that it is recognised and bounded by.

use std::sync::Arc;

use kernel::approval::AskMarks;
use kernel::call::{Call, Carrier, Part};
use kernel::id::{CallId, KeyId, Mark, RunId};
use kernel::obligation::{Bound, Level, Obligation};
use ledger::Payload;
use serde_json::Value;
use stdx::digest::Digest;
use stdx::json::{canonical, canonical_value};

use crate::caller::{CallAsk, Caller};
use crate::error::Error;
use crate::gate::Gate;
use crate::{bounds, seal, stamp};

/// A call on its way to be decided, with the bytes that everything after is bound to.
pub(crate) struct Draft {
    pub(crate) call: Arc<Call>,
    pub(crate) bytes: Arc<[u8]>,
    /// What its first decision commits to, and later ones no more.
    pub(crate) payloads: Vec<Payload>,
    /// The agent's words, as long as they may have to be committed to again.
    pub(crate) reason: Option<String>,
    /// People said yes to it: it is decided a second time.
    pub(crate) is_release: bool,
    /// Nothing was written into its arguments, because it would only be proposed.
    pub(crate) is_plain: bool,
    /// The idempotency key upstream.
    pub(crate) key: Arc<str>,
    /// What was there before, if it was read to be written back.
    pub(crate) before: Option<Value>,
}

/// What a call is beside what is asked.
pub(crate) struct Role {
    pub(crate) carrier: Carrier,
    /// Whose wish it is, if somebody asks for it just now.
    pub(crate) credential: Option<KeyId>,
    pub(crate) part: Option<Part>,
    /// The idempotency key upstream, of what another call may have tried before; none: its own id.
    pub(crate) key: Option<String>,
    pub(crate) before: Option<Value>,
    /// What it was made into, and what its executor heeds.
    pub(crate) bound: Bound,
    /// The name that it has already, and what it is equal to in its run.
    pub(crate) known: Option<(CallId, Mark)>,
}

impl Role {
    /// A single call.
    pub(crate) fn of(carrier: Carrier, caller: &Caller) -> Role {
        Role { credential: Some(caller.key), ..Role::own(carrier, None) }
    }

    pub(crate) fn part(part: Part) -> Role {
        Role::own(Carrier::Gate, Some(part))
    }

    fn own(carrier: Carrier, part: Option<Part>) -> Role {
        let bound = Bound::default();
        Role { carrier, credential: None, part, key: None, before: None, bound, known: None }
    }
}

/// Whose call of which tool it is: beside its arguments, all that its shape follows from.
struct Asked<'a> {
    run: RunId,
    agent: &'a str,
    tool: &'a str,
    carrier: Carrier,
    is_part: bool,
    /// The idempotency key upstream.
    key: &'a str,
}

/// What leaves the house, and what it is bounded by.
struct Shape {
    args: Value,
    bytes: Vec<u8>,
    is_plain: bool,
    destinations: Vec<Mark>,
    hosts: Vec<Mark>,
    touches: Vec<Mark>,
    facts: Vec<Option<Mark>>,
}

impl Gate {
    pub(crate) fn draft(&self, agent: &str, ask: CallAsk, role: Role) -> Result<Draft, Error> {
        bounds::call(&ask)?;
        let Role { carrier, credential, part, key: first, before, bound, known } = role;
        let CallAsk { run, tool, args, reason, model, context_tokens, idempotency_key } = ask;
        let id = known.map_or_else(|| CallId::new(self.0.clock.now(), seal::random()), |(id, _)| id);
        let bytes = canonical_value(&args);
        let args_mark = known.map_or_else(|| self.args_mark(run, &tool, &bytes), |(_, mark)| mark);
        let key: Arc<str> = first.unwrap_or_else(|| id.to_string()).into();
        let asked = Asked { run, agent, tool: &tool, carrier, is_part: part.is_some(), key: &key };
        let Shape { args, bytes, is_plain, destinations, hosts, touches, facts } =
            self.shape(asked, args, bytes);
        let key_mark = idempotency_key.map(|key| self.0.seal.mark(run, "key", key.as_bytes()));
        let context_tokens = context_tokens.map(bounds::count);
        let reason = reason.filter(|_| self.law().rules.book.house.capture_reasoning);
        let (payloads, args_commitment, reasoning) = committed(&bytes, reason.as_deref());
        let call = Call {
            id,
            run,
            agent: agent.to_owned(),
            tool,
            args,
            args_commitment,
            args_mark,
            key_mark,
            reasoning,
            model,
            context_tokens,
            carrier,
            destinations,
            hosts,
            credential,
            ask_marks: None,
            bound,
            part,
            touches,
            facts,
        };
        let (call, bytes) = (Arc::new(call), bytes.into());
        Ok(Draft { call, bytes, payloads, reason, is_release: false, is_plain, key, before })
    }

    fn shape(&self, asked: Asked<'_>, mut args: Value, mut bytes: Vec<u8>) -> Shape {
        let Asked { run, agent, tool, carrier, is_part, key } = asked;
        let law = self.law();
        let (touches, facts) = self.about(&law, run, agent, tool, &args);
        // What is only proposed is stamped as the step that it becomes.
        let is_plain = !is_part && law.rules.proposes(agent, tool);
        if let (Carrier::Gate, Some(known)) = (carrier, law.rules.tool(tool))
            && !is_plain
            && stamp::stamp(&known.contract, &mut args, run, key)
        {
            bytes = canonical_value(&args);
        }
        let (places, hosts) = law.rules.places(agent, tool, &args);
        let destinations = self.house_marks("destination", &places);
        let hosts = self.house_marks("host", &hosts);
        Shape { args, bytes, is_plain, destinations, hosts, touches, facts }
    }

    /// The same call, made into what it must be: it keeps its name, its keys, and what it is equal to in its run.
    /// Nothing commits to it yet.
    pub(crate) fn obliged(&self, draft: &mut Draft, by: &[Obligation], level: &Level) {
        let mut call = draft.call.as_ref().clone();
        for one in by {
            match one {
                Obligation::Cap { .. } => call.args = one.capped(&call.args).unwrap_or(call.args),
                Obligation::Instead { tool, .. } => call.tool.clone_from(tool),
                Obligation::Model { .. } => {}
            }
        }
        let Call { run, agent, tool, carrier, .. } = &call;
        let asked = Asked { run: *run, agent, tool, carrier: *carrier, is_part: false, key: &draft.key };
        let bytes = canonical_value(&call.args);
        let shape = self.shape(asked, call.args.clone(), bytes);
        let Shape { args, bytes, is_plain, destinations, hosts, touches, facts } = shape;
        call.bound.by.extend_from_slice(by);
        call.bound.level = Some(Box::new(level.clone()));
        let call = Call { args, ask_marks: None, destinations, hosts, touches, facts, ..call };
        (draft.call, draft.bytes, draft.is_plain) = (Arc::new(call), bytes.into(), is_plain);
        draft.payloads.clear();
    }

    /// Equality of tool and arguments inside a run: the same key with another tool is another call.
    pub(crate) fn args_mark(&self, run: RunId, tool: &str, bytes: &[u8]) -> Mark {
        self.0.seal.mark_parts(run, "args", &[tool.as_bytes(), b"\0", bytes])
    }

    /// Equality in the whole house, and no more: whoever lacks its key cannot guess what is meant.
    pub(crate) fn house_marks(&self, what: &str, places: &[String]) -> Vec<Mark> {
        places.iter().map(|place| self.0.seal.mark(RunId(0), what, place.as_bytes())).collect()
    }

    pub(crate) fn result_mark(&self, run: RunId, tool: &str, body: &[u8]) -> Mark {
        self.0.seal.mark_parts(run, "result", &[tool.as_bytes(), b"\0", body])
    }
}

impl Draft {
    /// Nothing was recorded of it yet, so it is committed to anew.
    pub(crate) fn renew(&mut self, ask_marks: Option<AskMarks>) {
        let (payloads, args_commitment, reasoning) = committed(&self.bytes, self.reason.as_deref());
        let call = Call { args_commitment, reasoning, ask_marks, ..self.call.as_ref().clone() };
        (self.call, self.payloads) = (Arc::new(call), payloads);
    }
}

/// The payloads of a call, and what commits to its arguments and to its reason.
fn committed(bytes: &[u8], reason: Option<&str>) -> (Vec<Payload>, Digest, Option<Digest>) {
    let args = Payload::new("args", seal::random(), bytes.to_vec(), false);
    let reasoning = reason.map(|text| Payload::new("reasoning", seal::random(), canonical(&text), false));
    let commitments = (args.commitment, reasoning.as_ref().map(|payload| payload.commitment));
    let payloads = std::iter::once(args).chain(reasoning).collect();
    (payloads, commitments.0, commitments.1)
}
