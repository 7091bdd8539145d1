//! The script language: one row is one command; what the law says of it is written beside it.
//!
//! Columns: `at` (from the start of the world), `do`, and what the verb needs of `run`, `agent`, `tool`, `args`, `key`,
//! `call`; verbs of plans stand in `script/plan.rs`. Calls are named `c1`, `c2` in the order in which they were asked for; runs as the script names them.

mod plan;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use expect_test::Expect;
use kernel::account::{Amount, Currency, Used};
use kernel::balance::{Balance, Whose};
use kernel::book::Book;
use kernel::call::{Call, Carrier, Outcome, Settlement};
use kernel::command::{Answer, Closing, Command, ControlCommand, OpenRun};
use kernel::decide::{Decision, decide, decide_control};
use kernel::event::{Event, Stamp};
use kernel::id::{CallId, KeyId, Mark, RunId};
use kernel::obligation::{Kind, Level, Obligation};
use kernel::reason::Reason;
use kernel::rules::Rules;
use kernel::state::{Control, State};
use kernel::steer::Steer;
use kernel::time::Time;
use kernel::verdict::Verdict;
use stdx::digest::Digest;

thread_local! {
    /// Codes seen by the scripts of this thread.
    pub(crate) static CODES: RefCell<BTreeSet<String>> = RefCell::default();
    /// Set while scripts are played for their codes alone.
    pub(crate) static ONLY_CODES: Cell<bool> = const { Cell::new(false) };
}

/// Saturday 2026-11-21, noon.
pub(crate) const START: Time = Time(1_795_262_400_000);

pub(crate) struct Stage {
    pub(crate) rules: Arc<Rules>,
    pub(crate) state: State,
    pub(crate) control: Control,
    calls: Vec<CallId>,
    runs: HashMap<String, RunId>,
    /// What a person saw when they last looked at a call.
    pub(crate) seen: HashMap<CallId, Digest>,
    /// The rules that the verb `rules` makes the law.
    pub(crate) next: Option<Rules>,
    /// The steps that were drafted last.
    drafted: Vec<plan::Drafted>,
    /// The arguments of each call.
    asked: HashMap<CallId, serde_json::Value>,
}

type Row = HashMap<String, String>;

/// Plays the table and compares it, with four columns more.
#[track_caller]
pub(crate) fn check(book: Book, table: &str, want: Expect) {
    play(Stage::new(book), table, want);
}

/// The verb `rules` makes `next` the law.
#[track_caller]
pub(crate) fn check_change(book: Book, next: Book, table: &str, want: Expect) {
    let next = Some(crate::book::compile(next));
    play(Stage { next, ..Stage::new(book) }, table, want);
}

#[track_caller]
fn play(mut stage: Stage, table: &str, want: Expect) {
    let (head, rows) = read(table);
    let mut shown = vec![
        head.iter()
            .map(String::as_str)
            .chain(["answer", "code", "account", "event"])
            .map(str::to_owned)
            .collect(),
    ];
    for row in &rows {
        let said = stage.play(row);
        shown.push(head.iter().map(|name| row[name].clone()).chain(said).collect());
    }
    if !ONLY_CODES.get() {
        want.assert_eq(&align(&shown));
    }
}

fn read(table: &str) -> (Vec<String>, Vec<Row>) {
    let cells = |line: &str| -> Vec<String> { line.split('|').map(|cell| cell.trim().to_owned()).collect() };
    let mut lines = table.lines().filter(|line| !line.trim().is_empty());
    let head = cells(lines.next().unwrap());
    let row = |line: &str| -> Row {
        let cells = cells(line);
        assert_eq!(cells.len(), head.len(), "{line}");
        head.iter().cloned().zip(cells).collect()
    };
    let rows = lines.map(row).collect();
    (head, rows)
}

fn align(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join(" | ").trim_end())
    };
    rows.iter().map(line).collect()
}

impl Stage {
    pub(crate) fn new(book: Book) -> Stage {
        Stage::with(Arc::new(crate::book::compile(book)))
    }

