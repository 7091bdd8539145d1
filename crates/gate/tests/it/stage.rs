//! A gate on a stage: a clock that is moved by hand, a world that does as it is told, and a log to look into.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gate::clock::Clock;
use gate::permit::Permit;
use gate::port::{Cancel, Feed, Reach, Reached, Reaching};
use gate::vault::Secret;
use gate::{CallAsk, Caller, Gate, OpenAsk, Options, RunOpened};
use kernel::book::Book;
use kernel::call::Outcome;
use kernel::event::{Event, Stamp};
use kernel::id::RunId;
use kernel::rules::Rules;
use kernel::time::Time;
use ledger::memory::Memory;
use ledger::{Log, Read};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

pub(crate) const START: Time = Time(1_795_262_400_000);

pub(crate) struct Hand(pub(crate) AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::Relaxed))
    }
}

/// Reads succeed but for `crm.slow`, which hangs until it is unwanted; `pay.refund` fails, `mail.send` says so and hangs until it is let go, or until who listens no longer wants it.
pub(crate) struct World {
    pub(crate) reached: Mutex<Vec<Seen>>,
    pub(crate) go: Notify,
    log: Mutex<Box<dyn Read>>,
}

pub(crate) struct Seen {
    pub(crate) bytes: Vec<u8>,
    pub(crate) secret: Option<Vec<u8>>,
}

/// The world outlives the reach that the gate holds.
struct Arm(Arc<World>);

impl Reach for Arm {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn reach(&self, permit: Permit, secret: Option<Secret>, mut cancel: Cancel, feed: Feed) -> Reaching {
        let world = self.0.clone();
        Box::pin(async move {
            world.see(&permit, secret);
            match permit.call().tool.as_str() {
                "pay.refund" => ended(Outcome::Failed, json!({ "error": "no funds" }), Some("status_402")),
                "crm.slow" => {
                    cancel.wanted().await;
                    ended(Outcome::Failed, json!(null), Some("cancelled"))
                }
                "mail.send" => {
                    feed.send(json!("sending"));
                    tokio::select! {
                        () = world.go.notified() => ended(Outcome::Succeeded, json!("sent"), None),
                        () = cancel.wanted(), if feed.is_heard() => ended(Outcome::Unknown, json!(null), Some("cancelled")),
                    }
                }
                _ => ended(Outcome::Succeeded, json!({ "ticket": 7 }), None),
            }
        })
    }
}

fn ended(outcome: Outcome, body: Value, trouble: Option<&str>) -> Reached {
    Reached {
        outcome,
        body: stdx::json::canonical(&body),
        trouble: trouble.map(str::to_owned),
        said: None,
        used: None,
    }
}

impl World {
    /// The crash law: whoever holds a permit finds its decision in the log.
    fn see(&self, permit: &Permit, secret: Option<Secret>) {
        let receipt = *permit.receipt();
        let stored = self.log.lock().unwrap().read(receipt.index, 1).unwrap();
        match Event::decode(&stored[0].bytes).unwrap().1 {
            Event::CallDecided(decided) => assert_eq!(decided.call, permit.call().id),
            other => panic!("a permit for {}", other.kind()),
        }
        self.reached.lock().unwrap().push(Seen {
            bytes: permit.bytes().to_vec(),
            secret: secret.map(|secret| secret.reveal().to_vec()),
        });
    }

    pub(crate) fn count(&self) -> usize {
        self.reached.lock().unwrap().len()
    }

