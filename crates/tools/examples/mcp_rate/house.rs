//! A real Remit in a process of its own, with contracts that a person has accepted, and what it costs the machine.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::upstream;

const AGENT: &str = "load";
const START_WAIT: Duration = Duration::from_secs(60);
/// Ticks a second in `/proc/<pid>/stat`: fixed on Linux, whatever its kernel counts in.
const TICKS: u64 = 100;

pub struct House {
    process: Child,
    pub agents: SocketAddr,
    pub key: String,
    _folder: TempDir,
}

impl House {
    pub fn start(remit: &Path, parent: &Path, server: SocketAddr, tools: usize, rules: usize) -> House {
        // In the folder given, since a temporary folder may be memory, where a sync costs nothing.
        let folder = tempfile::tempdir_in(parent).unwrap();
        configure(folder.path(), server, tools, rules);
        let config = folder.path().join("remit.yaml");
        let mut accept = Command::new(remit);
        accept.args(["--config", &config.display().to_string(), "tool", "accept", "bench", "--yes"]);
        let accepted = accept.output().unwrap_or_else(|e| panic!("{}: {e}; is it built?", remit.display()));
        assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));

        let mut command = pinned(0, remit);
        command.arg("serve").arg("--config").arg(&config).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let (mut said, started) = (String::new(), Instant::now());
        let agents = loop {
            let line = lines.next().filter(|_| started.elapsed() < START_WAIT);
            let line = line.unwrap_or_else(|| panic!("`remit serve` did not start:\n{said}"));
            if let Some(address) = line.trim().strip_prefix("agents  http://") {
                break address.parse().unwrap();
            }
            said.push_str(&line);
            said.push('\n');
        };
        std::thread::spawn(move || lines.for_each(|line| eprintln!("remit: {line}")));
        let mut mint = Command::new(remit);
        mint.args(["agent", "key", AGENT, "--data"]).arg(folder.path().join("data")).stderr(Stdio::null());
        let key = String::from_utf8(mint.output().unwrap().stdout).unwrap().trim().to_owned();
        assert!(key.starts_with("rk_"), "`remit agent key` gave no key");
        // What a start leaves behind is settled before anything is measured.
        std::thread::sleep(Duration::from_millis(500));
        House { process, agents, key, _folder: folder }
    }

    /// Processor time so far, of all its threads, in and outside the kernel.
    pub fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // After the name, which is in brackets and may hold spaces: fields 14 and 15 of the whole.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 1_000 / TICKS)
    }

    /// KiB of memory that are its own or mapped: now (`VmRSS`), or at most so far (`VmHWM`).
    pub fn memory(&self, which: &str) -> usize {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Holds this process on one core, if that can be done.
pub fn pin_to(core: usize) -> bool {
    let own = std::process::id().to_string();
    let done = Command::new("taskset").args(["-acp", &core.to_string(), &own]).output();
    done.is_ok_and(|done| done.status.success())
}

fn pinned(core: usize, program: &Path) -> Command {
    let core = core.to_string();
    let can = Command::new("taskset").args(["-c", &core, "true"]).status();
    if !can.is_ok_and(|status| status.success()) {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core]).arg(program);
    command
}

/// Everything that a call meets is on: a schema, a destination, rules over arguments, the ledger on disk.
fn configure(folder: &Path, server: SocketAddr, tools: usize, rules: usize) {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let root = format!(
        "listen: {{ agents: \"127.0.0.1:0\", people: \"127.0.0.1:0\" }}\nstore: {{ sqlite: {} }}\n\
         quotas: {{ max_actions_per_prompt: 1000000000 }}\n\
         people: [{{ name: dana@example.com, roles: [operator] }}]\n",
        folder.join("data").display(),
    );
    write("remit.yaml", &root);
    let mut contracts =
        format!("server: bench\nvia: {{ mcp: {{ url: \"http://{server}/mcp\" }} }}\ntools:\n");
    for tool in 0..tools {
        let name = upstream::name(tool);
        let _ = writeln!(
            contracts,
            "  {name}: {{ effect: read, destinations: [{{ email: args.to }}], result_bytes_max: 16000000, \
             limits: {{ concurrent: 1000 }} }}",
        );
    }
    write("tools/bench.yaml", &contracts);
    let mut agent = format!(
        "agent: {AGENT}\nowner: dana@example.com\npurpose: to be measured\nphases: off\n\
         budget: {{ per_run: {{ calls: 1000000000 }} }}\nmay:\n\
         \x20 - {{ tool: \"bench.*\", to: [\"*@customers.example\"] }}\n",
    );
    for rule in 1..rules {
        let tool = upstream::name(rule % tools.min(5));
        let _ =
            writeln!(agent, "  - {{ tool: bench.{tool}, when: \"args.bytes > {}\" }}", 1_000_000_000 + rule);
    }
    write("agents/load.yaml", &agent);
}
