//! Plans over MCP servers that others wrote, judged by the servers' own state: files, a memory, a git repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use api::client::Client;
use api::people::KeyMinted;
use api::plan::{PlanEnded, PlanShown, PlanVerdict, ProposePlan, UndoAnswer};
use api::run::{OpenRun, RunOpened};
use serde_json::{Value, json};

use crate::house::people;
use crate::install::{Install, Serve};

const AGENT: &str = "\
agent: scribe
owner: dana@example.com
phases: on
limits: { replan: off }
may: [{ tool: files.* }, { tool: memory.* }, { tool: git.* }]
";

/// What each server's tools do, and how each is taken back.
const FILES: &str = r#"
  read_text_file: { effect: read }
  move_file:
    effect: reversible
    touches: ["file:{args.source}", "file:{args.destination}"]
    undo: { tool: files.move_file, args: { source: "{args.destination}", destination: "{args.source}" } }
  write_file:
    effect: reversible
    touches: ["file:{args.path}"]
    preview: { tool: files.read_text_file, args: { path: "{args.path}" } }
    expect: { tool: files.read_text_file, args: { path: "{args.path}" }, that: result.content == args.content }
    version: { tool: files.read_text_file, args: { path: "{args.path}" }, value: result.content }
    undo:
      restore:
        read: { tool: files.read_text_file, args: { path: "{args.path}" } }
        write: { tool: files.write_file, args: { path: "{args.path}", content: "{before.content}" } }
"#;
const MEMORY: &str = r#"
  read_graph: { effect: read }
  create_entities:
    effect: reversible
    undo: { tool: memory.delete_entities, args: { entityNames: ["{args.entities.0.name}"] } }
  delete_entities: { effect: reversible, undo: none }
  create_relations:
    effect: reversible
    undo: { tool: memory.delete_relations, args: { relations: "{args.relations}" } }
  delete_relations: { effect: reversible, undo: none }
"#;
const GIT: &str = r#"
  git_status: { effect: read }
  git_add:
    effect: reversible
    undo: { tool: git.git_reset, args: { repo_path: "{args.repo_path}" } }
  git_reset: { effect: reversible, undo: none }
"#;

/// Remit in front of the three servers, an agent in a run, and what the servers keep.
struct Desk {
    install: Install,
    serve: Serve,
    agent: Client,
    run: String,
}

impl Desk {
    /// None where the servers are not installed, and need not be.
    async fn up() -> Option<Desk> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers");
        let node = |name: &str| peers.join("node/node_modules/.bin").join(name);
        let (files, memory) = (node("mcp-server-filesystem"), node("mcp-server-memory"));
        let git = peers.join("python/bin/mcp-server-git");
        if ![&files, &memory, &git].iter().all(|server| server.exists()) {
            assert!(std::env::var_os("REMIT_PEERS").is_none(), "run `cargo xtask peers`");
            eprintln!("SKIPPED: peers are missing; `cargo xtask peers` installs them");
            return None;
        }
        let install = Install::new("http://127.0.0.1:9");
        let world = install.path("world");
        std::fs::create_dir(&world).unwrap();
        std::fs::write(world.join("draft.txt"), "as it was\n").unwrap();
        std::fs::write(world.join("old.txt"), "moved\nand moved back\n").unwrap();
        let known = json!({ "type": "entity", "name": "ana", "entityType": "customer", "observations": [] });
        std::fs::write(install.path("memory.json"), known.to_string()).unwrap();
        for args in [
            ["init", "-q"].as_slice(),
            &["add", "."],
            &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"],
        ] {
            assert!(Command::new("git").arg("-C").arg(&world).args(args).status().unwrap().success());
        }
        std::fs::write(world.join("draft.txt"), "changed and not staged\n").unwrap();
        write_server(&install, "files", &files, &[&world.display().to_string()], "", FILES);
        let env = format!(", env: {{ MEMORY_FILE_PATH: \"{}\" }}", install.path("memory.json").display());
        write_server(&install, "memory", &memory, &[], &env, MEMORY);
        write_server(&install, "git", &git, &["--repository", &world.display().to_string()], "", GIT);
        install.remit(&["tool", "accept", "files", "memory", "git", "--yes"]).ok();
        std::fs::write(install.path("agents/scribe.yaml"), AGENT).unwrap();
        let serve = install.serve();
        let key: KeyMinted =
            people(&install, &serve).post("/v1/agents/scribe/keys", &json!({})).await.unwrap();
        let agent = Client::new(&serve.agents, Some(key.secret));
        let opened: RunOpened = agent.post("/v1/runs", &OpenRun::default()).await.unwrap();
        Some(Desk { agent: agent.in_run(&opened.token), run: opened.run, install, serve })
    }

    fn world(&self) -> PathBuf {
        self.install.path("world")
    }

    fn file(&self, name: &str) -> String {
        self.world().join(name).display().to_string()
    }

    /// Every byte that the servers keep for others to see: files, the memory, what git has staged.
    fn state(&self) -> BTreeMap<String, Vec<u8>> {
        let mut state = BTreeMap::new();
        for entry in std::fs::read_dir(self.world()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                state.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
        state.insert("memory".to_owned(), std::fs::read(self.install.path("memory.json")).unwrap());
        for args in [["ls-files", "-s"].as_slice(), &["status", "--porcelain"], &["rev-parse", "HEAD"]] {
            let git = Command::new("git").arg("-C").arg(self.world()).args(args).output().unwrap();
            state.insert(args.join(" "), git.stdout);
        }
        state
    }

    /// Five writes, each needing the one before it.
    fn steps(&self) -> Vec<Value> {
        let entity = json!({ "name": "ben", "entityType": "customer", "observations": ["likes cups"] });
        let relation = json!({ "from": "ana", "to": "ben", "relationType": "knows" });
        vec![
            json!({ "id": "move", "tool": "files.move_file",
                "args": { "source": self.file("old.txt"), "destination": self.file("new.txt") } }),
            json!({ "id": "write", "tool": "files.write_file",
                "args": { "path": self.file("draft.txt"), "content": "as it shall be\n" } }),
            json!({ "id": "entity", "tool": "memory.create_entities", "args": { "entities": [entity] } }),
            json!({ "id": "relation", "tool": "memory.create_relations", "args": { "relations": [relation] } }),
            json!({ "id": "stage", "tool": "git.git_add",
                "args": { "repo_path": self.world().display().to_string(), "files": ["draft.txt"] } }),
        ]
    }

    /// The steps one after the other, with one that fails at this place.
    fn plan(&self, fault: Option<usize>) -> ProposePlan {
        let mut steps = self.steps();
        if let Some(place) = fault {
            let args = json!({ "source": self.file("nowhere.txt"), "destination": self.file("there.txt") });
            steps.insert(place, json!({ "id": "fault", "tool": "files.move_file", "args": args }));
        }
        let ids: Vec<Value> = steps.iter().map(|step| step["id"].clone()).collect();
        for (step, before) in steps.iter_mut().skip(1).zip(&ids) {
            step["after"] = json!([before]);
        }
        serde_json::from_value(json!({ "steps": steps })).unwrap()
    }

    async fn commit(&self, plan: &ProposePlan) -> PlanShown {
        let verdict: PlanVerdict =
            self.agent.post(&format!("/v1/runs/{}/plan", self.run), plan).await.unwrap();
        assert_eq!(verdict.ruling, "allow", "{verdict:#?}");
        let commit = json!({ "version": verdict.version });
        let ended: PlanEnded =
            self.agent.post(&format!("/v1/runs/{}/commit", self.run), &commit).await.unwrap();
        ended.plan
    }
}

