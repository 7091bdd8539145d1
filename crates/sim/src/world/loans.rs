//! Loans: a call whose lane is short waits by itself while control lends, and other lanes give back, in any order.

use std::sync::Arc;

use kernel::call::Call;
use kernel::command::{Answer, Command};
use kernel::decide::Decision;
use kernel::decide::lend::{decide_free, decide_lend};
use kernel::lending::Need;
use ledger::Payload;
use stdx::json::canonical;

use super::{World, lane_of};
use crate::pipeline::{LANES, Waiter};

/// As often a call goes back to its lane.
const ROUNDS_MAX: usize = 4;

/// A call that waits for a loan.
pub(super) struct Parked {
    call: Arc<Call>,
    needs: Vec<Need>,
    /// The other lanes were asked already.
    has_asked: bool,
}

impl World {
    pub(super) fn park(&mut self, call: Arc<Call>, needs: Vec<Need>) {
        let rounds = self.sent.iter().filter(|sent| sent.id == call.id).count();
        if rounds <= ROUNDS_MAX {
            self.parked.push(Parked { call, needs, has_asked: false });
        }
    }

    /// One stage on: something that was given back is counted, or one call that waits asks control.
    pub(super) fn lend(&mut self) -> Result<(), String> {
        if !self.returned.is_empty() && self.random.percent(50) {
            let at = self.random.below(self.returned.len() as u64);
            let (lane, parts) = self.returned.swap_remove(usize::try_from(at).unwrap_or(0));
            let decision = decide_free(&self.pipe.law.control, lane, &parts);
            return self.write_loan(&decision).map(drop);
        }
        if self.parked.is_empty() {
            return Ok(());
        }
        let at = self.random.below(self.parked.len() as u64);
        let Parked { call, needs, has_asked } = self.parked.swap_remove(usize::try_from(at).unwrap_or(0));
        let to = lane_of(call.run);
        let law = &self.pipe.law;
        let decision = decide_lend(&law.control, &law.rules, to, LANES, &needs, self.now);
        if !self.write_loan(&decision)? {
            return Ok(());
        }
        match decision.answer {
            Answer::Short(short) if !has_asked => {
                let accounts: Vec<_> = short.into_iter().map(|need| need.account).collect();
                for lane in (1..=LANES).filter(|lane| *lane != to) {
                    let command = Command::GiveBack(accounts.clone());
                    self.ask(lane, command, Vec::new(), Waiter::Returning(lane));
                }
                self.parked.push(Parked { call, needs, has_asked: true });
            }
            Answer::Short(_) => self.propose_again(&call, Command::ProposeLast),
            _ => self.propose_again(&call, Command::Propose),
        }
        Ok(())
    }

    /// Nothing was recorded of it yet, so it is committed to anew.
    fn propose_again(&mut self, call: &Call, command: fn(Arc<Call>) -> Command) {
        let payload = Payload::new("args", self.random.bytes(), canonical(&call.args), false);
        let call = Arc::new(Call { args_commitment: payload.commitment, ..call.clone() });
        self.sent.push(call.clone());
        self.ask(lane_of(call.run), command(call.clone()), vec![payload], Waiter::Call(call));
    }

    /// True if it is durable, or there was nothing to write.
    fn write_loan(&mut self, decision: &Decision) -> Result<bool, String> {
        self.plan_fault();
        match self.pipe.lend(decision, self.now)? {
            Ok(receipts) => {
                self.audit.acknowledge(&receipts.unwrap_or_default());
                self.audit.read(&self.pipe.log)?;
                Ok(true)
            }
            Err(refused) => {
                self.faults += 1;
                refused.into_iter().for_each(|write| self.refuse(write));
                self.recovered()?;
                Ok(false)
            }
        }
    }

    /// At a start: whatever lanes gave back before, and nobody lived to count.
    pub(super) fn return_all(&mut self) {
        for lane in 1..=LANES {
            self.ask(lane, Command::GiveBack(Vec::new()), Vec::new(), Waiter::Returning(lane));
        }
    }

    pub(super) fn free_all(&mut self) -> Result<bool, String> {
        while let Some((lane, parts)) = self.returned.pop() {
            let decision = decide_free(&self.pipe.law.control, lane, &parts);
            if !self.write_loan(&decision)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
