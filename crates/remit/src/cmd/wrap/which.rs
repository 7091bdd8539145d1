//! Which server a command line means: the one whose contracts name exactly that command, or the one that is named.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use kernel::book::Book;
use tools::mcp::via::{self, Place};

use crate::cli::{Whose, Wrap};
use crate::config::{self, Server};
use crate::out;

/// Servers by name, and the command of each that Remit starts.
type Servers = BTreeMap<String, Option<Vec<String>>>;

/// The server's name; none means all of them.
pub(super) fn server(whose: &Whose, options: &Wrap, book: &Book) -> Result<Option<String>> {
    if options.server.is_none() && options.command.is_empty() {
        return Ok(None);
    }
    let mcp = config::servers(&whose.config).map_err(|problems| {
        out::talk(problems.render(out::coloured()));
        anyhow!("the contracts cannot be read")
    })?;
    let mut servers: Servers = book.tools.values().map(|tool| (tool.server.clone(), None)).collect();
    servers.extend(mcp.iter().map(|(name, server)| (name.clone(), command(server))));
    if let Some(name) = &options.server {
        let Some(own) = servers.get(name) else { return Err(unknown(whose, options, &servers)) };
        let is_it = options.command.is_empty() || own.as_ref() == Some(&options.command);
        return if is_it { Ok(Some(name.clone())) } else { Err(another(name, own.as_deref(), options)) };
    }
    let started = servers.iter().filter(|(_, own)| own.as_ref() == Some(&options.command));
    let mut found: Vec<&str> = started.map(|(name, _)| name.as_str()).collect();
    match (found.pop(), found.is_empty()) {
        (Some(name), true) => Ok(Some(name.to_owned())),
        (Some(name), false) => {
            found.push(name);
            bail!("the servers {} are all started by this command; add `--server NAME`", found.join(", "))
        }
        (None, _) => Err(unknown(whose, options, &servers)),
    }
}

/// The command and arguments of a server that Remit starts.
fn command(server: &Server) -> Option<Vec<String>> {
    match via::parse(&server.contract.via).ok()?.place {
        Place::Stdio(stdio) => Some(std::iter::once(stdio.command).chain(stdio.args).collect()),
        Place::Http(_) => None,
    }
}

fn how(own: Option<&[String]>) -> String {
    own.map_or("HTTP".to_owned(), |own| format!("`{}`", out::safe(&own.join(" "))))
}

fn another(name: &str, own: Option<&[String]>, options: &Wrap) -> anyhow::Error {
    let asked = out::safe(&options.command.join(" "));
    anyhow!(
        "`{name}` is not started by `{asked}`, but by {}; leave the command out, or write that one",
        how(own)
    )
}

fn unknown(whose: &Whose, options: &Wrap, servers: &Servers) -> anyhow::Error {
    let config = whose.config.display();
    let looked_for = match &options.server {
        Some(name) => format!("is called `{name}`"),
        None => format!("is started by `{}`", out::safe(&options.command.join(" "))),
    };
    let there = servers.iter().map(|(name, own)| format!("\n  {name}: {}", how(own.as_deref())));
    let there: String = there.collect();
    let there = if there.is_empty() { " none".to_owned() } else { there };
    let name = options.server.as_deref().unwrap_or("NAME");
    anyhow!(
        "no server of {config} {looked_for}. There are:{there}\n\n\
Agents reach only servers that a person has put into the configuration. To add it, write tools/{name}.yaml:\n\n{}\n\
then choose its tools with `remit tool offers {name}`, and accept them with `remit tool accept {name}`.",
        contract(name, &options.command)
    )
}

/// The beginning of a file of contracts. JSON is YAML, whatever the arguments hold.
fn contract(name: &str, command: &[String]) -> String {
    let quoted = |text: &String| serde_json::Value::from(text.as_str()).to_string();
    let via = match command.split_first() {
        Some((program, args)) => {
            let args: Vec<String> = args.iter().map(quoted).collect();
            format!("{{ stdio: {{ command: {}, args: [{}] }} }}", quoted(program), args.join(", "))
        }
        None => {
            "{ stdio: { command: PROGRAM, args: [] } }   # or { mcp: { url: \"https://…/mcp\" } }".to_owned()
        }
    };
    format!("  server: {name}\n  via: {via}\n  tools: {{}}\n")
}
