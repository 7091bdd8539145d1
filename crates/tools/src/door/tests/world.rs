//! A small world: three agents, a handful of tools, and a gate over a log in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use gate::clock::Wall;
use gate::permit::Permit;
use gate::port::{Cancel, Feed, Reach, Reached, Reaching};
use gate::vault::Secret;
use gate::{Caller, Gate, OpenAsk};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use kernel::agent::{Manifest, May, Mode};
use kernel::book::{Book, House, Origin};
use kernel::call::Outcome;
use kernel::contract::{Care, Contract, Effect, Fallback, Operation, Redact};
use kernel::id::RunId;
use kernel::rules::Rules;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::door::{Door, Scope, Visit, routes};
use crate::mcp::era;

pub(super) const CLERK: &str = "clerk";
pub(super) const OTHER: &str = "other";
/// Asks finance before it pays.
pub(super) const PAYER: &str = "payer";
/// May what the payer may, and is another.
pub(super) const TWIN: &str = "twin";
/// Where people answer.
pub(super) const CONSOLE: &str = "http://127.0.0.1:7471";

pub(super) struct World {
    pub(super) gate: Gate,
    pub(super) router: Router,
    pub(super) door: Arc<Door>,
    /// Calls that were told to stop.
    pub(super) cancelled: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

impl World {
    pub(super) async fn new() -> World {
        World::holding(Duration::from_millis(100)).await
    }

    /// Clients whose calls wait for people are held for so long.
    pub(super) async fn holding(hold: Duration) -> World {
        World::of(book(), hold).await
    }

