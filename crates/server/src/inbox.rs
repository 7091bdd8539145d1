//! The inbox: what waits for people, as agents ask for it and as people answer it. Who may answer is the law's to say.

use std::time::Duration;

use api::call::RuleView;
use api::inbox::{
    AnswerCall, AnswerFigures, AnswerTaken, Change, Escalates, GroupAsked, Inbox, InboxItem, InboxQuery,
    InboxShown, InboxStats, Risk, RiskPart, Said, Similar, Standing, StatsQuery, Ticket, TicketList,
    WaitQuery,
};
use api::person::Role;
use api::problem::Code;
use axum::Json;
use axum::extract::{Path, State};
use gate::{AnswerAsk, InboxAsk, StandingAsk};
use kernel::approval::Subject;
use kernel::id::CallId;
use kernel::time::Time;
use stdx::digest::Digest;

use crate::ask::{Query, Told, id, query_id};
use crate::authn::{Agent, Person};
use crate::house::{House, Shared};
use crate::refusal::{Answer, Refusal};
use crate::{budget, words};

/// Nobody is held longer: what stands between us and a client gives up on an answer that takes a minute.
const WAIT_MS_MAX: u64 = 60_000;
/// No standing approval is good for longer.
const STANDING_MS_MAX: u64 = 7 * 86_400_000;
const STANDING_TIMES_MAX: u64 = 1_000;
/// Figures reach so far back if nobody says otherwise.
const STATS_USUAL: &str = "30d";
const STATS_MS_MAX: u64 = 3_650 * 86_400_000;
/// Whose asks were approved so often, and never denied, are pointed out.
const ALWAYS_FROM: u64 = 5;
const OWNER: &str = "owner:";

// ---- For agents -------------------------------------------------------------------------------------------

/// How long an agent lets itself be held.
pub(crate) fn wait(text: Option<&str>) -> Result<Duration, Refusal> {
    let Some(text) = text else { return Ok(Duration::ZERO) };
    let ms = stdx::duration::parse_ms(text).filter(|ms| *ms <= WAIT_MS_MAX);
    let ms = ms.ok_or_else(|| {
        Refusal::new(Code::BadRequest, "`wait` is a duration such as `10s`, at most a minute").at("query")
    })?;
    Ok(Duration::from_millis(ms))
}

pub(crate) async fn own_tickets(State(house): State<Shared>, Agent(caller): Agent) -> Json<TicketList> {
    let tickets = house.gate.tickets(&caller, None);
    let items = tickets.iter().map(|ticket| words::waiting(ticket, &house.options.console)).collect();
    Json(TicketList { items })
}

/// Another agent's ticket is answered like one that never was.
pub(crate) async fn own_ticket(
    State(house): State<Shared>,
    Agent(caller): Agent,
    Path(call): Path<String>,
    Query(query): Query<WaitQuery>,
) -> Answer<Ticket> {
    let call = id::<CallId>(&call)?;
    let answered = house.gate.wait_ticket(&caller, call, wait(query.wait.as_deref())?).await?;
    let answered = words::answered(answered, &house.options.console);
    let state = match &answered.waiting {
        Some(waiting) if waiting.proposed => "proposed",
        Some(_) => "waiting",
        None => "ended",
    };
    let ticket = call.to_string();
    let waiting = answered.waiting.clone();
    let answered = Some(answered).filter(|answered| answered.waiting.is_none());
    Ok(Json(Ticket { ticket, state: state.to_owned(), waiting, answered }))
}

// ---- For people -------------------------------------------------------------------------------------------

pub(crate) async fn inbox(
    person: Person,
    State(house): State<Shared>,
    Query(query): Query<InboxQuery>,
) -> Answer<Inbox> {
    let name = acting(&house, &person, query.person.as_deref(), "query")?;
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let ask = InboxAsk {
        person: &name,
        run: query_id(query.run.as_deref())?,
        agent: query.agent.as_deref(),
        is_mine: query.mine == Some(true),
        most: api::PAGE_ITEMS_MAX,
    };
    let page = house.gate.inbox_page(&ask);
    let (waiting, mine, shown) = (count(page.waiting), count(page.mine), page.items);
    let mut items = Vec::new();
    // What is of one run stands together, where its riskiest is.
    for (at, one) in shown.iter().enumerate() {
        if shown.iter().take(at).any(|before| before.run == one.run) {
            continue;
        }
        items.extend(shown.iter().filter(|own| own.run == one.run).map(|own| item(own, &name)));
    }
    let rules = house.gate.rules();
    let law = &rules.book.house.approvals;
    let (per_run_max, per_agent_hour_max) = (law.per_run_max, law.per_agent_hour_max);
    Ok(Json(Inbox { items, waiting, mine, reason_from: law.reason_from, per_run_max, per_agent_hour_max }))
}

