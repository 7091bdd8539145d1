//! A server may make a task of a call: Remit looks after it until it is over, within the time of the call.
//!
//! What happened to a task that cannot be followed to its end is not known; of a write that is said, and never guessed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use kernel::contract::Contract;
use serde_json::{Value, json};

use crate::mcp::era::{self, Reply};
use crate::mcp::upstream::{Asking, Ended, Stop, Trouble, Upstream};
use crate::mcp::wire::{self, Members, RpcError};

/// How often a server is asked that does not say how often it likes to be.
const POLL_MS: u64 = 500;
const POLL_MS_MIN: u64 = 50;
const POLL_MS_MAX: u64 = 5_000;

/// A task as its server names it.
struct Handle {
    id: String,
    /// Since 2026-07-28 the state of a task holds its result.
    is_inlined: bool,
}

/// Whether a tool can be called in no other way (2025-11-25).
pub(super) fn is_required(contract: &Contract) -> bool {
    let definition = contract.definition.as_ref();
    let support = definition.and_then(|definition| definition.get("execution")?.get("taskSupport"));
    support.and_then(Value::as_str) == Some("required")
}

/// One call, and the task that it became.
pub(super) async fn call(upstream: &Arc<Upstream>, asking: &Asking<'_>, stop: &mut Stop) -> Ended {
    let ended = upstream.ask(asking, stop).await;
    let Ended::Answered(Reply::Result(result)) = &ended else { return ended };
    let Some((handle, poll_ms)) = handle(result) else { return ended };
    let ended = followed(upstream, asking, &handle, poll_ms, stop).await;
    if let Ended::Broken(_) = ended {
        cancel(upstream, asking, &handle);
    }
    ended
}

fn handle(result: &Members) -> Option<(Handle, u64)> {
    let is_inlined = result.get("resultType").and_then(Value::as_str) == Some("task");
    let task = if is_inlined { result } else { result.get("task")?.as_object()? };
    let id = task.get("taskId")?.as_str()?.to_owned();
    Some((Handle { id, is_inlined }, poll_ms(task)))
}

fn poll_ms(task: &Members) -> u64 {
    let wished = task.get("pollIntervalMs").or_else(|| task.get("pollInterval")).and_then(Value::as_u64);
    wished.unwrap_or(POLL_MS).clamp(POLL_MS_MIN, POLL_MS_MAX)
}

async fn followed(
    upstream: &Arc<Upstream>,
    asking: &Asking<'_>,
    handle: &Handle,
    mut wait_ms: u64,
    stop: &mut Stop,
) -> Ended {
    let mut answered = HashSet::new();
    loop {
        tokio::select! {
            biased;
            trouble = stop.wanted() => return Ended::Broken(trouble),
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
        }
        let task = match upstream.ask(&about(asking, "tasks/get", handle), stop).await {
            Ended::Answered(Reply::Result(task)) => task,
            other => return unclear(other),
        };
        wait_ms = poll_ms(&task);
        match task.get("status").and_then(Value::as_str).unwrap_or_default() {
            "working" => {}
            "completed" | "failed" if !handle.is_inlined => {
                return match upstream.ask(&about(asking, "tasks/result", handle), stop).await {
                    Ended::Answered(reply) => Ended::Answered(reply),
                    other => unclear(other),
                };
            }
            "completed" | "failed" => return inlined(task),
            "input_required" if handle.is_inlined => {
                if let Err(trouble) = answer(upstream, asking, handle, &task, &mut answered, stop).await {
                    return Ended::Broken(trouble);
                }
            }
            // Until 2025-11-25 a server asks on its stream, and is answered there.
            "input_required" => {}
            "cancelled" => return Ended::Broken(trouble("task_cancelled", "the server cancelled the task")),
            _ => return Ended::Broken(trouble("malformed_result", "the task is in no state that is known")),
        }
    }
}

