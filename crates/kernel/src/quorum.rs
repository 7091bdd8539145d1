//! Quorum: what a yes is bound to, and whether enough of them say the same.
//!
//! What a yes is bound to is a digest of everything that matters: who asks, for whom, with which tool as it is pinned,
//! with which arguments, under which rules, until when. It is reckoned anew from the rules of now wherever it counts;
//! so a yes to anything else, or to what it was before, is worth nothing.

use std::collections::BTreeSet;

use serde::Serialize;
use stdx::digest::Digest;
use stdx::json::canonical;

use crate::account::Amount;
use crate::approval::{Given, Pending, Subject, Terms, plain_name};
use crate::approvers::Approvals;
use crate::call::Call;
use crate::event::CallDecided;
use crate::id::{CallId, RunId};
use crate::reason::{Code, Reason};
use crate::rules::Rules;
use crate::time::Time;
use crate::verdict::Ruling;

/// All that a yes is bound to, in canonical order.
#[derive(Serialize)]
struct Bound<'a> {
    above: &'a [RunId],
    agent: &'a str,
    args: Digest,
    call: CallId,
    contract: Option<Digest>,
    expires: Time,
    persons: &'a BTreeSet<String>,
    pin: Option<Digest>,
    plan_version: Option<u64>,
    rules: Digest,
    run: RunId,
    subject: Subject,
    tool: &'a str,
}

impl Pending {
    /// What a yes is bound to, by the rules of now. The id of the call is its nonce: it is used once.
    pub fn bound(&self, call: CallId, rules: &Rules) -> Digest {
        let tool = rules.tool(&self.tool);
        Digest::of(&canonical(&Bound {
            above: &self.above,
            agent: &self.agent,
            args: self.args,
            call,
            contract: tool.map(|tool| tool.digest),
            expires: self.expires,
            persons: &self.persons,
            pin: tool.and_then(|tool| tool.contract.pin),
            // What was proposed becomes a plan by the yes that it got, and is no other thing by that.
            plan_version: self.plan.filter(|_| self.subject == Subject::Plan).map(u64::from),
            rules: rules.digest,
            run: self.run,
            subject: self.subject,
            tool: &self.tool,
        }))
    }

    /// Who said yes to what it is now, for this group: each person once, and nobody for whom it is done.
    pub fn yes_for<'a>(&'a self, group: &'a str, bound: Digest) -> impl Iterator<Item = &'a str> {
        let counts = move |given: &&Given| {
            given.bound == bound
                && given.groups.iter().any(|known| known == group)
                && !self.persons.contains(&plain_name(&given.by))
        };
        let people: BTreeSet<&str> =
            self.yeses.iter().filter(counts).map(|given| given.by.as_str()).collect();
        people.into_iter()
    }

    /// The asked groups of which enough people said yes to what it is now.
    pub fn complete(&self, call: CallId, rules: &Rules) -> Vec<String> {
        let bound = self.bound(call, rules);
        let house = &rules.book.house.approvals;
        let enough = |group: &&String| {
            u64::try_from(self.yes_for(group, bound).count()).unwrap_or(u64::MAX) >= house.quorum(group)
        };
        self.reason.ask.iter().filter(enough).cloned().collect()
    }

    /// The asked groups that still wait for somebody.
    pub fn waits_for(&self, call: CallId, rules: &Rules) -> Vec<String> {
        let complete = self.complete(call, rules);
        self.reason.ask.iter().filter(|group| !complete.contains(group)).cloned().collect()
    }

    /// Who approved it as it is now.
    pub fn approved_by(&self, bound: Digest) -> Vec<String> {
        let groups = &self.reason.ask;
        let people: BTreeSet<&str> = groups.iter().flat_map(|group| self.yes_for(group, bound)).collect();
        people.into_iter().map(str::to_owned).collect()
    }

    /// The asked groups that this person answers for now; or why they may not answer.
    pub fn groups_of(&self, person: &str, house: &Approvals, now: Time) -> Result<Vec<String>, Box<Reason>> {
        // Four eyes: nobody approves what an agent acting for them asked for.
        if self.persons.contains(&plain_name(person)) {
            return Err(Box::new(Reason::new(Code::OwnRequest).detail(person)));
        }
        let answers = |group: &&String| house.answers_for(person, group, self.asked, now);
        let groups: Vec<String> = self.reason.ask.iter().filter(answers).cloned().collect();
        if groups.is_empty() {
            return Err(Box::new(Reason::new(Code::NotAnApprover).detail(self.reason.ask.join(", "))));
        }
        Ok(groups)
    }

    /// The terms that every yes of now named alike, if they did.
    pub fn terms(&self, bound: Digest) -> Option<&Terms> {
        let mut yeses = self.yeses.iter().filter(|given| given.bound == bound);
        let first = yeses.next()?.standing.as_ref()?;
        yeses.all(|given| given.standing.as_ref() == Some(first)).then_some(first)
    }

    /// Of these proposals those that everybody who said yes said yes to, in order.
    pub fn picked(&self, bound: Digest, proposals: &[CallId]) -> Vec<CallId> {
        let yeses = || self.yeses.iter().filter(|given| given.bound == bound);
        let picks = |call: &&CallId| yeses().all(|given| given.only.is_empty() || given.only.contains(call));
        proposals.iter().filter(picks).copied().collect()
    }

    /// Whether this is the call that waits, and nothing else.
    pub(crate) fn is(&self, call: &Call) -> bool {
        self.agent == call.agent
            && self.run == call.run
            && self.tool == call.tool
            && self.args == call.args_commitment
            && self.mark == call.args_mark
            && self.carrier == call.carrier
    }

    /// The end of an ask that was not released: a second decision of the same call, which denies it.
    pub(crate) fn denied(
        &self,
        call: CallId,
        reason: Reason,
        rules: &Rules,
        control_seq: u64,
    ) -> CallDecided {
        CallDecided {
            accounts: Vec::new(),
            agent: self.agent.clone(),
            approved: Vec::new(),
            args: self.args,
            asked: None,
            call,
            carrier: self.carrier,
            context_tokens: self.context_tokens,
            contract: rules.tool(&self.tool).map(|tool| tool.digest),
            control_seq,
            destinations: self.destinations.clone(),
            effect: self.effect.clone(),
            ends_ask: true,
            expires: None,
            facts: Vec::new(),
            hosts: self.hosts.clone(),
            key: self.key,
            level: None,
            mark: self.mark,
            model: self.model.clone(),
            obliged: Vec::new(),
            part: None,
            reasoning: self.reasoning,
            reasons: vec![reason],
            reserved: Amount::default(),
            rules: Vec::new(),
            rules_digest: rules.digest,
            ruling: Ruling::Deny,
            run: self.run,
            standing: None,
            tool: self.tool.clone(),
            touches: Vec::new(),
            would: Vec::new(),
        }
    }
}
