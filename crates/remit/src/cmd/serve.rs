//! `remit serve`: start, watch the configuration, stop cleanly.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use notify::{RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::idle;
use crate::cli::{Serve, Whose};
use crate::compose::{self, Running};
use crate::{config, out, private};

/// Editors write a file in several steps; the last one counts.
const SETTLE: Duration = Duration::from_millis(200);

pub(crate) fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("REMIT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).try_init();
}

pub(super) async fn serve(whose: &Whose, options: &Serve) -> Result<ExitCode> {
    log_to_stderr();
    let idle = idle_exit(options)?;
    private::from_now_on();
    // From before the configuration is read, so that no change of it falls between reading and watching.
    let (changed, mut changes) = mpsc::channel(1);
    let _watcher = watch(&whose.config, changed);
    let compiled = config::load(&whose.config).and_then(compose::compile);
    let (rules, mut settings, warnings) = match compiled {
        Ok(compiled) => compiled,
        Err(problems) => {
            out::talk(problems.render(out::coloured()));
            return Ok(ExitCode::FAILURE);
        }
    };
    if let Some(data) = &whose.data {
        settings.data = data.clone();
    }
    out::warnings(&warnings);
    let digest = rules.digest;
    // Before anybody is told that it is up: a signal that comes early must find its handler.
    let signals = Signals::new()?;
    let running = compose::start(rules, &settings).await?;
    out::talk(format!("Remit is up: rules {}, ledger in {}", digest.short(), settings.data.display()));
    out::talk(format!("  agents  http://{}", running.agents));
    out::talk(format!(
        "  people  http://{}   (remit status --data {})",
        running.people,
        settings.data.display()
    ));
    out::talk(format!(
        "  console http://{}   sign in: remit login --data {}",
        running.people,
        settings.data.display()
    ));
    let stopped = tokio::select! {
        stopped = until_stopped(&running, &whose.config, signals, &mut changes) => stopped,
        unneeded = unneeded(&running, &settings.data, idle) => unneeded,
    };
    out::talk("stopping: calls under way are finished and recorded");
    running.stop().await;
    stopped.map(|()| ExitCode::SUCCESS)
}

/// How long it stays unneeded before it ends. Such a Remit was started by a client that may end before it: it has no
/// terminal, and no signal for the client's group is for it.
fn idle_exit(options: &Serve) -> Result<Option<Duration>> {
    let Some(text) = &options.idle_exit else { return Ok(None) };
    let _ = rustix::process::setsid();
    let ms = stdx::duration::parse_ms(text);
    ms.map(|ms| Some(Duration::from_millis(ms)))
        .ok_or_else(|| anyhow!("`{text}` is not a duration; write 30s, 10m or 24h"))
}

async fn unneeded(running: &Running, data: &Path, idle: Option<Duration>) -> Result<()> {
    let Some(idle) = idle else { return std::future::pending().await };
    let lock = idle::over(&running.gate, data, idle).await?;
    // Held until this process has ended: a client that comes now waits for that, and starts another Remit.
    std::mem::forget(lock);
    out::talk("nobody has needed this Remit for a while");
    Ok(())
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
}

async fn until_stopped(
    running: &Running,
    config_file: &Path,
    signals: Signals,
    changes: &mut mpsc::Receiver<()>,
) -> Result<()> {
    let Signals { mut hangup, mut interrupt, mut terminate } = signals;
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => reload(running, config_file, true).await,
            Some(()) = changes.recv() => {
                tokio::time::sleep(SETTLE).await;
                let _ = changes.try_recv();
                reload(running, config_file, false).await;
            }
        }
    }
}

/// Checks the whole new set first; a bad one is refused and the old one stays.
async fn reload(running: &Running, config_file: &Path, asked: bool) {
    let _turn = running.turn.lock().await;
    let (rules, settings, warnings) = match config::load(config_file).and_then(compose::compile) {
        Ok(compiled) => compiled,
        Err(problems) => {
            out::talk(problems.render(out::coloured()));
            out::talk("reload refused: the rules before it stay");
            return;
        }
    };
    running.know_people(&settings.people);
    running.know_inbound(&settings.inbound);
    let hooks_changed = running.know_hooks(&settings.notify);
    if hooks_changed {
        out::talk("reloaded: whom webhooks tell");
    }
    let callbacks_changed = running.know_callbacks(&settings.callbacks);
    if callbacks_changed {
        out::talk("reloaded: where agents may be called back");
    }
    if rules.digest == running.gate.rules().digest {
        if asked && !hooks_changed && !callbacks_changed {
            out::talk("reload: nothing changed");
        }
        return;
    }
    out::warnings(&warnings);
    let digest = rules.digest;
    match running.activate(rules).await {
        Ok(receipt) => {
            out::talk(format!("reloaded: rules {} from event {} on", digest.short(), receipt.index))
        }
        Err(error) => out::talk(format!("reload failed, the rules before it stay: {error}")),
    }
}

/// Watches the configuration's folder. Without a watcher, SIGHUP still reloads.
fn watch(config_file: &Path, changed: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let folder = match config_file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let watched = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ["yaml", "cedar", "json"].iter().any(|ours| ending == *ours))
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let concerns = event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(watched));
        if concerns {
            // Full means that a reload is due already.
            let _ = changed.try_send(());
        }
    })
    .ok()?;
    let mut watched_any = watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok();
    for part in ["agents", "tools", "policies"] {
        watched_any |= watcher.watch(&folder.join(part), RecursiveMode::NonRecursive).is_ok();
    }
    watched_any.then_some(watcher)
}