fn inlined(mut task: Members) -> Ended {
    match (task.remove("result"), task.remove("error")) {
        (Some(Value::Object(result)), _) => Ended::Answered(Reply::Result(result)),
        (_, Some(error)) => {
            let code = error.get("code").and_then(Value::as_i64).unwrap_or(wire::INTERNAL_ERROR);
            let message = error.get("message").and_then(Value::as_str).unwrap_or("the task failed");
            Ended::Answered(Reply::Error(RpcError::new(code, message)))
        }
        _ => Ended::Broken(trouble("malformed_result", "the task is over and has no result")),
    }
}

/// What the server wants is asked of whoever waits for the call; without anybody, the task cannot go on.
async fn answer(
    upstream: &Arc<Upstream>,
    asking: &Asking<'_>,
    handle: &Handle,
    task: &Members,
    answered: &mut HashSet<String>,
    stop: &mut Stop,
) -> Result<(), Trouble> {
    let nobody =
        || trouble("input_required", "the task wants input, and nobody who waits for it can give it");
    let wanted = task.get("inputRequests").and_then(Value::as_object).ok_or_else(nobody)?;
    let Some(asked) = &asking.asked else { return Err(nobody()) };
    let mut given = Members::new();
    // A server may go on showing what it was told.
    for (name, request) in wanted.iter().filter(|(name, _)| !answered.contains(*name)) {
        let method = request.get("method").and_then(Value::as_str).unwrap_or_default().to_owned();
        let params = request.get("params").and_then(Value::as_object).cloned().unwrap_or_default();
        let said = asked(method, params).await.map_err(|error| trouble("input_required", &error.message))?;
        given.insert(name.clone(), said.into());
    }
    if given.is_empty() {
        return Ok(());
    }
    answered.extend(given.keys().cloned());
    let mut update = about(asking, "tasks/update", handle);
    update.params.insert(era::INPUT_RESPONSES.to_owned(), given.into());
    match upstream.ask(&update, stop).await {
        Ended::Answered(Reply::Result(_)) => Ok(()),
        _ => Err(trouble("input_required", "the server did not take what it had asked for")),
    }
}

/// A request about the task, as whom the call was made.
fn about<'a>(asking: &Asking<'a>, method: &'static str, handle: &Handle) -> Asking<'a> {
    let params = Members::from_iter([("taskId".to_owned(), Value::from(handle.id.as_str()))]);
    let mut about = Asking::new(method, params, asking.bytes_max);
    about.trail = asking.trail.clone();
    about.header = asking.header.clone();
    about.secret = asking.secret;
    about
}

/// The task was begun, so what it did is not known.
fn unclear(ended: Ended) -> Ended {
    match ended {
        Ended::Unsent(trouble) | Ended::Refused(trouble) | Ended::Broken(trouble) => Ended::Broken(trouble),
        Ended::SessionLost => Ended::Broken(trouble("session_lost", "")),
        Ended::Answered(Reply::Error(error)) => Ended::Broken(trouble("task_lost", &error.message)),
        Ended::Answered(Reply::Result(_)) => Ended::Broken(trouble("malformed_result", "")),
    }
}

/// Nobody waits any more. Whether the server heard it changes nothing of what is recorded.
fn cancel(upstream: &Arc<Upstream>, asking: &Asking<'_>, handle: &Handle) {
    let upstream = upstream.clone();
    let (trail, header) = (asking.trail.clone(), asking.header.clone());
    let secret = asking.secret.map(<[u8]>::to_vec);
    let params = json!({ "taskId": handle.id });
    tokio::spawn(async move {
        let params = params.as_object().cloned().unwrap_or_default();
        let mut asking = Asking::new("tasks/cancel", params, 64 * 1024);
        (asking.trail, asking.header) = (trail, header);
        asking.secret = secret.as_deref();
        upstream.tell(&asking).await;
    });
}

fn trouble(code: &'static str, words: &str) -> Trouble {
    Trouble::saying(code, words)
}
