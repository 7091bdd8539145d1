//! A real Remit in a process of its own, with a configuration as large as asked, and what it costs the machine.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const AGENTS: usize = 20;
const TOOLS: usize = 50;
/// Tools that one agent may use; its lines are spread over them.
const TOOLS_EACH: usize = 5;
/// Tools that free rules are about.
const TOOLS_GUARDED: usize = 10;
/// Who asks.
const AGENT: &str = "agent_0";
/// Ticks a second in `/proc/<pid>/stat`: fixed on Linux, whatever its kernel counts in.
const TICKS: u64 = 100;

pub struct House {
    process: Child,
    pub agents: SocketAddr,
    pub people: SocketAddr,
    pub key: String,
    pub up_ms: u128,
    folder: TempDir,
}

impl House {
    /// Its tools are all asked at one address.
    pub fn start(remit: &Path, parent: &Path, rules: usize, tools: SocketAddr) -> House {
        // In the folder given, since a temporary folder may be memory, where a sync costs nothing.
        let folder = tempfile::tempdir_in(parent).unwrap();
        configure(folder.path(), rules, tools);
        let mut command = pinned(0, remit);
        command.arg("serve").arg("--config").arg(folder.path().join("remit.yaml"));
        let started = Instant::now();
        let spawned = command.stderr(Stdio::piped()).spawn();
        let mut process = spawned.unwrap_or_else(|e| panic!("{}: {e}; is it built?", remit.display()));
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = String::new();
        let agents = loop {
            let line = lines.next().unwrap_or_else(|| panic!("`remit serve` did not start:\n{said}"));
            if let Some(address) = line.trim().strip_prefix("agents  http://") {
                break address.parse().unwrap();
            }
            said.push_str(&line);
            said.push('\n');
        };
        let up_ms = started.elapsed().as_millis();
        std::thread::spawn(move || lines.for_each(|line| eprintln!("remit: {line}")));
        let mut mint = Command::new(remit);
        mint.args(["agent", "key", AGENT, "--data"]).arg(folder.path().join("data")).stderr(Stdio::null());
        let key = String::from_utf8(mint.output().unwrap().stdout).unwrap().trim().to_owned();
        assert!(key.starts_with("rk_"), "`remit agent key` gave no key");
        // What a start leaves behind is settled before anything is measured.
        std::thread::sleep(Duration::from_millis(500));
        let address = std::fs::read_to_string(folder.path().join("data").join("address")).unwrap();
        let people = address.trim().trim_start_matches("http://").parse().unwrap();
        House { process, agents, people, key, up_ms, folder }
    }

    pub fn operator(&self) -> String {
        let path = self.folder.path().join("data").join("operator.key");
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// Processor time so far, of all its threads, in and outside the kernel.
    pub fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // After the name, which is in brackets and may hold spaces: fields 14 and 15 of the whole.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 1_000 / TICKS)
    }

    /// KiB of memory that are its own or mapped at the moment.
    pub fn resident(&self) -> usize {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
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
    let done = Command::new("taskset").args(["-cp", &core.to_string(), &own]).output();
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

/// Nine tenths of the rules are lines of the manifests, one tenth are free rules about a tool each.
fn configure(folder: &Path, rules: usize, tools: SocketAddr) {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let root = format!(
        "listen: {{ agents: \"127.0.0.1:0\", people: \"127.0.0.1:0\" }}\n\
         store: {{ sqlite: {} }}\n\
         quotas: {{ max_actions_per_prompt: 1000000000 }}\n\
         people: [{{ name: dana@example.com, roles: [operator] }}]\n",
        folder.join("data").display(),
    );
    write("remit.yaml", &root);
    for agent in 0..AGENTS {
        write(&format!("agents/agent_{agent}.yaml"), &manifest(agent, rules * 9 / 10 / AGENTS));
    }
    let mut tools = format!("server: crm\nvia: {{ http: {{ url: \"http://{tools}\" }} }}\ntools:\n");
    for tool in 0..TOOLS {
        let _ = write!(
            tools,
            "  tool_{tool}:\n    effect: reversible\n    about: One of many.\n    cost: {{ usd: 0.000001 }}\n    \
             input:\n      type: object\n      required: [cents, note]\n      additionalProperties: false\n      \
             properties: {{ cents: {{ type: integer }}, note: {{ type: string }} }}\n",
        );
    }
    write("tools/crm.yaml", &tools);
    let mut free = String::new();
    for n in 0..rules / 10 {
        let (tool, cents) = (n % TOOLS_GUARDED, 100_000 + n);
        let _ = writeln!(
            free,
            "@id(\"free_{n}\")\nforbid (principal, action == Remit::Action::\"crm.tool_{tool}\", resource)\n\
             when {{ context.args.cents > {cents} }};",
        );
    }
    write("policies/house.cedar", &free);
}

/// Each line allows a band of amounts of its own, so that one line alone allows any call.
fn manifest(agent: usize, lines: usize) -> String {
    let mut text = format!(
        "agent: agent_{agent}\nowner: dana@example.com\npurpose: to be measured\nphases: off\n\
         roles: [executor]\nbudget: {{ per_run: {{ usd: 1000000 }} }}\nmay:\n",
    );
    for n in 0..lines {
        let tool = (agent * TOOLS_EACH + n % TOOLS_EACH) % TOOLS;
        let (above, upto) = (n / TOOLS_EACH * 5_000, (n / TOOLS_EACH + 1) * 5_000);
        let _ = writeln!(
            text,
            "  - {{ tool: crm.tool_{tool}, when: \"args.cents > {above} && args.cents <= {upto}\" }}",
        );
    }
    text
}
