//! `remit tool …`: what tools there are, what their servers say of them, and accepting that.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use api::tool::ToolList;
use kernel::contract::Contract;
use serde_json::{Value, json};
use stdx::diff;
use tools::mcp::upstream::Kind;
use tools::mcp::{definition, definition_digest};

use super::remote::client;
use crate::cli::{Tool, Whose};
use crate::config::{self, Pins, Server};
use crate::{compose, out};

pub(super) async fn tool(whose: &Whose, command: Tool) -> Result<ExitCode> {
    match command {
        Tool::List => list(whose).await,
        Tool::Show { tool } => show(whose, &tool),
        Tool::Offers { server } => offers(whose, &server).await,
        Tool::Diff { names } => Ok(if review(whose, &names, Review::Diff).await? == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }),
        Tool::Accept { names, yes } => {
            ensure!(
                !names.is_empty(),
                "name what to accept: a server, such as `stripe`, or a tool, `stripe.refund`"
            );
            review(whose, &names, Review::Accept { yes }).await.map(|_| ExitCode::SUCCESS)
        }
    }
}

/// From the configuration; a running Remit adds which tools are quarantined.
async fn list(whose: &Whose) -> Result<ExitCode> {
    let loaded = loaded(whose)?;
    let told: Option<ToolList> = match client(whose) {
        Ok(client) => client.get("/v1/tools").await.ok(),
        Err(_) => None,
    };
    let quarantined: Vec<String> = told
        .iter()
        .flat_map(|list| &list.items)
        .filter(|tool| tool.quarantined)
        .map(|tool| tool.tool.clone())
        .collect();
    let state = |tool: &Contract| match &tool.definition {
        _ if quarantined.contains(&tool.name) => "quarantined",
        Some(_) => "accepted",
        None => "declared",
    };
    let tools = loaded.book.tools.values();
    if whose.json {
        let rows = tools.map(|tool| {
            json!({ "tool": tool.name, "effect": tool.effect, "operation": tool.operation, "env": tool.env,
                "about": tool.about, "pin": tool.pin, "state": state(tool) })
        });
        out::json(&rows.collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = tools.map(|tool| {
        let about: String = tool.about.lines().next().unwrap_or_default().chars().take(80).collect();
        let effect = tool.effect.name().to_owned();
        vec![tool.name.clone(), effect, tool.env.clone(), state(tool).to_owned(), about]
    });
    out::table(&["tool", "effect", "env", "state", "about"], rows.collect());
    if told.is_none() {
        out::talk("no Remit answers, so quarantined tools are not known");
    }
    Ok(ExitCode::SUCCESS)
}

fn show(whose: &Whose, name: &str) -> Result<ExitCode> {
    let loaded = loaded(whose)?;
    let Some(tool) = loaded.book.tools.get(name) else {
        let near = stdx::nearest::nearest(name, loaded.book.tools.keys().map(String::as_str));
        bail!(
            "there is no tool `{name}`{}",
            near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
        );
    };
    out::json(tool)?;
    let digest = tool.definition.as_ref().map_or(tool.input_digest(), definition_digest);
    out::talk(format!("pin: {digest}"));
    Ok(ExitCode::SUCCESS)
}

fn loaded(whose: &Whose) -> Result<config::Loaded> {
    config::load(&whose.config).map_err(|problems| {
        out::talk(problems.render(out::coloured()));
        anyhow!("the configuration cannot be used")
    })
}

/// Every tool that a server offers; those without a contract as the beginning of one.
async fn offers(whose: &Whose, name: &str) -> Result<ExitCode> {
    let server = servers(whose)?.remove(name).ok_or_else(|| unknown_server(whose, name))?;
    let now = listed(&server).await?;
    if whose.json {
        out::json(&now)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (tool, offered) in &now {
        if server.tools.contains(tool) {
            out::line(format!("# {name}.{tool} has a contract"));
            continue;
        }
        let told = offered.get("description").and_then(Value::as_str).unwrap_or_default();
        for line in told.lines().take(6) {
            out::line(format!("  # {}", out::safe(line)));
        }
        out::line(format!("  {}:", serde_json::to_string(tool)?));
        out::line(
            "    effect: irreversible     # read, reversible or irreversible: a person decides, not the server",
        );
    }
    out::talk(format!(
        "Add what you want under `tools:` in {}, then run `remit tool accept {name}`.",
        server.file.display()
    ));
    Ok(ExitCode::SUCCESS)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Review {
    Diff,
    Accept { yes: bool },
}

/// Shows what servers say now beside what was accepted; says how many tools differ, or were left as they are.
async fn review(whose: &Whose, names: &[String], how: Review) -> Result<usize> {
    let mut servers = servers(whose)?;
    let mut open = 0;
    let wanted = wanted(whose, &servers, names)?;
    for (name, tools) in wanted {
        let Some(server) = servers.remove(&name) else { continue };
        let now = listed(&server).await?;
        let mut pins = server.pins.clone();
        for tool in tools {
            let Some(offered) = now.get(&tool) else {
                out::line(format!("{name}.{tool}: its server does not offer it (any more)"));
                open += 1;
                continue;
            };
            let offered = definition(offered);
            if pins.0.get(&tool) == Some(&offered) {
                out::line(format!("{name}.{tool}: as it was accepted"));
                continue;
            }
            changed(&name, &tool, pins.0.get(&tool), &offered);
            if accepted(how)? {
                out::line(format!("{name}.{tool}: accepted as {}", definition_digest(&offered)));
                pins.0.insert(tool, offered);
            } else {
                open += 1;
            }
        }
        if pins != server.pins {
            std::fs::write(&server.pins_file, pins.text())
                .with_context(|| format!("`{}` cannot be written", server.pins_file.display()))?;
            out::talk(format!("wrote {}; a running Remit takes it up by itself", server.pins_file.display()));
        }
    }
    Ok(open)
}

fn changed(server: &str, tool: &str, before: Option<&Value>, now: &Value) {
    let word = if before.is_some() { "has changed" } else { "is new" };
    out::line(format!("{server}.{tool} {word}:"));
    let text = |value: &Value| format!("{value:#}");
    for line in diff::lines(&before.map(text).unwrap_or_default(), &text(now)) {
        out::line(format!("  {}", out::safe(&line)));
    }
}

/// On a terminal a person is asked; anywhere else nothing is accepted that was not said to be.
fn accepted(how: Review) -> Result<bool> {
    match how {
        Review::Diff => Ok(false),
        Review::Accept { yes: true } => Ok(true),
        Review::Accept { yes: false } if std::io::stdin().is_terminal() => {
            out::talk("accept it? [y/N]");
            let mut answer = String::new();
            std::io::stdin().lock().read_line(&mut answer)?;
            Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
        }
        Review::Accept { yes: false } => {
            bail!("nobody is there to ask; read what is shown above, then add `--yes`")
        }
    }
}

type Servers = BTreeMap<String, Server>;

fn servers(whose: &Whose) -> Result<Servers> {
    config::servers(&whose.config).map_err(|problems| {
        out::talk(problems.render(out::coloured()));
        anyhow!("the contracts cannot be read")
    })
}

/// The tools that are meant, by server: all with a contract if a server is named, or nothing at all.
fn wanted(whose: &Whose, servers: &Servers, names: &[String]) -> Result<BTreeMap<String, Vec<String>>> {
    if names.is_empty() {
        return Ok(servers.iter().map(|(name, server)| (name.clone(), server.tools.clone())).collect());
    }
    let mut wanted = BTreeMap::<String, Vec<String>>::new();
    for name in names {
        let (server, tool) =
            name.split_once('.').map_or((name.as_str(), None), |(server, tool)| (server, Some(tool)));
        let known = servers.get(server).ok_or_else(|| unknown_server(whose, server))?;
        let tools = wanted.entry(server.to_owned()).or_default();
        match tool {
            None => tools.extend(known.tools.iter().cloned()),
            Some(tool) if known.tools.iter().any(|known| known == tool) => tools.push(tool.to_owned()),
            Some(tool) => {
                let near = stdx::nearest::nearest(tool, known.tools.iter().map(String::as_str));
                let near = near.map(|near| format!("did you mean `{server}.{near}`?"));
                let add = || format!("add it under `tools:` in {}", known.file.display());
                bail!("`{name}` has no contract; {}", near.unwrap_or_else(add));
            }
        }
    }
    Ok(wanted)
}

fn unknown_server(whose: &Whose, name: &str) -> anyhow::Error {
    let config = whose.config.display();
    anyhow!("no MCP server is called `{name}` in {config}; each has a file of its own under `tools/`")
}

/// What a server offers now, by name. It is asked as Remit itself asks.
async fn listed(server: &Server) -> Result<BTreeMap<String, Value>> {
    let mcp = compose::mcp(server.folder.as_deref().unwrap_or(Path::new(".")))?;
    mcp.know([&server.contract]);
    let listed = mcp.catalogue().list(&server.contract.server, Kind::Tools).await;
    mcp.close().await;
    let listed = listed.map_err(|trouble| {
        let words =
            if trouble.words.is_empty() { String::new() } else { format!(": {}", out::safe(&trouble.words)) };
        anyhow!("`{}` cannot be asked what it offers: {}{words}", server.contract.server, trouble.code)
    })?;
    let named = |item: &Value| Some((item.get("name")?.as_str()?.to_owned(), item.clone()));
    Ok(listed.items.iter().filter_map(named).collect())
}

/// Where `remit tool` writes is beside the contracts, wherever the command was started.
pub(crate) fn pins_beside(contracts: &Path) -> PathBuf {
    PathBuf::from(Pins::file_beside(&contracts.to_string_lossy()))
}
