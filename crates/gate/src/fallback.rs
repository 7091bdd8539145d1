//! Fallback: what a contract puts in the place of an answer that cannot be had: its tool is left alone, or is down.
//!
//! The call itself ends as it ended. A tool that stands in is a call of its own, which the law may refuse; it has no
//! fallback of its own, so there is no chain.

use kernel::call::Outcome;
use kernel::contract::{Contract, Fallback};
use tokio::sync::watch;

use crate::caller::{Answered, CallAsk, Caller, Instead};
use crate::care;
use crate::error::Error;
use crate::gate::Gate;
use crate::port::Feed;

/// What a call keeps for the case that its tool cannot be reached.
struct Kept {
    fallback: Fallback,
    writes: bool,
    ask: CallAsk,
}

impl Gate {
    /// As `call`, for a caller that listens while it is under way, and may say that it no longer wants it.
    pub async fn call_fed(
        &self,
        caller: &Caller,
        ask: CallAsk,
        feed: Feed,
        unwanted: Option<watch::Receiver<bool>>,
    ) -> Result<Answered, Error> {
        let Some(kept) = self.kept(&ask) else { return self.call_walked(caller, ask, feed, unwanted).await };
        let answered = self.call_walked(caller, ask, feed.clone(), unwanted.clone()).await?;
        Box::pin(self.stood_in(caller, kept, answered, feed, unwanted)).await
    }

    /// None: its contract has nothing for that case.
    fn kept(&self, ask: &CallAsk) -> Option<Kept> {
        let rules = self.rules();
        let contract: &Contract = &rules.tool(&ask.tool)?.contract;
        let fallback = contract.care.fallback.clone()?;
        // The same key under another tool would be another call under one key.
        let ask = CallAsk { idempotency_key: None, ..ask.clone() };
        Some(Kept { fallback, writes: contract.effect.writes(), ask })
    }

    /// Puts in what is kept, if the tool could not be reached.
    async fn stood_in(
        &self,
        caller: &Caller,
        kept: Kept,
        mut answered: Answered,
        feed: Feed,
        unwanted: Option<watch::Receiver<bool>>,
    ) -> Result<Answered, Error> {
        if !is_down(&answered, kept.writes) {
            return Ok(answered);
        }
        let instead = match kept.fallback {
            Fallback::Answer(value) => Instead::Answer(value),
            Fallback::Tool(tool) => {
                let ask = CallAsk { tool: tool.clone(), ..kept.ask };
                Instead::Tool(tool, Box::new(self.call_walked(caller, ask, feed, unwanted).await?))
            }
        };
        answered.fallback = Some(instead);
        Ok(answered)
    }
}

/// Whether nobody was there. What a write came to that may have happened is never covered up.
fn is_down(answered: &Answered, writes: bool) -> bool {
    let Some(trouble) = answered.trouble.as_deref() else { return false };
    match answered.outcome {
        Some(Outcome::NotDispatched) => trouble == "tool_resting" || care::is_down(trouble),
        Some(Outcome::Failed) => !writes && care::is_down(trouble),
        _ => false,
    }
}
