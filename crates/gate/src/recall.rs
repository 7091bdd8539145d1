//! Recall: what a plan needs of earlier events after a restart: its own text, results, arguments that were kept.
//!
//! It is found in the ledger by its place in the lane, so no view is needed.

use kernel::id::RunId;
use kernel::plan::{self, WrittenPlan, WrittenStep};
use kernel::progress::{PlanState, Step};
use serde_json::Value;
use stdx::digest::Digest;
use tokio::time::Instant;

use crate::asks::LAG;
use crate::error::Error;
use crate::gate::{DECIDE_WAIT, Gate};

impl Gate {
    /// The plan as its agent wrote it; none, if it was erased.
    pub(crate) async fn plan_text(&self, run: RunId, plan: &PlanState) -> Result<Option<WrittenPlan>, Error> {
        let text = self.recalled(run, plan.seq, plan.digest).await?;
        Ok(text.and_then(|text| plan::parse(&text).ok()))
    }

    /// A step of a group as its agent asked for it; none, if it was erased.
    pub(crate) async fn joined_step(&self, run: RunId, step: &Step) -> Result<Option<WrittenStep>, Error> {
        let Some(joined) = &step.joined else { return Ok(None) };
        let Some(args) = self.recalled(run, joined.seq, joined.args).await? else { return Ok(None) };
        let reason = match joined.reasoning {
            Some(reasoning) => self.recalled(run, joined.seq, reasoning).await?,
            None => None,
        };
        Ok(Some(WrittenStep {
            id: step.planned.id.clone(),
            tool: step.planned.tool.clone(),
            args,
            after: step.planned.after.clone(),
            reason: reason.and_then(|reason| reason.as_str().map(str::to_owned)),
            effect: None,
            expect: None,
        }))
    }

    pub(crate) async fn step_result(&self, run: RunId, step: &Step) -> Result<Option<Value>, Error> {
        match step.result {
            Some(result) => self.recalled(run, step.ended_seq, result).await,
            None => Ok(None),
        }
    }

    /// What was there before a step that is set back to it.
    pub(crate) async fn step_before(&self, run: RunId, step: &Step) -> Result<Option<Value>, Error> {
        match step.before_result {
            Some(result) => self.recalled(run, step.before_seq, result).await,
            None => Ok(None),
        }
    }

    /// The arguments of a kept undo.
    pub(crate) async fn undo_args(&self, run: RunId, step: &Step) -> Result<Option<Value>, Error> {
        match &step.undo {
            Some(kept) => self.recalled(run, step.undo_seq, kept.args).await,
            None => Ok(None),
        }
    }

    /// A payload of one event of the run's lane; none, if it was erased. Lanes are ahead of the disk: whoever looks
    /// that soon waits a moment, and is not told that it is gone.
    pub(crate) async fn recalled(
        &self,
        run: RunId,
        seq: u64,
        commitment: Digest,
    ) -> Result<Option<Value>, Error> {
        let until = Instant::now() + DECIDE_WAIT;
        loop {
            let head = *self.0.head.borrow();
            if let Some(found) = self.on_record(run, seq, commitment).await? {
                return Ok(found);
            }
            if Instant::now() >= until {
                return Err(Error::Overloaded);
            }
            self.wait_past(head, LAG).await;
        }
    }

    /// Nothing, if the event is not on disk yet.
    async fn on_record(
        &self,
        run: RunId,
        seq: u64,
        commitment: Digest,
    ) -> Result<Option<Option<Value>>, Error> {
        let lane = u16::try_from(self.lane_of(run)).unwrap_or(u16::MAX).saturating_add(1);
        let log = self.0.payloads.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut log = log.lock().map_err(|_| Error::Stopping)?;
            let Some(index) = log.place(lane, seq)? else { return Ok(None) };
            match log.payload(index, &commitment) {
                Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).ok())),
                Err(ledger::Error::Erased | ledger::Error::NotFound) => Ok(Some(None)),
                Err(error) => Err(error.into()),
            }
        });
        read.await.map_err(|_| Error::Stopping)?
    }
}
