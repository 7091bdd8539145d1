//! Commands, a file each; this one only routes.

mod agent;
mod budget;
mod check;
mod doctor;
mod halt;
mod idle;
mod inbox;
mod login;
mod markdown;
mod observe;
mod plan;
mod policy;
mod remote;
mod runs;
mod serve;
mod tool;
mod wrap;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Cli, Command, Whose};
use crate::{config, demo, out};

pub(crate) use login::link;
pub use policy::read_policy_tests;
pub(crate) use serve::log_to_stderr;
pub(crate) use tool::pins_beside;

pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { whose, command } = cli;
    match command {
        Command::Check => check::check(&whose),
        Command::Policy(command) => policy::policy(&whose, command),
        Command::WhoCan { target, args } => policy::who_can(&whose, target, args.as_deref()),
        Command::Schema { markdown } => {
            if markdown {
                out::line(config::reference_markdown().trim_end());
            } else {
                out::json(&config::json_schema())?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::HelpMarkdown => {
            out::line(markdown::reference().trim_end());
            Ok(ExitCode::SUCCESS)
        }
        command => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let code = runtime.block_on(online(&whose, command));
            // Readers of the log may sit in blocking threads; nothing of theirs is worth waiting for.
            runtime.shutdown_background();
            code
        }
    }
}

async fn online(whose: &Whose, command: Command) -> Result<ExitCode> {
    match command {
        Command::Serve(options) => serve::serve(whose, &options).await,
        Command::Demo(options) => demo::demo(whose, &options).await,
        Command::Login { person } => login::login(whose, person).await,
        Command::Doctor => doctor::doctor(whose).await,
        Command::Agent(command) => agent::agent(whose, command).await,
        Command::Tool(command) => tool::tool(whose, command).await,
        Command::Wrap(options) => wrap::wrap(whose, &options).await,
        Command::Runs { stuck: true, .. } => plan::stuck(whose).await,
        Command::Runs { agent, open, limit, before, .. } => {
            runs::runs(whose, agent, open, limit, before).await
        }
        Command::Run(command) => runs::run(whose, command).await,
        Command::Budget { of, name } => budget::budget(whose, of, name).await,
        Command::Top { limit, once } => budget::top(whose, limit, once).await,
        Command::Spend { by, within } => budget::spend(whose, &by, &within).await,
        Command::Calls { run, agent, tool, ruling, outcome, limit, before } => {
            let limit = Some(limit);
            let query =
                api::call::CallsQuery { run, agent, tool, ruling, outcome, before, limit, after: None };
            runs::calls(whose, &query).await
        }
        Command::Tail { follow, from } => runs::tail(whose, follow, from).await,
        Command::Explain { id } => runs::explain(whose, &id).await,
        Command::Inbox { call: None, stats: true, .. } => inbox::stats(whose).await,
        Command::Inbox { call: None, person, .. } => inbox::list(whose, person).await,
        Command::Inbox { call: Some(call), person, .. } => inbox::show(whose, &call, person).await,
        Command::Observe { agent, within } => observe::report(whose, agent, within).await,
        Command::Approve(options) => inbox::approve(whose, options).await,
        Command::Deny { call, person, why } => inbox::deny(whose, &call, person, why).await,
        Command::Halt { scope, why, until, reads_allowed, force } => {
            let ask = api::people::Halt { why, until, reads_allowed, force, ..Default::default() };
            halt::halt(whose, &scope, ask).await
        }
        Command::Resume { scope, why } => halt::resume(whose, &scope, &why).await,
        Command::Halts => halt::halts(whose).await,
        Command::Status => runs::status(whose).await,
        Command::Check
        | Command::Policy(_)
        | Command::WhoCan { .. }
        | Command::Schema { .. }
        | Command::HelpMarkdown => Ok(ExitCode::FAILURE),
    }
}
