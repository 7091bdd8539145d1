//! Budgets: what is left, for agents and people, and what people do about a run.

use std::collections::BTreeMap;

use api::PAGE_ITEMS_MAX;
use api::budget::{
    Balance, Balances, BudgetLeft, BudgetQuery, ChargeRun, CorrectRun, DaySpent, DaysBy, DaysQuery,
    DaysReport, ExtendRun, Spend, SpendBy, SpendFigures, SpendLine, SpendQuery, SpendReport, SteerRun, Top,
    TopQuery, TopRun,
};
use api::problem::Code;
use api::run::Recorded;
use axum::Json;
use axum::extract::{Path, State};
use kernel::account::{Amount, Limits, Used};
use kernel::balance::{self, Left, Of, Whose};
use kernel::id::RunId;
use kernel::steer::Steer;
use kernel::time::Time;
use kernel::window::Owner;

use crate::ask::{Query, Told, id, query_id};
use crate::authn::{Agent, Person};
use crate::control::recorded;
use crate::house::{House, Shared};
use crate::refusal::{Answer, Refusal};
use crate::words;

const HOUR_MS: u128 = 3_600_000;
/// What was spent in a shorter time tells no rate.
const RATE_MS_MIN: u64 = 60_000;
/// Reports reach so far back if nobody says otherwise.
const SPEND_USUAL: &str = "30d";
const SPEND_MS_MAX: u64 = 3_650 * DAY_MS;
const DAYS_MS_MAX: u64 = 366 * DAY_MS;
const DAY_MS: u64 = 86_400_000;
const TOP_USUAL: usize = 20;
/// No extension is good for longer.
const EXTENSION_MS_MAX: u64 = 86_400_000;

/// What one's own run may still spend. Another agent's run is answered like one that never was.
pub(crate) async fn own(
    State(house): State<Shared>,
    Agent(caller): Agent,
    Path(run): Path<String>,
) -> Answer<Balances> {
    let found = house.gate.balances(Whose::Run(id::<RunId>(&run)?)).await?;
    let found = found.map_err(|reason| Refusal::law(&reason))?;
    let own =
        |balance: &balance::Balance| matches!(&balance.of, Of::Run { agent, .. } if *agent == caller.agent);
    if !found.first().is_some_and(own) {
        return Err(Refusal::not_found(&format!("the run `{run}`")));
    }
    Ok(shown(&house, found))
}

pub(crate) async fn budget(
    _: Person,
    State(house): State<Shared>,
    Query(query): Query<BudgetQuery>,
) -> Answer<Balances> {
    let BudgetQuery { run, agent, tenant } = query;
    let whose = match (query_id::<RunId>(run.as_deref())?, agent, tenant) {
        (Some(run), None, None) => Whose::Run(run),
        (None, Some(agent), None) => Whose::Owner(Owner::Agent(agent.into())),
        (None, None, Some(tenant)) => Whose::Owner(Owner::Tenant(tenant.into())),
        (None, None, None) => return Ok(shown(&house, every(&house).await?)),
        _ => {
            let detail = "name at most one of `run`, `agent` and `tenant`";
            return Err(Refusal::new(Code::BadRequest, detail).at("query"));
        }
    };
    if let Whose::Owner(owner) = &whose
        && !is_known(&house, owner)
    {
        let (kind, name) = match owner {
            Owner::Agent(name) => ("agent", name),
            Owner::Tenant(name) => ("tenant", name),
        };
        return Err(Refusal::not_found(&format!("the {kind} `{name}`")));
    }
    let found = house.gate.balances(whose).await?.map_err(|reason| Refusal::law(&reason))?;
    Ok(shown(&house, found))
}

fn is_known(house: &House, owner: &Owner) -> bool {
    let rules = house.gate.rules();
    match owner {
        Owner::Agent(name) => rules.agent(name).is_some(),
        Owner::Tenant(name) => {
            let mut agents = rules.book.agents.values();
            rules.book.house.tenants.contains_key(&**name) || agents.any(|one| one.tenant == **name)
        }
    }
}

