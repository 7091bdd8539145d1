//! `remit agent …`: agents' keys.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use api::client::encode;
use api::people::{KeyList, KeyMinted, MintKey};
use serde_json::Value;

use super::remote::{client, query};
use crate::cli::{Agent, Whose};
use crate::out;

pub(super) async fn agent(whose: &Whose, command: Agent) -> Result<ExitCode> {
    let client = client(whose)?;
    match command {
        Agent::Key { agent, ttl, person } => {
            let ms = stdx::duration::parse_ms(&ttl)
                .ok_or_else(|| anyhow!("`{ttl}` is not a duration; write 30s, 10m, 24h or 90d"))?;
            let ask = MintKey { ttl_seconds: Some(ms / 1_000), person, through: None };
            let minted: KeyMinted = client.post(&format!("/v1/agents/{}/keys", encode(&agent)), &ask).await?;
            if whose.json {
                out::json(&minted)?;
            } else {
                out::talk(format!(
                    "{} for {agent}, until {}. Shown once; Remit keeps only its hash.",
                    minted.key, minted.expires
                ));
                out::line(&minted.secret);
            }
        }
        Agent::Keys => {
            let keys: KeyList = client.get("/v1/keys").await?;
            if whose.json {
                out::json(&keys)?;
            } else {
                let rows = keys.items.into_iter().map(|key| {
                    vec![key.key, key.agent, key.expires, key.person.unwrap_or_else(|| "-".to_owned())]
                });
                out::table(&["key", "agent", "expires", "for"], rows.collect());
            }
        }
        Agent::Revoke { key, why } => {
            let path = format!("/v1/keys/{}{}", encode(&key), query(&[("why", Some(why))]));
            done(whose, client.delete::<Value>(&path).await?, "revoked")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn done(whose: &Whose, answer: Value, what: &str) -> Result<ExitCode> {
    if whose.json {
        out::json(&answer)?;
    } else {
        let index = answer.pointer("/receipt/index").and_then(Value::as_u64);
        out::line(index.map_or_else(|| what.to_owned(), |index| format!("{what}, event {index}")));
    }
    Ok(ExitCode::SUCCESS)
}
