//! Care: how gently a tool is called. Calls take turns, what failed in passing is tried again, and a tool that keeps
//! failing is left alone for a while. No clock of its own and no I/O: it is told what happened, and when.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kernel::call::Outcome;
use kernel::contract::{Care as Rule, Contract, Effect};
use kernel::id::RunId;
use kernel::time::Time;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::port::Reached;

/// Tries beyond the first that one run may cause, so that a bad day out there is not answered with a storm.
const TRIES_PER_RUN_MAX: u32 = 50;
/// Runs whose tries are remembered; beyond it the oldest memory is dropped with all others.
const RUNS_MAX: usize = 10_000;
const REST_FIRST_MS: u64 = 5_000;
const REST_MAX_MS: u64 = 300_000;
const BACKOFF_FIRST: Duration = Duration::from_millis(100);

/// What went wrong on the way there or back, and may go right the next time.
const TRANSIENT: [&str; 11] = [
    "busy",
    "closed",
    "connection_lost",
    "reset",
    "session_lost",
    "status_429",
    "status_502",
    "status_503",
    "status_504",
    "timeout",
    "unreachable",
];

#[derive(Default)]
pub(crate) struct Care {
    tools: Mutex<HashMap<String, Arc<Tool>>>,
    tries: Mutex<HashMap<RunId, u32>>,
}

struct Tool {
    rule: Rule,
    turns: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    breaker: Mutex<Breaker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Breaker {
    failures: u32,
    /// Left alone until then; after that one call tries.
    rests_until: Option<Time>,
    trying: bool,
    rest_ms: u64,
}

/// The right to be under way. Given back when it is dropped.
pub(crate) struct Turn {
    _turn: OwnedSemaphorePermit,
    _trial: Trial,
}

/// The one call that tries whether a tool works again. Whatever becomes of it, another may try after it.
struct Trial(Option<Arc<Tool>>);

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(tool) = &self.0 {
            lock(&tool.breaker).trying = false;
        }
    }
}

/// What a call's end says of its tool.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lesson {
    Works,
    Troubled,
    /// It never came so far.
    Nothing,
}

/// Why there is no turn, and when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotNow {
    /// As many under way and waiting as its contract lets.
    Busy,
    /// It failed too often in a row.
    Resting { for_ms: u64 },
}

/// The breaker moved, for the ledger: until when the tool is left alone; none, if it works again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) failures: u32,
    pub(crate) until: Option<Time>,
}

impl Care {
    /// Waits for a turn, unless too many do, or the tool is left alone.
    pub(crate) async fn turn(&self, contract: &Contract, now: Time) -> Result<Turn, NotNow> {
        let tool = self.tool(contract);
        let trial = Trial(tool.admit(now)?.then(|| tool.clone()));
        // A place in the queue is held only while waiting for a turn.
        if let Ok(turn) = tool.turns.clone().try_acquire_owned() {
            return Ok(Turn { _turn: turn, _trial: trial });
        }
        let place = tool.queue.clone().try_acquire_owned().map_err(|_| NotNow::Busy)?;
        let turn = tool.turns.clone().acquire_owned().await.map_err(|_| NotNow::Busy)?;
        drop(place);
        Ok(Turn { _turn: turn, _trial: trial })
    }

    /// Takes note of how a call went; says if that moved the breaker.
    pub(crate) fn learned(&self, contract: &Contract, reached: &Reached, now: Time) -> Option<Moved> {
        self.tool(contract).learned(lesson(reached), now)
    }

    /// How long to wait before another try of the same call; none, if it must not be tried again.
    pub(crate) fn again(
        &self,
        contract: &Contract,
        run: RunId,
        tries: u32,
        reached: &Reached,
    ) -> Option<Duration> {
        let safe = contract.effect == Effect::Read
            || contract.idempotency_header.is_some()
            || contract.idempotency_field.is_some()
            || reached.outcome == Outcome::NotDispatched;
        if !safe || tries >= contract.care.retries || !is_transient(reached) || !self.spend_try(run) {
            return None;
        }
        Some(BACKOFF_FIRST * 2u32.saturating_pow(tries.min(6)))
    }

