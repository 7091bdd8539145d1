//! Apply: how each event changes what is remembered. It only routes and sets; every judgement was made before.

use std::sync::Arc;

use crate::account::Account;
use crate::call::Outcome;
use crate::command::Ended;
use crate::event::{CallDecided, CallFinished, Event, RunOpened, Stamp};
use crate::family::Loan;
use crate::halt::Halt;
use crate::id::RunId;
use crate::run::{Keyed, OpenCall, Refusals, Run};
use crate::state::{Control, Due, Key, State};
use crate::time::Time;
use crate::verdict::Ruling;

impl State {
    /// Folds one event of this lane in.
    pub fn apply(&mut self, stamp: &Stamp, event: &Event) {
        // INVARIANT: a lane's events come in sequence, without a gap.
        debug_assert_eq!(stamp.lane_seq, self.seq + 1);
        self.seq = stamp.lane_seq;
        self.lane = stamp.lane;
        self.last = self.last.max(stamp.at);
        match event {
            Event::RunOpened(opened) => self.run_opened(stamp.at, opened),
            Event::RunClosed(closed) => self.run_closed(stamp.at, closed.run),
            Event::CallDecided(decided) => self.call_decided(stamp.at, decided),
            Event::CallFinished(finished) => self.call_finished(stamp.at, finished),
            Event::Answered(answered) => self.person_answered(stamp.at, answered),
            Event::Collected(collected) => self.collected(collected),
            Event::PhaseChanged(changed) => self.phase_changed(changed),
            Event::PlanProposed(proposed) => self.plan_proposed(stamp.at, proposed),
            Event::GroupBegun(begun) => self.group_begun(stamp.at, begun),
            Event::StepJoined(joined) => self.step_joined(stamp.at, joined),
            Event::CommitStarted(started) => self.commit_started(stamp.at, started),
            Event::StepChecked(checked) => self.step_checked(stamp.at, checked),
            Event::UnwindStarted(started) => self.unwind_started(started),
            Event::CommitEnded(ended) => self.commit_ended(stamp.at, ended),
            Event::ResidueAccepted(accepted) => self.residue_accepted(accepted),
            Event::AskEscalated(escalated) => self.escalated(escalated),
            Event::RequestRefused(refused) => {
                self.refused(stamp.at, refused.run, &refused.agent);
            }
            Event::SlicesReturned(returned) => self.shares_return(stamp.at, returned),
            Event::ThresholdCrossed(crossed) => self.threshold_crossed(stamp.at, crossed),
            Event::RunPaused(paused) => self.run_paused(stamp.at, paused),
            Event::RunResumed(resumed) => self.run_resumed(resumed.run),
            Event::RunExtended(extended) => self.run_extended(extended),
            Event::RunCorrected(corrected) => self.corrected(stamp.at, corrected),
            Event::Charged(charged) => self.charged(stamp.at, charged),
            Event::Replanned(replanned) => {
                let seq = self.seq;
                self.runs.entry(replanned.run).and_modify(|run| run.pace.replan(seq));
            }
            Event::Questioned(_) | Event::RefusalsCounted(_) | Event::ToolRested(_) => {}
            Event::RulesActivated(_)
            | Event::KeyMinted(_)
            | Event::KeyRevoked(_)
            | Event::Halted(_)
            | Event::Resumed(_)
            | Event::SlicesLent(_)
            | Event::SlicesFreed(_)
            | Event::Claimed(_)
            | Event::ClaimsReleased(_)
            | Event::SignedIn(_)
            | Event::SignedOut(_)
            | Event::IncidentSent(_)
            | Event::ToolSeen(_) => debug_assert!(false, "a control event in lane {}", stamp.lane),
        }
    }

