//! Composition: the only file that sees every crate. It hands reaches to the gate and doors to the server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use gate::Gate;
use kernel::rules::Rules;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tools::callback::{Callbacks, Place};
use tools::mcp::Mcp;
use tools::webhook::{Hook, Hooks};

use crate::accept::Accept;
use crate::callback::CallBack;
use crate::change::Change;
use crate::config::{Loaded, Person, Problem, Problems, Settings};
use crate::private;
use crate::report::Reporter;

/// How long a stop waits for calls under way.
const STOP_WAIT: Duration = Duration::from_secs(10);
/// The operator's key, in the data folder, for its owner only.
pub(crate) const OPERATOR_KEY: &str = "operator.key";
/// Where people's commands find this Remit.
pub(crate) const ADDRESS: &str = "address";
/// Where wrapped clients find it.
pub(crate) const AGENTS_ADDRESS: &str = "agents-address";

pub(crate) struct Running {
    pub(crate) gate: Gate,
    pub(crate) agents: SocketAddr,
    pub(crate) people: SocketAddr,
    mcp: Mcp,
    /// Held by whoever reads the configuration to put it into force.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    /// Who may sign in.
    directory: watch::Sender<Arc<server::People>>,
    /// Whose messages are heeded.
    inbound: watch::Sender<Arc<server::Inbound>>,
    hooks: Hooks,
    callbacks: Callbacks,
    stop: watch::Sender<bool>,
    doors: Vec<JoinHandle<()>>,
}

/// Compiles the rules of a loaded configuration; problems print like those of the configuration. What is only worth
/// a warning comes with the rules.
pub(crate) fn compile(loaded: Loaded) -> Result<(Arc<Rules>, Settings, Problems), Problems> {
    let Loaded { book, settings, warnings, sources } = loaded;
    match Rules::compile(book) {
        Ok(rules) => {
            let of_rules = rules.policy.warnings().iter().cloned().map(Problem::from);
            let list = warnings.into_iter().chain(of_rules).collect();
            Ok((Arc::new(rules), settings, Problems { list, sources }))
        }
        Err(problems) => Err(Problems { list: problems.into_iter().map(Problem::from).collect(), sources }),
    }
}

pub(crate) async fn start(rules: Arc<Rules>, settings: &Settings) -> Result<Running> {
    let agents = bind(settings.agents_listen, "agents").await?;
    let people = bind(settings.people_listen, "people").await?;
    let (gate, mcp) = opened(rules, settings).await?;
    let operator = operator_key(&settings.data)?;
    let (stop, stopping) = watch::channel(false);
    let mut options = server::Options::new(&operator, stopping.clone());
    options.hosts = settings.hosts.clone();
    options.door_bytes_max = settings.door_bytes_max;
    let (directory, people_known) = watch::channel(directory(&settings.people));
    options.people = people_known;
    let (inbound, senders_known) = watch::channel(Arc::new(settings.inbound.clone()));
    options.inbound = senders_known;
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    if let Some(file) = &settings.file {
        options.accepts = Some(Arc::new(Accept::new(gate.clone(), mcp.clone(), file.clone(), turn.clone())));
    }
    options.changes = Some(Arc::new(Change::new(settings)));
    let reporter = Reporter::new(&settings.incidents, gate.clone()).context("incidents cannot be sent")?;
    options.reports = Some(Arc::new(reporter));
    let (agents_at, people_at) = (agents.local_addr()?, people.local_addr()?);
    options.traces = settings.traces.clone();
    options.console = settings.console.clone().unwrap_or_else(|| format!("http://{people_at}"));
    let hooks = Hooks::new(&gate, &settings.data, &options.console, &stopping);
    let hooks = hooks.context("the webhooks cannot start")?;
    hooks.know(&settings.notify);
    let callbacks = callbacks(&gate, settings, &stopping)?;
    options.callbacks = Some(Arc::new(CallBack(callbacks.clone())));
    private::write(&settings.data.join(AGENTS_ADDRESS), &format!("http://{agents_at}"), true)?;
    private::write(&settings.data.join(ADDRESS), &format!("http://{people_at}"), true)?;
    let doors = vec![
        tokio::spawn(server::serve(
            agents,
            server::agents_router(
                gate.clone(),
                options.clone(),
                tools::door::router(gate.clone(), mcp.catalogue(), options.console.clone()),
            ),
            stopping.clone(),
        )),
        tokio::spawn(server::serve(people, server::people_router(gate.clone(), options), stopping)),
    ];
    Ok(Running {
        gate,
        agents: agents_at,
        people: people_at,
        mcp,
        turn,
        directory,
        inbound,
        hooks,
        callbacks,
        stop,
        doors,
    })
}

