//! `callbacks`: where agents may have themselves told that what they asked about has ended.

use schemars::JsonSchema;
use serde::Deserialize;
use tools::callback::{Place, origin_of};

use super::notify::check_kept;
use super::yaml::{At, Page};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Callbacks {
    /// Which agents, by name; `*` stands for any part of one.
    agents: Vec<At<String>>,
    /// The origins of the addresses that they may name: `https://name` or `https://name:port`, and no path. A name that
    /// leads to a private address is not called, unless it is `localhost`; an address of digits is.
    origins: Vec<At<String>>,
    /// Where the secret is kept that callbacks are signed with: `env:NAME` or `file:PATH`.
    secret: At<String>,
}

impl Callbacks {
    pub(super) fn place(&self, page: &mut Page<'_>) -> Place {
        check_kept(page, &self.secret);
        for origin in &self.origins {
            if !is_origin(&origin.value) {
                page.error("callbacks", origin.place, "this is not an origin")
                    .help("scheme and name, with a port if it needs one: `https://agents.example.com:8443`");
            }
        }
        if self.agents.is_empty() || self.origins.is_empty() {
            page.error("callbacks", self.secret.place, "nobody, or no place, is listed here")
                .help("name the agents and the origins; who is not listed polls");
        }
        let words = |list: &[At<String>]| list.iter().map(|at| at.value.clone()).collect();
        Place {
            agents: words(&self.agents),
            origins: words(&self.origins),
            secret: self.secret.value.clone(),
        }
    }
}

fn is_origin(text: &str) -> bool {
    let rest = text.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    !rest.is_empty() && !rest.contains(['/', '?', '#']) && origin_of(text).is_ok()
}
