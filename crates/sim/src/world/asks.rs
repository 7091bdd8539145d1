//! Asks: people look at what waits and answer it, late, twice and as it was; what has its yeses is released, and what
//! has not is tried to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::account::Limits;
use kernel::approval::{AskMarks, Pending, Terms};
use kernel::call::Call;
use kernel::command::{Command, PersonAnswer};
use kernel::id::{CallId, Mark, RunId};
use ledger::Payload;
use serde_json::Value;
use stdx::digest::Digest;
use stdx::json::canonical;

use super::agents::mark;
use super::{World, lane_of};
use crate::books::PEOPLE;
use crate::pipeline::Waiter;

/// What stands in the arguments that bounded approvals name.
pub(crate) fn field_marks(fields: &[String], args: &Value) -> BTreeMap<String, Mark> {
    let field = |at: &String| {
        let value = args.pointer(at).map(canonical).unwrap_or_default();
        (at.clone(), mark(RunId(0), &[at.as_bytes(), b"\0", &value].concat()))
    };
    fields.iter().map(|at| (at.clone(), field(at).1)).collect()
}

impl World {
    /// People will be asked about it: it says where it goes, and is committed to anew.
    pub(super) fn propose_marked(&mut self, call: &Call, fields: &[String]) {
        let payload = Payload::new("args", self.random.bytes(), canonical(&call.args), false);
        let ask_marks = Some(AskMarks { places: Vec::new(), fields: field_marks(fields, &call.args) });
        let call = Arc::new(Call { args_commitment: payload.commitment, ask_marks, ..call.clone() });
        self.sent.push(call.clone());
        self.ask(lane_of(call.run), Command::Propose(call.clone()), vec![payload], Waiter::Call(call));
    }

    /// One of what waits, if anything does.
    fn some_pending(&mut self) -> Option<(CallId, Pending)> {
        let desks = self.pipe.desks.iter();
        let all: BTreeMap<CallId, Pending> =
            desks.flat_map(|desk| desk.state.pending.iter().map(|(id, it)| (*id, it.clone()))).collect();
        let ids: Vec<CallId> = all.keys().copied().collect();
        let id = self.random.pick(&ids).copied()?;
        Some((id, all.get(&id)?.clone()))
    }

    /// Somebody answers what they saw; now and then long after they looked, or what they never saw.
    pub(super) fn answer(&mut self) {
        let Some((call, pending)) = self.some_pending() else { return };
        let now = pending.bound(call, &self.pipe.law.rules);
        let before = self.looked.insert(call, now);
        let bound = match self.random.below(10) {
            0 | 1 => before.unwrap_or(now),
            2 => Digest::of(b"another"),
            _ => now,
        };
        let by = self.random.pick(&PEOPLE).copied().unwrap_or("zoe").to_owned();
        let standing = self.random.percent(50).then(|| Terms {
            amount: Limits { usd_nanos: Some(20), ..Limits::default() },
            caps: [("/cents".to_owned(), 60)].into(),
            same: BTreeMap::new(),
            times: 1 + self.random.below(2),
            until: self.now.plus_ms(120_000),
        });
        let answer = PersonAnswer {
            call,
            by,
            yes: self.random.percent(80),
            bound,
            words: None,
            edit: None,
            standing,
            only: Vec::new(),
        };
        let command = Command::Answer(Box::new(answer));
        self.ask(lane_of(pending.run), command, Vec::new(), Waiter::Answer(call, pending.run));
    }

    /// What has its yeses, or is said to.
    pub(super) fn release_some(&mut self) {
        if let Some((call, run)) = self.ready.pop() {
            let desk = self.pipe.desks.iter().find(|desk| desk.lane == lane_of(run));
            if let Some(pending) = desk.and_then(|desk| desk.state.pending.get(&call)).cloned() {
                self.release_call(call, &pending);
            }
        } else if let Some((call, pending)) = self.some_pending() {
            // Whatever it has: at a start, after a pause, or because somebody tries.
            self.release_call(call, &pending);
        }
    }

    /// From what was stored of it; now and then somebody slips other bytes in, or releases it twice.
    fn release_call(&mut self, id: CallId, pending: &Pending) {
        let stored = self.sent.iter().find(|sent| sent.id == id && sent.args_commitment == pending.args);
        let Some(stored) = stored.cloned() else { return };
        let mut call = Call { ask_marks: None, ..stored.as_ref().clone() };
        if self.random.percent(10) {
            call.args_commitment = Digest::of(b"others");
        }
        let call = Arc::new(call);
        for _ in 0..if self.random.percent(10) { 2 } else { 1 } {
            let waiter = Waiter::Release(call.clone());
            self.ask(lane_of(call.run), Command::Release(call.clone()), Vec::new(), waiter);
        }
    }
}
