//! The verbs of a script that people say: they look, say yes or no, change arguments; and what is released then.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::account::Limits;
use kernel::approval::{AskMarks, Pending, Terms};
use kernel::call::Call;
use kernel::command::{Command, PersonAnswer};
use kernel::id::CallId;
use kernel::rules::Rules;
use kernel::time::Time;
use serde_json::Value;
use stdx::digest::Digest;

use crate::script::{Stage, mark};

type Row = std::collections::HashMap<String, String>;

pub(crate) fn marks(rules: &Rules, call: &Call, fields: &[String]) -> AskMarks {
    let places = rules.places_of(&call.tool, &call.args).iter().map(|place| mark(place)).collect();
    let field = |at: &String| (at.clone(), field(&call.args, at));
    AskMarks { places, fields: fields.iter().map(field).collect() }
}

fn field(args: &Value, at: &str) -> kernel::id::Mark {
    mark(&format!("{at} {:?}", args.pointer(at)))
}

/// The call that waits, from what is remembered of it.
pub(crate) fn rebuilt(id: CallId, pending: &Pending, args: &str) -> Call {
    let key = None;
    let mut call =
        crate::script::call(id, pending.run, &pending.agent, &pending.tool, args, key, pending.carrier);
    call.args_commitment = pending.args;
    call.args_mark = pending.mark;
    call.key_mark = pending.key;
    (call.destinations, call.hosts) = (pending.destinations.clone(), pending.hosts.clone());
    call
}

impl Stage {
    /// `call` names it, `by` who; `args` holds words, or the arguments of now; `key` is `old` for what was seen at the
    /// last look, or the terms of a bounded approval, or `only` which proposals. `gather` makes a plan of those that
    /// have their yeses; `key`: `other` arguments than were proposed, or `all` whatever was picked.
    pub(crate) fn asking(&mut self, verb: &str, row: &Row, now: Time) -> [String; 4] {
        let cell = |name: &str| row.get(name).map_or("", String::as_str);
        if verb == "rules" {
            let next = Arc::new(self.next.take().unwrap());
            let before = std::mem::replace(&mut self.rules, next);
            self.next = Arc::into_inner(before);
            return ["done".to_owned(), String::new(), String::new(), String::new()];
        }
        let call = CallId(cell("call").trim_start_matches('c').parse().unwrap());
        let pending = self.state.pending.get(&call).cloned();
        let run = pending.as_ref().map(|pending| pending.run);
        let bound = pending.as_ref().map(|pending| pending.bound(call, &self.rules));
        if verb == "look" {
            self.seen.insert(call, bound.unwrap());
            let pending = pending.unwrap();
            let parts = pending.risk.iter().map(|part| format!("{} {}", part.part.name(), part.points));
            let shown = parts.collect::<Vec<_>>().join(", ");
            return ["seen".to_owned(), shown, String::new(), String::new()];
        }
        let command = match verb {
            "gather" => self.gathers(call, cell("key")),
            "release" => {
                // What is gone is built of nothing: the law refuses it.
                let call = pending.map_or_else(
                    || {
                        crate::script::call(
                            call,
                            kernel::id::RunId(1),
                            "desk",
                            "x.y",
                            "",
                            None,
                            kernel::call::Carrier::Gate,
                        )
                    },
                    |pending| rebuilt(call, &pending, cell("args")),
                );
                Command::Release(Arc::new(call))
            }
            "collect" => {
                let run = kernel::id::RunId(1);
                Command::Collect { call, run, agent: "desk".into() }
            }
            _ => {
                let seen = self.seen.get(&call).copied().filter(|_| cell("key") == "old");
                let edit = pending.filter(|_| verb == "edit").map(|pending| {
                    let mut edit = rebuilt(call, &pending, cell("args"));
                    edit.args_commitment = Digest::of(cell("args").as_bytes());
                    edit.args_mark = mark(&format!("{} {}", edit.tool, cell("args")));
                    Arc::new(edit)
                });
                let words = Some(cell("args")).filter(|words| !words.is_empty() && verb != "edit");
                Command::Answer(Box::new(PersonAnswer {
                    call,
                    by: cell("by").to_owned(),
                    yes: verb != "no",
                    bound: seen.or(bound).unwrap_or(Digest([0; 32])),
                    words: words.map(|words| Digest::of(words.as_bytes())),
                    edit,
                    standing: terms(cell("key"), now),
                    only: only(cell("key")),
                }))
            }
        };
        let decision = self.lane(now, &command);
        self.said(run.unwrap_or(kernel::id::RunId(1)), &decision)
    }
}

/// `only c2 c3`
fn only(text: &str) -> Vec<CallId> {
    let named = text.strip_prefix("only ").into_iter().flat_map(|named| named.split(' '));
    named.map(|name| CallId(name.trim_start_matches('c').parse().unwrap())).collect()
}

/// `2 times 1h same /to=a cap /cents=50 usd 100`
fn terms(text: &str, now: Time) -> Option<Terms> {
    let (times, rest) = text.split_once(" times ")?;
    let mut words = rest.split(' ');
    let until = now.plus_ms(stdx::duration::parse_ms(words.next().unwrap()).unwrap());
    let (mut same, mut caps, mut amount) = (BTreeMap::new(), BTreeMap::new(), Limits::default());
    while let (Some(kind), Some(what)) = (words.next(), words.next()) {
        match kind {
            "same" => {
                let (at, value) = what.split_once('=').unwrap();
                let args: Value = serde_json::from_str(&format!("{{\"{}\":{value}}}", &at[1..])).unwrap();
                same.insert(at.to_owned(), field(&args, at));
            }
            "cap" => {
                let (at, value) = what.split_once('=').unwrap();
                caps.insert(at.to_owned(), value.parse().unwrap());
            }
            _ => amount.usd_nanos = what.parse().ok(),
        }
    }
    Some(Terms { amount, caps, same, times: times.parse().unwrap(), until })
}
