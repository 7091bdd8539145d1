//! The command line: every command, its options, and help worth reading.

mod run;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::run::{Resolution, Run};

/// Keeps every agent within its remit: decides each action before it happens, and keeps the proof.
#[derive(Debug, Parser)]
#[command(name = "remit", version, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) whose: Whose,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
New here? `remit demo` plays one story end to end, then stays up so that you can look around.
Data goes to stdout, talk to stderr; exit code 0 is yes, 1 is no or a failure, 2 a wrong command line.";

/// The configuration that is meant when none is named.
pub(crate) const CONFIG: &str = "remit.yaml";

/// Which Remit, and as whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct Whose {
    /// The configuration to read
    #[arg(long, global = true, default_value = CONFIG, env = "REMIT_CONFIG", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The data folder of the Remit to ask: it holds its address and the operator key
    #[arg(long, global = true, env = "REMIT_DATA", value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// The people's address of the Remit to ask, such as http://127.0.0.1:7471
    #[arg(long, global = true, env = "REMIT_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Print JSON instead of words and tables
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start Remit with a configuration
    #[command(
        after_help = "Reloads when a file of the configuration changes, and on SIGHUP. A bad change is refused \
and the old rules stay. Ctrl-C stops cleanly: calls under way are finished and recorded."
    )]
    Serve(Serve),
    /// Play one story end to end through the real doors, with a tool server of its own
    Demo(Demo),
    /// Print a link that signs you in to the console, once
    #[command(
        after_help = "The link is good for five minutes; the session that it begins ends after twelve hours. Without \
--as it signs in as the holder of the operator's key. With --as it signs in a person who stands under `people` in \
remit.yaml, with that person's roles; hand the link to them.\n\n--json: { url, person, expires }"
    )]
    Login {
        /// A person of the configuration
        #[arg(long = "as", value_name = "NAME")]
        person: Option<String>,
    },
    /// Validate a whole configuration without starting
    #[command(
        after_help = "--json: { ok, problems: [{ severity, code, file, line, column, message, help }] }, and if ok \
also { digest, agents, tools, rules, warnings }; `warnings` counts, `problems` holds them."
    )]
    Check,
    /// Say what is wrong with this installation, and how to mend it
    #[command(
        after_help = "With --data and no configuration it checks that folder alone, such as a demo's.\n\n\
--json: { ok, wrong, findings: [{ ok, says, mend }] }; `wrong` counts, `mend` is null where all is well."
    )]
    Doctor,
    /// Read, check, ask and test the rules
    #[command(subcommand)]
    Policy(Policy),
    /// Which agents can do a thing, by which rule, and only if what
    #[command(after_help = "Examples:\n  remit who-can desk.refund_charge\n  remit who-can irreversible\n  \
