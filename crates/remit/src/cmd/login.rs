//! `remit login`: a link that signs one person in to the console, once.

use std::process::ExitCode;

use anyhow::Result;
use api::client::Client;
use api::person::{LoginMinted, MintLogin};
use serde_json::json;

use super::remote::client;
use crate::cli::Whose;
use crate::out;

pub(super) async fn login(whose: &Whose, person: Option<String>) -> Result<ExitCode> {
    let client = client(whose)?;
    let (url, minted) = link(&client, person).await?;
    if whose.json {
        out::json(&json!({ "url": url, "person": minted.person, "expires": minted.expires }))?;
    } else {
        out::talk(format!("Signs in `{}`, once, until {}:", minted.person, minted.expires));
        out::line(url);
    }
    Ok(ExitCode::SUCCESS)
}

/// The whole link. Its code stands after the `#`, which browsers send to nobody.
pub(crate) async fn link(client: &Client, person: Option<String>) -> Result<(String, LoginMinted)> {
    let minted: LoginMinted = client.post("/v1/logins", &MintLogin { person }).await?;
    Ok((format!("{}{}", client.base(), minted.path), minted))
}
