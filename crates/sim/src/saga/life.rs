//! A life of the process: a gate over the log of all lives. A death ends it at a request or at an append.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gate::clock::Clock;
use gate::{Caller, Gate, Options};
use kernel::rules::Rules;
use kernel::time::Time;
use ledger::memory::Memory;
use ledger::sqlite::Sqlite;
use ledger::{Batch, Error, Log, Read, Receipt};
use stdx::digest::Digest;
use tempfile::TempDir;

use super::tools::{AGENT, JOINER};
use super::world::World;

const KEY: &str = "house.key";
const START: Time = Time(1_795_262_400_000);
/// How much faster time passes here.
const HASTE: u64 = 200;

/// Where a process dies: at the n-th append from now, before it is durable or just after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Death {
    pub append: u64,
    pub durable: bool,
}

struct Hasty(Instant);

impl Clock for Hasty {
    fn now(&self) -> Time {
        START.plus_ms(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_mul(HASTE))
    }

    fn wait(&self, ms: u64) -> Duration {
        Duration::from_millis(ms.div_ceil(HASTE))
    }
}

/// Burns down with each append.
#[derive(Default)]
pub(super) struct Fuse {
    left: AtomicU64,
    durable: AtomicBool,
    is_dead: AtomicBool,
    appends: AtomicU64,
    /// Held while something is written, so that a death is not in the middle of it.
    pen: Mutex<()>,
}

/// A log that is written to as long as its process lives.
struct Mortal {
    log: Box<dyn Log>,
    fuse: Arc<Fuse>,
    world: World,
}

/// Where the ledger is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    Memory,
    /// SQLite in a folder; each life goes on with a copy of what the last one left.
    Files,
}

impl Log for Mortal {
    fn append(&mut self, batch: &Batch) -> Result<Vec<Receipt>, Error> {
        let fuse = self.fuse.clone();
        let _pen = fuse.pen.lock().unwrap_or_else(PoisonError::into_inner);
        if fuse.is_dead.load(Ordering::Acquire) {
            return Err(dead());
        }
        self.fuse.appends.fetch_add(1, Ordering::Relaxed);
        let lit = self.fuse.left.load(Ordering::Acquire);
        if lit != 1 {
            self.fuse.left.store(lit.saturating_sub(1), Ordering::Release);
            return self.log.append(batch);
        }
        if self.fuse.durable.load(Ordering::Acquire) {
            self.log.append(batch)?;
        }
        self.fuse.is_dead.store(true, Ordering::Release);
        self.world.kill();
        Err(dead())
    }

    fn erase(&mut self, index: u64, commitment: &Digest) -> Result<(), Error> {
        self.log.erase(index, commitment)
    }

    fn put_snapshot(&mut self, name: &str, index: u64, bytes: &[u8]) -> Result<(), Error> {
        let fuse = self.fuse.clone();
        let _pen = fuse.pen.lock().unwrap_or_else(PoisonError::into_inner);
        if fuse.is_dead.load(Ordering::Acquire) {
            return Err(dead());
        }
        self.log.put_snapshot(name, index, bytes)
    }

    fn reader(&self) -> Result<Box<dyn Read>, Error> {
        self.log.reader()
    }
}

fn dead() -> Error {
    Error::Io(std::io::Error::other("the process is dead"))
}

/// What all lives share.
pub(super) struct House {
    pub(super) world: World,
    store: Store,
    memory: Memory,
    rules: Arc<Rules>,
    /// Holds the house's key.
    home: TempDir,
    clock: Arc<Hasty>,
    /// Of the agent that plans, and of the one that groups.
    bearers: [String; 2],
}

pub(super) struct Life {
    pub(super) gate: Gate,
    pub(super) caller: Caller,
    /// Who works without phases.
    pub(super) joiner: Caller,
    pub(super) number: u64,
    fuse: Arc<Fuse>,
    folder: TempDir,
}

impl Life {
    /// From now on.
    pub(super) fn dies(&self, death: Death) {
        self.fuse.durable.store(death.durable, Ordering::Release);
        self.fuse.left.store(death.append, Ordering::Release);
    }

