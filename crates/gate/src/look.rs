//! Looking: the reads that a contract names beside a deed. Each is a call of its own on the one line.

use kernel::call::{Look, Outcome, Part};
use kernel::condition::Condition;
use kernel::contract::Contract;
use kernel::deed::{Companion, Expect, Undo};
use kernel::id::{Mark, RunId};
use kernel::progress::Expectation;
use kernel::template::{self, Values};
use serde_json::Value;
use stdx::difference::{self, Difference};
use stdx::json::canonical;

use crate::caller::CallAsk;
use crate::deed::Deed;
use crate::draft::Role;
use crate::error::Error;
use crate::gate::Gate;
use crate::port::Feed;
use crate::redact::inside;

/// For whom it is looked, and beside which deed.
#[derive(Clone, Copy)]
pub(crate) struct Beside<'a> {
    pub(crate) run: RunId,
    pub(crate) agent: &'a str,
    /// None: before there is a plan.
    pub(crate) step: Option<u16>,
}

impl Gate {
    /// What the read told, inside of any envelope; none, if it was refused or told nothing.
    pub(crate) async fn companion(
        &self,
        beside: Beside<'_>,
        of: &Contract,
        what: Look,
        read: (&str, Value),
    ) -> Result<Option<Value>, Error> {
        let (tool, args) = read;
        let ask = CallAsk {
            run: beside.run,
            tool: tool.to_owned(),
            args,
            reason: None,
            model: None,
            context_tokens: None,
            idempotency_key: None,
        };
        let part = Part::Companion { of: of.name.clone(), step: beside.step, what };
        let draft = self.draft(beside.agent, ask, Role::part(part))?;
        let answered = self.carried(draft, Feed::default(), None).await?;
        let Some(contract) = self.rules().tool(tool).map(|known| known.contract.clone()) else {
            return Ok(None);
        };
        let told = answered.result.filter(|_| answered.outcome == Some(Outcome::Succeeded));
        Ok(told.map(|result| inside(&contract, result)))
    }

    /// What is there before a deed that is set back to it; `None` inside: it could not be read.
    pub(crate) async fn before_image(
        &self,
        beside: Beside<'_>,
        deed: &Deed<'_>,
    ) -> Result<Option<Value>, Error> {
        let Some(Undo::Restore { read, .. }) = &deed.contract.deed.undo else { return Ok(None) };
        self.companion_of(beside, deed, Look::Before, read).await
    }

    pub(crate) async fn preview(&self, beside: Beside<'_>, deed: &Deed<'_>) -> Result<Option<Value>, Error> {
        let Some(preview) = &deed.contract.deed.preview else { return Ok(None) };
        self.companion_of(beside, deed, Look::Preview, preview).await
    }

    /// What a call changes of what its preview has read, as far as its contract and its arguments tell.
    pub(crate) fn differs(&self, contract: &Contract, before: &Value, args: &Value) -> Vec<Difference> {
        let values = Values { args: Some(args), ..Values::default() };
        let becomes = contract.deed.becomes.as_ref().and_then(|it| template::fill(it, &values).ok());
        match becomes {
            Some(becomes) => difference::between(before, &becomes).list(),
            None => difference::where_shared(before, args).list(),
        }
    }

    async fn companion_of(
        &self,
        beside: Beside<'_>,
        deed: &Deed<'_>,
        what: Look,
        read: &Companion,
    ) -> Result<Option<Value>, Error> {
        let values = Values { args: Some(deed.args), deed: deed.result, ..Values::default() };
        let Ok(args) = template::fill(&read.args, &values) else { return Ok(None) };
        self.companion(beside, deed.contract, what, (&read.tool, args)).await
    }

    /// Equality of the version inside the run; none: its contract names none, or it could not be read.
    pub(crate) async fn version_mark(
        &self,
        beside: Beside<'_>,
        deed: &Deed<'_>,
    ) -> Result<Option<Mark>, Error> {
        let Some(version) = &deed.contract.deed.version else { return Ok(None) };
        let read = Companion { args: version.args.clone(), tool: version.tool.clone() };
        let told = self.companion_of(beside, deed, Look::Version, &read).await?;
        let path = version.value.iter().map(String::as_str);
        let value = told.as_ref().and_then(|told| template::at(told, path));
        Ok(value.map(|value| self.0.seal.mark(beside.run, "version", &canonical(value))))
    }

    /// Whether what is expected holds; unknown where it cannot be read or told.
    pub(crate) async fn expectation(
        &self,
        beside: Beside<'_>,
        deed: &Deed<'_>,
        expect: &Expect,
        what: Look,
    ) -> Result<Expectation, Error> {
        let read = Companion { args: expect.args.clone(), tool: expect.tool.clone() };
        let Some(told) = self.companion_of(beside, deed, what, &read).await? else {
            return Ok(Expectation::Unknown);
        };
        let values = Values { args: Some(deed.args), result: Some(&told), deed: deed.result, before: None };
        let holds = Condition::parse(&expect.that).ok().and_then(|that| that.holds(&values));
        Ok(match holds {
            Some(true) => Expectation::Held,
            Some(false) => Expectation::Failed,
            None => Expectation::Unknown,
        })
    }
}
