//! Money against a small reference: thousands of interleavings of opening, borrowing, reserving, posting, voiding,
//! not knowing, expiring, charging, lending, giving back and closing, over trees of runs in several lanes, with
//! crashes and duplicates. The reference knows the events and plain sums, and nothing of the kernel's own accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::account::{Amount, Currency, Limits, Used};
use kernel::call::{Carrier, Outcome, Settlement};
use kernel::command::{Answer, Closing, Command, OpenRun};
use kernel::decide::lend::{decide_free, decide_lend};
use kernel::decide::{Decision, decide};
use kernel::event::{Event, Stamp};
use kernel::id::{CallId, RunId};
use kernel::lending::Part;
use kernel::rules::Rules;
use kernel::snapshot::write;
use kernel::state::{Control, State};
use kernel::steer::Steer;
use kernel::time::Time;
use kernel::verdict::Ruling;
use kernel::window::{AccountId, Window};

use crate::book::{anything, book, compile};
use crate::script::{START, call};

const LANES: usize = 3;
const WORLDS: u64 = 1_000;
const STEPS: usize = 60;
const RUN_USD: u64 = 65;
const DAY_USD: u64 = 130;
const TENANT_CALLS: u64 = 16;

fn rules() -> Rules {
    let mut desk = anything("desk");
    desk.per_run.usd_nanos = Some(RUN_USD);
    desk.per_run.calls = Some(12);
    desk.windows = [(Window::Day, Limits { usd_nanos: Some(DAY_USD), ..Limits::default() })].into();
    let mut book = book(vec![desk]);
    let month = Limits { calls: Some(TENANT_CALLS), ..Limits::default() };
    book.house.tenants = [("default".to_owned(), [(Window::Month, month)].into())].into();
    book.house.run_ttl_ms = 400_000;
    compile(book)
}

/// Small, seeded, and good enough to choose with.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

// ---- The reference ----------------------------------------------------------------------------------------

#[derive(Default)]
struct Reference {
    parents: BTreeMap<RunId, Option<RunId>>,
    loans: BTreeMap<RunId, Limits>,
    open: BTreeSet<RunId>,
    /// Calls that may still cost something: their run, what they hold, and where.
    held: BTreeMap<CallId, (RunId, Amount, Vec<AccountId>)>,
    /// What each run spent by calls of its own, and beside them.
    spent: BTreeMap<RunId, Amount>,
    /// What of it was charged, and so recorded whatever was left.
    charged: BTreeMap<RunId, Amount>,
    charged_wide: BTreeMap<AccountId, Amount>,
    wide: BTreeMap<AccountId, Amount>,
}

impl Reference {
    fn take(&mut self, event: &Event) {
        match event {
            Event::RunOpened(opened) => {
                self.parents.insert(opened.run, opened.parent);
                self.open.insert(opened.run);
                self.loans.extend(opened.budget.clone().map(|budget| (opened.run, budget)));
            }
            Event::RunClosed(closed) => {
                assert!(self.open.remove(&closed.run), "{} was closed twice", closed.run);
                let below = self
                    .parents
                    .iter()
                    .find(|(child, parent)| **parent == Some(closed.run) && self.open.contains(child));
                assert!(below.is_none(), "{below:?} outlived {}", closed.run);
            }
            Event::CallDecided(decided) if decided.ruling == Ruling::Allow => {
                let held = (decided.run, decided.reserved.clone(), decided.accounts.clone());
                assert!(self.held.insert(decided.call, held).is_none());
            }
            Event::CallFinished(finished) if finished.outcome != Outcome::Unknown => {
                let (run, reserved, accounts) = self.held.remove(&finished.call).unwrap();
                assert!(finished.posted.fits(&reserved), "posted more than was reserved");
                let spent = self.spent.entry(run).or_default();
                *spent = spent.plus(&finished.posted);
                for account in accounts {
                    let sum = self.wide.entry(account).or_default();
                    *sum = sum.plus(&finished.posted);
                }
            }
            Event::Charged(charged) => {
                for book in [&mut self.spent, &mut self.charged] {
                    let sum = book.entry(charged.run).or_default();
                    *sum = sum.plus(&charged.amount);
                }
                for account in &charged.accounts {
                    for book in [&mut self.wide, &mut self.charged_wide] {
                        let sum = book.entry(account.clone()).or_default();
                        *sum = sum.plus(&charged.amount);
                    }
                }
            }
            _ => {}
        }
    }

    fn is_below(&self, run: RunId, above: RunId) -> bool {
        let mut at = Some(run);
        while let Some(one) = at {
            if one == above {
                return true;
            }
            at = self.parents.get(&one).copied().flatten();
        }
        false
    }

    fn posted(&self, run: RunId) -> Amount {
        let below = self.spent.iter().filter(|(one, _)| self.is_below(**one, run));
        below.fold(Amount::default(), |sum, (_, spent)| sum.plus(spent))
    }

