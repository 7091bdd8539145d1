//! `remit run`: what can be done with one run.

use clap::{Subcommand, ValueEnum};

use super::Amounts;

const UNDO: &str = "\
Steps are taken back in the reverse order of what they needed, each by the undo that was recorded when it was \
done, and only within the time that its contract gives. If a later run has touched the same things, or somebody \
else has changed them since, nothing is forced: you are told what is in the way. `--dry-run` says what would be \
done.\n\n\
Examples:\n  remit run undo run_06f... --dry-run\n  remit run undo run_06f... --why 'wrong customer'\n  \
remit run undo run_06f... --step mail --why 'only this one'";

#[derive(Debug, Subcommand)]
pub(crate) enum Run {
    /// A run with its calls
    Show { run: String },
    /// Close a run
    Close {
        run: String,
        /// success, failure or abandoned
        #[arg(long, default_value = "abandoned")]
        outcome: String,
        /// What kind of work it was: costs are compared by it
        #[arg(long)]
        workflow: Option<String>,
    },
    /// Refuse its calls until it is let go on
    Pause {
        run: String,
        #[arg(long)]
        why: String,
    },
    /// Let a paused run go on
    Resume {
        run: String,
        #[arg(long)]
        why: String,
    },
    /// Let it spend more for a while, and go on if it was paused
    #[command(
        after_help = "All extensions of a run add at most as much as it began with, only where it has a limit, \
and hold for at most a day.\n\n\
Examples:\n  remit run extend run_06f... --usd 1 --within 1h \
--why \"the ticket is urgent\""
    )]
    Extend {
        run: String,
        #[command(flatten)]
        by: Amounts,
        /// For how long, such as 30m; at most a day
        #[arg(long, default_value = "1h")]
        within: String,
        #[arg(long)]
        why: String,
    },
    /// Add what it cost beside its calls: minutes of people, fees
    Charge {
        run: String,
        #[command(flatten)]
        amount: Amounts,
        #[arg(long)]
        why: String,
    },
    /// Say what a closed run came to in truth
    Correct {
        run: String,
        /// It was closed as a success and was none
        #[arg(long, conflicts_with = "outcome")]
        was_wrong: bool,
        /// success, failure or abandoned
        #[arg(long, required_unless_present = "was_wrong")]
        outcome: Option<String>,
        #[arg(long)]
        why: String,
    },
    /// What it means to write, what became of each step, and how each is taken back
    #[command(after_help = "--json: as GET /v1/runs/{run}/plan answers.")]
    Plan { run: String },
    /// Take a committed run back, or one step of it
    #[command(after_help = UNDO)]
    Undo {
        run: String,
        /// Only this step; refused if another that stands needs it
        #[arg(long, value_name = "STEP")]
        step: Option<String>,
        /// Say what would be done, and do nothing
        #[arg(long)]
        dry_run: bool,
        #[arg(long, required_unless_present = "dry_run")]
        why: Option<String>,
    },
    /// Say what became of a call that nobody knows the end of
    #[command(
        after_help = "Look into the system that the tool writes to, then say what you found. Its plan goes on from \
there: what was done stands or is taken back, what was not done is not repeated by hand.\n\n\
Examples:\n  remit runs --stuck\n  remit run resolve call_06f... --as done --why 'the refund is on the statement'"
    )]
    Resolve {
        call: String,
        /// Whether it happened
        #[arg(long = "as", value_enum, value_name = "WHAT")]
        resolution: Resolution,
        #[arg(long)]
        why: String,
    },
    /// Accept what a run has left behind: it stays as it is, and no longer waits for a person
    Accept {
        run: String,
        #[arg(long)]
        why: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Resolution {
    /// It happened
    Done,
    /// It did not
    NotDone,
}