/// Of every agent and tenant that has an account of its own, as many as one answer holds.
pub(crate) async fn every(house: &House) -> Result<Vec<balance::Balance>, Refusal> {
    let rules = house.gate.rules();
    let agents = rules.book.agents.values().filter(|manifest| !manifest.windows.is_empty());
    let agents = agents.map(|manifest| Owner::Agent(manifest.agent.as_str().into()));
    let tenants = rules.book.house.tenants.keys().map(|name| Owner::Tenant(name.as_str().into()));
    let mut found = Vec::new();
    for owner in tenants.chain(agents).take(PAGE_ITEMS_MAX) {
        let balances = house.gate.balances(Whose::Owner(owner)).await?;
        found.extend(balances.map_err(|reason| Refusal::law(&reason))?);
    }
    Ok(found)
}

pub(crate) async fn spend_report(
    _: Person,
    State(house): State<Shared>,
    Query(query): Query<SpendQuery>,
) -> Answer<SpendReport> {
    let within = query.within.as_deref().unwrap_or(SPEND_USUAL);
    let ms = stdx::duration::parse_ms(within).filter(|ms| (1..=SPEND_MS_MAX).contains(ms));
    let Some(ms) = ms else {
        return Err(Refusal::new(Code::BadRequest, "a duration such as `30d`, at most ten years").at("query"));
    };
    let by = match query.by.unwrap_or(SpendBy::Agent) {
        SpendBy::Agent => gate::views::SpendBy::Agent,
        SpendBy::Workflow => gate::views::SpendBy::Workflow,
        SpendBy::Run => gate::views::SpendBy::Run,
    };
    let until = house.gate.now().plus_ms(1);
    let from = Time(until.0.saturating_sub(ms));
    let (as_of, now) = house.gate.spend(by, from, until).await?;
    let before = match by {
        // A run ends once: there is nothing to compare it with.
        gate::views::SpendBy::Run => Vec::new(),
        by => house.gate.spend(by, Time(from.0.saturating_sub(ms)), from).await?.1,
    };
    let mut lines: BTreeMap<String, SpendLine> = BTreeMap::new();
    let mut order = Vec::new();
    for (rows, is_now) in [(now, true), (before, false)] {
        for row in rows {
            let line = lines.entry(row.of.clone()).or_insert_with(|| {
                order.push(row.of.clone());
                SpendLine { of: row.of.clone(), ..SpendLine::default() }
            });
            *if is_now { &mut line.now } else { &mut line.before } = figures(&row);
        }
    }
    let items = order.iter().filter_map(|of| lines.remove(of)).collect();
    Ok(Json(SpendReport { as_of, from: from.to_string(), until: until.to_string(), items }))
}

/// Day by day. Days are those of the ledger, which is in UTC.
pub(crate) async fn days_report(
    _: Person,
    State(house): State<Shared>,
    Query(query): Query<DaysQuery>,
) -> Answer<DaysReport> {
    let within = query.within.as_deref().unwrap_or(SPEND_USUAL);
    let ms = stdx::duration::parse_ms(within).filter(|ms| (1..=DAYS_MS_MAX).contains(ms));
    let Some(ms) = ms else {
        return Err(Refusal::new(Code::BadRequest, "a duration such as `30d`, at most a year").at("query"));
    };
    let by = match query.by.unwrap_or(DaysBy::Agent) {
        DaysBy::Agent => gate::views::DaysBy::Agent,
        DaysBy::Tool => gate::views::DaysBy::Tool,
    };
    let until = house.gate.now();
    // Today is one of the days.
    let from = Time(until.0.saturating_sub(ms.saturating_sub(DAY_MS)));
    let (as_of, rows) = house.gate.spend_days(by, from).await?;
    let item = |row: gate::views::DayRow| DaySpent {
        day: day(row.day),
        of: row.of,
        allowed: row.allowed,
        denied: row.denied,
        cost_usd_nanos: row.usd_nanos,
    };
    let items = rows.into_iter().map(item).collect();
    Ok(Json(DaysReport { as_of, from: day(from), until: day(until), items }))
}

/// `2026-11-21`
fn day(at: Time) -> String {
    at.to_string().chars().take_while(|letter| *letter != 'T').collect()
}

