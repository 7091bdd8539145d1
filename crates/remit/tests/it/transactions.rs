//! Plans and groups over MCP servers that others wrote, judged by the servers' own state: files, a memory, a git
//! repository, a database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use api::call::Answered;
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
may: [{ tool: files.* }, { tool: memory.* }, { tool: git.* }, { tool: db.* }]
";
/// The same without phases: its calls are single, or a group.
const TYPIST: &str = "\
agent: typist
owner: dana@example.com
limits: { replan: off }
may: [{ tool: files.* }, { tool: memory.* }, { tool: git.* }, { tool: db.* }]
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
  git_commit: { effect: irreversible }
  git_reset: { effect: reversible, undo: none }
"#;
/// Its tools take any SQL, so what was there is read whole, and given to the view by which the database sets it back.
const DB: &str = r#"
  read_query: { effect: read }
  write_query:
    effect: reversible
    touches: ["table:notes"]
    version: { tool: db.read_query, args: { query: "SELECT * FROM notes ORDER BY id" }, value: result.content.0.text }
    undo:
      restore:
        read:
          tool: db.read_query
          args: { query: "SELECT replace(json_group_array(json_array(id, text)), '\"', '~') AS rows FROM (SELECT * FROM notes ORDER BY id)" }
        write: { tool: db.write_query, args: { query: "INSERT INTO restored VALUES (\"{before.content.0.text}\")" } }
"#;
/// The server tells rows as Python writes them: `[{'rows': '[[1,~as it was~]]'}]`.
const TABLES: &str = "
    CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);
    INSERT INTO notes VALUES (1, 'as it was');
    CREATE VIEW restored AS SELECT '' AS dump;
    CREATE TRIGGER restore INSTEAD OF INSERT ON restored BEGIN
      DELETE FROM notes;
      INSERT INTO notes SELECT value->>0, value->>1
        FROM json_each(replace(substr(new.dump, 12, length(new.dump) - 14), '~', '\"'));
    END;";

/// Remit in front of the four servers, an agent in a run, and what the servers keep.
struct Desk {
    install: Install,
    serve: Serve,
    agent: Client,
    run: String,
}

