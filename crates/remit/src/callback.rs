//! Callbacks that agents ask for: the server says when, the tools say where they may go.

use kernel::id::{CallId, RunId};
use tools::callback::Callbacks;

pub(crate) struct CallBack(pub(crate) Callbacks);

impl server::Callbacks for CallBack {
    fn check(&self, agent: &str, url: &str) -> Result<(), String> {
        self.0.check(agent, url)
    }

    fn expect(&self, ticket: CallId, run: RunId, agent: &str, url: &str) -> Result<(), String> {
        self.0.expect(ticket, run, agent, url)
    }
}