remit who-can 'to:*@customers.example'\n  \
remit who-can desk.refund_charge \\\n    \
--args '{\"charge_id\":\"c\",\"amount_cents\":9000,\"currency\":\"eur\"}'")]
    WhoCan {
        /// A tool, a pattern (`crm.*`), an effect or operation (`irreversible`, `write`), or `to:PATTERN`
        target: String,
        /// Arguments as JSON; conditions on them are then evaluated
        #[arg(long, value_name = "JSON")]
        args: Option<String>,
    },
    /// Mint, list and revoke agents' keys
    #[command(subcommand)]
    Agent(Agent),
    /// List tools, see what their servers say of them, and accept it
    #[command(subcommand)]
    Tool(Tool),
    /// Speak MCP over standard input and output, for clients that speak nothing else
    #[command(after_help = WRAP)]
    Wrap(Wrap),
    /// List runs, newest first
    Runs {
        #[arg(long)]
        agent: Option<String>,
        /// Only runs that are still open
        #[arg(long)]
        open: bool,
        /// Only runs that wait for a person: an end that nobody knows, a plan that is held, something left behind
        #[arg(long)]
        stuck: bool,
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Runs before this one
        #[arg(long, value_name = "RUN")]
        before: Option<String>,
    },
    /// Show, steer or close one run
    #[command(subcommand)]
    Run(Run),
    /// What was spent, what is under way, what is left, and when it will end
    #[command(
        after_help = "Examples:\n  remit budget\n  remit budget agent refund-desk\n  remit budget tenant default\n  \
remit budget run_06f..."
    )]
    Budget {
        /// agent, tenant or run, and its name; also as one word: agent:NAME, an agent's name, a run's id. If left
        /// out, every agent and tenant that has a budget
        #[arg(value_name = "KIND")]
        of: Option<String>,
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Open runs by what they spend, live
    Top {
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Once, and not live
        #[arg(long)]
        once: bool,
    },
    /// What runs cost and came to, beside the time before
    Spend {
        /// agent, workflow or run
        #[arg(long, default_value = "agent")]
        by: String,
        /// How far back, such as 7d
        #[arg(long, default_value = "30d")]
        within: String,
    },
    /// List calls, newest first; `--outcome unknown` lists what nobody knows the end of
    Calls {
        #[arg(long)]
        run: Option<String>,
        #[arg(long)]
        agent: Option<String>,
        #[arg(long)]
        tool: Option<String>,
        /// allow, deny or ask
        #[arg(long)]
        ruling: Option<String>,
        /// succeeded, failed, unknown, not_dispatched, or open
        #[arg(long)]
        outcome: Option<String>,
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Calls before this one
        #[arg(long, value_name = "CALL")]
        before: Option<String>,
    },
    /// Print what has happened in the ledger
    Tail {
        /// Go on as it happens
        #[arg(short, long)]
        follow: bool,
        /// Start at this index; the last ten events if left out
        #[arg(long, value_name = "INDEX")]
        from: Option<u64>,
    },
    /// Who asked, for whom, which rule, what it saw, what it cost, what happened
    Explain {
        /// A call or a run
        id: String,
    },
    /// What waits for a person, the riskiest first; with a call, all there is to know of it
    #[command(after_help = INBOX)]
    Inbox {
        #[arg(value_name = "CALL")]
        call: Option<String>,
        /// As this person of the configuration sees it: what they may answer, and if not, why
        #[arg(long = "as", value_name = "NAME")]
        person: Option<String>,
        /// How people answer: how soon, how often with a yes, and which rules nobody ever says no to
        #[arg(long, conflicts_with_all = ["call", "person"])]
        stats: bool,
    },
    /// What agents in mode `observe` were let do that rules would have stopped, by rule and tool
    Observe {
        /// Of this agent alone
        #[arg(long)]
        agent: Option<String>,
        /// How far back, in whole days: 30d if left out
        #[arg(long, value_name = "DURATION")]
        within: Option<String>,
    },
    /// Say yes to one call that waits, exactly as it is shown
    #[command(after_help = APPROVE)]
    Approve(Approve),
    /// Say no to one call that waits, or to all that a run proposes; the agent gets your words
    Deny {
        call: String,
        /// The person of the configuration who answers
        #[arg(long = "as", value_name = "NAME")]
        person: String,
        #[arg(long)]
        why: String,
    },
    /// Stop: from the moment this returns, nothing in the scope is permitted, and what was under way is cut
    #[command(after_help = HALT)]
    Halt {
        #[command(flatten)]
        scope: Scope,
        #[arg(long)]
        why: String,
        /// When it lifts itself: a time in UTC (2026-11-21T14:30:00Z), or in how long (30m)
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// A freeze: what only reads goes on
        #[arg(long)]
        reads_allowed: bool,
        /// Also by a name that the rules do not hold
        #[arg(long)]
        force: bool,
    },
    /// Lift a halt
    Resume {
        #[command(flatten)]
        scope: Scope,
        #[arg(long)]
        why: String,
    },
    /// List what is halted
    Halts,
    /// Whether it runs, by which rules, and what is under way
    Status,
    /// Print the JSON Schema of the configuration, or its reference as Markdown
    Schema {
        #[arg(long)]
        markdown: bool,
    },
    /// Print this command line as Markdown
    #[command(hide = true)]
    HelpMarkdown,
}

const INBOX: &str = "\
Whoever holds the operator's key is nobody who may approve: an answer is given as a person who stands under \
`people` in remit.yaml with the role `approver:GROUP` (`remit approve`, `remit deny`), or in the console after \
`remit login --as NAME`.\n\n\
--json: as GET /v1/inbox answers; with a call as GET /v1/inbox/{call}; with --stats as GET /v1/inbox/stats.";