impl Desk {
    /// None where the servers are not installed, and need not be.
    async fn up(name: &str, manifest: &str) -> Option<Desk> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers");
        let node = |name: &str| peers.join("node/node_modules/.bin").join(name);
        let (files, memory) = (node("mcp-server-filesystem"), node("mcp-server-memory"));
        let git = peers.join("python/bin/mcp-server-git");
        let db = peers.join("python-old/bin/mcp-server-sqlite");
        if ![&files, &memory, &git, &db].iter().all(|server| server.exists()) {
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
        for (name, value) in [("user.name", "a"), ("user.email", "a@b")] {
            let git = Command::new("git").arg("-C").arg(&world).args(["config", name, value]).status();
            assert!(git.unwrap().success());
        }
        std::fs::write(world.join("draft.txt"), "changed and not staged\n").unwrap();
        let notes = install.path("notes.db");
        rusqlite::Connection::open(&notes).unwrap().execute_batch(TABLES).unwrap();
        write_server(&install, "db", &db, &["--db-path", &notes.display().to_string()], "", DB);
        write_server(&install, "files", &files, &[&world.display().to_string()], "", FILES);
        let env = format!(", env: {{ MEMORY_FILE_PATH: \"{}\" }}", install.path("memory.json").display());
        write_server(&install, "memory", &memory, &[], &env, MEMORY);
        write_server(&install, "git", &git, &["--repository", &world.display().to_string()], "", GIT);
        install.remit(&["tool", "accept", "files", "memory", "git", "db", "--yes"]).ok();
        std::fs::write(install.path(&format!("agents/{name}.yaml")), manifest).unwrap();
        let serve = install.serve();
        let key: KeyMinted =
            people(&install, &serve).post(&format!("/v1/agents/{name}/keys"), &json!({})).await.unwrap();
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

    /// Every byte that the servers keep for others to see: files, the memory, what git has staged, every row.
    fn state(&self) -> BTreeMap<String, Vec<u8>> {
        let mut state = BTreeMap::new();
        for entry in std::fs::read_dir(self.world()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                state.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
        state.insert("memory".to_owned(), std::fs::read(self.install.path("memory.json")).unwrap());
        let notes = rusqlite::Connection::open(self.install.path("notes.db")).unwrap();
        let mut rows = notes.prepare("SELECT id || ' ' || text FROM notes ORDER BY id").unwrap();
        let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let rows: Vec<String> = rows.map(Result::unwrap).collect();
        state.insert("rows".to_owned(), rows.join("\n").into_bytes());
        for args in [["ls-files", "-s"].as_slice(), &["status", "--porcelain"], &["rev-parse", "HEAD"]] {
            let git = Command::new("git").arg("-C").arg(self.world()).args(args).output().unwrap();
            state.insert(args.join(" "), git.stdout);
        }
        state
    }

    /// Seven writes, each needing the one before it; the last two are of the same table.
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
            json!({ "id": "row", "tool": "db.write_query", "args": { "query": "INSERT INTO notes VALUES (2, 'two')" } }),
            json!({ "id": "rows", "tool": "db.write_query", "args": { "query": "UPDATE notes SET text = 'new'" } }),
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

    /// One call of the agent: its outcome, and the step that it is held as.
    async fn call(&self, tool: &str, args: &Value) -> Answered {
        self.agent.post("/v1/calls", &json!({ "tool": tool, "args": args })).await.unwrap()
    }

    async fn group(&self, verb: &str) -> PlanEnded {
        self.agent.post(&format!("/v1/runs/{}/{verb}", self.run), &json!({})).await.unwrap()
    }

    /// Calls these steps one by one, each of which is done at once.
    async fn calls(&self, steps: &[Value]) {
        for step in steps {
            let answered = self.call(step["tool"].as_str().unwrap(), &step["args"]).await;
            assert_eq!(answered.outcome.as_deref(), Some("succeeded"), "{answered:#?}");
        }
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
    let Some(desk) = Desk::up("scribe", AGENT).await else { return };
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
    let Some(desk) = Desk::up("scribe", AGENT).await else { return };
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
    assert_eq!(order, ["rows", "row", "stage", "relation", "entity", "write", "move"]);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_calls_over_real_servers_are_committed_or_taken_back_as_one() {
    let Some(desk) = Desk::up("typist", TYPIST).await else { return };
    let before = desk.state();
    let commit = json!({ "repo_path": desk.world().display().to_string(), "message": "second" });
    let fails = json!({ "source": desk.file("nowhere.txt"), "destination": desk.file("there.txt") });
    let steps = desk.steps();
    for place in 0..=steps.len() {
        assert_eq!(desk.group("begin").await.plan.stage, "open");
        desk.calls(&steps[..place]).await;
        let held = desk.call("git.git_commit", &commit).await;
        assert!(held.held.is_some() && held.outcome.is_none(), "{held:#?}");
        // Half of the groups end with a call that fails, the others are given up.
        if place % 2 == 0 {
            let failed = desk.call("files.move_file", &fails).await;
            assert_eq!(failed.outcome.as_deref(), Some("failed"), "{failed:#?}");
            let alone = desk.call("files.write_file", &steps[1]["args"]).await;
            assert_eq!(alone.verdict.reasons[0].code, "group_over", "{alone:#?}");
        } else {
            let ended = desk.group("abort").await;
            assert_eq!(ended.plan.stage, "rolled_back", "{ended:#?}");
        }
        assert_eq!(desk.state(), before, "a group of {place} calls left something");
    }

    // What cannot be taken back goes with the commit, and not before.
    desk.group("begin").await;
    desk.calls(&steps).await;
    let held = desk.call("git.git_commit", &commit).await;
    let head = |desk: &Desk| desk.state()["rev-parse HEAD"].clone();
    assert_eq!(head(&desk), before["rev-parse HEAD"]);
    let shown: PlanShown = desk.agent.get(&format!("/v1/runs/{}/plan", desk.run)).await.unwrap();
    let last = shown.steps.last().unwrap();
    assert_eq!((Some(&last.id), last.state.as_str()), (held.held.as_ref(), "outbox"));
    let ended = desk.group("commit").await;
    assert_eq!(ended.plan.stage, "committed", "{ended:#?}");
    assert_ne!(head(&desk), before["rev-parse HEAD"]);
    desk.serve.stop();
}

/// A process that is killed with a group open takes it back when it starts again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_was_open_when_the_process_was_killed_is_taken_back() {
    let Some(desk) = Desk::up("typist", TYPIST).await else { return };
    let before = desk.state();
    desk.group("begin").await;
    desk.calls(&desk.steps()).await;
    assert_ne!(desk.state(), before);
    let Desk { install, serve, run, .. } = desk;
    // Killed: no word to its children, no time for a last event.
    drop(serve);
    let serve = install.serve();
    let people = people(&install, &serve);
    let mut plan: PlanShown = people.get(&format!("/v1/runs/{run}/plan")).await.unwrap();
    for _ in 0..600 {
        if plan.stage == "rolled_back" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        plan = people.get(&format!("/v1/runs/{run}/plan")).await.unwrap();
    }
    assert_eq!((plan.stage.as_str(), plan.why.as_deref()), ("rolled_back", Some("restarted")), "{plan:#?}");
    let desk = Desk { agent: Client::new(&serve.agents, None), install, serve, run };
    assert_eq!(desk.state(), before);
    desk.serve.stop();
}
