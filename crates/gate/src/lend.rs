//! Lending: what a lane is short of is asked of control, by the call that needs it and never by the lane itself.

use std::sync::mpsc::TrySendError;
use std::time::Duration;

use kernel::command::{Answer, Command};
use kernel::lending::{Need, Part};
use kernel::window::AccountId;
use tokio::sync::oneshot;

use crate::committer::{Waiter, Written};
use crate::control::ControlMessage;
use crate::error::Error;
use crate::gate::Gate;

impl Gate {
    /// False: there is nothing left to lend, in this lane or in any other.
    pub(crate) async fn lend(&self, lane: usize, needs: &[Need]) -> Result<bool, Error> {
        let Answer::Short(short) = self.ask_to_lend(lane, needs).await? else { return Ok(true) };
        if self.lane_count() < 2 {
            return Ok(false);
        }
        let accounts: Vec<AccountId> = short.into_iter().map(|need| need.account).collect();
        for other in (0..self.lane_count()).filter(|other| *other != lane) {
            self.recall(other, accounts.clone()).await?;
        }
        Ok(!matches!(self.ask_to_lend(lane, needs).await?, Answer::Short(_)))
    }

    async fn ask_to_lend(&self, lane: usize, needs: &[Need]) -> Result<Answer, Error> {
        let (to, needs) = (number(lane), needs.to_vec());
        Ok(self.control_now(|waiter| ControlMessage::Lend { to, needs, waiter }).await?.answer)
    }

    /// What a lane does not use of these accounts is free again; and whatever it gave back before a crash.
    pub(crate) async fn recall(&self, lane: usize, accounts: Vec<AccountId>) -> Result<(), Error> {
        let written = self.ask_lane(lane, Command::GiveBack(accounts), Vec::new()).await?;
        let Answer::Returned(returned) = written.answer else { return Ok(()) };
        if !returned.is_empty() {
            self.free(lane, returned).await?;
        }
        Ok(())
    }

    async fn free(&self, lane: usize, returned: Vec<Part>) -> Result<(), Error> {
        let from = number(lane);
        self.control_now(|waiter| ControlMessage::Free { from, returned, waiter }).await.map(drop)
    }

    pub(crate) async fn control_now(
        &self,
        message: impl FnOnce(Waiter) -> ControlMessage,
    ) -> Result<Written, Error> {
        let (waiter, wait) = oneshot::channel();
        let mut message = message(waiter);
        loop {
            match self.0.control.try_send(message) {
                Ok(()) => return wait.await.map_err(|_| Error::Stopping)?,
                Err(TrySendError::Disconnected(_)) => return Err(Error::Stopping),
                Err(TrySendError::Full(returned)) => {
                    message = returned;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    }
}

/// Lanes for calls are numbered after the control lane.
fn number(lane: usize) -> u16 {
    u16::try_from(lane).unwrap_or(u16::MAX).saturating_add(1)
}