/// Costs are rounded up, percentages down.
fn figures(row: &gate::views::SpendRow) -> SpendFigures {
    SpendFigures {
        runs: row.runs,
        success: row.success,
        failure: row.failure,
        abandoned: row.abandoned,
        expired: row.expired,
        completion_percent: row.success.saturating_mul(100).checked_div(row.runs).unwrap_or(0),
        cost_usd_nanos: row.usd_nanos,
        cost_per_success_usd_nanos: (row.success > 0).then(|| row.usd_nanos.div_ceil(row.success)),
        interventions: row.interventions,
        human_minutes: row.human_minutes,
        tokens: row.tokens.all,
        tokens_cached: row.tokens.cached,
        tokens_in: row.tokens.read,
        tokens_out: row.tokens.written,
        seconds_to_success: row.success_ms.checked_div(row.success).map(|ms| ms / 1_000),
    }
}

pub(crate) async fn top(
    _: Person,
    State(house): State<Shared>,
    Query(query): Query<TopQuery>,
) -> Answer<Top> {
    let (as_of, rows) = house.gate.top(query.limit.unwrap_or(TOP_USUAL)).await?;
    let now = house.gate.now();
    let items = rows.into_iter().map(|row| TopRun {
        run: row.run.to_string(),
        agent: row.agent,
        opened: row.opened.to_string(),
        cost_usd_nanos: row.usd_nanos,
        usd_nanos_per_hour: per_hour(row.usd_nanos, now.since_ms(row.opened)),
        tokens: row.tokens.all,
        allowed: row.allowed,
        denied: row.denied,
        unknown: row.unknown,
        under: row.under,
    });
    Ok(Json(Top { as_of, items: items.collect() }))
}

