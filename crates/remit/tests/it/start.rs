//! Start, stop, and what can be wrong before.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;

use crate::house::{House, people};
use crate::install::Install;
use crate::toolserver::ToolServer;

#[test]
fn both_signals_end_it_cleanly() {
    let install = Install::new("http://127.0.0.1:9");
    for signal in [Signal::TERM, Signal::INT, Signal::TERM, Signal::INT] {
        let mut serve = install.serve();
        serve.signal(signal);
        assert_eq!(serve.ended().code(), Some(0), "{}", install.all_output());
        assert!(install.all_output().contains("stopping"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_the_call_under_way_end() {
    let mut house = House::up().await;
    let run = house.run().await;
    let slow = run.call("desk.refund_charge", crate::house::refund_of(crate::toolserver::SILENT, 5));
    let (answered, ()) = tokio::join!(slow, async {
        house.tools.reached(1).await;
        house.serve.signal(Signal::TERM);
    });
    // Its tool never answers, so the stop ends it: nobody knows what the tool has done.
    let answered = answered.unwrap();
    assert_eq!(
        (answered.outcome.as_deref(), answered.trouble.as_deref()),
        (Some("unknown"), Some("cancelled"))
    );
    assert_eq!(house.serve.ended().code(), Some(0));
}

#[test]
fn a_data_folder_has_one_owner() {
    let install = Install::new("http://127.0.0.1:9");
    let serve = install.serve();
    let second = install.remit(&["serve"]).fails();
    second.holds(&["data", "in use by process", "stop that process, or choose another folder"]);
    second.holds(&[&install.data().display().to_string()]);
    // The first is unharmed: its address file is still its own.
    assert_eq!(std::fs::read_to_string(install.data().join("address")).unwrap().trim(), serve.people);
    serve.stop();
    install.serve().stop();
}

#[test]
fn a_bad_configuration_is_refused_with_its_line() {
    let install = Install::new("http://127.0.0.1:9");
    install.edit("agents/refund-desk.yaml", "    when:", "    wenn:");
    for command in ["serve", "check"] {
        install.remit(&[command]).fails().holds(&[
            "agents/refund-desk.yaml:12",
            "wenn",
            "did you mean `when`",
        ]);
    }
    assert!(!install.data().exists(), "nothing was started");
    install.edit("agents/refund-desk.yaml", "    wenn:", "    when:");
    install.edit("remit.yaml", "127.0.0.1:0\" }", "0.0.0.0:0\" }");
    install.remit(&["serve"]).fails().holds(&["remit.yaml:2", "not loopback"]);
    let nowhere = install.remit(&["serve", "--config", "/nonexistent/remit.yaml"]);
    assert_ne!(nowhere.code, Some(0));
}

#[test]
fn commands_say_how_to_reach_a_remit_that_is_not_there() {
    let install = Install::new("http://127.0.0.1:9");
    install.remit(&["status"]).fails().holds(&["no operator key", "--data"]);
    install.serve().stop();
    install.remit(&["status"]).fails().holds(&["does not answer at http://127.0.0.1:"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_what_is_wrong() {
    let tools = ToolServer::start().await;
    let install = Install::new(&tools.url());
    install.remit(&["doctor"]).ok().holds(&["nothing is wrong", "tool server desk answers"]);
    let sick = install.remit_without_credential(&["doctor"]).fails();
    sick.holds(&["WRONG credential env:DESK_KEY", "mend:", "1 thing is wrong"]);
    let json = install.remit_without_credential(&["doctor", "--json"]).fails().json();
    assert_eq!((json["ok"].as_bool(), json["wrong"].as_u64()), (Some(false), Some(1)));
    let wrong = json["findings"].as_array().unwrap().iter().find(|finding| finding["ok"] == false).unwrap();
    assert!(wrong["says"].is_string() && wrong["mend"].is_string(), "{wrong}");
    install.serve().stop();
    chmod(&install.data().join("operator.key"), 0o644);
    install.remit(&["doctor"]).fails().holds(&["operator.key: others may open it", "chmod go-rwx"]);
    let alone = Install::new("http://127.0.0.1:9");
    alone.remit(&["doctor"]).fails().holds(&["tool server desk does not answer at 127.0.0.1:9"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_open_only_their_own_doors() {
    let house = House::up().await;
    assert!(only_for_its_owner(&house.install.data()) >= 7);
    // An agent's key on the people's API, and the operator's key on the agents' doors.
    let as_agent = api::client::Client::new(&house.serve.people, Some(house.key.clone()));
    let as_nobody = api::client::Client::new(&house.serve.people, None);
    let as_operator = api::client::Client::new(&house.serve.agents, Some(house.install.operator_key()));
    for path in ["/v1/runs", "/v1/events", "/v1/policy", "/v1/status", "/metrics"] {
        assert_eq!(status(as_agent.text(path).await), 403, "{path}");
        assert_eq!(status(as_nobody.text(path).await), 401, "{path}");
    }
    assert_eq!(status(as_operator.text("/v1/whoami").await), 401);
    assert!(people(&house.install, &house.serve).text("/metrics").await.unwrap().contains("remit_"));
}

/// How many files there are, each of them 0600 in a folder of 0700.
pub fn only_for_its_owner(folder: &Path) -> usize {
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700, "{}", folder.display());
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    files.len()
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_that_others_could_open_are_closed_at_the_next_start_and_the_folder_is_named() {
    let install = Install::new("http://127.0.0.1:9");
    install.serve().stop();
    let data = install.data();
    for name in ["house.key", "operator.key", "ledger.db", "views.db", "address"] {
        chmod(&data.join(name), 0o644);
    }
    chmod(&data, 0o755);
    install.remit(&["doctor", "--data", &data.display().to_string()]).fails().holds(&[
        &format!("{}: others may open it", data.display()),
        &format!("mend: chmod go-rwx {}/views.db", data.display()),
    ]);
    let serve = install.serve();
    let said = install.all_output();
    assert!(said.contains(&format!("mend: chmod go-rwx {}", data.display())), "{said}");
    chmod(&data, 0o700);
    assert!(only_for_its_owner(&data) >= 7);
    serve.stop();
}

fn status(answer: Result<String, api::client::Error>) -> u16 {
    match answer {
        Err(api::client::Error::Problem(problem)) => problem.status,
        other => panic!("no problem: {other:?}"),
    }
}
