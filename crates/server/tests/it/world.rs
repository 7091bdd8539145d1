//! A small world: five users, a few tools, a real gate over a log in memory, and both routers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::person::Role;
use axum::Router;
use axum::body::Body;
use gate::Gate;
use gate::clock::{Clock, Wall};
use gate::permit::Permit;
use gate::port::{Cancel, Feed, Reach, Reached, Reaching};
use gate::vault::Secret;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use kernel::agent::{Manifest, May, Mode};
use kernel::book::{Book, House, Origin};
use kernel::call::Outcome;
use kernel::contract::{Contract, Effect, Operation};
use kernel::rules::Rules;
use kernel::time::Time;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

pub(crate) const OPERATOR_KEY: &str = "3b1f0c9a00000000000000000000000000000000000000000000000000000001";

/// id, email, roles
pub(crate) const USERS: [(&str, &str, &[&str]); 5] = [
    ("u-7f31", "rick@the-citadel.com", &["admin", "evil_genius"]),
    ("u-02ac", "morty@the-citadel.com", &["editor"]),
    ("u-91be", "summer@the-smiths.com", &["editor"]),
    ("u-5d40", "beth@the-smiths.com", &["viewer"]),
    ("u-c0de", "jerry@the-smiths.com", &["viewer"]),
];
/// Asks on behalf of others.
pub(crate) const PORTAL: &str = "portal";
/// Calls for itself alone.
pub(crate) const CLERK: &str = "clerk";
/// Asks finance before it pays.
pub(crate) const PAYER: &str = "payer";

pub(crate) struct World {
    pub(crate) gate: Gate,
    pub(crate) agents: Router,
    pub(crate) people: Router,
    pub(crate) stop: watch::Sender<bool>,
    /// Who may sign in.
    pub(crate) directory: watch::Sender<Arc<server::People>>,
    pub(crate) clock: Arc<Hands>,
    _folder: tempfile::TempDir,
}

/// Who stands beside the server: places for incidents, and the configuration's files.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) reports: Option<Arc<dyn server::Reports>>,
    pub(crate) changes: Option<Arc<dyn server::Changes>>,
}

impl World {
    pub(crate) async fn new() -> World {
        World::with_doors(Router::new()).await
    }

    pub(crate) async fn with_doors(doors: Router) -> World {
        World::made(doors, Side::default()).await
    }

    /// With those beside it who own the configuration.
    pub(crate) async fn with(side: Side) -> World {
        World::made(Router::new(), side).await
    }

    /// The views know all that has happened.
    pub(crate) async fn catch_up(&self) {
        let after = self.gate.counts().head_index;
        get(&format!("/v1/runs?after={after}")).operator().send(&self.people).await;
    }

    async fn made(doors: Router, side: Side) -> World {
        let folder = tempfile::tempdir().unwrap();
        let rules = Rules::compile(book()).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let options = gate::Options {
            folder: folder.path().to_owned(),
            lanes: 1,
            disk_reserve_bytes: 0,
            clock: Arc::new(Wall),
            reaches: vec![Arc::new(Echo)],
        };
        let gate = Gate::open(options, Box::new(ledger::memory::Memory::new()), Arc::new(rules)).unwrap();
        gate.begin().await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let (directory, known) = watch::channel(Arc::new(directory()));
        let clock = Arc::new(Hands::default());
        let secret = folder.path().join("hook.secret");
        std::fs::write(&secret, HOOK_SECRET).unwrap();
        let inbound = [("crm".to_owned(), format!("file:{}", secret.display()))].into();
        let options = server::Options {
            people: known,
            inbound: watch::channel(Arc::new(inbound)).1,
            clock: clock.clone(),
            console: "http://people.example".to_owned(),
            reports: side.reports,
            changes: side.changes,
            ..server::Options::new(OPERATOR_KEY, stopped)
        };
        let agents = server::agents_router(gate.clone(), options.clone(), doors);
        let people = server::people_router(gate.clone(), options);
        World { gate, agents, people, stop, directory, clock, _folder: folder }
    }

    pub(crate) async fn key(&self, agent: &str) -> String {
        self.gate.key_mint(agent, 3_600_000, "test").await.unwrap().unwrap().secret
    }

    /// A key and a run token.
    pub(crate) async fn run(&self, agent: &str) -> (String, String) {
        let key = self.key(agent).await;
        let ask = post("/v1/runs", &json!({"person": "ada", "intent": "try things"})).key(&key);
        let (status, opened) = ask.send(&self.agents).await;
        assert_eq!(status, 200, "{opened}");
        (key, opened["token"].as_str().unwrap().to_owned())
    }
}

/// People of the configuration, one for each role and one for none.
fn directory() -> server::People {
    let roles = [
        ("vera", vec![Role::Viewer]),
        ("aude", vec![Role::Auditor]),
        ("olga", vec![Role::Operator]),
        ("fay", vec![Role::Approver("finance".to_owned())]),
        ("fred", vec![Role::Approver("finance".to_owned())]),
        ("leo", vec![Role::Approver("legal".to_owned())]),
        ("nobody", Vec::new()),
    ];
    roles.into_iter().map(|(name, roles)| (name.to_owned(), roles)).collect()
}

