//! An installation in a folder of its own: a configuration, the binary, and what it printed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::Value;

pub const BINARY: &str = env!("CARGO_BIN_EXE_remit");
/// What the tool server's bearer must be; no agent, file or output may hold it.
pub const CREDENTIAL: &str = "canary-credential-5f1d0c";
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/refund-desk");
const HOUSE: &str = "\
audit: { storage: append_only, schema_version: \"1.0\", capture_reasoning: true }
listen: { agents: \"127.0.0.1:0\", people: \"127.0.0.1:0\" }
store: { sqlite: ./data }
people:
  - { name: dana@example.com, roles: [operator, \"approver:finance\"] }
  - { name: lee@example.com, roles: [\"approver:finance\", auditor] }
";

/// The refund desk of the examples, with addresses of this test.
pub struct Install {
    folder: tempfile::TempDir,
    starts: AtomicUsize,
}

impl Install {
    pub fn new(tool_url: &str) -> Install {
        let folder = tempfile::tempdir().unwrap();
        for part in ["agents/refund-desk.yaml", "tools/desk.yaml", "policies/house.cedar"] {
            let text = std::fs::read_to_string(Path::new(EXAMPLE).join(part)).unwrap();
            let text = text
                .replace("http://127.0.0.1:7480", tool_url)
                .replacen(
                    "env: prod\ntools:",
                    "env: prod\ncredential: { bearer: \"env:DESK_KEY\" }\ntools:",
                    1,
                )
                .replace("calls: 40, usd: 2.00, irreversible: 2", "calls: 40, usd: 20.00, irreversible: 2")
                // What is lent is an event between others: whoever counts events or commits does without.
                .replace("  per_day: { usd: 50, refunded_cents: 200000 }\n", "");
            std::fs::create_dir_all(folder.path().join(part).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(part), text).unwrap();
        }
        std::fs::write(folder.path().join("remit.yaml"), HOUSE).unwrap();
        Install { folder, starts: AtomicUsize::new(0) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes beside and renames, as careful editors do.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} does not hold {from:?}");
        std::fs::write(self.path("edited.tmp"), text.replacen(from, to, 1)).unwrap();
        std::fs::rename(self.path("edited.tmp"), self.path(name)).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        for name in ["REMIT_CONFIG", "REMIT_DATA", "REMIT_URL", "REMIT_OPERATOR_KEY", "REMIT_FAILPOINT"] {
            command.env_remove(name);
        }
        command
            .env("DESK_KEY", CREDENTIAL)
            .env("REMIT_LOG", "info")
            .arg("--config")
            .arg(self.path("remit.yaml"));
        command.args(args).stdin(Stdio::null());
        command
    }

    /// Runs one command to its end.
    pub fn remit(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().unwrap())
    }

    /// The same, without the tool's credential in its environment.
    pub fn remit_without_credential(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).env_remove("DESK_KEY").output().unwrap())
    }

    /// Starts it and waits until it is up.
    pub fn serve(&self) -> Serve {
        self.try_serve(None)
            .unwrap_or_else(|status| panic!("it did not start: {status}\n{}", self.all_output()))
    }

    /// Starts it, armed with a failpoint; the exit status if it ends before it is up.
    pub fn try_serve(&self, failpoint: Option<&str>) -> Result<Serve, ExitStatus> {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (self.path(&format!("{number}.stdout")), self.path(&format!("{number}.stderr")));
        let mut command = self.command(&["serve"]);
        if let Some(failpoint) = failpoint {
            command.env("REMIT_FAILPOINT", failpoint);
        }
        let child =
            command.stdout(File::create(out).unwrap()).stderr(File::create(&err).unwrap()).spawn().unwrap();
        let mut serve = Serve { child, err, agents: String::new(), people: String::new() };
        let agents = serve.try_said("  agents  ")?;
        serve.try_said("  people  ")?;
        serve.agents = agents.split_whitespace().next().unwrap().to_owned();
        serve.people = std::fs::read_to_string(self.data().join("address")).unwrap().trim().to_owned();
        Ok(serve)
    }

    pub fn operator_key(&self) -> String {
        std::fs::read_to_string(self.data().join("operator.key")).unwrap().trim().to_owned()
    }

    /// All that any `serve` of this installation printed.
    pub fn all_output(&self) -> String {
        let mut text = String::new();
        for number in 0..self.starts.load(Ordering::Relaxed) {
            for kind in ["stdout", "stderr"] {
                text += &std::fs::read_to_string(self.path(&format!("{number}.{kind}"))).unwrap_or_default();
            }
        }
        text
    }
}

/// A running Remit; it dies with the test.
pub struct Serve {
    child: Child,
    err: PathBuf,
    pub agents: String,
    pub people: String,
}

impl Serve {
    /// The rest of the first line of stderr that starts with `start`.
    pub fn said(&mut self, start: &str) -> String {
        self.try_said(start).unwrap_or_else(|status| panic!("it ended before it said {start:?}: {status}"))
    }

    fn try_said(&mut self, start: &str) -> Result<String, ExitStatus> {
        let since = Instant::now();
        loop {
            let ended = self.child.try_wait().unwrap();
            let text = std::fs::read_to_string(&self.err).unwrap();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            if let Some(rest) = whole.lines().find_map(|line| line.strip_prefix(start)) {
                return Ok(rest.to_owned());
            }
            if let Some(status) = ended {
                return Err(status);
            }
            assert!(since.elapsed() < Duration::from_secs(20), "never said {start:?}:\n{text}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end, which something else has brought about.
    pub fn ended(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(since.elapsed() < Duration::from_secs(20), "it lives on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{}", std::fs::read_to_string(&self.err).unwrap());
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: &Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    pub fn ok(self) -> Said {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn fails(self) -> Said {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.err);
        self
    }

    /// The output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }

    #[track_caller]
    pub fn holds(&self, parts: &[&str]) {
        let text = format!("{}{}", self.out, self.err);
        for part in parts {
            assert!(text.contains(part), "no {part:?} in:\n{text}");
        }
    }
}
