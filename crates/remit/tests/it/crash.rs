//! The real process dies at every named point, twice in one folder; nothing acknowledged is lost.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use api::inbox::{AnswerCall, AnswerTaken, Inbox, Ticket};
use api::people::KeyMinted;
use api::run::Recorded;
use rustix::process::Signal;
use serde_json::json;

use crate::house::{open_run, people, refund_of, refused_for};
use crate::install::{Install, Serve};
use crate::toolserver::{HALF, SILENT, ToolServer};
use crate::witness::{Sum, Witness};

const CALLS: usize = 12;

struct Scene {
    install: Install,
    tools: ToolServer,
    witness: Witness,
    key: String,
}

impl Scene {
    async fn new() -> Scene {
        let tools = ToolServer::start().await;
        let install = Install::new(&tools.url());
        let serve = install.serve();
        let path = "/v1/agents/refund-desk/keys";
        let minted: KeyMinted = people(&install, &serve).post(path, &json!({})).await.unwrap();
        serve.stop();
        Scene { install, tools, witness: Witness::default(), key: minted.secret }
    }

    fn armed(&self, failpoint: &str) -> Serve {
        let started = self.install.try_serve(Some(failpoint));
        started.unwrap_or_else(|status| panic!("{failpoint} struck during the start: {status}"))
    }

    /// A start without a failpoint: what it finds, and that it works.
    async fn recovered(&self) -> Sum {
        let serve = self.install.serve();
        let found = self.witness.check(&self.install, &serve, &self.tools).await;
        assert!(self.witness.work(&serve.agents, &self.key, 1).await, "it works again");
        self.witness.check(&self.install, &serve, &self.tools).await;
        serve.stop();
        found
    }
}

fn killed(status: ExitStatus) {
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{status}");
}

/// Twice: an agent works until the point kills Remit; a restart finds `each` more than before.
async fn dies_in_a_call(failpoint: &str, each: Option<Sum>) {
    let scene = Scene::new().await;
    let mut before = Sum::default();
    for _ in 0..2 {
        let mut serve = scene.armed(failpoint);
        let opened = scene.witness.work(&serve.agents, &scene.key, CALLS).await;
        killed(serve.ended());
        let found = scene.recovered().await;
        if let Some(each) = each {
            assert!(opened, "{failpoint} struck before the call");
            let more = Sum {
                decided: found.decided - before.decided,
                deeds: found.deeds - before.deeds,
                unknown: found.unknown - before.unknown,
            };
            assert_eq!(more, each, "{failpoint}");
        }
        // The recovered start has made one good call of its own.
        before = Sum { decided: found.decided + 1, deeds: found.deeds + 1, unknown: found.unknown };
    }
}

fn sum(decided: usize, deeds: usize, unknown: usize) -> Option<Sum> {
    Some(Sum { decided, deeds, unknown })
}

macro_rules! points {
    ($($name:ident: $failpoint:literal => $each:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            dies_in_a_call($failpoint, $each).await;
        })*
    };
}