    pub(super) fn appends(&self) -> u64 {
        self.fuse.appends.load(Ordering::Relaxed)
    }
}

impl House {
    pub(super) async fn built(
        rules: Arc<Rules>,
        world: World,
        store: Store,
    ) -> Result<(House, Life), String> {
        let home = tempfile::tempdir().map_err(said)?;
        let clock = Arc::new(Hasty(Instant::now()));
        let memory = Memory::new();
        let mut house = House { world, store, memory, rules, home, clock, bearers: Default::default() };
        let folder = tempfile::tempdir().map_err(said)?;
        let (gate, fuse) = house.gate(&folder)?;
        let number = house.world.life();
        gate.begin().await.map_err(said)?;
        for (agent, bearer) in [AGENT, JOINER].into_iter().zip(&mut house.bearers) {
            let minted = gate.key_mint(agent, 30 * 24 * 3_600_000, "ann").await.map_err(said)?;
            *bearer = minted.map_err(|reason| reason.code.name().to_owned())?.secret;
        }
        std::fs::copy(folder.path().join(KEY), house.home.path().join(KEY)).map_err(said)?;
        let [caller, joiner] = house.callers(&gate)?;
        Ok((house, Life { gate, caller, joiner, number, fuse, folder }))
    }

    /// Another life over the same log; whatever the last one still holds is let go. It may die while it begins.
    pub(super) async fn reborn(&self, last: Life, death: Option<Death>) -> Result<Life, String> {
        let folder = self.inherited(&last)?;
        self.world.bury();
        let gate = last.gate.clone();
        tokio::spawn(async move { gate.stop(Duration::ZERO).await });
        drop(last);
        let number = self.world.life();
        let (gate, fuse) = self.gate(&folder)?;
        let [caller, joiner] = self.callers(&gate)?;
        let begun = Life { gate, caller, joiner, number, fuse, folder };
        if let Some(death) = death {
            begun.dies(death);
        }
        match begun.gate.begin().await {
            Err(error) if self.world.life() == number => Err(said(error)),
            _ => Ok(begun),
        }
    }

    fn callers(&self, gate: &Gate) -> Result<[Caller; 2], String> {
        let [planner, joiner] = &self.bearers;
        Ok([gate.identify(planner).map_err(said)?, gate.identify(joiner).map_err(said)?])
    }

    /// What is durable of a life that ends here.
    fn inherited(&self, last: &Life) -> Result<TempDir, String> {
        let _pen = last.fuse.pen.lock().unwrap_or_else(PoisonError::into_inner);
        last.fuse.is_dead.store(true, Ordering::Release);
        self.memory.crash();
        let folder = tempfile::tempdir().map_err(said)?;
        std::fs::copy(self.home.path().join(KEY), folder.path().join(KEY)).map_err(said)?;
        let left = std::fs::read_dir(last.folder.path()).map_err(said)?;
        for file in left.filter(|_| self.store == Store::Files) {
            let file = file.map_err(said)?;
            let is_ledger = file.file_name().to_string_lossy().starts_with("ledger.db");
            if is_ledger && !file.file_name().to_string_lossy().ends_with("-shm") {
                std::fs::copy(file.path(), folder.path().join(file.file_name())).map_err(said)?;
            }
        }
        Ok(folder)
    }

    fn gate(&self, folder: &TempDir) -> Result<(Gate, Arc<Fuse>), String> {
        let fuse = Arc::<Fuse>::default();
        let log: Box<dyn Log> = match self.store {
            Store::Memory => Box::new(self.memory.clone()),
            Store::Files => Box::new(Sqlite::open(folder.path(), &Default::default()).map_err(said)?),
        };
        let log = Mortal { log, fuse: fuse.clone(), world: self.world.clone() };
        let options = Options {
            folder: folder.path().to_owned(),
            lanes: 2,
            disk_reserve_bytes: 0,
            clock: self.clock.clone(),
            reaches: vec![self.world.arm()],
        };
        let gate = Gate::open(options, Box::new(log), self.rules.clone()).map_err(said)?;
        Ok((gate, fuse))
    }
}

pub(super) fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
