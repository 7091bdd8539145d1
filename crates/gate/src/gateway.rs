//! For doors that speak somebody else's protocol: which run, which tools, and what servers say of theirs.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use kernel::command::{Answer, Command, ControlCommand, OpenRun};
use kernel::contract::Contract;
use kernel::id::{KeyId, RunId};
use kernel::reason::Reason;
use kernel::time::Time;
use ledger::Payload;
use serde_json::Value;
use stdx::digest::Digest;
use stdx::json::canonical;

use crate::caller::Caller;
use crate::error::Error;
use crate::gate::{DECIDE_WAIT, Gate};
use crate::seal;

impl Gate {
    /// The run of calls that name none: one for each credential at a time, opened when it is needed.
    pub async fn implicit_run(&self, caller: &Caller) -> Result<Result<RunId, Reason>, Error> {
        let now = self.0.clock.now();
        if let Some((run, until)) = self.implicit().get(&caller.key)
            && now < *until
        {
            return Ok(Ok(*run));
        }
        let open = OpenRun {
            run: self.run_beside(RunId(caller.key.0)),
            agent: caller.agent.clone(),
            person: None,
            intent: None,
            implicit: Some(caller.key),
            parent: None,
            budget: None,
            credential: Some(caller.key),
        };
        let wait = self.propose(open.run, Command::OpenRun(open), Vec::new())?;
        let written = tokio::time::timeout(DECIDE_WAIT, wait).await.map_err(|_| Error::LogUnwritable)?;
        match written.map_err(|_| Error::Stopping)??.answer {
            Answer::Opened { run, expires } => {
                // Well before it could have been closed as idle, the law is asked again.
                let until = now.plus_ms(self.rules().book.house.implicit_idle_ms / 2).min(expires);
                self.implicit().insert(caller.key, (run, until));
                Ok(Ok(run))
            }
            Answer::Refused(reason) => Ok(Err(reason)),
            _ => Err(Error::LogUnwritable),
        }
    }

    /// Words that a client brings back: sealed, good for `bound` alone, and also after a restart of Remit.
    pub fn seal_state(&self, words: &[u8], bound: &[u8]) -> Option<String> {
        self.0.seal.state(words, bound)
    }

    /// None: it is not ours, or not for this.
    pub fn open_state(&self, state: &str, bound: &[u8]) -> Option<Vec<u8>> {
        self.0.seal.read_state(state, bound)
    }

    /// Somebody closed the run: the next call gets another.
    pub(crate) fn forget_implicit(&self, key: KeyId) {
        self.implicit().remove(&key);
    }

    pub(crate) fn take_implicit(&self, key: KeyId) -> Option<RunId> {
        self.implicit().remove(&key).map(|(run, _)| run)
    }

    fn implicit(&self) -> MutexGuard<'_, HashMap<KeyId, (RunId, Time)>> {
        self.0.implicit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new run's id in the lane of another, so that one clerk alone knows whether the other's is still open.
    fn run_beside(&self, other: RunId) -> RunId {
        let lane = self.lane_of(other);
        loop {
            let run = RunId::new(self.0.clock.now(), seal::random());
            if self.lane_of(run) == lane {
                return run;
            }
        }
    }

    /// The tools that some call of this agent could ever be allowed to use. To it, others do not exist.
    pub fn visible(&self, caller: &Caller) -> Vec<Arc<Contract>> {
        let rules = self.rules();
        let names = rules.book.tools.keys().filter(|name| rules.policy.can_ever(&caller.agent, name));
        names.filter_map(|name| rules.tool(name)).map(|tool| tool.contract.clone()).collect()
    }

    /// Records how a server describes a tool now. If that is not what was accepted, no lane permits the tool after
    /// this.
    pub async fn tool_seen(&self, tool: &str, digest: Digest, definition: &Value) -> Result<(), Error> {
        if self.law().control.seen.get(tool) == Some(&digest) {
            return Ok(());
        }
        let payload = Payload::new("definition", seal::random(), canonical(definition), false);
        let definition = payload.commitment;
        let command = ControlCommand::SeeTool { tool: tool.to_owned(), digest, definition };
        self.ask_control(command, vec![payload], None).await.map(drop)
    }

    /// The digest of what a tool's server last said of it.
    pub fn digest_seen(&self, tool: &str) -> Option<Digest> {
        self.law().control.seen.get(tool).copied()
    }

    /// Until when a tool is left alone because it kept failing; none, if it is not.
    pub fn rests_until(&self, tool: &str) -> Option<kernel::time::Time> {
        self.0.care.rests_until(tool).filter(|until| *until > self.0.clock.now())
    }

    /// What servers last said of their tools, where it is not what was accepted.
    pub fn quarantined(&self) -> Vec<(String, Digest)> {
        let law = self.law();
        let changed =
            law.control.seen.iter().filter(|(name, seen)| {
                law.rules.book.tools.get(*name).is_some_and(|contract| {
                    contract.definition.is_some() && contract.pin.as_ref() != Some(seen)
                })
            });
        changed.map(|(name, seen)| (name.clone(), *seen)).collect()
    }
}