const APPROVE: &str = "\
A yes is to exactly one thing. On a terminal it is shown, and asked about. Anywhere else name what was seen with \
--bound, as `remit inbox CALL` prints it: if the call, the rules or the tool are another by then, nothing is \
approved.\n\n\
Examples:\n  remit approve call_06f... --as fin@example.com --why 'the customer called'\n  \
remit approve call_06f... --as fin@example.com \\\n    --edit '{\"charge_id\":\"ch_1\",\"amount_cents\":4000}' \
--why 'the rest is not ours'\n  \
remit approve call_06f... --as fin@example.com --times 5 --within 2h --same currency --at-most amount_cents=9000\n\n\
--json: as POST /v1/inbox/{call}/answer answers.";

const HALT: &str = "\
Prints the containment report: the calls that were under way in the scope and what became of each (stopped, finished, \
or unclear: nobody knows what they did, or an executor carries them), and the index of the ledger from which on \
nothing in the scope happened. A call that is cut while it writes ends as unknown.\n\n\
Examples:\n  remit halt all --why 'what is it doing'\n  remit halt agent refund-desk --why 'looks odd' --until 30m\n  \
remit halt tool mail.send --env prod --why 'mails strangers'\n  \
remit halt effect irreversible --why 'month end'\n  remit halt all --reads-allowed --why 'look, but touch nothing'\n\n\
--json: as POST /v1/halts answers.";

const WRAP: &str = "\
A client that starts its MCP servers as programs starts this one instead. Its calls go to the Remit of the data folder \
and walk the same line as everybody's: rules, budgets and halts are asked first, and each decision is on disk before \
the server hears of the call. If no Remit runs on the data folder, one is started in the background (its words are in \
serve.log there); it ends by itself when nobody has needed it for 30 minutes.\n\n\
The command after `--` is looked up, not run: it must be exactly that of a server in the configuration, which Remit \
starts itself. Each process of this command has a key of its own, and so a run of its own; the key is revoked when the \
process ends. If Remit cannot be reached, every request is answered by an error that says how to mend it.\n\n\
Examples:\n  remit wrap --agent coder -- notes-mcp --local\n  remit wrap --agent coder --server stripe\n  \
remit wrap --agent coder        # all servers as one; tools have full names";

