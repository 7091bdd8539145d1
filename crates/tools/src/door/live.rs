//! Calls under way whose server asks, for clients that are asked in results (2026-07-28): the call stays under way
//! while the client is told what is wanted, and goes on when it asks again with the answers.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use gate::error::Error;
use gate::port::{Feed, Question};
use gate::{Answered, CallAsk, Caller, Gate};
use kernel::id::KeyId;
use serde_json::{Value, json};
use stdx::encode::hex;
use tokio::sync::{mpsc, watch};

use super::stream::HangUp;
use crate::mcp::wire::{Members, RpcError};

/// Questions of one call that are open at once; others are not answered.
pub(super) const OPEN_MAX: usize = 16;
/// After one question, others that the server asks with it are waited for this long.
const TOGETHER: Duration = Duration::from_millis(50);
/// How long a call stays under way for a client that was told what its server asks.
pub(super) const PARKED_TTL: Duration = Duration::from_secs(5 * 60);
const PARKED_PER_KEY_MAX: usize = 32;
const PARKED_MAX: usize = 512;

type Work = Pin<Box<dyn Future<Output = Result<Answered, Error>> + Send>>;

/// One call under way, and what its server waits for. Dropped, the call is cancelled.
pub(super) struct Live {
    work: Work,
    questions: mpsc::Receiver<Question>,
    open: BTreeMap<String, Question>,
    asked: u32,
    _hang_up: HangUp,
}

pub(super) enum Step {
    Came(Box<Result<Answered, Error>>),
    /// What the server asks, each under the name of its question.
    Asks(Members),
}

impl Live {
    pub(super) fn begin(gate: Gate, caller: Caller, ask: CallAsk, feed: Feed) -> Live {
        let (to, questions) = mpsc::channel(OPEN_MAX);
        let (hang_up, unwanted) = watch::channel(false);
        let feed = feed.with_questions(to);
        let work = async move { gate.call_fed(&caller, ask, feed, Some(unwanted)).await };
        let (work, open, asked) = (Box::pin(work), BTreeMap::new(), 0);
        Live { work, questions, open, asked, _hang_up: HangUp(hang_up) }
    }

    /// Goes on until the call is over or its server asks something.
    pub(super) async fn step(&mut self) -> Step {
        loop {
            tokio::select! {
                biased;
                came = self.work.as_mut() => return Step::Came(Box::new(came)),
                Some(question) = self.questions.recv() => self.note(question),
            }
            for _ in 0..OPEN_MAX {
                match tokio::time::timeout(TOGETHER, self.questions.recv()).await {
                    Ok(Some(question)) => self.note(question),
                    _ => break,
                }
            }
            let wanted = self.wanted();
            if !wanted.is_empty() {
                return Step::Asks(wanted);
            }
        }
    }

    /// What is still to be answered. A server that gave up on a question is not told of it any more.
    pub(super) fn wanted(&mut self) -> Members {
        self.open.retain(|_, question| !question.answer.is_closed());
        self.open.iter().map(|(name, question)| (name.clone(), question.asked.clone())).collect()
    }

    fn note(&mut self, question: Question) {
        if self.open.len() < OPEN_MAX {
            self.asked += 1;
            self.open.insert(format!("question-{}", self.asked), question);
        }
    }

    pub(super) fn answer(&mut self, name: &str, answer: Result<Value, RpcError>) {
        if let Some(question) = self.open.remove(name) {
            let _ = question.answer.send(told(answer));
        }
    }
}

/// As a reach reads it.
pub(super) fn told(answer: Result<Value, RpcError>) -> Value {
    match answer {
        Ok(result) => json!({ "result": result }),
        Err(error) => json!({ "error": error.value() }),
    }
}

// ---- Parked -----------------------------------------------------------------------------------------------

/// Calls that wait for their clients.
#[derive(Default)]
pub(super) struct Parked(Mutex<HashMap<String, Waiting>>);

struct Waiting {
    live: Live,
    owner: KeyId,
}

impl Parked {
    /// The name under which it can be taken up again. None: there is no room, and the call is cancelled.
    pub(super) fn park(parked: &Arc<Parked>, live: Live, owner: KeyId) -> Option<String> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).ok()?;
        let mut all = parked.all();
        let own = all.values().filter(|waiting| waiting.owner == owner).count();
        if own >= PARKED_PER_KEY_MAX || all.len() >= PARKED_MAX {
            return None;
        }
        let name = hex(&bytes);
        all.insert(name.clone(), Waiting { live, owner });
        drop(all);
        let (parked, forgotten) = (Arc::downgrade(parked), name.clone());
        tokio::spawn(async move {
            tokio::time::sleep(PARKED_TTL).await;
            if let Some(parked) = parked.upgrade() {
                parked.all().remove(&forgotten);
            }
        });
        Some(name)
    }

    /// The call, if it is this key's and still waits.
    pub(super) fn take(&self, name: &str, owner: KeyId) -> Option<Live> {
        let mut all = self.all();
        let is_own = all.get(name).is_some_and(|waiting| waiting.owner == owner);
        if is_own { all.remove(name).map(|waiting| waiting.live) } else { None }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
