//! Which Remit a command asks, and with which key: from flags, or from a data folder.

use std::path::PathBuf;

use anyhow::{Context, Result};
use api::client::Client;

use crate::cli::Whose;
use crate::{compose, config};

/// The data folder that is meant: said, or the configuration's.
pub(super) fn data_folder(whose: &Whose) -> PathBuf {
    match &whose.data {
        Some(folder) => folder.clone(),
        None => {
            config::load(&whose.config).map_or_else(|_| PathBuf::from("data"), |loaded| loaded.settings.data)
        }
    }
}

pub(super) fn client(whose: &Whose) -> Result<Client> {
    let folder = data_folder(whose);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).map(|text| text.trim().to_owned());
    let key = match std::env::var("REMIT_OPERATOR_KEY") {
        Ok(key) => key,
        Err(_) => read(compose::OPERATOR_KEY).with_context(|| {
            format!(
                "no operator key in `{}`; name the data folder with --data, or set REMIT_OPERATOR_KEY",
                folder.display()
            )
        })?,
    };
    let url = match &whose.url {
        Some(url) => url.clone(),
        None => read(compose::ADDRESS).with_context(|| {
            format!(
                "no address in `{}`; start Remit with `remit serve`, or name it with --url",
                folder.display()
            )
        })?,
    };
    Ok(Client::new(&url, Some(key)))
}

/// A query string of what is set.
pub(super) fn query(pairs: &[(&str, Option<String>)]) -> String {
    let set = pairs.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let text: Vec<String> =
        set.map(|(name, value)| format!("{name}={}", api::client::encode(value))).collect();
    if text.is_empty() { String::new() } else { format!("?{}", text.join("&")) }
}