/// What a halt is of.
#[derive(Debug, Args)]
pub(crate) struct Scope {
    /// all, tenant NAME, agent NAME, server NAME, tool NAME, run ID (and what descends from it), or effect
    /// writes|irreversible; also as one word: agent:NAME
    #[arg(required = true, num_args = 1..=2, value_names = ["SCOPE", "NAME"])]
    pub(crate) scope: Vec<String>,
    /// Only with tools of this environment
    #[arg(long, value_name = "ENV")]
    pub(crate) env: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Wrap {
    /// The agent that this client is: its rules and its budgets hold
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: String,
    /// The server that is meant, however it is reached
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// How long the key of this process lives if it is not revoked: 30m, 24h, 7d
    #[arg(long, default_value = "24h")]
    pub(crate) ttl: String,
    /// The command and arguments of a stdio server, exactly as its contracts have them
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// A call that waits, or a run: then what it proposes
    pub(crate) call: String,
    /// The person of the configuration who answers
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) person: String,
    /// A reason; wanted where the risk is high
    #[arg(long)]
    pub(crate) why: Option<String>,
    /// What was seen, as `remit inbox CALL` prints it
    #[arg(long, value_name = "DIGEST")]
    pub(crate) bound: Option<String>,
    /// Of what a run proposes only these calls; what is left out is refused
    #[arg(long, value_name = "CALL", value_delimiter = ',', conflicts_with_all = ["edit", "times"])]
    pub(crate) only: Vec<String>,
    /// The arguments as they are to be sent instead
    #[arg(long, value_name = "JSON")]
    pub(crate) edit: Option<String>,
    /// Also to so many calls like it, for a while
    #[arg(long, value_name = "N", requires = "within")]
    pub(crate) times: Option<u64>,
    /// For how long, such as 2h
    #[arg(long, value_name = "DURATION", requires = "times")]
    pub(crate) within: Option<String>,
    /// Arguments that must be as they are here
    #[arg(long, value_name = "NAME", requires = "times", value_delimiter = ',')]
    pub(crate) same: Vec<String>,
    /// Whole numbers among the arguments that may be at most so much
    #[arg(long, value_name = "NAME=NUMBER", requires = "times", value_delimiter = ',')]
    pub(crate) at_most: Vec<String>,
    /// What those calls together may cost, in dollars
    #[arg(long, requires = "times")]
    pub(crate) usd: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// End when nobody has needed it for this long; said by `remit wrap`
    #[arg(long, hide = true, value_name = "DURATION")]
    pub(crate) idle_exit: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End by itself after the story
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Print the rules as Cedar: manifests compiled, free rules beside them
    #[command(after_help = "--json: { digest, rules, cedar }; `rules` counts, `cedar` is the text.")]
    Show,
    /// Parse, type-check and lint the rules: the same as `remit check`
    #[command(after_help = "--json: as `remit check --json`.")]
    Check,
    /// What the rules say of one call, outside any run
    Explain {
        agent: String,
        tool: String,
        /// Arguments as JSON
        #[arg(long, default_value = "{}", value_name = "JSON")]
        args: String,
    },
    /// Run table tests of the rules
    #[command(after_help = "A test file is YAML:\n\n  tests:\n    - name: small refunds pass\n      \
agent: refund-desk\n      \
tool: desk.refund_charge\n      args: { charge_id: c, amount_cents: 100, currency: eur }\n      \
expect: allow        # allow, ask or deny\n      rule: refund-desk.may[2]   # optional\n\n\
--json: { passed, failed, tests: [{ file, name, passed, why }] }; `why` is null for those that passed.")]
    Test {
        /// Test files; policies/*.test.yaml beside the configuration if left out
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Mint a key for an agent; it is shown once
    Key {
        agent: String,
        /// How long it lives: 30s, 10m, 24h, 90d
        #[arg(long, default_value = "90d")]
        ttl: String,
        /// The person it is given to; they may not approve what it asks for
        #[arg(long = "for", value_name = "NAME")]
        person: Option<String>,
    },
    /// List agents' keys: whose, and until when
    Keys,
    /// Revoke a key at once
    Revoke {
        key: String,
        #[arg(long)]
        why: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// List the tools that have a contract
    List,
    /// Print one contract, with the definition that was accepted
    Show { tool: String },
    /// Ask an MCP server what it offers; what has no contract is printed as the beginning of one
    Offers { server: String },
    /// Compare what MCP servers say now with what was accepted; exit code 1 if anything differs
    Diff {
        /// Servers or tools; all if left out
        names: Vec<String>,
    },
    /// Accept what MCP servers say of their tools now, and write it beside their contracts
    #[command(
        after_help = "What a server says of a tool is what a model acts on, so a person reads it first. It is kept in \
tools/SERVER.pins.json: commit that file. If a server says anything else later, the tool is quarantined until it is \
accepted again.\n\nExamples:\n  remit tool accept stripe\n  remit tool accept stripe.refund --yes"
    )]
    Accept {
        /// Servers (all their tools with a contract) or tools
        names: Vec<String>,
        /// Accept without asking
        #[arg(long)]
        yes: bool,
    },
}

/// Amounts by currency.
#[derive(Debug, Args)]
pub(crate) struct Amounts {
    /// Dollars, such as 0.50
    #[arg(long)]
    pub(crate) usd: Option<String>,
    #[arg(long)]
    pub(crate) calls: Option<u64>,
    #[arg(long)]
    pub(crate) writes: Option<u64>,
    #[arg(long)]
    pub(crate) irreversible: Option<u64>,
    /// Tokens of models, of every kind together
    #[arg(long)]
    pub(crate) tokens: Option<u64>,
    /// Tokens that models read anew
    #[arg(long)]
    pub(crate) tokens_in: Option<u64>,
    /// Tokens that they wrote
    #[arg(long)]
    pub(crate) tokens_out: Option<u64>,
    /// Tokens that they found in a cache
    #[arg(long)]
    pub(crate) tokens_cached: Option<u64>,
    #[arg(long)]
    pub(crate) seconds: Option<u64>,
    /// Minutes of people
    #[arg(long)]
    pub(crate) minutes: Option<u64>,
}
