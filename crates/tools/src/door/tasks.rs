//! Tasks: a call that takes long, and a client that comes back for what it came to.
//!
//! A task is Remit's own, whatever the tool's server speaks: the call walks the line as any other, and goes on when
//! its client hangs up. A client of 2025-11-25 asks for a task with its call, where the tool offers that. One of
//! 2026-07-28 says that it can wait, and is given a task when its call takes long. Tasks are of this process: what
//! became of a call is in the ledger all the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use gate::clock::{Clock, Wall};
use gate::port::Feed;
use kernel::id::KeyId;
use kernel::time::Time;
use serde_json::{Value, json};
use stdx::encode::hex;
use tokio::sync::watch;

use super::methods::Request;
use super::refused::Refused;
use super::session::Session;
use super::{Visit, post, tools};
use crate::mcp::era::{self, InputRequired, Reply, Version};
use crate::mcp::wire::{self, Members, Message, RpcError};

const RELATED: &str = "io.modelcontextprotocol/related-task";
/// A call of a client that can wait becomes a task when it takes longer.
const AFTER: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 5_000 });
/// How often a client should look.
const POLL_MS: u64 = 1_000;
const TTL_MS: u64 = 15 * 60_000;
const TTL_MS_MAX: u64 = 24 * 3_600_000;
const PER_KEY_MAX: usize = 64;
const ALL_MAX: usize = 1_024;

#[derive(Default)]
pub(super) struct Tasks(Mutex<HashMap<String, Arc<Task>>>);

struct Task {
    id: String,
    owner: KeyId,
    version: Version,
    created: Time,
    ttl_ms: u64,
    now: watch::Sender<Now>,
    cancel: watch::Sender<bool>,
    /// The call, to go on with what its server wants.
    params: Members,
}

/// How far a task is.
#[derive(Clone)]
struct Now {
    at: Time,
    stage: Stage,
}

#[derive(Clone)]
enum Stage {
    Working,
    /// What is still wanted, and what was given of it.
    Wants(InputRequired, Members),
    Done(Members),
    Failed(RpcError),
    Cancelled,
}

/// What this revision and this client know of tasks.
enum Wish {
    /// Now, and for so long (2025-11-25).
    Asked(u64),
    /// If it takes long (2026-07-28).
    Able,
}

// ---- Calls that may become tasks ---------------------------------------------------------------------------

pub(super) async fn call(request: Request<'_>) -> Result<Members, Refused> {
    let Some(wish) = wish(&request)? else { return Box::pin(tools::call(request)).await };
    let tasks = &request.visit.door.tasks;
    let owner = request.visit.caller.key;
    let ttl_ms = match wish {
        Wish::Asked(ttl_ms) => ttl_ms,
        Wish::Able => TTL_MS,
    };
    let task = match (tasks.begin(owner, request.version, ttl_ms, request.params.clone()), &wish) {
        (Some(task), _) => task,
        (None, Wish::Able) => return Box::pin(tools::call(request)).await,
        (None, Wish::Asked(_)) => {
            let words = "too many tasks of this key are there: fetch their results, or cancel some";
            return Err(Refused::new(wire::INTERNAL_ERROR, words).recorded());
        }
    };
    let mut outer = request.unwanted.clone();
    let waits = matches!(wish, Wish::Able);
    let mut work = tokio::spawn(Errand::of(&request, waits).run(task.clone(), task.params.clone()));
    if waits {
        let ended = tokio::select! {
            biased;
            ended = &mut work => Some(ended),
            () = hung_up(&mut outer) => {
                task.cancel.send_replace(true);
                Some((&mut work).await)
            }
            () = tokio::time::sleep(AFTER) => None,
        };
        if let Some(ended) = ended {
            return ended.map_err(|_| Refused::new(wire::INTERNAL_ERROR, "the call broke off"))?;
        }
    }
    follow(request.visit.clone(), task.clone(), work);
    tasks.keep(&task);
    Ok(created(&task))
}

