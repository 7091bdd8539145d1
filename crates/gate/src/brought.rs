//! Brought: what an event brought beside it, read back by the event's place in its lane.
//!
//! Lanes are ahead of the disk. Whoever asks for what a lane has only just decided waits until that is durable, and is
//! not told that it is gone.

use std::time::Duration;

use kernel::id::RunId;
use stdx::digest::Digest;
use tokio::time::Instant;

use crate::error::Error;
use crate::gate::{DECIDE_WAIT, Gate};

/// How long one look at the disk waits for the next, where nobody says that the log has grown.
const LAG: Duration = Duration::from_millis(50);

impl Gate {
    /// A payload of one event of the run's lane; none, if it was erased.
    pub(crate) async fn brought(
        &self,
        run: RunId,
        seq: u64,
        commitment: Digest,
    ) -> Result<Option<Vec<u8>>, Error> {
        let until = Instant::now() + DECIDE_WAIT;
        loop {
            // Seen before the look, so that what is written meanwhile ends the wait.
            let head = *self.0.head.borrow();
            if let Some(found) = self.if_durable(run, seq, commitment).await? {
                return Ok(found);
            }
            if Instant::now() >= until {
                return Err(Error::Overloaded);
            }
            self.wait_past(head, LAG).await;
        }
    }

    /// Nothing, if the event is not on disk yet. Another event in its place: the lane was folded again since whoever
    /// asks has looked, and they look again.
    async fn if_durable(
        &self,
        run: RunId,
        seq: u64,
        commitment: Digest,
    ) -> Result<Option<Option<Vec<u8>>>, Error> {
        let lane = u16::try_from(self.lane_of(run) + 1).unwrap_or(u16::MAX);
        let log = self.0.written.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut log = log.lock().map_err(|_| Error::Stopping)?;
            let Some(index) = log.index_of(lane, seq)? else { return Ok(None) };
            match log.payload(index, &commitment) {
                Ok(bytes) => Ok(Some(Some(bytes))),
                Err(ledger::Error::Erased) => Ok(Some(None)),
                Err(ledger::Error::NotFound) => Err(Error::LogUnwritable),
                Err(error) => Err(error.into()),
            }
        });
        read.await.map_err(|_| Error::Stopping)?
    }
}
