//! Keys: who an agent is until identity providers are built.

use kernel::command::{Closing, ControlCommand};
use kernel::id::{KeyId, RunId};
use kernel::reason::{Code, Reason};

use crate::bounds::{NAME_BYTES_MAX, WHY_BYTES_MAX, within};
use crate::caller::{Caller, KeyInfo, MintedKey};
use crate::error::Error;
use crate::gate::Gate;
use crate::runs::{Receipted, receipted};
use crate::seal;

impl Gate {
    /// Whose key this is. The same answer for unknown, expired and revoked: nobody learns which.
    pub fn identify(&self, bearer: &str) -> Result<Caller, Error> {
        let (id, hash) = seal::read_key(bearer).ok_or(Error::KeyRefused)?;
        let law = self.0.law.load();
        let key = law.control.keys.get(&id).filter(|key| key.hash == hash).ok_or(Error::KeyRefused)?;
        if self.0.clock.now() >= key.expires {
            return Err(Error::KeyRefused);
        }
        let executor = law.rules.agent(&key.agent).is_some_and(|manifest| manifest.executor);
        Ok(Caller { agent: key.agent.clone(), key: id, executor })
    }

    /// The run that a token names; valid only with its own agent's key. Whether the run is open is the law's question.
    pub fn run_of(&self, caller: &Caller, token: &str) -> Result<RunId, Error> {
        let claims = self.0.seal.read_run_token(token).ok_or(Error::RunTokenRefused)?;
        if claims.agent != caller.agent {
            return Err(Error::RunTokenRefused);
        }
        Ok(claims.run)
    }

    pub async fn key_mint(
        &self,
        agent: &str,
        ttl_ms: u64,
        by: &str,
    ) -> Result<Result<MintedKey, Reason>, Error> {
        self.key_mint_for(agent, ttl_ms, by, None).await
    }

    /// `person`: whom it is given to. Who uses it acts for them, so they may not approve what it asks for.
    pub async fn key_mint_for(
        &self,
        agent: &str,
        ttl_ms: u64,
        by: &str,
        person: Option<&str>,
    ) -> Result<Result<MintedKey, Reason>, Error> {
        within("the person", person.unwrap_or_default(), NAME_BYTES_MAX)?;
        if self.rules().agent(agent).is_none() {
            return Ok(Err(Reason::new(Code::AgentUnknown).detail(agent)));
        }
        let now = self.0.clock.now();
        let (key, secret): (KeyId, [u8; 32]) = (KeyId::new(now, seal::random()), seal::random());
        let expires = now.plus_ms(ttl_ms);
        let hash = stdx::digest::Digest::of(&secret);
        let (agent, by, person) = (agent.to_owned(), by.to_owned(), person.map(str::to_owned));
        let command = ControlCommand::MintKey { key, agent, hash, expires, by, person };
        self.ask_control(command, Vec::new(), None).await?;
        Ok(Ok(MintedKey { key, secret: seal::write_key(key, &secret), expires }))
    }

    pub async fn key_revoke(&self, key: KeyId, why: &str, by: &str) -> Receipted {
        within("the why", why, WHY_BYTES_MAX)?;
        within("a name", by, NAME_BYTES_MAX)?;
        let command = ControlCommand::RevokeKey { key, by: by.to_owned(), why: why.to_owned() };
        let revoked = receipted(self.ask_control(command, Vec::new(), None).await?)?;
        // Nobody can use the run of a key that is gone. One that is not known here ends when it is idle.
        if let (Ok(_), Some(run)) = (&revoked, self.take_implicit(key))
            && let Err(error) = self.run_close(run, None, Closing::Success, None, by).await
        {
            tracing::warn!(%error, %run, "the run of a revoked key could not be closed; it ends when it is idle");
        }
        Ok(revoked)
    }

    pub fn keys(&self) -> Vec<KeyInfo> {
        let law = self.law();
        let mut keys: Vec<KeyInfo> = law
            .control
            .keys
            .iter()
            .map(|(id, key)| KeyInfo {
                key: *id,
                agent: key.agent.clone(),
                expires: key.expires,
                person: key.person.clone(),
            })
            .collect();
        keys.sort_by_key(|info| info.key);
        keys
    }
}
