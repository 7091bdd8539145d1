//! The contract: paths, request and response types, problems, OpenAPI, and a typed client. It holds no logic.
//!
//! How to read this crate:
//!
//! 1. `endpoint`  every route of both listeners in one table; the server mounts it, OpenAPI prints it
//! 2. `problem`   what an HTTP error says (RFC 9457) and its codes
//! 3. `run`, `call`, `plan`, `authzen`   what agents send and get
//! 4. `people`, `story`, `agent`, `tool`, `incident`, `inbox`   what people read and do; `person`  who they are
//! 5. `openapi`   the table and the types as OpenAPI 3.1
//! 6. `client`    the typed client that the command line uses
//!
//! Requests refuse unknown members; answers may grow new ones. Times are RFC 3339, money is nano-dollars.

pub mod agent;
pub mod authzen;
pub mod budget;
pub mod call;
pub mod client;
pub mod endpoint;
pub mod inbox;
pub mod incident;
pub mod observe;
pub mod openapi;
pub mod people;
pub mod person;
pub mod plan;
pub mod problem;
pub mod run;
pub mod story;
pub mod tool;

/// The header that carries a run token.
pub const RUN_HEADER: &str = "remit-run";
/// The header that proves that a request of a session comes from the console's own page.
pub const CSRF_HEADER: &str = "remit-csrf";
/// The largest request body that is read.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Items on one page of a list.
pub const PAGE_ITEMS_MAX: usize = 200;
