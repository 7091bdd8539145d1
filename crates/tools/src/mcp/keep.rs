//! The keeper: stands between Remit and a child, and lets nothing of the child's group outlive Remit.
//!
//! Remit may be killed without a word. So each child is started by a small process of its own, which watches Remit's
//! process as the kernel shows it, and kills the whole group when that ends: the child, and whatever it has started.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpgrp, getpid, getppid, kill_process_group, pidfd_open};

/// The argument after which Remit's own program is a keeper.
pub const WORD: &str = "__keep";
/// When the child has ended, what it started has this long to say its last.
const LINGER: Duration = Duration::from_millis(50);

/// `args`: the process id of the Remit that started us, the command, its arguments.
pub fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let parent = args.next().and_then(|id| id.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let (Some(parent), Some(command)) = (parent, args.next()) else {
        return say(2, "expected a process id and a command");
    };
    // Asked for before it is compared, so that the number cannot have gone to somebody else in between.
    let Ok(watched) = pidfd_open(parent, PidfdFlags::empty()) else { return say(1, "Remit is gone") };
    if getppid() != Some(parent) {
        return say(1, "Remit is gone");
    }
    let mut child = match Command::new(&command).args(args).spawn() {
        Ok(child) => child,
        Err(error) => return say(127, &format!("`{}` cannot be started: {error}", command.display())),
    };
    std::thread::spawn(move || {
        let mut watched = [PollFd::new(&watched, PollFlags::IN)];
        while poll(&mut watched, None).is_err() {}
        end_group();
    });
    let code = match child.wait() {
        Ok(status) => {
            say(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1), &format!("{status}"))
        }
        Err(error) => say(1, &error.to_string()),
    };
    std::thread::sleep(LINGER);
    code
}

/// Kills everything that was started here, ourselves too; only if we lead a group of our own.
fn end_group() {
    if getpgrp() == getpid() {
        let _ = kill_process_group(getpgrp(), Signal::KILL);
    }
    std::process::exit(1);
}

fn say(code: u8, words: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "remit: the server ended: {words}");
    ExitCode::from(code)
}
