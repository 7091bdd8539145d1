//! Rules as text → checked set → decide(request) → answer with reasons. Cedar inside. A leaf.
//!
//! How to read this crate, in the order a rule travels:
//!
//! 1. `world`    what exists: agents and tools, and the rules people wrote, as the caller hands them in
//! 2. `shape`    a tool's JSON Schema as Cedar types, and its arguments as Cedar values
//! 3. `catalog`  the world with numbers for names, and Cedar's ids and entities built once
//! 4. `when`     the short form of a manifest (`args.x <= 5`) as one Cedar expression, and its way back
//! 5. `manifest`, `free`   the two sources of rules, each as `rule::Rule`
//! 6. `reads`, `approvals` what a condition reads, and the law that more approval never takes away
//! 7. `compile`  all of the above, strict validation, `lint`; every complaint is a `Problem` with a place
//! 8. `decide`   one request: the slice of rules in scope, the facts they read, Cedar's answer, what to ask;
//!    `plain` gives the same answer where all that is read is compared with literals
//! 9. `who`      who can do a thing, and under which conditions; `within` matches destinations
//!
//! Laws: no rules → deny. A rule that errs → deny, with its error. A rule left out of a slice could neither
//! decide nor err. Nothing here does I/O, reads a clock or draws a random number.

mod answer;
mod approvals;
mod catalog;
mod compile;
mod decide;
mod free;
mod lint;
mod manifest;
mod plain;
mod problem;
mod reads;
mod rule;
mod ruleset;
mod shape;
mod when;
mod who;
mod within;
mod world;

pub use answer::{Answer, Decision, Facts, Question, WhoCan};
pub use compile::compile;
pub use problem::{Problem, Severity};
pub use rule::RuleRef;
pub use ruleset::RuleSet;
pub use within::is_within;
pub use world::{AgentDecl, Effect, FreeRules, May, Operation, Options, Origin, ToolDecl, World};