/// None: as any other call.
fn wish(request: &Request<'_>) -> Result<Option<Wish>, Refused> {
    if request.version.is_stateless() {
        return Ok(can_wait(&request.params).then_some(Wish::Able));
    }
    let asked = request.params.get("task").filter(|_| request.version == Version::V2025_11_25);
    let Some(asked) = asked else { return Ok(None) };
    let Some(asked) = asked.as_object() else { return Err(Refused::params("`task` is not an object")) };
    let name = request.params.get("name").and_then(Value::as_str).unwrap_or_default();
    let contract = request.visit.tool(name);
    let offered = contract.as_ref().and_then(|contract| contract.definition.as_ref()).and_then(support);
    if !matches!(offered, Some("optional" | "required")) {
        let words = format!("`{name}` does not offer to be called as a task: call it without `task`");
        return Err(Refused::new(wire::METHOD_NOT_FOUND, words));
    }
    let ttl_ms = asked.get("ttl").and_then(Value::as_u64).unwrap_or(TTL_MS);
    Ok(Some(Wish::Asked(ttl_ms.min(TTL_MS_MAX))))
}

/// What a tool's definition says of tasks (2025-11-25).
fn support(definition: &Value) -> Option<&str> {
    definition.get("execution")?.get("taskSupport")?.as_str()
}

/// Whether a client of 2026-07-28 says of itself that it knows tasks.
fn can_wait(params: &Members) -> bool {
    let meta = params.get("_meta").and_then(|meta| meta.get(era::META_CLIENT_CAPABILITIES));
    meta.and_then(|can| can.get("extensions")?.get(era::TASKS)).is_some_and(Value::is_object)
}

async fn hung_up(unwanted: &mut Option<watch::Receiver<bool>>) {
    let told = match unwanted {
        Some(unwanted) => unwanted.wait_for(|unwanted| *unwanted).await.is_ok(),
        None => false,
    };
    if !told {
        std::future::pending::<()>().await;
    }
}

/// A call, with all that it needs when its request is over.
struct Errand {
    visit: Visit,
    version: Version,
    session: Option<Arc<Session>>,
    feed: Feed,
}

impl Errand {
    /// What is told and asked in passing needs a client that waits.
    fn of(request: &Request<'_>, waits: bool) -> Errand {
        let feed = if waits { request.feed.clone() } else { Feed::default() };
        Errand {
            visit: request.visit.clone(),
            version: request.version,
            session: request.session.cloned(),
            feed,
        }
    }

    async fn run(self, task: Arc<Task>, params: Members) -> Result<Members, Refused> {
        let Errand { visit, version, session, feed } = self;
        let (method, unwanted, session) =
            ("tools/call".to_owned(), Some(task.cancel.subscribe()), session.as_ref());
        let request = Request { visit: &visit, version, method, params, feed, unwanted, session, asks: None };
        tools::call(request).await
    }
}

type Work = tokio::task::JoinHandle<Result<Members, Refused>>;

/// Waits for the call in the client's place.
fn follow(visit: Visit, task: Arc<Task>, work: Work) {
    tokio::spawn(async move {
        let ended = match work.await {
            Ok(Ok(result)) => Reply::Result(result),
            Ok(Err(refused)) => match post::failed(&visit, None, refused).await {
                Message::Error { error, .. } => Reply::Error(error),
                _ => Reply::Error(RpcError::new(wire::INTERNAL_ERROR, "the call came to nothing")),
            },
            Err(_) => Reply::Error(RpcError::new(wire::INTERNAL_ERROR, "the call broke off")),
        };
        let stage = match era::reply_for(task.version, "tools/call", ended) {
            Reply::Result(result) => match era::input_required(&result) {
                Some(wanted) => Stage::Wants(wanted, Members::new()),
                None => Stage::Done(result),
            },
            Reply::Error(error) => Stage::Failed(error),
        };
        task.becomes(stage);
    });
}

// ---- What is asked of tasks --------------------------------------------------------------------------------

/// Whether a method is one of tasks in this revision.
pub(super) fn is_known(version: Version, method: &str) -> bool {
    match method {
        "tasks/get" | "tasks/cancel" => version >= Version::V2025_11_25,
        "tasks/list" | "tasks/result" => version == Version::V2025_11_25,
        "tasks/update" => version.is_stateless(),
        _ => false,
    }
}