    pub(crate) async fn wait_for(&self, count: usize) {
        while self.count() < count {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
}

pub(crate) struct Stage {
    pub(crate) gate: Gate,
    pub(crate) world: Arc<World>,
    pub(crate) clock: Arc<Hand>,
    pub(crate) caller: Caller,
    pub(crate) bearer: String,
    log: Mutex<Box<dyn Read>>,
    pub(crate) folder: Arc<TempDir>,
}

/// Both stores, in a folder each.
pub(crate) fn stores() -> Vec<(Box<dyn Log>, Arc<TempDir>)> {
    let folder = || Arc::new(tempfile::tempdir().unwrap());
    let memory: (Box<dyn Log>, _) = (Box::new(Memory::new()), folder());
    let folder = folder();
    vec![memory, (sqlite(&folder), folder)]
}

/// Waits for the threads of an earlier gate to let go of the lock.
pub(crate) fn sqlite(folder: &TempDir) -> Box<dyn Log> {
    for _ in 0..500 {
        if let Ok(log) = ledger::sqlite::Sqlite::open(folder.path(), &ledger::sqlite::Options::default()) {
            return Box::new(log);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the folder stays locked");
}

/// The folder as it is now. What the threads of a gate take away meanwhile (SQLite's own, at the end of its last
/// connection) is left out.
pub(crate) fn copy(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match std::fs::copy(entry.path(), copy.path().join(entry.file_name())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }
    copy
}

pub(crate) fn rules(book: Book) -> Arc<Rules> {
    Arc::new(crate::book::compile(book))
}

impl Stage {
    pub(crate) async fn new(log: Box<dyn Log>, folder: Arc<TempDir>, book: Book) -> Stage {
        Stage::with(log, folder, book, 4, 0).await
    }

    pub(crate) async fn memory(book: Book) -> (Stage, Memory) {
        let memory = Memory::new();
        let folder = Arc::new(tempfile::tempdir().unwrap());
        (Stage::new(Box::new(memory.clone()), folder, book).await, memory)
    }

    /// Opens a gate and mints a key for the agent `desk`.
    pub(crate) async fn with(
        log: Box<dyn Log>,
        folder: Arc<TempDir>,
        book: Book,
        lanes: u16,
        disk_reserve_bytes: u64,
    ) -> Stage {
        let world = Arc::new(World {
            reached: Mutex::default(),
            go: Notify::new(),
            log: Mutex::new(log.reader().unwrap()),
        });
        let clock = Arc::new(Hand(AtomicU64::new(START.0)));
        let options = Options {
            folder: folder.path().to_owned(),
            lanes,
            disk_reserve_bytes,
            clock: clock.clone(),
            reaches: vec![Arc::new(Arm(world.clone()))],
        };
        let reader = Mutex::new(log.reader().unwrap());
        let gate = Gate::open(options, log, rules(book)).unwrap();
        gate.begin().await.unwrap();
        let key = gate.key_mint("desk", 3_600_000, "ann").await.unwrap().unwrap();
        let caller = gate.identify(&key.secret).unwrap();
        Stage { gate, world, clock, caller, bearer: key.secret, log: reader, folder }
    }

    pub(crate) fn step(&self, ms: u64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) async fn open(&self) -> RunOpened {
        self.gate.run_open(&self.caller, OpenAsk::default()).await.unwrap().unwrap()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.stamped().into_iter().map(|(_, event)| event).collect()
    }

    pub(crate) fn stamped(&self) -> Vec<(Stamp, Event)> {
        let stored = self.log.lock().unwrap().read(0, 16_384).unwrap();
        stored.iter().map(|row| Event::decode(&row.bytes).unwrap()).collect()
    }

    /// Stops the gate, so that its folder can be opened again.
    pub(crate) async fn stop(self) -> Arc<TempDir> {
        self.gate.stop(std::time::Duration::from_millis(200)).await;
        self.folder
    }
}

pub(crate) fn ask(run: RunId, tool: &str, args: Value) -> CallAsk {
    CallAsk {
        run,
        tool: tool.to_owned(),
        args,
        reason: None,
        model: None,
        context_tokens: None,
        idempotency_key: None,
    }
}

pub(crate) fn lookup(run: RunId) -> CallAsk {
    ask(run, "crm.lookup", json!({ "id": "7" }))
}

/// Waits until it holds, for ten seconds at most.
pub(crate) async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    for _ in 0..1_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it never came to hold");
}