    pub(crate) fn with(rules: Arc<Rules>) -> Stage {
        Stage {
            rules,
            state: State::default(),
            control: Control::default(),
            calls: Vec::new(),
            runs: HashMap::new(),
            seen: HashMap::new(),
            next: None,
            drafted: Vec::new(),
            asked: HashMap::new(),
        }
    }

    fn play(&mut self, row: &Row) -> [String; 4] {
        let cell = |name: &str| row.get(name).map_or("", String::as_str);
        let now = START.plus_ms(stdx::duration::parse_ms(cell("at")).unwrap());
        let next = u128::try_from(self.runs.len() + 1).unwrap();
        let above = self.runs.get(cell("under")).filter(|_| !cell("under").is_empty());
        // Of one family with the run that it is opened under.
        let new = above.map_or(RunId(next), |above| RunId(next << 32).beneath(*above));
        let run = *self.runs.entry(cell("run").to_owned()).or_insert(new);
        let agent = if cell("agent").is_empty() { "desk" } else { cell("agent") }.to_owned();
        let by = "ann".to_owned();
        let mut words = cell("args").split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let decision = match cell("do") {
            "open" => {
                let implicit = cell("key").strip_prefix('k').map(|key| KeyId(key.parse().unwrap()));
                let parent = self.runs.get(cell("under")).copied().filter(|_| !cell("under").is_empty());
                let budget = parent.map(|_| serde_json::from_str(&format!("{{{}}}", cell("args"))).unwrap());
                let person = row.get("for").filter(|name| !name.is_empty()).cloned();
                let intent = None;
                let credential = cell("key").strip_prefix("by k").map(|key| KeyId(key.parse().unwrap()));
                let open = OpenRun { run, agent, person, intent, implicit, parent, budget, credential };
                self.lane(now, &Command::OpenRun(open))
            }
            "rules" => return self.asking("rules", row, now),
            // Of a call that waits; without one it is a plan's.
            verb @ ("look" | "yes" | "no" | "edit" | "release" | "collect" | "gather")
                if !cell("call").is_empty() =>
            {
                return self.asking(verb, row, now);
            }
            "seen" => {
                let digest = Digest::of(word().as_bytes());
                let tool = cell("tool").to_owned();
                self.control(now, &ControlCommand::SeeTool { tool, digest, definition: digest })
            }
            "close" => {
                let left = cell("key") == "abandoned";
                let outcome = if left { Closing::Abandoned } else { Closing::Success };
                let workflow = None;
                self.lane(now, &Command::CloseRun { run, agent: Some(agent), outcome, workflow, by })
            }
            // `args` holds the amount, `key` for how long.
            verb @ ("pause" | "go on" | "extend" | "charge" | "correct") => {
                let amount = || serde_json::from_str(&format!("{{{}}}", cell("args"))).unwrap();
                let until = stdx::duration::parse_ms(cell("key")).map_or(now, |ms| now.plus_ms(ms));
                let steer = match verb {
                    "pause" => Steer::Pause,
                    "go on" => Steer::Resume,
                    "extend" => Steer::Extend { amount: amount(), until },
                    "charge" => Steer::Charge { amount: amount() },
                    _ => {
                        let delivery = Some(cell("key")).filter(|key| !key.is_empty()).map(mark);
                        Steer::Correct { outcome: Closing::Failure, delivery }
                    }
                };
                self.lane(now, &Command::Steer { run, steer, by, why: "because".into() })
            }
            "call" => self.call(row, run, agent, Carrier::Gate, now),
            "permit" => self.call(row, run, agent, Carrier::Executor, now),
            "question" => {
                let call = Arc::new(self.new_call(row, run, agent, Carrier::Executor));
                self.lane(now, &Command::Question { call, by })
            }
            "settle" => self.settle(row, None, now),
            "report" => self.settle(row, Some(agent), now),
            "refused" => self.lane(now, &Command::Refused { agent, run: Some(run), code: word() }),
            "count" => {
                let counts = vec![(Some(run), word().parse().unwrap()), (Some(RunId(99)), 1)];
                self.lane(now, &Command::CountRefusals { agent, counts })
            }
            "replan" => {
                let learned = Digest::of(cell("args").as_bytes());
                self.lane(now, &Command::Replan { run, agent, learned })
            }
            "balance" => self.lane(now, &Command::Balance(Whose::Run(run))),
            "sweep" => self.lane(now, &Command::Sweep),
            "restart" => self.lane(now, &Command::Restarted),
            // `key` says more of it: `reads`, `force`, or for how long.
            "halt" => {
                let scope = cell("args").replace("run:own", &format!("run:{run}")).parse().unwrap();
                let until = stdx::duration::parse_ms(cell("key")).map(|ms| now.plus_ms(ms));
                let (reads_allowed, force) = (cell("key") == "reads", cell("key") == "force");
                let why = "smoke".into();
                self.control(now, &ControlCommand::Halt { scope, why, by, until, reads_allowed, force })
            }
            "lift" => self.control(now, &ControlCommand::LiftOverdue { now }),
            "resume" => {
                let scope = cell("args").replace("run:own", &format!("run:{run}")).parse().unwrap();
                self.control(now, &ControlCommand::Resume { scope, why: "clear".into(), by })
            }
            "mint" => {
                let (key, hash, expires) = (KeyId(7), Digest::of(b"secret"), now.plus_ms(1));
                let person = row.get("for").filter(|name| !name.is_empty()).cloned();
                self.control(now, &ControlCommand::MintKey { key, agent, hash, expires, by, person })
            }
            "revoke" => {
                self.control(now, &ControlCommand::RevokeKey { key: KeyId(7), by, why: "lost".into() })
            }
            other => match self.plan_verb(other, row, run, agent, now) {
                Some(decision) => decision,
                None => panic!("the script knows no verb `{other}`"),
            },
        };
        self.said(run, &decision)
    }