/// For `initialize` and `server/discover`.
pub(super) fn capability(version: Version) -> Option<(&'static str, Value)> {
    match version {
        Version::V2026_07_28 => Some(("extensions", json!({ era::TASKS: {} }))),
        Version::V2025_11_25 => {
            Some(("tasks", json!({ "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } })))
        }
        _ => None,
    }
}

pub(super) async fn answer(request: &Request<'_>) -> Result<Members, Refused> {
    let (tasks, owner) = (&request.visit.door.tasks, request.visit.caller.key);
    if request.version.is_stateless() && !can_wait(&request.params) {
        let data = json!({ "requiredCapabilities": { "extensions": { era::TASKS: {} } } });
        let words = "this is for clients that say that they know tasks";
        return Err(Refused::new(wire::MISSING_CLIENT_CAPABILITY, words).with_data(data));
    }
    if request.method == "tasks/list" {
        let all = tasks.of(owner).iter().map(|task| Value::from(task.seen())).collect::<Vec<_>>();
        return Ok(Members::from_iter([("tasks".to_owned(), all.into())]));
    }
    let name = request.params.get("taskId").and_then(Value::as_str).unwrap_or_default();
    let Some(task) = tasks.find(name, owner) else {
        return Err(Refused::params("there is no such task: its time is over, or Remit was started anew"));
    };
    match request.method.as_str() {
        "tasks/get" => Ok(task.seen()),
        "tasks/result" => task.result().await,
        "tasks/cancel" => task.cancelled(),
        _ => task.updated(request),
    }
}

impl Task {
    fn becomes(&self, stage: Stage) {
        self.now.send_if_modified(|now| {
            // Who cancelled it has been told so.
            let open = !now.stage.is_over();
            if open {
                *now = Now { at: Wall.now(), stage };
            }
            open
        });
    }

    /// The task as its revision shows it.
    fn seen(&self) -> Members {
        let Now { at, stage } = self.now.borrow().clone();
        let (ttl, poll) = match self.version.is_stateless() {
            true => ("ttlMs", "pollIntervalMs"),
            false => ("ttl", "pollInterval"),
        };
        let mut seen = Members::new();
        let mut with = |name: &str, value: Value| seen.insert(name.to_owned(), value);
        with("taskId", self.id.as_str().into());
        with("status", stage.name().into());
        with("createdAt", self.created.to_string().into());
        with("lastUpdatedAt", at.to_string().into());
        with(ttl, self.ttl_ms.into());
        with(poll, POLL_MS.into());
        if let Stage::Failed(error) = &stage {
            with("statusMessage", error.message.as_str().into());
        }
        if self.version.is_stateless() {
            match stage {
                Stage::Wants(wanted, _) => drop(with("inputRequests", wanted.requests.into())),
                Stage::Done(result) => drop(with("result", result.into())),
                Stage::Failed(error) => drop(with("error", error.value())),
                Stage::Working | Stage::Cancelled => {}
            }
        }
        seen
    }

    /// What the call came to, once it is over (2025-11-25).
    async fn result(&self) -> Result<Members, Refused> {
        let mut now = self.now.subscribe();
        // INVARIANT: its sender is in `self`, so this ends only when it is over.
        let _ = now.wait_for(|now| now.stage.is_over()).await;
        let stage = self.now.borrow().stage.clone();
        match stage {
            Stage::Done(mut result) => {
                let meta = result.entry("_meta").or_insert_with(|| json!({}));
                if let Value::Object(meta) = meta {
                    meta.insert(RELATED.to_owned(), json!({ "taskId": self.id }));
                }
                Ok(result)
            }
            Stage::Failed(error) => Err(Refused::from(error).recorded()),
            _ => Err(Refused::new(wire::INVALID_REQUEST, "the task was cancelled").recorded()),
        }
    }

    /// The call is told; whether it could be stopped, the ledger says.
    fn cancelled(&self) -> Result<Members, Refused> {
        if self.now.borrow().stage.is_over() && !self.version.is_stateless() {
            let words = format!("the task is over: {}", self.now.borrow().stage.name());
            return Err(Refused::params(words));
        }
        self.cancel.send_replace(true);
        self.becomes(Stage::Cancelled);
        Ok(if self.version.is_stateless() { Members::new() } else { self.seen() })
    }

    /// Goes on with what its server wanted (2026-07-28).
    fn updated(self: Arc<Task>, request: &Request<'_>) -> Result<Members, Refused> {
        let Some(given) = request.params.get("inputResponses").and_then(Value::as_object) else {
            return Err(Refused::params("`inputResponses` is missing"));
        };
        let mut taken = None;
        self.now.send_if_modified(|now| {
            let Stage::Wants(wanted, so_far) = &mut now.stage else { return false };
            let known = wanted.requests.keys().filter(|name| given.contains_key(*name)).cloned();
            let known: Vec<String> = known.collect();
            for name in &known {
                wanted.requests.remove(name);
                so_far.extend(given.get(name).map(|answer| (name.clone(), answer.clone())));
            }
            let is_whole = wanted.requests.is_empty();
            if is_whole {
                taken = Some((std::mem::take(so_far), wanted.state.take()));
                now.stage = Stage::Working;
            }
            let is_news = is_whole || !known.is_empty();
            if is_news {
                now.at = Wall.now();
            }
            is_news
        });
        // An answer to what is not asked changes nothing; one to a part is kept until there are the others.
        let Some((answers, state)) = taken else { return Ok(Members::new()) };
        let mut params = self.params.clone();
        params.insert(era::INPUT_RESPONSES.to_owned(), answers.into());
        params.extend(state.map(|state| (era::REQUEST_STATE.to_owned(), state.into())));
        let work = tokio::spawn(Errand::of(request, false).run(self.clone(), params));
        follow(request.visit.clone(), self, work);
        Ok(Members::new())
    }
}

impl Stage {
    fn name(&self) -> &'static str {
        match self {
            Stage::Working => "working",
            Stage::Wants(..) => "input_required",
            Stage::Done(_) => "completed",
            Stage::Failed(_) => "failed",
            Stage::Cancelled => "cancelled",
        }
    }

    fn is_over(&self) -> bool {
        matches!(self, Stage::Done(_) | Stage::Failed(_) | Stage::Cancelled)
    }
}

fn created(task: &Task) -> Members {
    let mut seen = task.seen();
    if !task.version.is_stateless() {
        return Members::from_iter([("task".to_owned(), seen.into())]);
    }
    for inlined in ["result", "error", "inputRequests"] {
        seen.remove(inlined);
    }
    seen.insert("resultType".to_owned(), "task".into());
    seen
}

// ---- Tasks -------------------------------------------------------------------------------------------------

impl Tasks {
    /// None: there is no room.
    fn begin(&self, owner: KeyId, version: Version, ttl_ms: u64, params: Members) -> Option<Arc<Task>> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).ok()?;
        let all = self.all();
        if all.len() >= ALL_MAX || all.values().filter(|task| task.owner == owner).count() >= PER_KEY_MAX {
            return None;
        }
        let created = Wall.now();
        let now = watch::channel(Now { at: created, stage: Stage::Working }).0;
        let (id, cancel) = (hex(&bytes), watch::channel(false).0);
        Some(Arc::new(Task { id, owner, version, created, ttl_ms, now, cancel, params }))
    }

    /// From here on the client knows of it.
    fn keep(&self, task: &Arc<Task>) {
        self.all().insert(task.id.clone(), task.clone());
    }

    fn find(&self, id: &str, owner: KeyId) -> Option<Arc<Task>> {
        self.all().get(id).filter(|task| task.owner == owner).cloned()
    }

    /// Of this key, oldest first.
    fn of(&self, owner: KeyId) -> Vec<Arc<Task>> {
        let mut own: Vec<_> = self.all().values().filter(|task| task.owner == owner).cloned().collect();
        own.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        own
    }

    /// Without those that are over and whose time is, too.
    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Task>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Wall.now();
        all.retain(|_, task| {
            let is_late = now >= task.created.plus_ms(task.ttl_ms);
            !is_late || matches!(task.now.borrow().stage, Stage::Working)
        });
        all
    }
}