    fn run_opened(&mut self, at: Time, opened: &RunOpened) {
        let above = opened.parent.map(|parent| self.chain(parent)).unwrap_or_default();
        let run = Run {
            agent: opened.agent.clone(),
            person: opened.person.clone(),
            vouched: opened.vouched.clone(),
            opened: at,
            expires: opened.expires,
            implicit: opened.implicit.zip(opened.idle_ms),
            idle_ms: opened.idle_ms,
            touched: at,
            account: Account::default(),
            by_tool: Default::default(),
            keyed: Default::default(),
            refusals: Refusals { count: 0, since: at },
            pace: Default::default(),
            parent: opened.parent,
            depth: opened.parent.map_or(0, |_| u64::try_from(above.len()).unwrap_or(u64::MAX)),
            children: Default::default(),
            loan: opened.budget.clone().map(|limits| Loan { held: limits.amount(), limits }),
            crossed: 0,
            decide_seq: 0,
            paused: None,
            extensions: Vec::new(),
            asks: 0,
            waiting: 0,
            tickets: Default::default(),
            proposals: Vec::new(),
            phase: Default::default(),
            plans: Vec::new(),
            versions: 0,
            facts: Default::default(),
        };
        if let Some(parent) = opened.parent {
            if let Some(limits) = &opened.budget {
                self.family_lend(parent, limits);
            }
            if let Some(above) = self.runs.get_mut(&parent) {
                above.children.insert(opened.run);
            }
        }
        self.due.insert((run.ends(), Due::Run(opened.run)));
        if let Some(key) = opened.implicit {
            self.implicit.insert(key, opened.run);
        }
        self.runs.insert(opened.run, run);
    }

    fn run_closed(&mut self, at: Time, id: RunId) {
        let Some(run) = self.runs.remove(&id) else { return };
        self.due.remove(&(run.ends(), Due::Run(id)));
        if let Some((key, _)) = run.implicit.filter(|(key, _)| self.implicit.get(key) == Some(&id)) {
            self.implicit.remove(&key);
        }
        match run.parent {
            Some(parent) => {
                if let Some(above) = self.runs.get_mut(&parent) {
                    above.children.remove(&id);
                }
                if let Some(loan) = &run.loan {
                    self.family_return(parent, loan);
                }
            }
            None => self.standing.retain(|_, standing| standing.family != id.family()),
        }
        if !run.plans.is_empty() {
            self.remember(at, id, run);
        }
    }

    fn call_decided(&mut self, at: Time, decided: &CallDecided) {
        let path = self.chain(decided.run);
        // Whoever names another agent's run is refused, and leaves no trace in that run.
        let own = self.runs.get(&decided.run).filter(|run| run.agent == decided.agent);
        if own.is_none() {
            // What a closed run did may be taken back.
            return match decided.part.is_some() && self.agent_of(decided.run) == Some(&decided.agent) {
                true => self.part_of_past(at, decided),
                false => self.refused(at, None, &decided.agent),
            };
        }
        if decided.part.is_some() {
            self.part_decided(at, decided);
        }
        self.touch(at, &path);
        let pending = if decided.ends_ask { self.ask_ended(decided) } else { None };
        let Some(run) = self.runs.get_mut(&decided.run) else { return };
        if let Some(key) = decided.key {
            let keyed =
                Keyed { call: decided.call, args: decided.mark, verdict: decided.verdict(), ended: None };
            run.keyed.insert(key, keyed);
        }
        match decided.ruling {
            Ruling::Ask => return self.ask_begun(at, decided),
            // What a person or time refused is no flood of the agent's.
            Ruling::Deny if decided.ends_ask => return,
            Ruling::Deny => return run.refusals.add(at),
            Ruling::Allow => {}
        }
        if decided.is_paced() {
            match run.by_tool.get_mut(&decided.tool) {
                Some(count) => *count += 1,
                None => drop(run.by_tool.insert(decided.tool.clone(), 1)),
            }
            self.paced(at, decided);
            self.accustomed(decided, pending.as_ref().map_or(&[], |pending| &pending.places));
        }
        self.standing_moved(at, decided, pending.as_ref());
        if let Some(expires) = decided.expires {
            self.due.insert((expires, Due::Call(decided.call)));
        }
        let asked_mark = pending.map(|pending| pending.asked_mark);
        let open = OpenCall { asked_mark, ..self.opened(at, decided, &path) };
        self.calls.insert(decided.call, open);
        self.family_reserve(&path, &decided.reserved);
        self.shares_reserve(at, &decided.accounts, &decided.reserved);
    }

    fn opened(&self, at: Time, decided: &CallDecided, path: &[RunId]) -> OpenCall {
        OpenCall {
            run: decided.run,
            agent: decided.agent.clone(),
            tool: decided.tool.clone(),
            reserved: decided.reserved.clone(),
            carrier: decided.carrier,
            decided: at,
            expires: decided.expires,
            key: decided.key,
            mark: decided.mark,
            reads: decided.reads(),
            seq: self.seq,
            unknown: false,
            above: path.get(1..).unwrap_or_default().to_vec(),
            accounts: decided.accounts.clone(),
            asked_mark: None,
            part: decided.part.clone(),
        }
    }

