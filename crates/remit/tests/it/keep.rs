//! The keeper: what was started for Remit does not outlive it, whatever becomes of Remit.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

const REMIT: &str = env!("CARGO_BIN_EXE_remit");

/// Whether a process runs; one that has ended and waits for its parent does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

fn ends(pid: &str) -> bool {
    for _ in 0..100 {
        if !runs(pid) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn a_child_and_what_it_started_end_when_remit_is_killed() {
    // A shell in Remit's place: it starts the keeper in a group of its own, tells the child's words on, and waits.
    let child = "sleep 1000 & echo $!; echo $$; wait";
    let script = format!("setsid '{REMIT}' __keep $$ sh -c '{child}' & wait");
    let mut stand_in =
        Command::new("bash").args(["-c", &script]).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
    let mut lines = BufReader::new(stand_in.stdout.take().unwrap()).lines();
    let pids: Vec<String> = (0..2).map(|_| lines.next().unwrap().unwrap()).collect();
    assert!(pids.iter().all(|pid| runs(pid)), "{pids:?}");
    stand_in.kill().unwrap();
    stand_in.wait().unwrap();
    assert!(pids.iter().all(|pid| ends(pid)), "{pids:?}");
}

#[test]
fn a_childs_end_is_told_with_how_it_ended() {
    let script =
        format!("'{REMIT}' __keep $$ sh -c 'exit 3'; echo $?; '{REMIT}' __keep $$ /no/such; echo $?");
    let done = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(done.stdout).unwrap(), "3\n127\n");
    let words = String::from_utf8(done.stderr).unwrap();
    assert!(words.contains("exit status: 3") && words.contains("`/no/such` cannot be started"), "{words}");
}

#[test]
fn a_keeper_that_was_not_started_by_remit_starts_nothing() {
    let done = Command::new(REMIT).args(["__keep", "1", "sh", "-c", "echo started"]).output().unwrap();
    assert_eq!((done.status.code(), done.stdout), (Some(1), Vec::new()));
}
