//! What a server asks while a call of its tool is under way, on its way to whoever waits for the call.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Order, Route};
use crate::mcp::upstream::{Asked, Held, Upstream};
use crate::mcp::via::CAPABILITIES;
use crate::mcp::via::QUESTIONS;
use crate::mcp::wire::{self, Members, RpcError};
use crate::redact;

/// The capabilities that stand for what a server's contracts let it ask. An address that a person should visit is
/// none of them: some of those who call over the same session cannot be sent there.
pub(super) fn capabilities(routes: &HashMap<String, Arc<Route>>, upstream: &Arc<Upstream>) -> Members {
    let own = routes.values().filter(|route| Arc::ptr_eq(&route.upstream, upstream));
    let methods: HashSet<&str> = own.filter_map(|route| route.method.as_deref()).collect();
    let may = QUESTIONS.iter().filter(|(method, _)| methods.contains(method));
    may.map(|(_, name)| ((*name).to_owned(), json!({}))).collect()
}

/// Passes what the server asks on to whoever waits at the door, if that can do what is asked. The server's time stands
/// still meanwhile.
pub(super) fn asked(order: &Order<'_>, route: &Route, held: &Held) -> Option<Asked> {
    let can = order.feed.aside().get(CAPABILITIES).and_then(Value::as_object).cloned()?;
    if can.is_empty() || !order.feed.can_ask() {
        return None;
    }
    let (feed, held, upstream) = (order.feed.clone(), held.clone(), route.upstream.clone());
    let sent = order.secret.map(<[u8]>::to_vec);
    Some(Arc::new(move |method, mut params| {
        let known = QUESTIONS.iter().any(|(it, name)| *it == method && can.contains_key(*name));
        let (feed, held) = (feed.clone(), held.clone());
        let secrets = upstream.secrets(sent.as_deref());
        Box::pin(async move {
            if !known {
                return Err(RpcError::method_not_found(&method));
            }
            params.remove("_meta");
            let asked = json!({ "method": method, "params": params });
            let asked = secrets.iter().fold(asked, |asked, secret| redact::value(asked, secret));
            let _hold = held.hold();
            answered(feed.ask(asked).await)
        })
    }))
}

/// `{"result"}` or `{"error"}`, as doors answer.
fn answered(answer: Option<Value>) -> Result<Members, RpcError> {
    let Some(Value::Object(mut answer)) = answer else {
        return Err(RpcError::new(wire::INTERNAL_ERROR, "nobody answered this"));
    };
    match (answer.remove("result"), answer.get("error")) {
        (Some(Value::Object(result)), _) => Ok(result),
        (_, error) => {
            let error = error.unwrap_or(&Value::Null);
            let code = error.get("code").and_then(Value::as_i64).unwrap_or(wire::INTERNAL_ERROR);
            let message = error.get("message").and_then(Value::as_str).unwrap_or("nobody answered this");
            Err(RpcError::new(code, message))
        }
    }
}