/// What the webhook `crm` signs with.
pub(crate) const HOOK_SECRET: &str = "a secret of a test";

/// The wall clock, moved forward by hand.
#[derive(Default)]
pub(crate) struct Hands(AtomicU64);

impl Hands {
    pub(crate) fn forward_ms(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Time {
        Wall.now().plus_ms(self.0.load(Ordering::Relaxed))
    }
}

/// What a browser keeps of a session.
pub(crate) struct Browser {
    /// `name=value`
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

/// Of the Host that `get` and `post` name.
pub(crate) const ORIGIN: &str = "http://127.0.0.1:7470";

impl World {
    /// A code that signs this person in; the holder of the operator's key, if none is named.
    pub(crate) async fn code(&self, person: Option<&str>) -> String {
        let ask = person.map_or(json!({}), |name| json!({ "as": name }));
        let (status, minted) = post("/v1/logins", &ask).operator().send(&self.people).await;
        assert_eq!(status, 200, "{minted}");
        minted["code"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn sign_in(&self, person: Option<&str>) -> Browser {
        let ask = post("/v1/session", &json!({ "code": self.code(person).await })).with("origin", ORIGIN);
        let answer = ask.answer(&self.people).await;
        assert_eq!(answer.status(), 200);
        let set = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let told: Value = serde_json::from_slice(&body).unwrap();
        let cookie = set.split(';').next().unwrap().to_owned();
        Browser { cookie, csrf: told["csrf"].as_str().unwrap().to_owned() }
    }
}

// ---- Asking -----------------------------------------------------------------------------------------------

pub(crate) struct Ask(pub(crate) http::request::Builder, pub(crate) Body);

pub(crate) fn get(path: &str) -> Ask {
    Ask(Request::get(path).header(header::HOST, "127.0.0.1:7470"), Body::empty())
}

pub(crate) fn delete(path: &str) -> Ask {
    Ask(Request::delete(path).header(header::HOST, "127.0.0.1:7470"), Body::empty())
}

pub(crate) fn post(path: &str, body: &Value) -> Ask {
    raw(path, body.to_string())
}

pub(crate) fn raw(path: &str, body: impl Into<Body>) -> Ask {
    Ask(Request::post(path).header(header::HOST, "127.0.0.1:7470"), body.into())
}

impl Ask {
    pub(crate) fn with(self, name: &str, value: &str) -> Ask {
        Ask(self.0.header(name, value), self.1)
    }

    pub(crate) fn key(self, key: &str) -> Ask {
        self.with("authorization", &format!("Bearer {key}"))
    }

    /// As the console's own page asks.
    pub(crate) fn page(self, browser: &Browser) -> Ask {
        self.with("cookie", &browser.cookie).with("origin", ORIGIN).with("remit-csrf", &browser.csrf)
    }

    pub(crate) fn operator(self) -> Ask {
        self.key(OPERATOR_KEY)
    }

    pub(crate) async fn answer(self, router: &Router) -> Response<Body> {
        router.clone().oneshot(self.0.body(self.1).unwrap()).await.unwrap()
    }

    pub(crate) async fn send(self, router: &Router) -> (StatusCode, Value) {
        let answer = self.answer(router).await;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
    }

    /// Sends, and demands a problem of this status and code.
    pub(crate) async fn problem(self, router: &Router, status: u16, code: &str) -> Value {
        let answer = self.answer(router).await;
        let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
        let got = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let problem: Value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| panic!("{got}: {}", String::from_utf8_lossy(&bytes)));
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{problem}");
        assert_eq!(kind.unwrap(), "application/problem+json");
        assert_eq!(problem["type"], format!("/errors/{code}"));
        problem
    }
}

// ---- The book ---------------------------------------------------------------------------------------------

/// A tool that answers with its own arguments.
struct Echo;

impl Reach for Echo {
    fn kind(&self) -> &'static str {
        "echo"
    }