fn per_hour(posted: u64, elapsed_ms: u64) -> u64 {
    let rate = u128::from(posted) * HOUR_MS / u128::from(elapsed_ms.max(RATE_MS_MIN));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// When what is left is spent, if it goes on like this; never, if nothing was spent yet.
fn dry(left: u64, posted: u64, elapsed_ms: u64, now: Time) -> Option<Time> {
    let ms = (u128::from(left) * u128::from(elapsed_ms.max(RATE_MS_MIN))).checked_div(u128::from(posted))?;
    u64::try_from(ms).ok().map(|ms| now.plus_ms(ms))
}

fn shown(house: &House, found: Vec<balance::Balance>) -> Json<Balances> {
    let now = house.gate.now();
    Json(Balances { items: found.into_iter().map(|one| balance(one, now)).collect() })
}

pub(crate) async fn pause(
    person: Person,
    State(house): State<Shared>,
    Path(run): Path<String>,
    Told(body): Told<SteerRun>,
) -> Answer<Recorded> {
    steer(&house, &run, Steer::Pause, &body.why, &person).await
}

pub(crate) async fn resume(
    person: Person,
    State(house): State<Shared>,
    Path(run): Path<String>,
    Told(body): Told<SteerRun>,
) -> Answer<Recorded> {
    steer(&house, &run, Steer::Resume, &body.why, &person).await
}

pub(crate) async fn extend(
    person: Person,
    State(house): State<Shared>,
    Path(run): Path<String>,
    Told(body): Told<ExtendRun>,
) -> Answer<Recorded> {
    let ms = stdx::duration::parse_ms(&body.within).filter(|ms| (1..=EXTENSION_MS_MAX).contains(ms));
    let Some(ms) = ms else {
        let detail = "a duration such as `30m`, at most a day";
        return Err(Refusal::new(Code::BadRequest, detail).at("/within"));
    };
    let amount = limits(body.by).amount();
    let until = house.gate.now().plus_ms(ms);
    steer(&house, &run, Steer::Extend { amount, until }, &body.why, &person).await
}

pub(crate) async fn charge(
    person: Person,
    State(house): State<Shared>,
    Path(run): Path<String>,
    Told(body): Told<ChargeRun>,
) -> Answer<Recorded> {
    let amount = limits(body.amount).amount();
    if amount.is_zero() {
        return Err(Refusal::new(Code::BadRequest, "name an amount that is not zero").at("/amount"));
    }
    steer(&house, &run, Steer::Charge { amount }, &body.why, &person).await
}

pub(crate) async fn correct(
    person: Person,
    State(house): State<Shared>,
    Path(run): Path<String>,
    Told(body): Told<CorrectRun>,
) -> Answer<Recorded> {
    let outcome = words::closing(body.outcome);
    steer(&house, &run, Steer::Correct { outcome, delivery: None }, &body.why, &person).await
}

/// Whoever overrides a budget says why.
async fn steer(house: &House, run: &str, steer: Steer, why: &str, person: &Person) -> Answer<Recorded> {
    if why.trim().is_empty() {
        return Err(Refusal::new(Code::BadRequest, "say why").at("/why"));
    }
    recorded(house.gate.run_steer(id::<RunId>(run)?, steer, why, &person.name).await?)
}

pub(crate) fn limits(spend: Spend) -> Limits {
    Limits {
        calls: spend.calls,
        counted: spend.counted,
        human_minutes: spend.human_minutes,
        irreversible: spend.irreversible,
        retries: spend.retries,
        seconds: spend.seconds,
        tokens: spend.tokens,
        tokens_cached: spend.tokens_cached,
        tokens_in: spend.tokens_in,
        tokens_out: spend.tokens_out,
        usd_nanos: spend.usd_nanos,
        writes: spend.writes,
    }
}

/// What an executor says that a call took.
pub(crate) fn used(spend: Spend) -> Used {
    Used { known: limits(spend), counts_are_known: false }.reckoned()
}

pub(crate) fn spend(limits: Limits) -> Spend {
    Spend {
        calls: limits.calls,
        counted: limits.counted,
        human_minutes: limits.human_minutes,
        irreversible: limits.irreversible,
        retries: limits.retries,
        seconds: limits.seconds,
        tokens: limits.tokens,
        tokens_cached: limits.tokens_cached,
        tokens_in: limits.tokens_in,
        tokens_out: limits.tokens_out,
        usd_nanos: limits.usd_nanos,
        writes: limits.writes,
    }
}

/// What is none is left out.
pub(crate) fn amount(amount: &Amount) -> Spend {
    let some = |value: u64| Some(value).filter(|value| *value > 0);
    Spend {
        calls: some(amount.calls),
        counted: amount.counted.clone(),
        human_minutes: some(amount.human_minutes),
        irreversible: some(amount.irreversible),
        retries: some(amount.retries),
        seconds: some(amount.seconds),
        tokens: some(amount.tokens),
        tokens_cached: some(amount.tokens_cached),
        tokens_in: some(amount.tokens_in),
        tokens_out: some(amount.tokens_out),
        usd_nanos: some(amount.usd_nanos),
        writes: some(amount.writes),
    }
}

pub(crate) fn left(left: &Left) -> BudgetLeft {
    BudgetLeft {
        left: spend(left.left.clone()),
        percent: left.percent,
        gate: left.action.map(|action| action.name().to_owned()),
    }
}

/// Rates and ends are rounded down: a warning may come early and not late.
pub(crate) fn balance(balance: balance::Balance, now: Time) -> Balance {
    let balance::Balance { of, limits, account, from, until, crossed, paused } = balance;
    let (name, window) = match of {
        Of::Run { run, .. } => (run.to_string(), "run"),
        Of::Account(id) => (id.owner.to_string(), id.window.name()),
    };
    let (taken, elapsed) = (account.taken(), now.since_ms(from));
    let left = limits.minus(&taken);
    let dries = left.by_key().filter_map(|(key, left)| {
        let dry = dry(left, account.posted.by_key(key), elapsed, now)?;
        (dry < until).then_some((key, dry))
    });
    let dries: BTreeMap<&str, Time> = dries.collect();
    Balance {
        account: name,
        window: window.to_owned(),
        from: from.to_string(),
        until: until.to_string(),
        percent: limits.percent(&taken),
        limits: spend(limits),
        posted: amount(&account.posted),
        pending: amount(&account.pending),
        lent: amount(&account.lent),
        runs_out: dries.values().min().map(Time::to_string),
        spent_by: dries.iter().map(|(key, dry)| ((*key).to_owned(), dry.to_string())).collect(),
        left: spend(left),
        crossed,
        per_hour: amount(&account.posted.each(|posted| per_hour(posted, elapsed))),
        paused: paused.map(|paused| format!("{} ({})", paused.why, paused.by)),
    }
}
