//! `inbound`: systems of people's own that tell Remit what a run came to, and how it knows that it is they who tell.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::notify::check_kept;
use super::yaml::{At, Page};

const NAME_BYTES_MAX: usize = 64;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Inbound {
    /// What the ledger calls it: `webhook:NAME`. It posts to `/v1/hooks/NAME/correct` at the people's address, and may
    /// do nothing but correct what a closed run came to.
    webhook: At<String>,
    /// Where the secret is kept that it signs with: `env:NAME` or `file:PATH`.
    secret: At<String>,
}

/// Where the secret of each is kept, by its name.
pub(super) fn hooks(page: &mut Page<'_>, written: &[Inbound]) -> BTreeMap<String, String> {
    let mut hooks = BTreeMap::new();
    for Inbound { webhook, secret } in written {
        let name = &webhook.value;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
            page.error("inbound", webhook.place, format!("`{name}` cannot be the name of a webhook"))
                .help(format!("letters, digits, `_` and `-`, at most {NAME_BYTES_MAX}"));
        }
        check_kept(page, secret);
        if hooks.insert(name.clone(), secret.value.clone()).is_some() {
            page.error("inbound", webhook.place, format!("`{name}` is listed twice"))
                .help("give each a name and a secret of its own");
        }
    }
    hooks
}