fn write_server(install: &Install, name: &str, server: &Path, args: &[&str], env: &str, tools: &str) {
    let via = format!("via: {{ stdio: {{ command: \"{}\", args: {args:?}{env} }} }}", server.display());
    let text = format!("server: {name}\n{via}\nenv: prod\ntools:{tools}");
    std::fs::write(install.path(&format!("tools/{name}.yaml")), text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_servers_are_as_they_were_after_a_fault_at_any_step() {
    let Some(desk) = Desk::up().await else { return };
    let before = desk.state();
    for place in 0..=desk.steps().len() {
        let plan = desk.commit(&desk.plan(Some(place))).await;
        let undone = plan.steps.iter().filter(|step| step.state == "undone").count();
        assert_eq!((plan.stage.as_str(), undone), ("rolled_back", place), "{plan:#?}");
        assert!(plan.residue.is_empty(), "{plan:#?}");
        assert_eq!(desk.state(), before, "a fault after {place} steps left something");
    }
    desk.serve.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_committed_run_over_real_servers_is_taken_back_unless_somebody_changed_it() {
    let Some(desk) = Desk::up().await else { return };
    let before = desk.state();
    let plan = desk.commit(&desk.plan(None)).await;
    assert_eq!(plan.stage, "committed", "{plan:#?}");
    let after = desk.state();
    assert_eq!(std::fs::read_to_string(desk.file("draft.txt")).unwrap(), "as it shall be\n");
    assert!(
        std::fs::exists(desk.file("new.txt")).unwrap() && !std::fs::exists(desk.file("old.txt")).unwrap()
    );
    let people = people(&desk.install, &desk.serve);
    let undo = format!("/v1/runs/{}/undo", desk.run);
    let dry: UndoAnswer = people.post(&undo, &json!({ "dry": true })).await.unwrap();
    let order: Vec<&str> = dry.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(order, ["stage", "relation", "entity", "write", "move"]);
    assert_eq!(desk.state(), after, "it was only asked");
    let taken: UndoAnswer = people.post(&undo, &json!({ "why": "the wrong draft" })).await.unwrap();
    assert!(taken.plan.is_some_and(|plan| plan.residue.is_empty()), "{}", taken.says);
    assert_eq!(desk.state(), before);

    // Again, and this time somebody else goes on with the draft: their work is not destroyed.
    let again = desk.commit(&desk.plan(None)).await;
    assert_eq!(again.stage, "committed", "{again:#?}");
    std::fs::write(desk.file("draft.txt"), "somebody else's\n").unwrap();
    let taken: UndoAnswer = people.post(&undo, &json!({ "why": "still wrong" })).await.unwrap();
    let plan = taken.plan.unwrap();
    let left: Vec<&str> = plan.residue.iter().map(|left| left.step.as_str()).collect();
    assert!(left.contains(&"write"), "{plan:#?}");
    assert_eq!(std::fs::read_to_string(desk.file("draft.txt")).unwrap(), "somebody else's\n");
    let stuck = desk.install.remit(&["runs", "--stuck"]).ok().out;
    assert!(stuck.contains(&desk.run) && stuck.contains("quarantined"), "{stuck}");
    desk.install.remit(&["run", "accept", &desk.run, "--why", "theirs is better"]).ok();
    assert!(!desk.install.remit(&["runs", "--stuck"]).ok().out.contains(&desk.run));
    desk.serve.stop();
}
