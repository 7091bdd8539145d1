//! `incidents`: where people may send all that is known of a run, and under which secrets.

use schemars::JsonSchema;
use serde::Deserialize;
use tools::incident::{Form, Place};

use super::notify::{check_address, check_kept};
use super::yaml::{At, Page};

const GITHUB: &str = "https://api.github.com";
const NAME_BYTES_MAX: usize = 64;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Incidents {
    /// What people call the place.
    name: At<String>,
    /// Where the whole file is posted: an address, or where one is kept, such as `env:INCIDENT_WEBHOOK`. With `secret`.
    webhook: Option<At<String>>,
    /// Where the secret is kept that the webhook is signed with: `env:NAME` or `file:PATH`.
    secret: Option<At<String>>,
    /// A GitHub repository, `owner/name`, where a summary becomes an issue. With `token`.
    github: Option<At<String>>,
    /// Where the token is kept that may write issues there: `env:NAME` or `file:PATH`.
    token: Option<At<String>>,
    /// Labels of the issue; the repository must know them.
    #[serde(default)]
    labels: Vec<String>,
    /// Where GitHub's API is, if it is a GitHub of your own.
    #[schemars(extend("default" = GITHUB))]
    api: Option<At<String>>,
}

/// The places, each with a name of its own.
pub(super) fn places(page: &mut Page<'_>, written: &[Incidents]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for one in written {
        let name = &one.name;
        if name.value.trim().is_empty() || name.value.len() > NAME_BYTES_MAX {
            page.error("incidents", name.place, "a place needs a short name")
                .help(format!("at most {NAME_BYTES_MAX} letters: people choose by it"));
        }
        if places.iter().any(|known| known.name == name.value) {
            page.error("incidents", name.place, format!("`{}` is listed twice", name.value))
                .help("give each place a name of its own");
        }
        if let Some(form) = one.form(page) {
            places.push(Place { name: name.value.clone(), form });
        }
    }
    places
}

impl Incidents {
    /// None: it is neither a webhook nor a repository, and the page says so.
    fn form(&self, page: &mut Page<'_>) -> Option<Form> {
        match (&self.webhook, &self.secret, &self.github, &self.token) {
            (Some(address), Some(secret), None, None) => {
                check_kept(page, secret);
                check_address(page, address);
                Some(Form::Webhook { address: address.value.clone(), secret: secret.value.clone() })
            }
            (None, None, Some(repository), Some(token)) => {
                check_kept(page, token);
                check_repository(page, repository);
                if let Some(api) = &self.api {
                    check_address(page, api);
                }
                Some(Form::GitHub {
                    api: self.api.as_ref().map_or_else(|| GITHUB.to_owned(), |at| at.value.clone()),
                    repository: repository.value.clone(),
                    token: token.value.clone(),
                    labels: self.labels.clone(),
                })
            }
            _ => {
                page.error("incidents", self.name.place, "where to send it is not clear")
                    .help("either `webhook` with `secret`, or `github` with `token`");
                None
            }
        }
    }
}

fn check_repository(page: &mut Page<'_>, at: &At<String>) {
    let plain = |part: &str| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(letter)
    };
    if !at.value.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name)) {
        page.error("incidents", at.place, format!("`{}` is not a repository", at.value))
            .help("`owner/name`, as it stands in its address");
    }
}