/// The gate, with its ledger and what it reaches the world by.
async fn opened(rules: Arc<Rules>, settings: &Settings) -> Result<(Gate, Mcp)> {
    let log = ledger::sqlite::Sqlite::open(&settings.data, &ledger::sqlite::Options::default())
        .with_context(|| format!("the data folder `{}` cannot be opened", settings.data.display()))?;
    private::tighten(&settings.data);
    let http = tools::Http::new(tools::Options::default()).context("the tools' HTTP client cannot start")?;
    let mcp = mcp(&settings.folder)?;
    mcp.know(rules.book.tools.values());
    let options = gate::Options {
        folder: settings.data.clone(),
        lanes: 1,
        disk_reserve_bytes: settings.disk_reserve_bytes,
        clock: Arc::new(gate::clock::Wall),
        reaches: vec![Arc::new(http), Arc::new(mcp.clone())],
    };
    let gate = tokio::task::spawn_blocking(move || Gate::open(options, Box::new(log), rules))
        .await?
        .context("the ledger cannot be read back")?;
    gate.begin().await.context("the ledger cannot be written")?;
    mcp.tell(&gate);
    Ok((gate, mcp))
}

fn callbacks(gate: &Gate, settings: &Settings, stop: &watch::Receiver<bool>) -> Result<Callbacks> {
    let callbacks = Callbacks::open(gate, &settings.data, stop).context("callbacks cannot start")?;
    callbacks.know(&settings.callbacks);
    Ok(callbacks)
}

/// The reach for MCP servers; this program itself stands between Remit and each child.
pub(crate) fn mcp(folder: &Path) -> Result<Mcp> {
    let program = std::env::current_exe().context("this program cannot be found again")?;
    let keeper = vec![program.to_string_lossy().into_owned(), tools::mcp::keep::WORD.to_owned()];
    let folder = Some(folder.to_owned());
    let options = tools::mcp::Options { keeper, folder, ..tools::mcp::Options::default() };
    Mcp::new(&options).context("the MCP client cannot start")
}

fn directory(people: &[Person]) -> Arc<server::People> {
    Arc::new(people.iter().map(|person| (person.name.clone(), person.roles.clone())).collect())
}

impl Running {
    /// From now on these people may sign in, and nobody else stays signed in.
    pub(crate) fn know_people(&self, people: &[Person]) {
        self.directory.send_replace(directory(people));
    }

    /// From now on the messages of these are heeded, and of no others.
    pub(crate) fn know_inbound(&self, inbound: &server::Inbound) {
        self.inbound.send_replace(Arc::new(inbound.clone()));
    }

    /// From now on these are told of what happens, and no others. False: they were these before.
    pub(crate) fn know_hooks(&self, hooks: &[Hook]) -> bool {
        self.hooks.know(hooks)
    }

    /// From now on agents may have themselves told there, and nowhere else. False: it was so before.
    pub(crate) fn know_callbacks(&self, places: &[Place]) -> bool {
        self.callbacks.know(places)
    }

    /// Makes a new set of rules the law, and forgets servers that it does not name.
    pub(crate) async fn activate(&self, rules: Arc<Rules>) -> Result<gate::Receipt, gate::error::Error> {
        let receipt = self.gate.activate(rules.clone(), "reload").await?;
        self.mcp.know(rules.book.tools.values());
        Ok(receipt)
    }

    /// Closes the doors, lets what is under way end, and leaves.
    pub(crate) async fn stop(self) {
        self.gate.stop(STOP_WAIT).await;
        self.stop.send_replace(true);
        for door in self.doors {
            let _ = tokio::time::timeout(STOP_WAIT, door).await;
        }
        let _ = tokio::time::timeout(STOP_WAIT, self.mcp.close()).await;
    }
}

async fn bind(address: SocketAddr, whose: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("the {whose}' address {address} cannot be listened on; is another Remit running? (`listen.{whose}`)")
    })
}

/// Made at the first start; a person who can read the data folder is an operator.
fn operator_key(data: &Path) -> Result<String> {
    let path = data.join(OPERATOR_KEY);
    if !path.exists() {
        let mut secret = [0u8; 32];
        rustls::crypto::aws_lc_rs::default_provider()
            .secure_random
            .fill(&mut secret)
            .map_err(|_| anyhow::anyhow!("the system gives no randomness"))?;
        private::write(&path, &stdx::encode::hex(&secret), false)?;
    }
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    Ok(text.trim().to_owned())
}
