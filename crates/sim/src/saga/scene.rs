//! A scene for one question at a time: a gate, an agent, and the server that it writes to.

use std::sync::Arc;

use gate::{CallAsk, Caller, Gate, OpenAsk, PlanShown, Planned};
use kernel::id::RunId;
use kernel::phase::Phase;
use kernel::reason::Reason;
use kernel::rules::Rules;
use serde_json::Value;

use super::life::{House, Life, Store, said};
use super::shapes::{plans, written};
use super::world::World;

pub struct Scene {
    house: House,
    life: Life,
}

impl Scene {
    pub async fn new(rules: Arc<Rules>) -> Result<Scene, String> {
        let (house, life) = House::built(rules, World::default(), Store::Memory).await?;
        Ok(Scene { house, life })
    }

    pub fn gate(&self) -> &Gate {
        &self.life.gate
    }

    pub fn caller(&self) -> &Caller {
        &self.life.caller
    }

    pub fn world(&self) -> &World {
        &self.house.world
    }

    /// The process is killed, and another begins.
    pub async fn reborn(self) -> Result<Scene, String> {
        let Scene { house, life } = self;
        house.world.kill();
        let life = house.reborn(life, None).await?;
        Ok(Scene { house, life })
    }

    pub async fn open(&self) -> Result<RunId, String> {
        let opened = self.gate().run_open(self.caller(), OpenAsk::default()).await.map_err(said)?;
        let run = opened.map_err(|reason| reason.code.name().to_owned())?.run;
        let phase = self.gate().phase(self.caller(), run, Phase::Decide).await.map_err(said)?;
        phase.map(|_| run).map_err(|reason| reason.code.name().to_owned())
    }

    pub async fn plan(&self, run: RunId, plan: Value) -> Result<Planned, String> {
        let planned = self.gate().plan(self.caller(), run, plan).await.map_err(said)?;
        planned.map_err(|reason| reason.code.name().to_owned())
    }

    /// A run with a plan of this shape, proposed and not committed; what it writes is told apart by `tag`.
    pub async fn proposed(&self, shape: &str, tag: &str) -> Result<RunId, String> {
        let run = self.open().await?;
        let nodes = plans(shape).into_iter().next().unwrap_or_default();
        self.plan(run, written(&nodes, tag)).await?;
        Ok(run)
    }

    pub async fn commit(&self, run: RunId) -> Result<Result<PlanShown, Reason>, String> {
        self.gate().commit(self.caller(), run, None).await.map_err(said)
    }

    pub async fn call(&self, run: RunId, tool: &str, args: Value) -> Result<gate::Answered, String> {
        let ask = CallAsk {
            run,
            tool: tool.to_owned(),
            args,
            reason: None,
            model: None,
            context_tokens: None,
            idempotency_key: None,
        };
        self.gate().call(self.caller(), ask).await.map_err(said)
    }
}