    /// Until when a tool is left alone, if it is.
    pub(crate) fn rests_until(&self, tool: &str) -> Option<Time> {
        let tool = lock(&self.tools).get(tool).cloned()?;
        lock(&tool.breaker).rests_until
    }

    fn spend_try(&self, run: RunId) -> bool {
        let mut tries = lock(&self.tries);
        if tries.len() >= RUNS_MAX && !tries.contains_key(&run) {
            tries.clear();
        }
        let spent = tries.entry(run).or_default();
        *spent += 1;
        *spent <= TRIES_PER_RUN_MAX
    }

    /// A changed contract brings new turns; calls under way keep theirs.
    fn tool(&self, contract: &Contract) -> Arc<Tool> {
        let mut tools = lock(&self.tools);
        match tools.get(&contract.name) {
            Some(tool) if tool.rule == contract.care => tool.clone(),
            _ => {
                let tool = Arc::new(Tool::new(contract.care.clone()));
                tools.insert(contract.name.clone(), tool.clone());
                tool
            }
        }
    }
}

impl Tool {
    fn new(rule: Rule) -> Tool {
        let places = |count: u32| Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(usize::MAX >> 4)));
        Tool { turns: places(rule.concurrent), queue: places(rule.queue), breaker: Mutex::default(), rule }
    }

    /// Whether this call is the one that tries.
    fn admit(&self, now: Time) -> Result<bool, NotNow> {
        let mut breaker = lock(&self.breaker);
        match breaker.rests_until {
            Some(until) if now < until => Err(NotNow::Resting { for_ms: until.since_ms(now) }),
            // Half open: one call tries, the others wait for what it finds.
            Some(_) if breaker.trying => Err(NotNow::Resting { for_ms: 1_000 }),
            Some(_) => {
                breaker.trying = true;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn learned(&self, lesson: Lesson, now: Time) -> Option<Moved> {
        let mut breaker = lock(&self.breaker);
        match lesson {
            Lesson::Nothing => return None,
            Lesson::Works => {
                let before = std::mem::take(&mut *breaker);
                return before.rests_until.map(|_| Moved { failures: before.failures, until: None });
            }
            Lesson::Troubled => {}
        }
        breaker.failures = breaker.failures.saturating_add(1);
        let tried = std::mem::take(&mut breaker.trying);
        let rests = breaker.rests_until.is_some_and(|until| now < until);
        if breaker.failures < self.rule.failures_max || (rests && !tried) {
            return None;
        }
        breaker.rest_ms = (breaker.rest_ms * 2).clamp(REST_FIRST_MS, REST_MAX_MS);
        let until = now.plus_ms(breaker.rest_ms);
        breaker.rests_until = Some(until);
        Some(Moved { failures: breaker.failures, until: Some(until) })
    }
}

/// Whether a trouble says that nobody is there, rather than that this call was not welcome.
pub(crate) fn is_down(trouble: &str) -> bool {
    let passes = TRANSIENT.contains(&trouble) && !matches!(trouble, "busy" | "status_429");
    passes || trouble.starts_with("status_5")
}

pub(crate) fn is_transient(reached: &Reached) -> bool {
    reached.trouble.as_deref().is_some_and(|trouble| TRANSIENT.contains(&trouble))
}

/// Whether a failed try says nothing of those before it under the same key: nobody was there, the server is in trouble
/// itself, or it is still at the first.
pub(crate) fn is_vague(reached: &Reached) -> bool {
    let trouble = reached.trouble.as_deref().unwrap_or_default();
    is_transient(reached) || trouble.starts_with("status_5") || trouble == "status_409"
}

/// A tool's own answer that something is wrong with the call says that the tool works.
fn lesson(reached: &Reached) -> Lesson {
    let trouble = reached.trouble.as_deref().unwrap_or_default();
    let troubled = trouble.starts_with("status_5") || trouble == "malformed_result";
    if trouble == "cancelled" || trouble == "busy" {
        Lesson::Nothing
    } else if troubled || (is_transient(reached) && trouble != "status_429") {
        Lesson::Troubled
    } else if reached.outcome == Outcome::NotDispatched {
        Lesson::Nothing
    } else {
        Lesson::Works
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
