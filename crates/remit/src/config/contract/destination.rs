//! Which arguments say where a call goes, and the patterns that such places are held against.

use kernel::contract::{DestinationKind, DestinationPath};
use serde_json::Value;
use stdx::nearest::nearest;

use super::shape::{DestinationEntry, ToolEntry};
use crate::config::yaml::{At, Page, Place};

const KINDS: &str = "`email`, `host`, `url`, `webhook`, `channel`, `repository`, `path` or `text`; \
    one entry for each, such as `[{ email: args.to }, { email: args.cc }]`";

impl DestinationEntry {
    pub(super) fn path(&self, page: &mut Page<'_>, place: Place, input: &Value) -> DestinationPath {
        let kinds = [
            (DestinationKind::Email, &self.email),
            (DestinationKind::Host, &self.host),
            (DestinationKind::Url, &self.url),
            (DestinationKind::Webhook, &self.webhook),
            (DestinationKind::Channel, &self.channel),
            (DestinationKind::Repository, &self.repository),
            (DestinationKind::Path, &self.path),
            (DestinationKind::Text, &self.text),
        ];
        let mut written = kinds.into_iter().filter_map(|(kind, at)| Some((kind, at.as_ref()?)));
        let (Some((kind, written)), None) = (written.next(), written.next()) else {
            page.error(
                "destination",
                place,
                "a destination is exactly one kind, with the argument that holds it",
            )
            .help(KINDS);
            return DestinationPath {
                kind: DestinationKind::Email,
                host: None,
                name: None,
                path: Vec::new(),
            };
        };
        let path = argument(page, written, input);
        if let Some(at) = self.name.as_ref().filter(|_| kind != DestinationKind::Repository) {
            page.error("destination", at.place, "only a repository has a `name` beside its owner")
                .help("such as `{ repository: args.owner, name: args.repo }`");
        }
        let name = self.name.as_ref().map(|at| argument(page, at, input));
        DestinationPath { kind, host: self.own_host(page, kind), name, path }
    }

    fn own_host(&self, page: &mut Page<'_>, kind: DestinationKind) -> Option<String> {
        let at = self.at.as_ref()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
        if kind != DestinationKind::Repository || at.value.is_empty() || !at.value.bytes().all(plain) {
            page.error("destination", at.place, format!("`at: {}` is no host of repositories", at.value))
                .help(
                    "beside `repository`, the host that `owner/name` alone means, such as `gitlab.example`",
                );
        }
        Some(at.value.clone())
    }
}

fn argument(page: &mut Page<'_>, at: &At<String>, input: &Value) -> Vec<String> {
    let path: Vec<String> = at.value.split('.').skip(1).map(str::to_owned).collect();
    if !at.value.starts_with("args.") || path.iter().any(String::is_empty) {
        page.error("destination", at.place, format!("`{}` names no argument", at.value))
            .help("`args.` and the name of an argument, such as `args.to`");
    } else {
        check_path(page, at, &path, input);
    }
    path
}

impl ToolEntry {
    pub(super) fn reachable(&self, page: &mut Page<'_>) -> Vec<String> {
        let Some(to) = &self.to else { return Vec::new() };
        if self.destinations.is_empty() {
            page.error("destination", to.place, "`to` has no destination to look at").help(
                "add `destinations` to the tool, so that Remit knows which argument says where it goes",
            );
        } else if to.value.is_empty() {
            page.error("destination", to.place, "`to` allows no destination at all")
                .help("list at least one pattern, or take the line away");
        }
        for pattern in &to.value {
            check_pattern(page, &pattern.value, pattern.place);
        }
        to.value.iter().map(|pattern| pattern.value.clone()).collect()
    }
}

/// A comma would be read as the end of one pattern and the start of the next.
pub(in crate::config) fn check_pattern(page: &mut Page<'_>, pattern: &str, place: Place) {
    if pattern.trim().is_empty() || pattern.contains(',') {
        page.error("destination", place, format!("`{pattern}` is not one pattern"))
            .help("one pattern an entry, such as `*@example.com` or `/srv/data/**`, without a comma");
    }
}

/// A misspelt path would find no destination, and so guard nothing.
pub(in crate::config) fn check_path(
    page: &mut Page<'_>,
    written: &At<String>,
    path: &[String],
    input: &Value,
) {
    if let Some((name, help)) = missing(path, input) {
        page.error("destination", written.place, format!("`input` has no property `{name}`")).help(help);
    }
}

/// The same for paths on which an element of a list is named by its place, as in templates.
pub(in crate::config) fn missing_value(path: &[String], input: &Value) -> Option<(String, String)> {
    let is_place = |name: &&String| name.bytes().all(|byte| byte.is_ascii_digit());
    let names: Vec<String> = path.iter().filter(|name| !is_place(name)).cloned().collect();
    missing(&names, input)
}

/// The first name on a path that a schema of arguments does not know, and what it may have meant.
pub(super) fn missing(path: &[String], input: &Value) -> Option<(String, String)> {
    let mut schema = input;
    for name in path {
        while let Some(items) = schema.get("items") {
            schema = items;
        }
        let properties = schema.get("properties").and_then(Value::as_object)?;
        let Some(next) = properties.get(name) else {
            let help = nearest(name, properties.keys().map(String::as_str)).map_or_else(
                || "name a property of `input`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            return Some((name.clone(), help));
        };
        schema = next;
    }
    None
}
