//! Calls under way: where a halt finds what it must cut, and learns what became of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kernel::call::Outcome;
use kernel::id::CallId;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long whoever asks for a call waits for its outcome to be durable.
const RECORD_WAIT: Duration = Duration::from_secs(1);

/// How far a call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Going,
    /// A halt wants it to end at once.
    Cut,
    /// It was answered, and its outcome is on its way to the disk.
    Settling,
    /// Its outcome is recorded.
    Ended {
        outcome: Outcome,
        trouble: Option<String>,
    },
}

/// The calls that this process carries, from before they are decided until they are settled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flights(Arc<Mutex<HashMap<CallId, watch::Sender<Stage>>>>);

/// One of them. It is no longer under way when this is dropped.
#[derive(Debug)]
pub(crate) struct Flight {
    call: CallId,
    flights: Flights,
}

impl Flights {
    /// Before the call is decided, so that no halt can come between its permit and its entry here.
    pub(crate) fn enter(&self, call: CallId) -> (Flight, watch::Receiver<Stage>) {
        let (stage, told) = watch::channel(Stage::Going);
        self.lock().insert(call, stage);
        (Flight { call, flights: self.clone() }, told)
    }

    /// Cuts a call. None: it is no longer under way, or somebody else carries it.
    pub(crate) fn cut(&self, call: CallId) -> Option<watch::Receiver<Stage>> {
        let flights = self.lock();
        let stage = flights.get(&call)?;
        stage.send_if_modified(|stage| {
            let going = *stage == Stage::Going;
            if going {
                *stage = Stage::Cut;
            }
            going
        });
        Some(stage.subscribe())
    }

    /// Waits for the outcome of a call that was answered before that was durable.
    pub(crate) async fn recorded(&self, call: CallId) {
        let stage = self.lock().get(&call).map(watch::Sender::subscribe);
        let Some(mut stage) = stage.filter(|stage| *stage.borrow() == Stage::Settling) else { return };
        // Ended, no longer under way, or the log cannot be written: then it is told as it is known.
        let _ = timeout(RECORD_WAIT, stage.wait_for(|stage| *stage != Stage::Settling)).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, watch::Sender<Stage>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    pub(crate) fn settling(&self) {
        if let Some(stage) = self.flights.lock().get(&self.call) {
            stage.send_replace(Stage::Settling);
        }
    }

    pub(crate) fn ended(&self, outcome: Outcome, trouble: Option<String>) {
        if let Some(stage) = self.flights.lock().get(&self.call) {
            stage.send_replace(Stage::Ended { outcome, trouble });
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.call);
    }
}
