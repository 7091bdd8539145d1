//! The gate: the clerk who writes, the line all calls walk, permits, secrets, timers and views.
//!
//! Read `line.rs` first: six steps, and a call passes nowhere else. `desk.rs` is a lane's law on a table of its own,
//! without threads; `clerk.rs` gives it a thread, `committer.rs` one disk, `control.rs` the barrier that halts, keys
//! and rules pass through. This room knows no protocol of a tool or of a model: `port.rs` is all it sees of the world.

mod approval;
mod asks;
mod bounds;
mod brought;
mod caller;
mod care;
mod changes;
mod clerk;
pub mod clock;
mod committer;
mod control;
mod counts;
mod deed;
pub mod desk;
mod dispatch;
mod draft;
mod drive;
pub mod error;
mod fallback;
mod flight;
pub mod fold;
mod gate;
mod gateway;
mod group;
mod halting;
mod keys;
mod lend;
mod line;
mod look;
pub mod permit;
mod plans;
pub mod port;
mod proposals;
mod recall;
mod redact;
mod released;
mod result;
mod runs;
mod saga;
mod says;
mod seal;
mod sessions;
mod settle;
mod shown;
mod snapshot;
mod spend;
mod stamp;
mod start;
mod stride;
mod tray;
mod undoing;
pub mod vault;
pub mod views;
mod waits;

pub use approval::{AnswerAsk, AnswerGiven, StandingAsk};
pub use asks::{AnswerView, GroupView, InboxAsk, InboxPage, Shown, Waiting};
pub use caller::{
    Answered, CallAsk, Caller, Instead, KeyInfo, MintedKey, OpenAsk, Report, RunOpened, Ticket,
};
pub use changes::Change;
pub use counts::Counts;
pub use gate::Gate;
pub use halting::{Contained, HaltAsk, HeldCall, HeldEnd};
pub use ledger::Receipt;
pub use plans::{Planned, Preview};
pub use released::TicketNews;
pub use says::next_of;
pub use shown::{PlanShown, ResidueShown, StepShown};
pub use start::Options;
pub use undoing::{TakeBackAsk, TakenBack, WouldUndo};