    pub(crate) fn said(&self, run: RunId, decision: &Decision) -> [String; 4] {
        let events = decision.events.iter().map(|event| self.event(event)).collect::<Vec<_>>().join("; ");
        let [answer, code] = self.answer(&decision.answer);
        let account = self.state.runs.get(&run).map(|run| account(&run.account)).unwrap_or_default();
        [answer, code, account, events]
    }

    /// Decides in the lane and folds what came of it.
    pub(crate) fn lane(&mut self, now: Time, command: &Command) -> Decision {
        let decision = decide(&self.state, &self.control, &self.rules, command, now);
        let at = now.max(self.state.last);
        for event in &decision.events {
            let stamp = Stamp { at, lane: 1, lane_seq: self.state.seq + 1, tenant: "default".into() };
            self.state.apply(&stamp, event);
        }
        decision
    }

    pub(crate) fn control(&mut self, now: Time, command: &ControlCommand) -> Decision {
        let decision = decide_control(&self.control, &self.rules, command);
        self.fold_control(now, &decision);
        decision
    }

    fn fold_control(&mut self, now: Time, decision: &Decision) {
        for event in &decision.events {
            let stamp = Stamp { at: now, lane: 0, lane_seq: self.control.seq + 1, tenant: "default".into() };
            self.control.apply(&stamp, event);
        }
    }

    fn call(&mut self, row: &Row, run: RunId, agent: String, carrier: Carrier, now: Time) -> Decision {
        let mut call = Arc::new(self.new_call(row, run, agent, carrier));
        let mut decision = self.lane(now, &Command::Propose(call.clone()));
        if let Answer::Marks(fields) = &decision.answer {
            let marks = crate::asking::marks(&self.rules, &call, fields);
            call = Arc::new(Call { ask_marks: Some(marks), ..call.as_ref().clone() });
            decision = self.lane(now, &Command::Propose(call.clone()));
        }
        while let Answer::Obliged { by, level } = &decision.answer {
            call = Arc::new(obliged(&call, by, level));
            decision = self.lane(now, &Command::Propose(call.clone()));
        }
        if decision.answer == Answer::Joins {
            return self.join(call.as_ref().clone(), now);
        }
        let Answer::Short(needs) = &decision.answer else { return decision };
        let lent = kernel::decide::lend::decide_lend(&self.control, &self.rules, 1, 1, needs, now);
        self.fold_control(now, &lent);
        match lent.answer {
            Answer::Short(_) => self.lane(now, &Command::ProposeLast(call)),
            _ => self.lane(now, &Command::Propose(call)),
        }
    }

