//! Asked: nothing that people are asked about is released without a yes of exactly it, from enough who may, and once.

use std::collections::{BTreeMap, BTreeSet};

use kernel::event::{Answered, CallDecided};
use kernel::id::{CallId, RunId};
use kernel::reason::Code;
use kernel::rules::Rules;
use kernel::state::State;
use kernel::time::Time;
use kernel::verdict::Ruling;
use stdx::digest::Digest;

use crate::books::{ASKED, ASKER, LEADS};

/// A call that people were asked about, as the log tells it.
struct Ask {
    /// Of its event, which holds its arguments.
    index: u64,
    run: RunId,
    tool: String,
    args: Digest,
    expires: Time,
    /// Who said yes, and to what.
    yeses: BTreeSet<(String, Digest)>,
    denied: bool,
    over: bool,
}

#[derive(Default)]
pub(crate) struct Asks {
    all: BTreeMap<CallId, Ask>,
    /// So often each bounded approval was used.
    used: BTreeMap<CallId, u64>,
    released: u64,
    refused: u64,
    expired: u64,
}

impl Asks {
    /// Carried out, denied, never answered.
    pub(crate) fn figures(&self) -> [u64; 3] {
        [self.released, self.refused, self.expired]
    }

    pub(super) fn index_of(&self, call: CallId) -> Option<u64> {
        self.all.get(&call).map(|ask| ask.index)
    }

    pub(super) fn answered(
        &mut self,
        at: Time,
        answered: &Answered,
        state: &State,
        rules: &Rules,
    ) -> Result<(), String> {
        let (call, by) = (answered.call, &answered.by);
        let ask = self.all.get_mut(&call).filter(|ask| !ask.over);
        let ask = ask.ok_or_else(|| format!("{by} answered {call}, and nobody was asked about it"))?;
        if !LEADS.contains(&by.as_str()) {
            return Err(format!("{by} answered {call}, and is no lead"));
        }
        if state.runs.get(&ask.run).and_then(|run| run.person.as_ref()) == Some(by) {
            return Err(format!("{by} answered {call}, which is done for them"));
        }
        if at >= ask.expires {
            return Err(format!("{by} answered {call} too late"));
        }
        let now = state.pending.get(&call).map(|pending| pending.bound(call, rules));
        if now != Some(answered.bound) {
            return Err(format!("{by} answered {call} as it was not any more"));
        }
        ask.denied |= !answered.yes;
        if answered.yes && !ask.yeses.insert((by.clone(), answered.bound)) {
            return Err(format!("{by} said the same yes to {call} twice"));
        }
        Ok(())
    }

    pub(super) fn decided(
        &mut self,
        index: u64,
        at: Time,
        decided: &CallDecided,
        state: &State,
        rules: &Rules,
    ) -> Result<(), String> {
        match (decided.ends_ask, decided.ruling) {
            (false, Ruling::Ask) => self.begun(index, decided),
            (false, Ruling::Allow) => self.unasked(at, decided, state),
            (false, Ruling::Deny) => Ok(()),
            (true, Ruling::Allow) => self.released(at, decided, state, rules),
            (true, _) => self.denied(at, decided),
        }
    }

    fn begun(&mut self, index: u64, decided: &CallDecided) -> Result<(), String> {
        let call = decided.call;
        let Some(asked) = &decided.asked else { return Err(format!("{call} asks, and does not say what")) };
        let ask = Ask {
            index,
            run: decided.run,
            tool: decided.tool.clone(),
            args: decided.args,
            expires: asked.expires,
            yeses: BTreeSet::new(),
            denied: false,
            over: false,
        };
        match self.all.insert(call, ask) {
            None => Ok(()),
            Some(_) => Err(format!("{call} asks twice")),
        }
    }

    /// What people must be asked about passes without only by a yes to calls of its shape.
    fn unasked(&mut self, at: Time, decided: &CallDecided, state: &State) -> Result<(), String> {
        let call = decided.call;
        if decided.agent != ASKER || decided.tool != ASKED {
            return Ok(());
        }
        let id = decided.standing.ok_or_else(|| format!("{call} was allowed, and nobody was asked"))?;
        let standing =
            state.standing.get(&id).ok_or_else(|| format!("{call} passed by what is not there"))?;
        let used = self.used.entry(id).or_default();
        *used += 1;
        if *used > standing.terms.times || at >= standing.terms.until {
            return Err(format!("{call} passed by {id}, which is used up or over"));
        }
        Ok(())
    }

    fn released(
        &mut self,
        at: Time,
        decided: &CallDecided,
        state: &State,
        rules: &Rules,
    ) -> Result<(), String> {
        let call = decided.call;
        let ask = self.all.get_mut(&call).filter(|ask| !ask.over);
        let ask = ask.ok_or_else(|| format!("{call} was released, and does not wait"))?;
        if (ask.run, &ask.tool, ask.args) != (decided.run, &decided.tool, decided.args) {
            return Err(format!("{call} was released as another call"));
        }
        if ask.denied || at >= ask.expires {
            return Err(format!("{call} was released after a no"));
        }
        let pending = state.pending.get(&call).ok_or_else(|| format!("{call} was released from nowhere"))?;
        let now = pending.bound(call, rules);
        let quorum = rules.book.house.approvals.groups.get("leads").map_or(1, |group| group.quorum);
        let yeses = ask.yeses.iter().filter(|(_, bound)| *bound == now).count();
        if u64::try_from(yeses).unwrap_or(0) < quorum {
            return Err(format!("{call} was released with {yeses} of {quorum} yeses to what it is"));
        }
        ask.over = true;
        self.released += 1;
        Ok(())
    }

    fn denied(&mut self, at: Time, decided: &CallDecided) -> Result<(), String> {
        let call = decided.call;
        let ask = self.all.get_mut(&call).filter(|ask| !ask.over);
        let ask = ask.ok_or_else(|| format!("{call} was denied, and does not wait"))?;
        match decided.reasons.first().map(|reason| reason.code) {
            Some(Code::ApprovalDenied) if !ask.denied => {
                return Err(format!("{call} was denied for a person who did not say no"));
            }
            Some(Code::ApprovalExpired) if at < ask.expires => {
                return Err(format!("{call} expired before its time"));
            }
            Some(Code::ApprovalDenied) => self.refused += 1,
            Some(Code::ApprovalExpired) => self.expired += 1,
            _ => {}
        }
        ask.over = true;
        Ok(())
    }

    /// Nothing waits for ever.
    pub(super) fn over(&self) -> Result<(), String> {
        match self.all.iter().find(|(_, ask)| !ask.over) {
            Some((call, _)) => Err(format!("{call} still waits after its time")),
            None => Ok(()),
        }
    }
}