    fn charged(&self, run: RunId) -> Amount {
        let below = self.charged.iter().filter(|(one, _)| self.is_below(**one, run));
        below.fold(Amount::default(), |sum, (_, charged)| sum.plus(charged))
    }

    fn pending(&self, run: RunId) -> Amount {
        let below = self.held.values().filter(|(one, ..)| self.is_below(*one, run));
        below.fold(Amount::default(), |sum, (_, held, _)| sum.plus(held))
    }

    /// What a run holds for others: for a borrower what it has not taken, for any other child what that one holds.
    fn lent(&self, run: RunId) -> Amount {
        let children =
            self.open.iter().filter(|child| self.parents.get(child).copied().flatten() == Some(run));
        children.fold(Amount::default(), |sum, child| {
            let none = Limits::default();
            let loan = self.loans.get(child).unwrap_or(&none);
            let rest = loan.amount().minus(&self.posted(*child)).minus(&self.pending(*child));
            sum.plus(&rest.only(loan)).plus(&self.lent(*child).except(loan))
        })
    }

    fn wide(&self, account: &AccountId) -> Amount {
        let held = self.held.values().filter(|(_, _, accounts)| accounts.contains(account));
        let posted = self.wide.get(account).cloned().unwrap_or_default();
        held.fold(posted, |sum, (_, held, _)| sum.plus(held))
    }

    /// Nobody has more than the rules give, counted from the events alone.
    fn check_limits(&self, rules: &Rules) {
        let per_run = rules.run_limits(rules.agent("desk").unwrap());
        for run in &self.open {
            let taken = self.posted(*run).plus(&self.pending(*run)).plus(&self.lent(*run));
            let limits = self.loans.get(run).map_or(per_run.clone(), |loan| per_run.within(loan));
            // Only what was charged may go beyond them.
            let taken = taken.minus(&self.charged(*run));
            assert!(taken.only(&limits).fits(&limits.amount()), "{run} overspends: {taken:?} of {limits:?}");
        }
        let held = self.held.values().flat_map(|(_, _, accounts)| accounts);
        for account in held.chain(self.wide.keys()).collect::<BTreeSet<_>>() {
            let (taken, limits) = (self.wide(account), rules.account_limits(account).unwrap());
            let taken = taken.minus(&self.charged_wide.get(account).cloned().unwrap_or_default());
            assert!(taken.only(limits).fits(&limits.amount()), "{account} overspends: {taken:?}");
        }
    }
}

// ---- The world --------------------------------------------------------------------------------------------

struct World<'a> {
    rules: &'a Rules,
    control: Control,
    /// What each lane knows of control: it may lag.
    seen: Vec<Control>,
    lanes: Vec<State>,
    /// Every event as it was stored, by lane; control first.
    log: Vec<Vec<Vec<u8>>>,
    now: Time,
    reference: Reference,
    ids: u128,
    allowed: usize,
    short: usize,
}

