//! `notify`: whose systems are told, of what, and how they know that it is Remit who tells.

use schemars::JsonSchema;
use serde::Deserialize;
use tools::webhook::{self, Hook};

use super::house::words;
use super::yaml::{At, Page};

words! {
    On {
        /// An account is as full as a threshold with the action `notify` or `stop` says.
        Gate = "gate",
        /// A run was paused, goes on, or was extended.
        Pause = "pause",
        /// Something was halted or resumed.
        Halt = "halt",
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Notify {
    /// Where each event is posted: an address, or where one is kept, such as `env:GATE_WEBHOOK`.
    webhook: At<String>,
    /// Where the secret is kept that it is signed with: `env:NAME` or `file:PATH`.
    secret: At<String>,
    /// What it is told of.
    on: Vec<On>,
}

impl Notify {
    pub(super) fn hook(&self, page: &mut Page<'_>) -> Hook {
        let kept = |text: &str| {
            let name = text.strip_prefix("env:").or_else(|| text.strip_prefix("file:"));
            name.is_some_and(|name| !name.is_empty())
        };
        if !kept(&self.secret.value) {
            // The value is never repeated: it may be the secret.
            page.error("literal-secret", self.secret.place, "a secret may not stand in the configuration")
                .help("put it elsewhere and refer to it: `env:NAME` or `file:PATH`; then replace the secret itself");
        }
        let address = self.webhook.value.as_str();
        if !kept(address) && !address.starts_with("https://") && !address.starts_with("http://") {
            page.error("url", self.webhook.place, "this is not the address of a webhook")
                .help("`https://…`, or where the address is kept: `env:NAME` or `file:PATH`");
        }
        let on = self.on.iter().map(|on| match on {
            On::Gate => webhook::On::Gate,
            On::Pause => webhook::On::Pause,
            On::Halt => webhook::On::Halt,
        });
        Hook { address: address.to_owned(), secret: self.secret.value.clone(), on: on.collect() }
    }
}