    fn reach(&self, permit: Permit, _: Option<Secret>, _: Cancel, _: Feed) -> Reaching {
        let body = permit.bytes().to_vec();
        // Of what is called so the answer never comes.
        let is_lost = permit.call().args.get("id").is_some_and(|id| id == "lost");
        let outcome = if is_lost { Outcome::Unknown } else { Outcome::Succeeded };
        Box::pin(async move { Reached { outcome, body, trouble: None, said: None, used: None } })
    }
}

pub(crate) fn book() -> Book {
    let mut agents: BTreeMap<String, Manifest> = BTreeMap::new();
    for (id, email, roles) in USERS {
        agents.insert(id.to_owned(), manifest(id, roles_may(id, email, roles)));
    }
    agents.insert(PORTAL.to_owned(), Manifest { executor: true, ..manifest(PORTAL, Vec::new()) });
    let may = may(CLERK, 0, "desk.look", Some("args.ticket <= 100"));
    agents.insert(CLERK.to_owned(), manifest(CLERK, vec![may]));
    let pay = May { ask: Some("finance".to_owned()), ..may_line(PAYER, "desk.pay", "args.cents <= 9000") };
    agents.insert(PAYER.to_owned(), manifest(PAYER, vec![pay]));
    let owned = json!({"type": "object", "additionalProperties": false, "required": ["type", "id", "ownerID"],
        "properties": {"type": {"type": "string"}, "id": {"type": "string"}, "ownerID": {"type": "string"}}});
    let plain = json!({"type": "object", "additionalProperties": false, "required": ["type", "id"],
        "properties": {"type": {"type": "string"}, "id": {"type": "string"}}});
    let desk = json!({"type": "object", "additionalProperties": false, "required": ["ticket"],
        "properties": {"ticket": {"type": "integer"}}});
    let sum = json!({"type": "object", "additionalProperties": false, "required": ["cents"],
        "properties": {"cents": {"type": "integer"}}});
    let tools = [
        contract("user", "can_read_user", Effect::Read, &plain),
        contract("todo", "can_read_todos", Effect::Read, &plain),
        contract("todo", "can_create_todo", Effect::Reversible, &plain),
        contract("todo", "can_update_todo", Effect::Reversible, &owned),
        contract("todo", "can_delete_todo", Effect::Irreversible, &owned),
        contract("desk", "look", Effect::Read, &desk),
        contract("desk", "pay", Effect::Irreversible, &sum),
    ];
    let mut tools: BTreeMap<String, Contract> =
        tools.into_iter().map(|contract| (contract.name.clone(), contract)).collect();
    if let Some(tool) = tools.get_mut("todo.can_read_todos") {
        let definition = json!({ "description": "Reads them.", "name": "can_read_todos" });
        tool.pin = Some(stdx::digest::Digest::of(&stdx::json::canonical(&definition)));
        tool.definition = Some(definition);
    }
    let mut house = House::default();
    for (name, roles) in directory() {
        let groups = roles.iter().filter_map(|role| match role {
            Role::Approver(group) => Some(group.clone()),
            _ => None,
        });
        house.approvals.people.insert(name, groups.collect());
    }
    Book { agents, house, rules: Vec::new(), tools }
}

fn may_line(agent: &str, tool: &str, when: &str) -> May {
    may(agent, 0, tool, Some(when))
}

/// Everybody reads; editors create, and change their own; an admin deletes any, an evil genius updates any.
fn roles_may(id: &str, email: &str, roles: &[&str]) -> Vec<May> {
    let own = format!("args.ownerID == \"{email}\"");
    let mut lines: Vec<(&str, Option<&str>)> =
        vec![("user.can_read_user", None), ("todo.can_read_todos", None)];
    for role in roles {
        match *role {
            "admin" => lines.extend([("todo.can_create_todo", None), ("todo.can_delete_todo", None)]),
            "evil_genius" => lines.push(("todo.can_update_todo", None)),
            "editor" => lines.extend([
                ("todo.can_create_todo", None),
                ("todo.can_update_todo", Some(own.as_str())),
                ("todo.can_delete_todo", Some(own.as_str())),
            ]),
            _ => {}
        }
    }
    lines.into_iter().enumerate().map(|(number, (tool, when))| may(id, number, tool, when)).collect()
}

fn may(agent: &str, number: usize, tool: &str, when: Option<&str>) -> May {
    let origin = Origin { file: format!("agents/{agent}.yaml"), line: number + 4, column: 5 };
    May {
        id: format!("{agent}.may[{number}]"),
        tool: tool.to_owned(),
        when: when.map(str::to_owned),
        when_origin: when.map(|_| origin.clone()),
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

fn contract(server: &str, tool: &str, effect: Effect, input: &Value) -> Contract {
    Contract {
        deed: Default::default(),
        about: "a tool of a test".to_owned(),
        credential: None,
        cost_usd_nanos: 10_000_000,
        cost_tokens: 0,
        degrade: Default::default(),
        meter: Default::default(),
        counts: Vec::new(),
        destinations: Vec::new(),
        effect,
        env: "prod".to_owned(),
        idempotency_header: None,
        idempotency_field: None,
        definition: None,
        care: Default::default(),
        redact: Default::default(),
        stamp: None,
        to: Vec::new(),
        input: input.clone(),
        labels: Vec::new(),
        name: format!("{server}.{tool}"),
        operation: if effect == Effect::Read { Operation::Read } else { Operation::Write },
        pin: None,
        rate: Default::default(),
        result_bytes_max: 65_536,
        server: server.to_owned(),
        timeout_ms: 1_000,
        tool: tool.to_owned(),
        via: json!({"echo": {}}),
    }
}