impl<'a> World<'a> {
    fn new(rules: &'a Rules) -> World<'a> {
        World {
            rules,
            control: Control::default(),
            seen: vec![Control::default(); LANES],
            lanes: vec![State::default(); LANES],
            log: vec![Vec::new(); LANES + 1],
            now: START,
            reference: Reference::default(),
            ids: 0,
            allowed: 0,
            short: 0,
        }
    }

    fn lane(&mut self, lane: usize, command: &Command) -> Answer {
        let Decision { answer, events } =
            decide(&self.lanes[lane], &self.seen[lane], self.rules, command, self.now);
        for event in events {
            let state = &mut self.lanes[lane];
            let (at, number) = (self.now.max(state.last), u16::try_from(lane + 1).unwrap());
            let stamp = Stamp { at, lane: number, lane_seq: state.seq + 1, tenant: "default".into() };
            self.log[lane + 1].push(event.encode(&stamp));
            state.apply(&stamp, &event);
            self.reference.take(&event);
            self.reference.check_limits(self.rules);
        }
        self.check_books();
        answer
    }

    fn control(&mut self, decision: Decision) -> Answer {
        for event in decision.events {
            let lane_seq = self.control.seq + 1;
            let stamp = Stamp { at: self.now, lane: 0, lane_seq, tenant: "default".into() };
            self.log[0].push(event.encode(&stamp));
            self.control.apply(&stamp, &event);
        }
        decision.answer
    }

    /// At every prefix, what the kernel has on its books is what the events say.
    fn check_books(&self) {
        for state in &self.lanes {
            for (id, run) in &state.runs {
                assert_eq!(run.account.posted, self.reference.posted(*id), "posted of {id}");
                assert_eq!(run.account.pending, self.reference.pending(*id), "pending of {id}");
                assert_eq!(run.account.lent, self.reference.lent(*id), "lent of {id}");
            }
        }
        // Lanes forget windows that are over, each when it opens another.
        let shares = self.lanes.iter().flat_map(|state| &state.shares);
        let shares = shares.filter(|(account, _)| !account.is_over(self.now));
        let mut sums: BTreeMap<&AccountId, Amount> = BTreeMap::new();
        for (account, share) in shares {
            let sum = sums.entry(account).or_default();
            *sum = sum.plus(&share.account.taken());
        }
        for (account, sum) in sums {
            assert_eq!(sum, self.reference.wide(account), "{account}");
        }
        // Control never counts more as back than a lane gave.
        for (state, lane) in self.lanes.iter().zip(1..) {
            for (account, share) in &state.shares {
                let slice = self.control.lending.slice(account, lane).cloned().unwrap_or_default();
                assert!(slice.freed.fits(&share.returned), "{account}: {slice:?} {share:?}");
            }
        }
    }

    /// As the gate does it: a call that is short asks control, which asks the other lanes, and then it is the last try.
    fn propose(&mut self, lane: usize, run: RunId, tool: (&str, &str)) {
        self.ids += 1;
        let call = Arc::new(call(CallId(self.ids), run, "desk", tool.0, tool.1, None, Carrier::Gate));
        let mut answer = self.lane(lane, &Command::Propose(call.clone()));
        for _ in 0..3 {
            let Answer::Short(needs) = &answer else { break };
            self.short += 1;
            let (to, lanes) = (u16::try_from(lane + 1).unwrap(), u16::try_from(LANES).unwrap());
            let ask =
                |world: &World<'_>| decide_lend(&world.control, world.rules, to, lanes, needs, world.now);
            let mut lent = {
                let asked = ask(self);
                self.control(asked)
            };
            if let Answer::Short(short) = &lent {
                let accounts: Vec<AccountId> = short.iter().map(|need| need.account.clone()).collect();
                for other in (0..LANES).filter(|other| *other != lane) {
                    let returned = self.give_back(other, accounts.clone());
                    self.free(other, &returned);
                }
                let asked = ask(self);
                lent = self.control(asked);
            }
            self.seen[lane] = self.control.clone();
            let again =
                if matches!(lent, Answer::Short(_)) { Command::ProposeLast } else { Command::Propose };
            answer = self.lane(lane, &again(call.clone()));
        }
        assert!(!matches!(answer, Answer::Short(_)), "a call went round and round");
        if matches!(&answer, Answer::Verdict(verdict) if verdict.allows()) {
            self.allowed += 1;
        }
    }

    fn give_back(&mut self, lane: usize, accounts: Vec<AccountId>) -> Vec<Part> {
        match self.lane(lane, &Command::GiveBack(accounts)) {
            Answer::Returned(parts) => parts,
            other => panic!("{other:?}"),
        }
    }

    fn free(&mut self, lane: usize, returned: &[Part]) {
        let decision = decide_free(&self.control, u16::try_from(lane + 1).unwrap(), returned);
        self.control(decision);
    }

    /// Everything is forgotten and folded again from what was stored; and what was under way is unknown.
    fn crash(&mut self) {
        let read = |bytes: &Vec<u8>| Event::decode(bytes).unwrap();
        let mut control = Control::default();
        self.log[0].iter().map(read).for_each(|(stamp, event)| control.apply(&stamp, &event));
        assert_eq!(write("control", &control), write("control", &self.control));
        for lane in 0..LANES {
            let mut state = State::default();
            self.log[lane + 1].iter().map(read).for_each(|(stamp, event)| state.apply(&stamp, &event));
            assert_eq!(write("lane", &state), write("lane", &self.lanes[lane]));
            self.lanes[lane] = state;
            self.seen[lane] = control.clone();
        }
        for lane in 0..LANES {
            self.lane(lane, &Command::Restarted);
            let returned = self.give_back(lane, Vec::new());
            self.free(lane, &returned);
        }
    }

    fn step(&mut self, chance: &mut Chance) {
        let lane = chance.below(LANES);
        let runs: Vec<RunId> =
            self.lanes[lane].runs.keys().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let run = runs.get(chance.below(runs.len())).copied();
        let calls: BTreeSet<CallId> = self.lanes[lane].calls.keys().copied().collect();
        let nth = calls.iter().nth(chance.below(calls.len())).copied();
        match (chance.below(21), run, nth) {
            (0..=2, run, _) => self.open(lane, run.filter(|_| chance.below(3) > 0), chance),
            (3..=9, Some(run), _) => {
                let cents = format!("{{\"cents\":{}}}", self.ids);
                let note = format!("{{\"text\":\"{}\"}}", self.ids);
                let tool = [("pay.refund", cents), ("crm.note", note)][chance.below(2)].clone();
                self.propose(lane, run, (tool.0, &tool.1));
            }
            (10..=13, _, Some(call)) => self.settle(lane, call, chance),
            (14, Some(run), _) => {
                let (outcome, by) = (Closing::Success, "desk".to_owned());
                self.lane(lane, &Command::CloseRun { run, agent: None, outcome, workflow: None, by });
            }
            (15, ..) => {
                // Given back; and perhaps nobody lives to tell control.
                let accounts = self.lanes[lane].shares.keys().cloned().collect();
                let returned = self.give_back(lane, accounts);
                if chance.below(2) == 0 {
                    self.free(lane, &returned);
                    self.free(lane, &returned);
                }
            }
            (16, ..) => self.crash(),
            (17, ..) => {
                self.now = self.now.plus_ms(u64::try_from(chance.below(300_000)).unwrap());
                self.lane(lane, &Command::Sweep);
            }
            (18, ..) => self.seen[lane] = self.control.clone(),
            (20, Some(run), _) => {
                let usd_nanos = u64::try_from(1 + chance.below(12)).unwrap();
                let steer = Steer::Charge { amount: Amount { usd_nanos, ..Amount::default() } };
                let (by, why) = ("ann".to_owned(), "a review".to_owned());
                self.lane(lane, &Command::Steer { run, steer, by, why });
            }
            // Some hours: at times a new day.
            (19, ..) => self.now = self.now.plus_ms(u64::try_from(chance.below(9)).unwrap() * 3_600_000),
            _ => {}
        }
    }

    fn open(&mut self, lane: usize, parent: Option<RunId>, chance: &mut Chance) {
        self.ids += 1;
        let run = RunId(self.ids);
        let some = |value: usize| Some(u64::try_from(value).unwrap());
        let budget = match chance.below(4) {
            0 => Some(Limits { usd_nanos: some(chance.below(40)), ..Limits::default() }),
            1 => Some(Limits {
                calls: some(chance.below(6)),
                usd_nanos: some(chance.below(40)),
                ..Limits::default()
            }),
            _ => None,
        };
        let budget = budget.filter(|_| parent.is_some());
        let agent = "desk".to_owned();
        let open = OpenRun {
            run,
            agent,
            person: None,
            intent: None,
            implicit: None,
            parent,
            budget,
            credential: None,
        };
        self.lane(lane, &Command::OpenRun(open));
    }

    fn settle(&mut self, lane: usize, call: CallId, chance: &mut Chance) {
        let outcome =
            [Outcome::Succeeded, Outcome::Failed, Outcome::NotDispatched, Outcome::Unknown][chance.below(4)];
        let reserved = self.lanes[lane].calls[&call].reserved.clone();
        let usd_nanos = reserved.get(Currency::UsdNanos).min(u64::try_from(chance.below(12)).unwrap());
        let used = Used::all(&Amount { usd_nanos, ..reserved });
        let used = if chance.below(2) == 0 { used } else { Used::default() };
        let settlement = Settlement {
            undo: None,
            facts: Vec::new(),
            call,
            agent: None,
            outcome,
            result: None,
            used,
            duration_ms: 5,
            trouble: None,
            result_mark: None,
            transient: false,
        };
        self.lane(lane, &Command::Settle(settlement.clone()));
        // Said twice, it is recorded once.
        let before = self.lanes[lane].seq;
        self.lane(lane, &Command::Settle(settlement));
        assert_eq!(self.lanes[lane].seq, before);
    }

    /// When everything has ended, nothing is held any more.
    fn end(mut self) -> (usize, usize) {
        for lane in 0..LANES {
            let calls: Vec<CallId> = self.lanes[lane].calls.keys().copied().collect();
            for call in calls {
                let settlement = Settlement {
                    undo: None,
                    facts: Vec::new(),
                    call,
                    agent: None,
                    outcome: Outcome::Succeeded,
                    result: None,
                    used: Default::default(),
                    duration_ms: 5,
                    trouble: None,
                    result_mark: None,
                    transient: false,
                };
                self.lane(lane, &Command::Settle(settlement));
            }
        }
        for state in &self.lanes {
            assert!(state.calls.is_empty());
            for run in state.runs.values() {
                assert!(run.account.pending.is_zero(), "{:?}", run.account);
            }
        }
        (self.allowed, self.short)
    }
}

#[test]
fn no_interleaving_overspends_and_every_debit_has_its_credit() {
    let rules = rules();
    let (mut allowed, mut short) = (0, 0);
    for seed in 1..=WORLDS {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut world = World::new(&rules);
        for _ in 0..STEPS {
            world.step(&mut chance);
        }
        let (more, lacking) = world.end();
        (allowed, short) = (allowed + more, short + lacking);
    }
    // A world in which nothing is permitted, or nobody is ever short, would prove nothing.
    assert!(allowed > 5_000 && short > 1_000, "{allowed} allowed, {short} short");
}