// In a start with nothing to tell, the run is the first event to be written, the decision the second, the outcome
// the third. Clerk and committer also see the start's own message, and one a second of the sweep: those two are
// not counted out exactly.
points! {
    after_parse: "gate.after_parse" => sum(0, 0, 0);
    before_append_of_the_decision: "gate.before_append:3" => None;
    before_append_of_the_outcome: "gate.before_append:4" => None;
    before_writing_the_decision: "ledger.before_append:2" => sum(0, 0, 0);
    before_writing_the_outcome: "ledger.before_append:3" => sum(1, 1, 1);
    in_commit_of_the_decision: "ledger.in_commit:2" => sum(0, 0, 0);
    in_commit_of_the_outcome: "ledger.in_commit:3" => sum(1, 1, 1);
    after_commit_of_the_decision: "ledger.after_commit:2" => sum(1, 0, 1);
    after_commit_of_the_outcome: "ledger.after_commit:3" => sum(1, 1, 0);
    before_release_of_the_decision: "gate.after_commit:3" => None;
    before_release_of_the_outcome: "gate.after_commit:4" => None;
    before_dispatch: "gate.before_dispatch" => sum(1, 0, 1);
    before_settle: "gate.before_settle" => sum(1, 1, 1);
    before_answer: "gate.before_answer" => sum(1, 1, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_halt() {
    let scene = Scene::new().await;
    for life in 0..2 {
        let mut serve = scene.armed("gate.in_control");
        assert!(scene.witness.work(&serve.agents, &scene.key, 1).await);
        let halt = json!({ "scope": "all", "why": "a fire" });
        let halted = people(&scene.install, &serve).post::<_, Recorded>("/v1/halts", &halt).await;
        assert!(halted.is_err(), "acknowledged, and not in the ledger: {life}");
        killed(serve.ended());
        // Not acknowledged, so not in force: the recovered start works.
        scene.recovered().await;
    }
    // Acknowledged, so in force whatever comes.
    let mut serve = scene.install.serve();
    let halt = json!({ "scope": "all", "why": "a fire" });
    let halted: Recorded = people(&scene.install, &serve).post("/v1/halts", &halt).await.unwrap();
    scene.witness.saw(halted.receipt, "halted", "a fire");
    serve.signal(Signal::KILL);
    killed(serve.ended());
    let serve = scene.install.serve();
    scene.witness.check(&scene.install, &serve, &scene.tools).await;
    // Either the run is refused, or the first call in it.
    match open_run(&serve.agents, &scene.key).await {
        Err(error) => assert!(format!("{error:?}").contains("halted"), "{error:?}"),
        Ok(run) => assert_eq!(refused_for(&run.refund(1).await.unwrap()), "halted"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_reload() {
    let scene = Scene::new().await;
    for (from, to) in [("5000", "5001"), ("5001", "5002")] {
        let mut serve = scene.armed("gate.in_reload");
        assert!(scene.witness.work(&serve.agents, &scene.key, 2).await);
        scene.install.edit("agents/refund-desk.yaml", from, to);
        serve.signal(Signal::HUP);
        killed(serve.ended());
        scene.recovered().await;
    }
}

/// A person says yes, and Remit dies before anything comes of it: what was approved is done once all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_a_yes_and_what_it_releases() {
    for (point, proposes) in
        [("gate.before_release", false), ("gate.before_release", true), ("gate.after_gather", true)]
    {
        let scene = Scene::new().await;
        if proposes {
            scene.install.edit("agents/refund-desk.yaml", "mode: enforce", "mode: propose");
        }
        let mut serve = scene.armed(point);
        let run = open_run(&serve.agents, &scene.key).await.unwrap();
        let asked = run.call("desk.refund_charge", refund_of("ch_1", 9_000)).await.unwrap();
        let ticket = asked.waiting.unwrap().ticket;
        for (by, words) in [("dana@example.com", "yes"), ("lee@example.com", "yes")] {
            let people = people(&scene.install, &serve);
            let Ok(inbox) = people.get::<Inbox>("/v1/inbox").await else { break };
            let Some(item) = inbox.items.into_iter().next() else { break };
            let (person, words) = (Some(by.to_owned()), Some(words.to_owned()));
            let answer = AnswerCall { yes: true, bound: item.bound, words, person, ..AnswerCall::default() };
            // The answer may be lost with the process; it is in the ledger.
            let _ = people.post::<_, AnswerTaken>(&format!("/v1/inbox/{}/answer", item.call), &answer).await;
        }
        killed(serve.ended());
        assert_eq!(scene.tools.done("refund_charge"), 0, "{point}");
        let serve = scene.install.serve();
        let agent = api::client::Client::new(&serve.agents, Some(scene.key.clone()));
        let ended: Ticket = agent.get(&format!("/v1/tickets/{ticket}?wait=20s")).await.unwrap();
        assert_eq!(ended.state, "ended", "{point}: {ended:?}");
        let answered = ended.answered.unwrap();
        assert_eq!(answered.outcome.as_deref(), Some("succeeded"), "{point}: {answered:?}");
        assert_eq!(scene.tools.done("refund_charge"), 1, "{point}");
        serve.stop();
    }
}

/// The second death is in the snapshots of what the first one left; the third is between two of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_snapshot_of_a_clean_stop() {
    let scene = Scene::new().await;
    for point in ["ledger.in_snapshot", "ledger.in_snapshot", "ledger.in_snapshot:2"] {
        let mut serve = scene.armed(point);
        assert!(scene.witness.work(&serve.agents, &scene.key, CALLS).await);
        serve.signal(Signal::TERM);
        killed(serve.ended());
        assert_eq!(scene.recovered().await.unknown, 0, "{point}");
    }
}

/// Each point that a first start passes, in a fresh folder; the second death finds what the first one left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_first_start() {
    let points = [
        "ledger.in_migration:1",
        "ledger.in_migration:2",
        "gate.in_reload",
        "gate.in_control",
        "ledger.before_append",
        "ledger.in_commit",
        "ledger.after_commit",
        "gate.after_commit",
    ];
    for point in points {
        let install = Install::new("http://127.0.0.1:9");
        killed(install.try_serve(Some(point)).err().unwrap_or_else(|| panic!("{point} did not strike")));
        if let Err(status) = install.try_serve(Some(point)) {
            killed(status);
        }
        let serve = install.serve();
        let events = crate::house::events(&people(&install, &serve)).await;
        let kinds: Vec<&str> = events.iter().map(|event| event.event["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["rules_activated"], "{point}");
        serve.stop();
    }
}

/// No failpoint can be in a tool's answer; the tool server holds it back instead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_tool_is_silent_or_in_the_middle_of_its_answer() {
    let scene = Scene::new().await;
    for (life, charge) in [SILENT, HALF, HALF].into_iter().enumerate() {
        let mut serve = scene.install.serve();
        let run = open_run(&serve.agents, &scene.key).await.unwrap();
        let deeds = scene.tools.deeds().len();
        let call = tokio::spawn(async move { run.call("desk.refund_charge", refund_of(charge, 100)).await });
        scene.tools.reached(deeds + 1).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        serve.signal(Signal::KILL);
        killed(serve.ended());
        assert!(call.await.unwrap().is_err());
        assert_eq!(scene.recovered().await.unknown, life + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_any_moment_under_load() {
    let scene = Scene::new().await;
    for pause_ms in [30, 80, 170, 290] {
        let mut serve = scene.install.serve();
        let mut agents = Vec::new();
        for _ in 0..6 {
            let (witness, key, address) = (scene.witness.clone(), scene.key.clone(), serve.agents.clone());
            agents.push(tokio::spawn(async move { witness.work(&address, &key, 30).await }));
        }
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
        serve.signal(Signal::KILL);
        killed(serve.ended());
        for agent in agents {
            agent.await.unwrap();
        }
        scene.recovered().await;
    }
}