    /// A call for a plan of a run that is closed.
    fn part_of_past(&mut self, at: Time, decided: &CallDecided) {
        self.part_decided(at, decided);
        if decided.ruling == Ruling::Allow {
            let open = self.opened(at, decided, &[decided.run]);
            self.calls.insert(decided.call, open);
            self.shares_reserve(at, &decided.accounts, &decided.reserved);
        }
    }

    fn refused(&mut self, at: Time, run: Option<RunId>, agent: &str) {
        match run.and_then(|run| self.runs.get_mut(&run)) {
            Some(run) => run.refusals.add(at),
            None => self.refusals.entry(agent.to_owned()).or_default().add(at),
        }
    }

    fn call_finished(&mut self, at: Time, finished: &CallFinished) {
        let Some(call) = self.calls.get_mut(&finished.call) else { return };
        if let Some(expires) = call.expires {
            self.due.remove(&(expires, Due::Call(finished.call)));
        }
        if let Some(run) = self.runs.get_mut(&call.run).filter(|_| call.is_paced()) {
            run.pace.ended(call, finished, self.seq);
        }
        call.unknown = finished.outcome == Outcome::Unknown;
        let ended = Ended { outcome: finished.outcome, result: finished.result };
        let ticket = call.asked_mark.and_then(|mark| self.runs.get_mut(&call.run)?.tickets.get_mut(&mark));
        if let Some(ticket) = ticket.filter(|ticket| ticket.call == finished.call) {
            ticket.ended = Some(ended.clone());
        }
        let keyed = call.key.and_then(|key| self.runs.get_mut(&call.run)?.keyed.get_mut(&key));
        if let Some(keyed) = keyed {
            keyed.ended = Some(ended);
        }
        if call.part.is_some() || !finished.facts.is_empty() {
            let call = call.clone();
            self.part_finished(at, &call, finished);
            self.told(&call, finished);
        }
        if finished.outcome != Outcome::Unknown
            && let Some(call) = self.calls.remove(&finished.call)
        {
            let path = [&[call.run], call.above.as_slice()].concat();
            self.family_post(&path, &call.reserved, &finished.posted);
            self.shares_post(&call.accounts, &call.reserved, &finished.posted);
        }
    }
}

impl Control {
    /// Folds one event of the control lane in.
    pub fn apply(&mut self, stamp: &Stamp, event: &Event) {
        debug_assert_eq!(stamp.lane_seq, self.seq + 1);
        self.seq = stamp.lane_seq;
        self.last = self.last.max(stamp.at);
        match event {
            Event::RulesActivated(rules) => self.rules = Some((rules.digest, rules.payload)),
            Event::KeyMinted(minted) => {
                let (agent, person) = (minted.agent.clone(), minted.person.clone());
                let key = Key { agent, hash: minted.hash, expires: minted.expires, person };
                Arc::make_mut(&mut self.keys).insert(minted.key, key);
            }
            Event::KeyRevoked(revoked) => {
                Arc::make_mut(&mut self.keys).remove(&revoked.key);
            }
            Event::Halted(halted) => {
                let halt = Halt {
                    by: halted.by.clone(),
                    why: halted.why.clone(),
                    since: stamp.at,
                    until: halted.until,
                    reads_allowed: halted.reads_allowed,
                };
                self.halts.insert(halted.scope.clone(), halt);
            }
            Event::Resumed(resumed) => {
                self.halts.remove(&resumed.scope);
            }
            Event::ToolSeen(seen) => {
                self.seen.insert(seen.tool.clone(), seen.digest);
            }
            Event::SlicesLent(lent) => self.lending.lent(stamp.at, lent),
            Event::SlicesFreed(freed) => self.lending.freed(stamp.at, freed),
            Event::Claimed(claimed) => self.claimed(claimed),
            Event::ClaimsReleased(released) => self.released(stamp.at, released),
            Event::SignedIn(begun) => self.signed_in(stamp.at, begun),
            Event::SignedOut(ended) => self.signed_out(&ended.hash),
            Event::IncidentSent(_) => {}
            _ => debug_assert!(false, "{} in the control lane", event.kind()),
        }
    }
}
