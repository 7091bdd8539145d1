//! A child process in a group of its own: what it may know of this machine, its last words, and its end.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gate::vault;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;

use crate::mcp::upstream::ask::Trouble;
use crate::mcp::via::Command;

/// What a child gets of Remit's own environment. All else it gets from its contract, or not at all.
const ENV_KEPT: [&str; 4] = ["LANG", "PATH", "TMPDIR", "TZ"];
/// What is kept of a child's standard error.
const WORDS_BYTES_MAX: usize = 4 * 1024;
/// Lines of it that are told.
const WORDS_LINES: usize = 3;
/// How long a child may take after its input has ended, and again after it was asked to go.
const LEAVE_WAIT: Duration = Duration::from_millis(1_500);
/// How long the end of its standard error is waited for once its output has ended.
const SETTLE_WAIT: Duration = Duration::from_millis(200);

pub(super) struct Started {
    pub(super) child: Child,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) words: Arc<LastWords>,
}

/// `keeper` is the command that ends the child when Remit dies, if there is one.
pub(super) fn start(command: &Command, keeper: &[String], folder: Option<&Path>) -> Result<Started, Trouble> {
    let (mut env, mut secrets) = (Vec::new(), Vec::new());
    for (name, value) in &command.env {
        if value.starts_with("env:") || value.starts_with("file:") {
            let secret = vault::open_reference(value)
                .map_err(|error| Trouble::saying(error.code(), &error.to_string()))?;
            let text = String::from_utf8(secret.reveal().to_vec())
                .map_err(|_| Trouble::saying("credential_unusable", "it is not UTF-8"))?;
            secrets.push(text.clone());
            env.push((name, text));
        } else {
            env.push((name, value.clone()));
        }
    }
    let mut words = keeper.iter().cloned();
    let mut process = match words.next() {
        Some(program) => {
            let mut process = tokio::process::Command::new(program);
            process.args(words).arg(std::process::id().to_string()).arg(&command.command);
            process
        }
        None => {
            let mut process = tokio::process::Command::new(&command.command);
            process.kill_on_drop(true);
            process
        }
    };
    process.args(&command.args).env_clear();
    process.envs(ENV_KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)))).envs(env);
    // A path that is absolute stays as it is when it is joined to another.
    let cwd = folder.unwrap_or(Path::new("")).join(command.cwd.as_deref().unwrap_or_default());
    if cwd != Path::new("") {
        process.current_dir(cwd);
    }
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let cannot = |why: &str| {
        Trouble::saying("unreachable", &format!("`{}` cannot be started: {why}", command.command))
    };
    let mut child = process.spawn().map_err(|error| cannot(&error.to_string()))?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else { return Err(cannot("it has no pipes")) };
    let words = LastWords::new(secrets);
    tokio::spawn(listen(stderr, words.clone()));
    Ok(Started { child, stdin, stdout, words })
}

/// Waits for the end of the child's output, or for us to close; then nothing of its group stays.
pub(super) fn watch_over(
    mut child: Child,
    mut close: watch::Receiver<bool>,
    mut ended: watch::Receiver<bool>,
) -> watch::Receiver<bool> {
    let (gone, is_gone) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = close.wait_for(|close| *close) => {}
            _ = ended.wait_for(|ended| *ended) => {}
        }
        // The group's number is the child's, which nobody else can get before the child is waited for.
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().unwrap_or_default()));
        if let Some(group) = group {
            leave(&mut ended).await;
            let _ = kill_process_group(group, Signal::TERM);
            leave(&mut ended).await;
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait().await;
        gone.send_replace(true);
    });
    is_gone
}

/// Gives the child time to end its output by itself.
async fn leave(ended: &mut watch::Receiver<bool>) {
    let _ = tokio::time::timeout(LEAVE_WAIT, ended.wait_for(|ended| *ended)).await;
}

/// The end of what a child wrote to its standard error.
pub(super) struct LastWords {
    bytes: Mutex<Vec<u8>>,
    ended: watch::Sender<bool>,
    /// What was opened for its environment does not come back in its words.
    secrets: Vec<String>,
}

impl LastWords {
    fn new(secrets: Vec<String>) -> Arc<LastWords> {
        Arc::new(LastWords { bytes: Mutex::default(), ended: watch::channel(false).0, secrets })
    }

    /// What was opened for the child's environment may stand in its answers too.
    pub(super) fn secrets(&self) -> &[String] {
        &self.secrets
    }

    pub(super) async fn settled(&self) {
        let mut ended = self.ended.subscribe();
        let _ = tokio::time::timeout(SETTLE_WAIT, ended.wait_for(|ended| *ended)).await;
    }

    pub(super) fn trouble(&self, code: &'static str) -> Trouble {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        // The first line of a full buffer has lost its beginning, and with it perhaps half a secret.
        let cut = if bytes.len() < WORDS_BYTES_MAX {
            0
        } else {
            bytes.iter().position(|b| *b == b'\n').unwrap_or(0)
        };
        let mut text = String::from_utf8_lossy(bytes.get(cut..).unwrap_or_default()).into_owned();
        for secret in self.secrets.iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "[secret]");
        }
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(WORDS_LINES)..).unwrap_or_default();
        Trouble::saying(code, &last.join(" | "))
    }

    fn take(&self, chunk: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend_from_slice(chunk);
        let excess = bytes.len().saturating_sub(WORDS_BYTES_MAX);
        bytes.drain(..excess);
    }
}

async fn listen(mut stderr: ChildStderr, words: Arc<LastWords>) {
    let mut chunk = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
        words.take(chunk.get(..length).unwrap_or_default());
    }
    words.ended.send_replace(true);
}