pub(crate) async fn shown(
    person: Person,
    State(house): State<Shared>,
    Path(call): Path<String>,
    Query(query): Query<InboxQuery>,
) -> Answer<InboxShown> {
    let name = acting(&house, &person, query.person.as_deref(), "query")?;
    let call = id::<CallId>(&call)?;
    let gone = || Refusal::not_found(&format!("a call `{call}` that waits for somebody"));
    let gate::Shown { waiting, args, reasoning, asked_args } =
        house.gate.pending(call).await?.ok_or_else(gone)?;
    let changes = house.gate.changes(call).await?;
    let similar = house.gate.similar(&waiting.agent, &waiting.tool).await?;
    let rules = house.gate.rules();
    let contract = rules.tool(&waiting.tool).map(|tool| tool.contract.clone());
    // Only what is shown of the run comes from a list, which may lag; what is answered is in the law's own state.
    let run = house.gate.run(waiting.run, Some(house.gate.counts().head_index)).await.ok();
    let beside = house.gate.beside(waiting.run, waiting.call);
    let answers =
        waiting.answers.iter().map(|it| Said { by: it.by.clone(), at: it.at.to_string(), counts: it.stands });
    let similar = similar.into_iter().map(|it| Similar {
        call: it.call.to_string(),
        at: it.at.to_string(),
        yes: it.yes,
        by: it.by,
    });
    Ok(Json(InboxShown {
        item: item(&waiting, &name),
        reason: reasoning.map(words::text),
        args,
        asked_args,
        about: contract.as_ref().map(|contract| contract.about.clone()).unwrap_or_default(),
        intent: run.and_then(|shown| words::run_view(shown.run).intent),
        chain: waiting.persons.clone(),
        model: waiting.model.clone(),
        undo: undo(&waiting.effect).to_owned(),
        rules: waiting.near.iter().map(|near| words::rule(near)).collect::<Vec<RuleView>>(),
        said: answers.collect(),
        similar: similar.collect(),
        beside: beside.iter().map(ToString::to_string).collect(),
        changes: changes.into_iter().map(change).collect(),
        input: contract.map(|contract| contract.input.clone()).unwrap_or_default(),
    }))
}

pub(crate) fn change(it: gate::Change) -> Change {
    Change {
        id: it.id,
        tool: it.tool,
        effect: it.effect,
        undo: it.undo,
        cost_usd_nanos: it.cost.map(|cost| cost.usd_nanos),
        before: it.before,
        differs: it.differs.iter().map(words::difference).collect(),
        after: it.after,
        trouble: it.trouble,
        reason: it.reasoning.map(words::text),
        replaced_by: it.replaced_by.map(|call| call.to_string()),
        against: it.against.iter().map(ToString::to_string).collect(),
    }
}

fn undo(effect: &str) -> &'static str {
    match effect {
        "read" => "it changes nothing",
        "reversible" => "it can be taken back, by another call",
        _ => "it cannot be undone",
    }
}

pub(crate) async fn answer(
    person: Person,
    State(house): State<Shared>,
    Path(call): Path<String>,
    Told(body): Told<AnswerCall>,
) -> Answer<AnswerTaken> {
    let call = id::<CallId>(&call)?;
    let by = acting(&house, &person, body.person.as_deref(), "/as")?;
    let roles = if body.person.is_some() { house.roles_of(&by).unwrap_or_default() } else { person.roles };
    if !roles.iter().any(|role| matches!(role, Role::Approver(_))) && !owns(&house, call, &by) {
        let detail =
            format!("`{by}` approves for no group; an answer is given with the role `approver:GROUP`");
        return Err(Refusal::new(Code::RoleForbidden, detail));
    }
    let bound = body.bound.parse::<Digest>();
    let bound = bound.map_err(|_| {
        let detail = "name what the answer is to, as the inbox showed it";
        Refusal::new(Code::BadRequest, detail).at("/bound")
    })?;
    let standing = body.standing.map(|terms| standing(terms, house.gate.now())).transpose()?;
    let words = body.words.map(|words| words.trim().to_owned()).filter(|words| !words.is_empty());
    let only = body.only.iter().map(|call| id::<CallId>(call)).collect::<Result<Vec<CallId>, Refusal>>()?;
    let ask = AnswerAsk { call, by, yes: body.yes, bound, words, edit: body.edit, standing, only };
    let given = house.gate.answer(ask).await?.map_err(|reason| Refusal::law(&reason))?;
    let state = match (body.yes, given.complete) {
        (false, _) => "denied",
        (true, true) => "released",
        (true, false) => "waiting",
    };
    Ok(Json(AnswerTaken {
        receipt: words::receipt(given.receipt),
        state: state.to_owned(),
        bound: given.bound.to_string(),
        groups: given.waits_for,
    }))
}

/// In mode `propose` the agent's owner is asked, whatever their roles.
fn owns(house: &House, call: CallId, name: &str) -> bool {
    let groups = house.gate.groups_asked(call);
    groups.iter().any(|group| group.strip_prefix(OWNER) == Some(name))
}