    fn new_call(&mut self, row: &Row, run: RunId, agent: String, carrier: Carrier) -> Call {
        let id = self.next_call(&serde_json::Value::Null);
        let key = row.get("key").filter(|key| !key.is_empty());
        let mut call = call(id, run, &agent, &row["tool"], &row["args"], key.map(String::as_str), carrier);
        let (places, hosts) = self.rules.places(&agent, &call.tool, &call.args);
        let marks = |places: Vec<String>| places.iter().map(|place| mark(place)).collect();
        (call.destinations, call.hosts) = (marks(places), marks(hosts));
        let heeds = |kind: &Kind| row.get("heeds").is_some_and(|cell| cell.contains(kind.name()));
        call.bound.heeds = [Kind::Cap, Kind::Instead, Kind::Model].into_iter().filter(heeds).collect();
        call.facts = self.wants(&agent, &call.tool, &call.args);
        if self.rules.proposes(&agent, &call.tool) {
            call.touches = self.touches(&call.tool, &call.args);
        }
        self.asked.insert(id, call.args.clone());
        call
    }

    /// `args` holds the outcome and, if it is known, what was used in dollars.
    fn settle(&mut self, row: &Row, agent: Option<String>, now: Time) -> Decision {
        let call = CallId(row["call"].trim_start_matches('c').parse().unwrap());
        let (outcome, used) = row["args"].split_once(' ').unwrap_or((&row["args"], ""));
        let outcome: Outcome = serde_json::from_value(outcome.into()).unwrap();
        let reserved = self.state.calls.get(&call).map(|open| open.reserved.clone()).unwrap_or_default();
        let tool = self.state.calls.get(&call).and_then(|open| self.rules.tool(&open.tool));
        let used = match (used.parse().ok(), tool, &agent) {
            (Some(usd_nanos), ..) => Used::all(&Amount { usd_nanos, ..reserved.clone() }),
            // `says {…}`: what the tool answered.
            (None, Some(tool), None) => {
                let said = used.strip_prefix("says ").map(|text| serde_json::from_str(text).unwrap());
                kernel::price::used(&tool.contract, outcome, said.as_ref())
            }
            _ => Used::default(),
        };
        let settlement = Settlement {
            undo: self.kept(call, outcome, now),
            facts: self.told(row, call),
            call,
            agent,
            outcome,
            result: None,
            result_mark: row.get("key").and_then(|key| key.strip_prefix("says ")).map(mark),
            transient: row.get("key").is_some_and(|key| key == "passes"),
            used,
            duration_ms: 5,
            trouble: None,
        };
        self.lane(now, &Command::Settle(settlement))
    }

    fn name(&self, call: CallId) -> String {
        // What is no call of the script is a plan that people are asked about.
        let at = self.calls.iter().position(|known| *known == call);
        at.map_or_else(|| "the plan".to_owned(), |at| format!("c{}", at + 1))
    }

