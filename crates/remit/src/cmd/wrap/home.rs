//! The one Remit of a data folder: found, or started in the background and waited for.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use api::client::{Client, Error, encode};
use api::people::{KeyMinted, MintKey, Status, Through};
use api::run::Recorded;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::cli::Whose;
use crate::cmd::{idle, remote};
use crate::{compose, out, private};

/// For a Remit to be ready, and for others who start one or leave.
const START_WAIT: Duration = Duration::from_secs(30);
/// When ours did not start, another may be starting that holds what ours wanted.
const OTHERS_WAIT: Duration = Duration::from_secs(3);
const ASK_WAIT: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);
/// A Remit that was started here and that nobody has needed for this long ends.
const IDLE: &str = "30m";
/// Held while a Remit is started, so that two clients start one.
const STARTING: &str = "starting";
/// What a Remit that was started here says.
const SERVE_LOG: &str = "serve.log";
/// A longer log is begun anew.
const LOG_BYTES_MAX: u64 = 1 << 20;
/// The end of the log that tells why it did not start.
const REASON_LINES_MAX: usize = 20;

/// The Remit of a data folder, which does not leave while this lives.
pub(super) struct Home {
    whose: Whose,
    data: PathBuf,
    _wrapped: File,
}

/// Finds it, or starts it.
pub(super) async fn reach(whose: &Whose, data: &Path) -> Result<Home> {
    ensure!(
        whose.url.is_none(),
        "`remit wrap` speaks to the Remit of a data folder; leave --url and REMIT_URL out, and name it with --data"
    );
    private::from_now_on();
    let config = std::path::absolute(&whose.config)?;
    let data = std::path::absolute(whose.data.as_deref().unwrap_or(data))?;
    if !data.is_dir() {
        private::new_folder(&data).or_else(|error| if data.is_dir() { Ok(()) } else { Err(error) })?;
    }
    let wrapped = locked(data.clone(), idle::hold).await?;
    let whose = Whose { config, data: Some(data.clone()), ..whose.clone() };
    let home = Home { whose, data, _wrapped: wrapped };
    if !home.answers().await? {
        let starting = |data: &Path| {
            let file = private::open(&data.join(STARTING))?;
            file.lock().map(|()| file)
        };
        let _starting = locked(home.data.clone(), starting).await?;
        if !home.answers().await? {
            home.start().await?;
        }
    }
    ensure!(
        home.data.join(compose::AGENTS_ADDRESS).exists(),
        "the Remit of `{}` does not say where agents reach it: it is an older one; start it again",
        home.data.display()
    );
    Ok(home)
}

async fn locked(
    data: PathBuf,
    take: impl FnOnce(&Path) -> std::io::Result<File> + Send + 'static,
) -> Result<File> {
    let shown = data.display().to_string();
    let taking = timeout(START_WAIT, tokio::task::spawn_blocking(move || take(&data))).await;
    let taken =
        taking.with_context(|| format!("another process is starting or ending in `{shown}`, too long"))?;
    taken?.with_context(|| format!("the data folder `{shown}` cannot be used"))
}

impl Home {
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// What starts this Remit, for people to type.
    pub(super) fn start_command(&self) -> String {
        format!("remit serve --config {} --data {}", self.whose.config.display(), self.data.display())
    }

    pub(super) async fn mint(&self, agent: &str, ttl_seconds: u64) -> Result<KeyMinted> {
        let ask = MintKey { ttl_seconds: Some(ttl_seconds), person: None, through: Some(Through::Wrap) };
        let path = format!("/v1/agents/{}/keys", encode(agent));
        let minted = remote::client(&self.whose)?.post(&path, &ask).await;
        minted.with_context(|| format!("no key could be minted for the agent `{agent}`"))
    }

    pub(super) async fn revoke(&self, key: &str) -> Result<()> {
        let why = remote::query(&[("why", Some("the wrapped client has ended".to_owned()))]);
        let path = format!("/v1/keys/{}{why}", encode(key));
        Ok(remote::client(&self.whose)?.delete::<Recorded>(&path).await.map(drop)?)
    }

    /// Whether it runs. One that says no to us runs, too, and is no reason to start another.
    async fn answers(&self) -> Result<bool> {
        // Without an address or a key, none has ever run here.
        let Ok(client) = remote::client(&self.whose) else { return Ok(false) };
        match self.status(&client).await {
            None | Some(Err(Error::Unreachable { .. } | Error::TooSlow { .. } | Error::Broken { .. })) => {
                Ok(false)
            }
            Some(answer) => answer.map(|_| true).with_context(|| {
                format!("the Remit at {} refuses; it may be that of another data folder", client.base())
            }),
        }
    }

    async fn status(&self, client: &Client) -> Option<Result<Status, Error>> {
        timeout(ASK_WAIT, client.get::<Status>("/v1/status")).await.ok()
    }

    async fn start(&self) -> Result<()> {
        let log = self.data.join(SERVE_LOG);
        let (mut child, said_before) = self.spawn(&log)?;
        let mut until = Instant::now() + START_WAIT;
        let mut ended: Option<ExitStatus> = None;
        while Instant::now() < until {
            if self.answers().await? {
                out::talk(format!(
                    "started Remit in the background; it says what it does in {}",
                    log.display()
                ));
                return Ok(());
            }
            if ended.is_none() {
                ended = child.try_wait()?;
                until = ended.map_or(until, |_| until.min(Instant::now() + OTHERS_WAIT));
            }
            sleep(LOOK).await;
        }
        let (command, reason) = (self.start_command(), reason(&log, said_before));
        match ended {
            Some(status) => bail!("Remit did not start ({status}):\n{reason}\nTry it by hand: `{command}`"),
            None => {
                bail!("Remit is not ready after {} s:\n{reason}\nSee {}", START_WAIT.as_secs(), log.display())
            }
        }
    }

    /// Starts it, and says how long its log was before.
    fn spawn(&self, log: &Path) -> Result<(Child, u64)> {
        let mut file =
            private::open(log).with_context(|| format!("`{}` cannot be written", log.display()))?;
        if file.metadata()?.len() > LOG_BYTES_MAX {
            file.set_len(0)?;
        }
        let said_before = file.seek(SeekFrom::End(0))?;
        let program = std::env::current_exe().context("this program cannot be found again")?;
        let mut command = Command::new(&program);
        command.args(["serve", "--idle-exit", IDLE, "--config"]).arg(&self.whose.config);
        command.arg("--data").arg(&self.data).env_remove("REMIT_URL");
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("`{}` cannot be started", program.display()))?;
        Ok((child, said_before))
    }
}

/// What a Remit said since it was started, its last lines.
fn reason(log: &Path, from: u64) -> String {
    let mut text = String::new();
    let read = private::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(from))?;
        file.take(LOG_BYTES_MAX).read_to_string(&mut text)
    });
    if read.is_err() || text.trim().is_empty() {
        return "  it gave no reason".to_owned();
    }
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let last = lines.get(lines.len().saturating_sub(REASON_LINES_MAX)..).unwrap_or_default();
    last.iter().map(|line| format!("  {}", out::safe(line))).collect::<Vec<_>>().join("\n")
}
