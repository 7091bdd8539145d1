//! `notify`: whose systems are told, of what, and how they know that it is Remit who tells.

use schemars::JsonSchema;
use serde::Deserialize;
use tools::webhook::{self, Form, Hook};

use super::house::words;
use super::yaml::{At, Page};

words! {
    On {
        /// People are asked for a yes, or others are because nobody answered.
        Ask = "ask",
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
    /// Where each event is posted: an address, or where one is kept, such as `env:GATE_WEBHOOK`. With `secret`.
    webhook: Option<At<String>>,
    /// Where a chat takes messages as Slack does, instead: `env:NAME` or `file:PATH`, because the address is a secret.
    slack: Option<At<String>>,
    /// Where the secret is kept that webhooks are signed with: `env:NAME` or `file:PATH`.
    secret: Option<At<String>>,
    /// What it is told of.
    on: Vec<On>,
}

impl Notify {
    /// None: it is neither a webhook nor a chat, and the page says so.
    pub(super) fn hook(&self, page: &mut Page<'_>) -> Option<Hook> {
        let on = self.on.iter().map(|on| match on {
            On::Ask => webhook::On::Ask,
            On::Gate => webhook::On::Gate,
            On::Pause => webhook::On::Pause,
            On::Halt => webhook::On::Halt,
        });
        let on = on.collect();
        match (&self.webhook, &self.slack, &self.secret) {
            (Some(address), None, Some(secret)) => {
                check_kept(page, secret);
                check_address(page, address);
                let form = Form::Signed { secret: secret.value.clone() };
                Some(Hook { address: address.value.clone(), form, on })
            }
            (None, Some(address), None) => {
                check_kept(page, address);
                Some(Hook { address: address.value.clone(), form: Form::Chat, on })
            }
            (webhook, slack, secret) => {
                let written = webhook.as_ref().or(slack.as_ref()).or(secret.as_ref());
                let place = written.map(|at| at.place).unwrap_or_default();
                page.error("notify", place, "whom to tell is not clear")
                    .help("either `webhook` with `secret`, or `slack` alone");
                None
            }
        }
    }
}

fn is_kept(text: &str) -> bool {
    let name = text.strip_prefix("env:").or_else(|| text.strip_prefix("file:"));
    name.is_some_and(|name| !name.is_empty())
}

pub(super) fn check_kept(page: &mut Page<'_>, at: &At<String>) {
    if !is_kept(&at.value) {
        // The value is never repeated: it may be the secret.
        page.error("literal-secret", at.place, "a secret may not stand in the configuration").help(
            "put it elsewhere and refer to it: `env:NAME` or `file:PATH`; then replace the secret itself",
        );
    }
}

pub(super) fn check_address(page: &mut Page<'_>, at: &At<String>) {
    let address = at.value.as_str();
    if !is_kept(address) && !address.starts_with("https://") && !address.starts_with("http://") {
        page.error("url", at.place, "this is not the address of a webhook")
            .help("`https://…`, or where the address is kept: `env:NAME` or `file:PATH`");
    }
}