    fn answer(&self, answer: &Answer) -> [String; 2] {
        match answer {
            Answer::Verdict(verdict) => [verdict.ruling.name().to_owned(), why(verdict)],
            Answer::Same { call, verdict, ended } => {
                let ended = ended.as_ref().map_or("open", |ended| ended.outcome.name());
                [format!("same as {}: {}, {ended}", self.name(*call), verdict.ruling.name()), why(verdict)]
            }
            Answer::Opened { run, expires } => {
                let known = self.runs.iter().find(|(_, id)| *id == run).map_or("", |(name, _)| name);
                [format!("{known} open until {}", &expires.to_string()[11..19]), String::new()]
            }
            Answer::Balances(balances) => {
                let left = |one: &Balance| serde_json::to_string(&one.limits.minus(&one.account.taken()));
                let left = balances.iter().map(|one| left(one).unwrap());
                [format!("left {}", left.collect::<Vec<_>>().join(" ")), String::new()]
            }
            Answer::Short(needs) => [format!("short of {}", needs.len()), String::new()],
            Answer::Returned(parts) => [format!("{} returned", parts.len()), String::new()],
            Answer::Waiting(call) => [format!("waits as {}", self.name(*call)), String::new()],
            Answer::Obliged { by, .. } => [format!("obliged to {}", by.len()), String::new()],
            Answer::Marks(fields) => [format!("marks of {}", fields.len()), String::new()],
            Answer::Given { complete: true, .. } => ["enough".to_owned(), String::new()],
            Answer::Given { waits_for, .. } => {
                [format!("counts, waits for {}", waits_for.len()), String::new()]
            }
            Answer::Plan(plan) => plan::judged(plan),
            Answer::Phase(phase) => [phase.name().to_owned(), String::new()],
            Answer::Progress(plan) => [plan::stands(plan), String::new()],
            Answer::WouldTakeBack(steps) => [format!("would take back {steps:?}"), String::new()],
            Answer::Joins => ["joins".to_owned(), String::new()],
            Answer::Joined { verdict, step, version } => {
                [format!("w{} of {version}, {}", step + 1, verdict.ruling.name()), why(verdict)]
            }
            Answer::Done => ["done".to_owned(), String::new()],
            Answer::Refused(reason) => ["refused".to_owned(), show(reason)],
        }
    }

    fn event(&self, event: &Event) -> String {
        let kind = event.kind();
        match event {
            Event::CallDecided(decided) => {
                let expires = decided.expires.map(|at| format!(" until {}", &at.to_string()[11..19]));
                let asked = decided.asked.as_ref().map(|asked| asked.expires.to_string());
                let asked = asked.map(|at| format!(" until {}", &at[11..19]));
                let by =
                    (!decided.approved.is_empty()).then(|| format!(" by {}", decided.approved.join(" and ")));
                format!(
                    "{kind} {} {}{}{}{}",
                    self.name(decided.call),
                    decided.ruling.name(),
                    expires.unwrap_or_default(),
                    asked.unwrap_or_default(),
                    by.unwrap_or_default()
                )
            }
            Event::CallFinished(finished) => {
                format!("{kind} {} {} by {}", self.name(finished.call), finished.outcome.name(), finished.by)
            }
            Event::ThresholdCrossed(crossed) => {
                let account = crossed.account.as_ref().map(|account| format!(" of {}", account.owner));
                let of = account.unwrap_or_default();
                format!("{kind} {} {}{of}", crossed.percent, crossed.action.name())
            }
            Event::Answered(answered) => {
                let yes = if answered.yes { "yes" } else { "no" };
                let groups = if answered.groups.is_empty() { String::new() } else { " for ".to_owned() };
                let only = answered.only.iter().map(|call| format!(" only {}", self.name(*call)));
                let (groups, only) = (groups + &answered.groups.join(" and "), only.collect::<String>());
                format!("{kind} {yes} by {}{groups}{only}", answered.by)
            }
            Event::RunPaused(paused) => format!("{kind} by {}", paused.by),
            Event::PhaseChanged(changed) => {
                format!("{kind} {} to {} by {}", changed.from.name(), changed.to.name(), changed.by)
            }
            Event::PlanProposed(proposed) => {
                let of = proposed.gathers.iter().map(|call| format!(" {}", self.name(*call)));
                let of: String = of.collect();
                let of = if of.is_empty() { of } else { format!(" of{of}") };
                format!("{kind} {}{of}", proposed.ruling.name())
            }
            Event::UnwindStarted(started) => format!("{kind} {} by {}", started.why, started.by),
            Event::CommitEnded(ended) => plan::ended(ended),
            Event::Questioned(asked) => format!("{kind} {}", self.name(asked.call)),
            Event::RunClosed(closed) => format!("{kind} {} by {}", closed.outcome.name(), closed.by),
            Event::RequestRefused(refused) => {
                format!("{kind} {}{}", refused.code, if refused.run.is_some() { " in run" } else { "" })
            }
            Event::RefusalsCounted(counted) => {
                format!("{kind} {}{}", counted.count, if counted.run.is_some() { " in run" } else { "" })
            }
            _ => kind.to_owned(),
        }
    }
}

