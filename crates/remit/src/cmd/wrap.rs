//! `remit wrap`: a stdio MCP server before the one Remit of a data folder, for clients that speak nothing else.
//!
//! - `which.rs`  which server is meant by a command line, in words when none is
//! - `home.rs`   the Remit of the data folder: found, or started and waited for
//! - `said.rs`   what of a client's message its request over HTTP must repeat
//! - `door.rs`   requests to Remit's MCP door, and its answers
//! - `bridge.rs` messages on their way between the two
//! - `lines.rs`  standard input and output, a message a line

mod bridge;
mod door;
mod home;
mod lines;
mod said;
mod which;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use api::people::KeyMinted;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use self::bridge::Bridge;
use self::door::Door;
use self::home::Home;
use self::lines::Lines;
use self::said::Marks;
use crate::cli::{Whose, Wrap};
use crate::{config, out};

/// Clients kill what has not ended about two seconds after they asked it to.
const LEAVE_WAIT: Duration = Duration::from_millis(1500);

pub(super) async fn wrap(whose: &Whose, options: &Wrap) -> Result<ExitCode> {
    let Some(ttl_ms) = stdx::duration::parse_ms(&options.ttl) else {
        bail!("`{}` is not a duration; write 30m, 24h or 7d", options.ttl)
    };
    let loaded = config::load(&whose.config).map_err(|problems| {
        out::talk(problems.render(out::coloured()));
        anyhow!("the configuration cannot be used")
    })?;
    let server = which::server(whose, options, &loaded.book)?;
    let home = home::reach(whose, &loaded.settings.data).await?;
    // From before there is a key, so that whoever ends this process has it revoked.
    let mut signals = Signals::new()?;
    let key = home.mint(&options.agent, ttl_ms / 1_000).await?;
    let marks = Marks::new(whose.config.clone(), server.clone(), &loaded.book);
    let door = Door::new(home.data().to_owned(), home.start_command(), server.as_deref(), &key.secret)?;
    let bytes_max = loaded.settings.door_bytes_max;
    let (mut lines, out) = (Lines::of_stdin(bytes_max), lines::Out::to_stdout());
    let bridge = Arc::new(Bridge::new(door, marks, out.sender(), bytes_max));
    tokio::select! {
        () = Arc::clone(&bridge).run(&mut lines) => {}
        () = out.closed() => {}
        () = signals.any() => {}
    }
    if timeout(LEAVE_WAIT, leave(&home, &bridge, &key)).await.is_err() {
        out::talk(format!("Remit took too long to revoke {}: it ends {}", key.key, key.expires));
    }
    out.finish().await;
    Ok(ExitCode::SUCCESS)
}

async fn leave(home: &Home, bridge: &Bridge, key: &KeyMinted) {
    bridge.end().await;
    if let Err(error) = home.revoke(&key.key).await {
        out::talk(format!("{} could not be revoked and ends {}: {error:#}", key.key, key.expires));
    }
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.hangup.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
