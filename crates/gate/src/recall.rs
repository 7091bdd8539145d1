//! Recall: what a plan needs of earlier events after a restart: its own text, results, arguments that were kept.
//!
//! It is found in the ledger by its place in the lane, so no view is needed.

use kernel::id::RunId;
use kernel::plan::{self, WrittenPlan, WrittenStep};
use kernel::progress::{PlanState, Step};
use serde_json::Value;
use stdx::digest::Digest;

use crate::error::Error;
use crate::gate::Gate;

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

    /// What an event brought, as it was written; none, if it was erased.
    pub(crate) async fn recalled(
        &self,
        run: RunId,
        seq: u64,
        commitment: Digest,
    ) -> Result<Option<Value>, Error> {
        let bytes = self.brought(run, seq, commitment).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}