    /// Another book.
    pub(super) async fn of(mut book: Book, hold: Duration) -> World {
        book.house.approvals.hold_ms = u64::try_from(hold.as_millis()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cancelled = Arc::new(AtomicUsize::new(0));
        let tools = |kind| Arc::new(Tools { kind, cancelled: cancelled.clone() }) as Arc<dyn Reach>;
        let options = gate::Options {
            folder: folder.path().to_owned(),
            lanes: 1,
            disk_reserve_bytes: 0,
            clock: Arc::new(Wall),
            reaches: vec![tools("test"), tools("mcp")],
        };
        let log = Box::new(ledger::memory::Memory::new());
        let gate = Gate::open(options, log, rules(book)).unwrap();
        gate.begin().await.unwrap();
        let catalogue = crate::mcp::Mcp::new(&Default::default()).unwrap().catalogue();
        let (sessions, seats, states, parked, tasks, mirrored) = Default::default();
        let door = Arc::new(Door {
            gate: gate.clone(),
            catalogue,
            console: CONSOLE.to_owned(),
            sessions,
            seats,
            states,
            parked,
            tasks,
            mirrored,
        });
        World { router: routes(door.clone()), door, gate, cancelled, _folder: folder }
    }

    pub(super) async fn client(&self, agent: &str) -> Client {
        let minted = self.gate.key_mint(agent, 3_600_000, "test").await.unwrap().unwrap();
        let caller = self.gate.identify(&minted.secret).unwrap();
        Client { router: self.router.clone(), caller, run: None, path: "/mcp".to_owned() }
    }

    pub(super) fn visit(&self, client: &Client) -> Visit {
        let (door, caller) = (self.door.clone(), client.caller.clone());
        Visit { door, caller, run: None, scope: Scope(None), headers: HeaderMap::new() }
    }

    /// A run of this caller, and its token.
    pub(super) async fn run(&self, caller: &Caller) -> (RunId, String) {
        let opened = self.gate.run_open(caller, OpenAsk::default()).await.unwrap().unwrap();
        (opened.run, opened.token)
    }

    pub(super) async fn halt(&self, scope: &str) {
        let ask = gate::HaltAsk::new(scope.parse().unwrap(), "a test", "test");
        self.gate.halt(ask).await.unwrap().unwrap();
    }

    /// Waits until so many calls were told to stop.
    pub(super) async fn told_to_stop(&self, count: usize) {
        for _ in 0..300 {
            if self.cancelled.load(Ordering::SeqCst) >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no call was told to stop");
    }
}

// ---- Client -----------------------------------------------------------------------------------------------

#[derive(Clone)]
pub(super) struct Client {
    pub(super) router: Router,
    pub(super) caller: Caller,
    pub(super) run: Option<RunId>,
    pub(super) path: String,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
    pub(super) text: String,
}

impl Answer {
    /// Status, and the error's code.
    pub(super) fn error(&self) -> (u16, i64) {
        (self.status.as_u16(), self.body["error"]["code"].as_i64().unwrap_or_else(|| panic!("{}", self.text)))
    }

    #[track_caller]
    pub(super) fn result(&self) -> &Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert!(self.body["result"].is_object(), "{}", self.text);
        &self.body["result"]
    }

    /// The messages of a stream, or the one of a plain answer.
    pub(super) fn messages(&self) -> Vec<Value> {
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    pub(super) fn is_stream(&self) -> bool {
        self.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream")
    }
}

impl Client {
    pub(super) fn at(&self, path: &str) -> Client {
        Client { path: path.to_owned(), ..self.clone() }
    }

    pub(super) async fn response(
        &self,
        method: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> http::Response<Body> {
        let mut request = Request::builder().method(method).uri(&self.path);
        let has = |name: &str| headers.iter().any(|(own, _)| *own == name);
        if !has("accept") {
            request = request.header("accept", "application/json, text/event-stream");
        }
        if !has("content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(self.caller.clone());
        if let Some(run) = self.run {
            request.extensions_mut().insert(run);
        }
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(super) async fn send(&self, method: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let response = self.response(method, headers, body).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text }
    }

    /// One request of 2026-07-28 as a good client sends it.
    pub(super) async fn ask(&self, method: &str, params: Value) -> Answer {
        let (headers, body) = stateless(method, params);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.send("POST", &headers, &body).await
    }

    pub(super) async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }
}

/// Headers and body of a good request of 2026-07-28, its id being 7.
pub(super) fn stateless(method: &str, mut params: Value) -> (Vec<(&'static str, String)>, String) {
    let mut headers =
        vec![("mcp-protocol-version", "2026-07-28".to_owned()), ("mcp-method", method.to_owned())];
    if let Some(name) = params["name"].as_str().or(params["taskId"].as_str()) {
        headers.push(("mcp-name", name.to_owned()));
    }
    let mut meta = json!({ era::META_VERSION: "2026-07-28", era::META_CLIENT_CAPABILITIES: {} });
    if let Some(more) = params["_meta"].as_object() {
        meta.as_object_mut().unwrap().extend(more.clone());
    }
    params["_meta"] = meta;
    (headers, json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string())
}

// ---- The tools --------------------------------------------------------------------------------------------

/// What each tool of this world does is in its name.
struct Tools {
    kind: &'static str,
    cancelled: Arc<AtomicUsize>,
}

impl Reach for Tools {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn reach(&self, permit: Permit, _: Option<Secret>, mut cancel: Cancel, feed: Feed) -> Reaching {
        let cancelled = self.cancelled.clone();
        Box::pin(async move {
            let args: Value = serde_json::from_slice(permit.bytes()).unwrap();
            match permit.contract().tool.as_str() {
                "wait" => {
                    cancel.wanted().await;
                    cancelled.fetch_add(1, Ordering::SeqCst);
                    reached(Outcome::Failed, Value::Null, Some("cancelled"))
                }
                "talk" => {
                    feed.send(json!({ "method": "notifications/progress",
                        "params": { "progressToken": "theirs", "progress": 1, "_meta": { "x": 1 } } }));
                    feed.send(json!({ "method": "notifications/message",
                        "params": { "level": "info", "data": "half way" } }));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    reached(Outcome::Succeeded, args, None)
                }
                "long" => tokio::select! {
                    biased;
                    () = cancel.wanted() => {
                        cancelled.fetch_add(1, Ordering::SeqCst);
                        reached(Outcome::Failed, Value::Null, Some("cancelled"))
                    }
                    () = tokio::time::sleep(Duration::from_millis(args["ms"].as_u64().unwrap_or(0))) => {
                        reached(Outcome::Succeeded, args, None)
                    }
                },
                "fail" => reached(Outcome::Failed, json!({ "why": "no such ticket" }), Some("status_404")),
                "down" | "out" => reached(Outcome::NotDispatched, Value::Null, Some("unreachable")),
                "lose" => reached(Outcome::Unknown, Value::Null, Some("timeout")),
                "mail" => reached(
                    Outcome::Succeeded,
                    json!({
                    "content": [{ "type": "text", "text": "sent" }, { "type": "resource_link", "uri": "m://1" }],
                    "structuredContent": args, "_meta": { "dev.remit/receipt": "forged", "own": 1 } }),
                    None,
                ),
                "sorry" => reached(
                    Outcome::Failed,
                    json!({
                    "content": [{ "type": "text", "text": "no such box" }], "isError": true }),
                    Some("tool_error"),
                ),
                "broken" => reached(
                    Outcome::Failed,
                    json!({
                    "error": { "code": -32055, "message": "their own", "data": { "n": 1 } } }),
                    Some("error"),
                ),
                "ask" => reached(Outcome::Succeeded, asked(feed.aside()), None),
                "live" => tokio::select! {
                    biased;
                    () = cancel.wanted() => {
                        cancelled.fetch_add(1, Ordering::SeqCst);
                        reached(Outcome::Failed, Value::Null, Some("cancelled"))
                    }
                    said = ask_all(&feed, &args) => reached(Outcome::Succeeded, said, None),
                },
                "elicit" => match feed.aside()["answer"].clone() {
                    Value::Null => match feed.ask(args).await {
                        Some(said) if said["result"].is_object() => {
                            reached(Outcome::Succeeded, said["result"].clone(), None)
                        }
                        Some(said) => reached(Outcome::Failed, said, Some("not_answered")),
                        None => reached(Outcome::NotDispatched, Value::Null, Some("not_asked")),
                    },
                    answer => reached(Outcome::Succeeded, answer, None),
                },
                "get_prompt" if args["name"] == "none" => reached(
                    Outcome::Failed,
                    json!({
                    "error": { "code": -32602, "message": "no such prompt" } }),
                    Some("error"),
                ),
                _ => reached(Outcome::Succeeded, args, None),
            }
        })
    }
}

/// A tool that wants a name, and then tells what it was told.
fn asked(aside: &Value) -> Value {
    if aside["inputResponses"]["name"].is_object() {
        return json!({ "content": [], "structuredContent": aside });
    }
    let name = json!({ "method": "elicitation/create", "params": { "message": "Who?" } });
    json!({ "resultType": "input_required", "inputRequests": { "name": name }, "requestState": "theirs",
        "_meta": { "told": aside } })
}

/// Asks while it is under way, everything at once, and tells what it heard.
async fn ask_all(feed: &Feed, args: &Value) -> Value {
    let ask = |message: &Value| {
        feed.ask(json!({ "method": "elicitation/create", "params": { "message": message } }))
    };
    tokio::time::sleep(Duration::from_millis(args["ms"].as_u64().unwrap_or(0))).await;
    let asked = args["ask"].as_array().cloned().unwrap_or_default();
    let heard = futures_util::future::join_all(asked.iter().map(ask)).await;
    json!({ "content": [], "structuredContent": { "can": feed.aside()["capabilities"], "heard": heard } })
}

fn reached(outcome: Outcome, body: Value, trouble: Option<&str>) -> Reached {
    let body = stdx::json::canonical(&body);
    Reached { outcome, body, trouble: trouble.map(str::to_owned), said: None, used: None }
}

// ---- The book ---------------------------------------------------------------------------------------------

pub(super) fn rules(book: Book) -> Arc<Rules> {
    Arc::new(Rules::compile(book).unwrap_or_else(|problems| panic!("{problems:#?}")))
}

pub(super) fn book() -> Book {
    let ticket = json!({ "type": "object", "additionalProperties": false, "required": ["ticket"],
        "properties": { "ticket": { "type": "integer" } } });
    let marked = json!({ "type": "object", "properties": {
        "region": { "type": "string", "x-mcp-header": "Region" },
        "count": { "type": "integer", "x-mcp-header": "Count" } } });
    let reason = json!({ "type": "object", "properties": { "remit_reason": { "type": "integer" } } });
    let to = json!({ "type": "object", "properties": { "to": { "type": "string" } } });
    let mut accepted = mcp("mail", "mail", &to);
    accepted.definition = Some(json!({ "name": "mail", "title": "Send mail", "description": "Sends it.",
        "inputSchema": { "type": "object" }, "outputSchema": { "type": "object" } }));
    accepted.pin = Some(crate::mcp::definition_digest(accepted.definition.as_ref().unwrap()));
    let mut long = mcp("mail", "long", &json!({ "type": "object" }));
    long.definition = Some(json!({ "name": "long", "inputSchema": { "type": "object" },
        "execution": { "taskSupport": "optional" } }));
    long.pin = Some(crate::mcp::definition_digest(long.definition.as_ref().unwrap()));
    let offered = |tool: &str, method: &str| {
        let mut offered = mcp("mail", tool, &json!({ "type": "object" }));
        offered.via["mcp"]["method"] = method.into();
        offered
    };
    let tools = vec![
        contract("desk", "look", Effect::Read, &ticket),
        contract("desk", "hidden", Effect::Read, &ticket),
        contract("desk", "wait", Effect::Read, &json!({})),
        contract("desk", "talk", Effect::Read, &json!({})),
        contract("desk", "fail", Effect::Read, &json!({})),
        with_fallback("lose", Effect::Irreversible, Fallback::Answer(json!("all is well"))),
        with_fallback("down", Effect::Read, Fallback::Tool("desk.look".to_owned())),
        with_fallback("out", Effect::Read, Fallback::Answer(json!({ "rate": 1 }))),
        contract("desk", "marked", Effect::Read, &marked),
        contract("desk", "why", Effect::Read, &reason),
        contract("vault", "open", Effect::Read, &json!({})),
        contract("vault", "pay", Effect::Irreversible, &json!({})),
        accepted,
        offered("read_resource", "resources/read"),
        offered("subscribe_resource", "resources/subscribe"),
        offered("unsubscribe_resource", "resources/unsubscribe"),
        offered("get_prompt", "prompts/get"),
        offered("complete", "completion/complete"),
        offered("elicit", "elicitation/create"),
        mcp("mail", "ask", &json!({ "type": "object" })),
        long,
        mcp("mail", "live", &json!({ "type": "object" })),
        mcp("mail", "sorry", &json!({ "type": "object" })),
        mcp("mail", "broken", &json!({ "type": "object" })),
    ];
    let clerk = ["desk.look", "desk.wait", "desk.talk", "desk.fail", "desk.lose", "desk.marked", "desk.why"];
    let clerk = [clerk.as_slice(), &["desk.down", "desk.out"]].concat();
    let mut may: Vec<May> = clerk.iter().enumerate().map(|(n, tool)| self::may(CLERK, n, tool)).collect();
    may[0].when = Some("args.ticket <= 100".to_owned());
    may[0].when_origin = Some(may[0].origin.clone());
    may.push(self::may(CLERK, 20, "mail.*"));
    let pay = May { ask: Some("finance".to_owned()), ..self::may(PAYER, 0, "vault.pay") };
    let twin = May { id: "twin.may[0]".to_owned(), ..pay.clone() };
    let asks =
        |number: usize, tool: &str| May { ask: Some("finance".to_owned()), ..self::may(PAYER, number, tool) };
    let pays = vec![pay, asks(1, "mail.read_resource"), asks(2, "mail.get_prompt")];
    let other = vec![self::may(OTHER, 0, "vault.open")];
    let payers = [manifest(PAYER, pays), manifest(TWIN, vec![twin])];
    let agents = [manifest(CLERK, may), manifest(OTHER, other)].into_iter().chain(payers);
    let mut house = House::default();
    house.approvals.people.insert("fay".to_owned(), ["finance".to_owned()].into());
    Book {
        agents: agents.map(|one| (one.agent.clone(), one)).collect(),
        house,
        rules: Vec::new(),
        tools: tools.into_iter().map(|one| (one.name.clone(), one)).collect::<BTreeMap<_, _>>(),
    }
}

fn with_fallback(tool: &str, effect: Effect, fallback: Fallback) -> Contract {
    let care = Care { fallback: Some(fallback), retries: 0, failures_max: 2, ..Care::default() };
    Contract { care, ..contract("desk", tool, effect, &json!({})) }
}

fn mcp(server: &str, tool: &str, input: &Value) -> Contract {
    let via = json!({ "mcp": { "server": server, "url": "http://127.0.0.1:9/mcp" } });
    Contract { via, ..contract(server, tool, Effect::Reversible, input) }
}

pub(super) fn contract(server: &str, tool: &str, effect: Effect, input: &Value) -> Contract {
    Contract {
        deed: Default::default(),
        about: "a tool of a test".to_owned(),
        care: Care::default(),
        credential: None,
        cost_usd_nanos: 0,
        cost_tokens: 0,
        degrade: Default::default(),
        meter: Default::default(),
        counts: Vec::new(),
        definition: None,
        destinations: Vec::new(),
        effect,
        env: "prod".to_owned(),
        idempotency_header: None,
        idempotency_field: None,
        input: input.clone(),
        labels: Vec::new(),
        name: format!("{server}.{tool}"),
        operation: if effect == Effect::Read { Operation::Read } else { Operation::Write },
        pin: None,
        redact: Redact::default(),
        rate: Default::default(),
        result_bytes_max: 65_536,
        stamp: None,
        to: Vec::new(),
        server: server.to_owned(),
        timeout_ms: 10_000,
        tool: tool.to_owned(),
        via: json!({ "test": {} }),
    }
}

fn may(agent: &str, number: usize, tool: &str) -> May {
    let origin = Origin { file: format!("agents/{agent}.yaml"), line: number + 4, column: 5 };
    May {
        id: format!("{agent}.may[{number}]"),
        tool: tool.to_owned(),
        when: None,
        when_origin: None,
        to: Vec::new(),
        ask: None,
        calls_per_run_max: None,
        calls_per_minute_max: None,
        counts: Vec::new(),
        mode: None,
        origin,
    }
}

fn manifest(agent: &str, may: Vec<May>) -> Manifest {
    Manifest {
        commits: Default::default(),
        agent: agent.to_owned(),
        owner: "ada@example.com".to_owned(),
        purpose: "tests".to_owned(),
        tenant: "default".to_owned(),
        groups: Vec::new(),
        env: "prod".to_owned(),
        crosses: Vec::new(),
        mode: Mode::Enforce,
        modes: Default::default(),
        phases: false,
        executor: false,
        may,
        per_run: Default::default(),
        limits: Default::default(),
        windows: Default::default(),
        thresholds: None,
        origin: Origin { file: format!("agents/{agent}.yaml"), line: 1, column: 1 },
    }
}
