//! Worlds of plans: a gate over a log that can die at every append, a server with a state of its own that can fail at
//! every request, and what must hold at the end, judged by that server's state alone.

mod cases;
mod group;
mod judge;
mod life;
mod play;
mod scene;
mod shapes;
mod tools;
mod world;

pub use cases::{Tally, by_chance, cases, deaths, grouped, play_all, taken_back};
pub use life::{Death, Store};
pub use play::{Case, Ended, Hit, Judgement, play, rules, rules_where};
pub use scene::Scene;
pub use shapes::{Node, SHAPES, plans, written};
pub use tools::UNDO_RETRIES;
pub(crate) use tools::{AGENT, JOINER};
pub use world::{Fault, Side, World};