pub(crate) fn mark(text: &str) -> Mark {
    let digest = Digest::of(text.as_bytes());
    Mark(digest.0[..16].try_into().unwrap())
}

pub(crate) fn call(
    id: CallId,
    run: RunId,
    agent: &str,
    tool: &str,
    args: &str,
    key: Option<&str>,
    carrier: Carrier,
) -> Call {
    let value = serde_json::from_str(if args.is_empty() { "{}" } else { args }).unwrap();
    Call {
        part: None,
        touches: Vec::new(),
        facts: Vec::new(),
        id,
        run,
        agent: agent.to_owned(),
        tool: tool.to_owned(),
        args: value,
        args_commitment: Digest::of(args.as_bytes()),
        args_mark: mark(&format!("{tool} {args}")),
        key_mark: key.map(mark),
        bound: Default::default(),
        reasoning: None,
        model: None,
        context_tokens: None,
        carrier,
        destinations: Vec::new(),
        hosts: Vec::new(),
        credential: None,
        ask_marks: None,
    }
}

/// As the gate drafts it anew.
fn obliged(call: &Call, by: &[Obligation], level: &Level) -> Call {
    let mut again = call.clone();
    for one in by {
        match one {
            Obligation::Cap { .. } => again.args = one.capped(&again.args).unwrap(),
            Obligation::Instead { tool, .. } => again.tool.clone_from(tool),
            Obligation::Model { .. } => {}
        }
    }
    again.bound.by.extend_from_slice(by);
    again.bound.level = Some(Box::new(level.clone()));
    again
}

fn why(verdict: &Verdict) -> String {
    let reasons = verdict.reasons.iter().map(show);
    let would = verdict.would.iter().map(|reason| format!("would: {}", show(reason)));
    let rules = verdict.rules.iter().map(|rule| format!("by {}", rule.id));
    let bound = verdict.obligations.iter().map(|one| serde_json::to_string(one).unwrap());
    let level = verdict.level.as_ref();
    let level = level.map(|it| format!("at {} % of {} {}", it.percent, it.limit, it.currency));
    reasons.chain(would).chain(rules).chain(bound).chain(level).collect::<Vec<_>>().join("; ")
}

fn show(reason: &Reason) -> String {
    CODES.with_borrow_mut(|codes| codes.insert(reason.code.name().to_owned()));
    // Every reason can be told and mended in words.
    assert!(!reason.says().is_empty() && !reason.remedy().is_empty());
    let mut text = reason.code.name().to_owned();
    text.extend(reason.at.as_ref().map(|at| format!(" at {at}")));
    text.extend(reason.detail.as_ref().map(|detail| format!(" ({detail})")));
    text.extend(reason.limit.map(|limit| format!(" max {limit}")));
    text.extend(reason.retry_after_seconds.map(|seconds| format!(" again in {seconds} s")));
    text.extend(reason.rule.as_ref().map(|rule| format!(" rule {}", rule.id)));
    text.extend((!reason.ask.is_empty()).then(|| format!(" ask {}", reason.ask.join(" and "))));
    text.extend(reason.near.iter().map(|rule| format!(" near {}: {}", rule.id, rule.words)));
    text
}

/// Posted + pending of each currency in use.
fn account(account: &kernel::account::Account) -> String {
    let short = |currency| match currency {
        Currency::Calls => "calls",
        Currency::Writes => "writes",
        Currency::Irreversible => "final",
        Currency::UsdNanos => "usd",
        other => other.name(),
    };
    let used = |currency: &Currency| account.posted.get(*currency) + account.pending.get(*currency) > 0;
    let shown = Currency::ALL.into_iter().filter(used);
    let parts: Vec<String> = shown
        .map(|of| format!("{} {}+{}", short(of), account.posted.get(of), account.pending.get(of)))
        .collect();
    parts.join(" ")
}