/// Who acts. Whoever holds the operator's key may sign anybody in, and so may act as anybody; nobody else may.
fn acting(house: &House, person: &Person, named: Option<&str>, at: &str) -> Result<String, Refusal> {
    let Some(named) = named else { return Ok(person.name.clone()) };
    if !person.is_key() {
        let detail = "only the operator's key may act as somebody else; sign in as that person";
        return Err(Refusal::new(Code::RoleForbidden, detail).at(at));
    }
    match house.roles_of(named) {
        Some(_) => Ok(named.to_owned()),
        None => {
            let detail = format!("nobody under `people` in remit.yaml is called `{named}` and has a role");
            Err(Refusal::new(Code::NotFound, detail).at(at))
        }
    }
}

fn standing(terms: Standing, now: Time) -> Result<StandingAsk, Refusal> {
    let refused = |why: &str, at: &str| Refusal::new(Code::BadRequest, why).at(at);
    let ms = stdx::duration::parse_ms(&terms.within).filter(|ms| (1..=STANDING_MS_MAX).contains(ms));
    let ms = ms.ok_or_else(|| refused("a duration such as `2h`, at most a week", "/standing/within"))?;
    if !(1..=STANDING_TIMES_MAX).contains(&terms.times) {
        return Err(refused("between 1 and 1000 calls", "/standing/times"));
    }
    let (times, until) = (terms.times, now.plus_ms(ms));
    let amount = budget::limits(terms.spend);
    Ok(StandingAsk { amount, caps: terms.at_most, same: terms.same, times, until })
}

// ---- Items ------------------------------------------------------------------------------------------------

fn may(waiting: &gate::Waiting, name: &str) -> bool {
    waiting.may_answer.iter().any(|it| it == name)
}

fn item(waiting: &gate::Waiting, name: &str) -> InboxItem {
    let parts = waiting.risk.iter().map(|part| RiskPart {
        name: part.part.name().to_owned(),
        points: part.points,
        says: part.part.says().to_owned(),
    });
    let may_answer = may(waiting, name);
    InboxItem {
        call: waiting.call.to_string(),
        kind: kind(waiting.subject).to_owned(),
        run: waiting.run.to_string(),
        agent: waiting.agent.clone(),
        person: waiting.persons.first().cloned(),
        tool: waiting.tool.clone(),
        effect: waiting.effect.clone(),
        asked: waiting.asked.to_string(),
        expires: waiting.expires.to_string(),
        groups: waiting.groups.iter().map(group).collect(),
        risk: Risk { score: waiting.score, parts: parts.collect() },
        cost_usd_nanos: waiting.cost.usd_nanos,
        bound: waiting.bound.to_string(),
        may_answer,
        may_not: (!may_answer).then(|| may_not(waiting, name)),
        reason_required: waiting.needs_words,
    }
}

fn kind(subject: Subject) -> &'static str {
    match subject {
        Subject::Call => "call",
        Subject::Plan => "plan",
        Subject::Proposals => "proposals",
    }
}

fn group(group: &gate::GroupView) -> GroupAsked {
    GroupAsked {
        group: group.name.clone(),
        quorum: group.quorum,
        yes: group.yes.clone(),
        members: group.members.clone(),
        escalates: group.escalates.as_ref().map(|(at, to)| Escalates { to: to.clone(), at: at.to_string() }),
    }
}

fn may_not(waiting: &gate::Waiting, name: &str) -> String {
    if waiting.persons.iter().any(|person| person == name) {
        return "it was asked for you, and nobody approves what was asked for them".to_owned();
    }
    if waiting.answers.iter().any(|answer| answer.by == name && answer.stands) {
        return "you have answered; others must, too".to_owned();
    }
    let groups: Vec<&str> = waiting.groups.iter().map(|group| group.name.as_str()).collect();
    format!("only approvers of {} answer this", groups.join(" and "))
}

// ---- Stats ------------------------------------------------------------------------------------------------

pub(crate) async fn stats(
    _: Person,
    State(house): State<Shared>,
    Query(query): Query<StatsQuery>,
) -> Answer<InboxStats> {
    let within = query.within.as_deref().unwrap_or(STATS_USUAL);
    let ms = stdx::duration::parse_ms(within).filter(|ms| (1..=STATS_MS_MAX).contains(ms));
    let Some(ms) = ms else {
        return Err(Refusal::new(Code::BadRequest, "a duration such as `30d`, at most ten years").at("query"));
    };
    let since = Time(house.gate.now().0.saturating_sub(ms));
    let found = house.gate.asks_stats(since).await?;
    Ok(Json(InboxStats {
        within: within.to_owned(),
        approvers: found.approvers.into_iter().map(figures).collect(),
        rules: found.rules.into_iter().map(figures).collect(),
    }))
}

fn figures(row: gate::views::StatRow) -> AnswerFigures {
    let all = row.yes.saturating_add(row.no);
    AnswerFigures {
        of: row.name,
        approved: row.yes,
        denied: row.no,
        approved_percent: row.yes.saturating_mul(100).checked_div(all).unwrap_or(0),
        seconds_median: row.median_ms / 1_000,
        always_approved: row.no == 0 && row.yes >= ALWAYS_FROM,
    }
}
