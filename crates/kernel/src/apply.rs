//! Apply: how each event changes what is remembered. It only routes and sets; every judgement was made before.

use crate::account::Account;
use crate::call::Outcome;
use crate::command::Ended;
use crate::event::{CallDecided, CallFinished, Event, RunOpened, Stamp};
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
        self.last = self.last.max(stamp.at);
        match event {
            Event::RunOpened(opened) => self.run_opened(stamp.at, opened),
            Event::RunClosed(closed) => {
                if let Some(run) = self.runs.remove(&closed.run) {
                    self.due.remove(&(run.ends(), Due::Run(closed.run)));
                    if let Some((key, _)) =
                        run.implicit.filter(|(key, _)| self.implicit.get(key) == Some(&closed.run))
                    {
                        self.implicit.remove(&key);
                    }
                }
            }
            Event::CallDecided(decided) => self.call_decided(stamp.at, decided),
            Event::CallFinished(finished) => self.call_finished(finished),
            Event::RequestRefused(refused) => {
                self.refused(stamp.at, refused.run, &refused.agent);
            }
            Event::Questioned(_) | Event::RefusalsCounted(_) | Event::ToolRested(_) => {}
            Event::RulesActivated(_)
            | Event::KeyMinted(_)
            | Event::KeyRevoked(_)
            | Event::Halted(_)
            | Event::Resumed(_)
            | Event::ToolSeen(_) => debug_assert!(false, "a control event in lane {}", stamp.lane),
        }
    }

    fn run_opened(&mut self, at: Time, opened: &RunOpened) {
        let run = Run {
            agent: opened.agent.clone(),
            person: opened.person.clone(),
            opened: at,
            expires: opened.expires,
            implicit: opened.implicit.zip(opened.idle_ms),
            touched: at,
            account: Account::default(),
            by_tool: Default::default(),
            keyed: Default::default(),
            refusals: Refusals { count: 0, since: at },
        };
        self.due.insert((run.ends(), Due::Run(opened.run)));
        if let Some(key) = opened.implicit {
            self.implicit.insert(key, opened.run);
        }
        self.runs.insert(opened.run, run);
    }

    fn call_decided(&mut self, at: Time, decided: &CallDecided) {
        // Whoever names another agent's run is refused, and leaves no trace in that run.
        let own = self.runs.get_mut(&decided.run).filter(|run| run.agent == decided.agent);
        let Some(run) = own else { return self.refused(at, None, &decided.agent) };
        // A call that came too late does not bring the run back.
        if run.implicit.is_some() && at < run.ends() {
            self.due.remove(&(run.ends(), Due::Run(decided.run)));
            run.touched = at;
            self.due.insert((run.ends(), Due::Run(decided.run)));
        }
        if let Some(key) = decided.key {
            let keyed =
                Keyed { call: decided.call, args: decided.mark, verdict: decided.verdict(), ended: None };
            run.keyed.insert(key, keyed);
        }
        if decided.ruling == Ruling::Deny {
            run.refusals.add(at);
            return;
        }
        run.account.reserve(decided.reserved);
        *run.by_tool.entry(decided.tool.clone()).or_default() += 1;
        if let Some(expires) = decided.expires {
            self.due.insert((expires, Due::Call(decided.call)));
        }
        let open = OpenCall {
            run: decided.run,
            agent: decided.agent.clone(),
            tool: decided.tool.clone(),
            reserved: decided.reserved,
            carrier: decided.carrier,
            decided: at,
            expires: decided.expires,
            key: decided.key,
            unknown: false,
        };
        self.calls.insert(decided.call, open);
    }

    fn refused(&mut self, at: Time, run: Option<RunId>, agent: &str) {
        match run.and_then(|run| self.runs.get_mut(&run)) {
            Some(run) => run.refusals.add(at),
            None => self.refusals.entry(agent.to_owned()).or_default().add(at),
        }
    }

    fn call_finished(&mut self, finished: &CallFinished) {
        let Some(call) = self.calls.get_mut(&finished.call) else { return };
        if let Some(expires) = call.expires {
            self.due.remove(&(expires, Due::Call(finished.call)));
        }
        let run = self.runs.get_mut(&call.run);
        if finished.outcome == Outcome::Unknown {
            call.unknown = true;
        } else if let Some(run) = run {
            run.account.post(call.reserved, finished.posted);
        }
        let ended = Ended { outcome: finished.outcome, result: finished.result };
        let keyed = call.key.and_then(|key| self.runs.get_mut(&call.run)?.keyed.get_mut(&key));
        if let Some(keyed) = keyed {
            keyed.ended = Some(ended);
        }
        if finished.outcome != Outcome::Unknown {
            self.calls.remove(&finished.call);
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
                let key = Key { agent: minted.agent.clone(), hash: minted.hash, expires: minted.expires };
                self.keys.insert(minted.key, key);
            }
            Event::KeyRevoked(revoked) => {
                self.keys.remove(&revoked.key);
            }
            Event::Halted(halted) => {
                let halt = Halt { by: halted.by.clone(), why: halted.why.clone(), since: stamp.at };
                self.halts.insert(halted.scope.clone(), halt);
            }
            Event::Resumed(resumed) => {
                self.halts.remove(&resumed.scope);
            }
            Event::ToolSeen(seen) => {
                self.seen.insert(seen.tool.clone(), seen.digest);
            }
            _ => debug_assert!(false, "{} in the control lane", event.kind()),
        }
    }
}
