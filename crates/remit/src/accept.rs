//! What a person accepts of a tool in the console: written beside its contract, and in force before they are told so.

use std::path::PathBuf;
use std::sync::Arc;

use gate::Gate;
use serde_json::Value;
use stdx::digest::Digest;
use tokio::sync::Mutex;
use tools::mcp::Mcp;

use crate::{compose, config, out};

pub(crate) struct Accept {
    gate: Gate,
    mcp: Mcp,
    config_file: PathBuf,
    /// One at a time: each reads the pins and writes them back. A reload that its writing wakes waits, and then finds
    /// nothing new; so the ledger names the person.
    turn: Arc<Mutex<()>>,
}

impl Accept {
    pub(crate) fn new(gate: Gate, mcp: Mcp, config_file: PathBuf, turn: Arc<Mutex<()>>) -> Accept {
        Accept { gate, mcp, config_file, turn }
    }

    async fn write(&self, tool: &str, definition: Value, by: &str) -> Result<Digest, String> {
        let _turn = self.turn.lock().await;
        let (server, name) =
            tool.split_once('.').ok_or_else(|| format!("`{tool}` is no tool's full name"))?;
        let broken = |_| "the configuration on disk has problems; see `remit check`".to_owned();
        let server = config::servers(&self.config_file).map_err(broken)?.remove(server);
        let server =
            server.ok_or_else(|| format!("no MCP server of the configuration has the tool `{tool}`"))?;
        let mut pins = server.pins.clone();
        pins.0.insert(name.to_owned(), definition);
        let failed = |error| format!("`{}` cannot be written: {error}", server.pins_file.display());
        std::fs::write(&server.pins_file, pins.text()).map_err(failed)?;
        let compiled = config::load(&self.config_file).and_then(compose::compile);
        let Ok((rules, _, _)) = compiled else {
            // What was there before was good; a half-changed configuration is nobody's wish.
            std::fs::write(&server.pins_file, server.pins.text()).map_err(failed)?;
            return Err("the configuration is refused with this definition; see `remit tool diff`".to_owned());
        };
        let digest = rules.digest;
        let activated = self.gate.activate(rules.clone(), by).await;
        activated.map_err(|error| format!("it is written, and not in force: {error}"))?;
        self.mcp.know(rules.book.tools.values());
        out::talk(format!("{by} accepted {tool}: rules {}", digest.short()));
        Ok(digest)
    }
}

impl server::Accepts for Accept {
    fn accept(&self, tool: String, definition: Value, by: String) -> server::Accepting<'_> {
        Box::pin(async move { self.write(&tool, definition, &by).await })
    }
}
