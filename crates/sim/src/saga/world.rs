//! A server with a state of its own, by which everything is judged: what it holds, what was done to it and how often.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gate::permit::Permit;
use gate::port::{Cancel, Feed, Reach, Reached, Reaching};
use gate::vault::Secret;
use kernel::call::Outcome;
use serde_json::{Value, json};
use stdx::json::canonical;
use tokio::sync::watch;

/// What each box holds before anybody writes.
const FULL: i64 = 100;

/// How one request goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is in trouble itself, whatever it did before.
    Error,
    /// It says no to what it has not done yet.
    Refusal,
    /// It does nothing and says nothing.
    Hang,
    /// It does it, and its answer is lost.
    Lost,
    /// The request arrives twice.
    Twice,
    /// Remit is killed before it is done.
    CrashBefore,
    /// Remit is killed when it is done and before it is answered.
    CrashAfter,
}

/// Of a deed or of what takes it back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Side {
    Deed,
    Undo,
}

/// What the server holds, and can be compared.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holdings {
    pub boxes: BTreeMap<String, i64>,
    pub made: BTreeMap<String, String>,
    pub mails: Vec<String>,
}

#[derive(Default)]
struct State {
    holdings: Holdings,
    versions: BTreeMap<String, u64>,
    /// By note: how often it was done, and how often taken back.
    deeds: BTreeMap<String, u32>,
    undos: BTreeMap<String, u32>,
    /// Notes in the order in which they took effect.
    order: Vec<(Side, String)>,
    answers: HashMap<String, Value>,
    faults: HashMap<(String, Side), VecDeque<Fault>>,
    /// What comes after the faults of a list: for good.
    always: HashMap<(String, Side), Fault>,
    /// The next request of a write that is not of a listed fault.
    next: Option<Fault>,
    handles: u64,
    requests: u64,
    /// Plans, by the beginning of their notes, whose agents have said that they are to be committed.
    committing: BTreeSet<String>,
    /// What cannot be taken back and took effect before that.
    premature: Option<String>,
    /// Which process may still do anything here; a crash ends it.
    life: u64,
}

/// Shared between the reaches of every life, and whoever judges.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    /// The life that is over; what still waits for its answer lets go.
    buried: watch::Sender<u64>,
    crashed: watch::Sender<u64>,
}

impl Default for World {
    fn default() -> World {
        World { state: Arc::default(), buried: watch::Sender::new(0), crashed: watch::Sender::new(0) }
    }
}

impl World {
    pub fn will(&self, note: &str, side: Side, faults: &[Fault]) {
        self.lock().faults.entry((note.to_owned(), side)).or_default().extend(faults);
    }

    pub fn will_always(&self, note: &str, side: Side, fault: Fault) {
        self.lock().always.insert((note.to_owned(), side), fault);
    }

    /// The next write of anybody.
    pub fn will_next(&self, fault: Fault) {
        self.lock().next = Some(fault);
    }

    /// No fault is due any more.
    pub fn calm(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.always.clear();
        state.next = None;
    }

    pub fn holdings(&self) -> Holdings {
        self.lock().holdings.clone()
    }

    pub fn done(&self, note: &str) -> u32 {
        self.lock().deeds.get(note).copied().unwrap_or(0)
    }

    pub fn undone(&self, note: &str) -> u32 {
        self.lock().undos.get(note).copied().unwrap_or(0)
    }

    /// Its effect is there now.
    pub fn stands(&self, note: &str) -> bool {
        self.lock().stands(note)
    }

    /// Deeds and what took them back, in the order in which they took effect.
    pub fn order(&self) -> Vec<(Side, String)> {
        self.lock().order.clone()
    }

    /// From now on what this agent planned may have effects that cannot be taken back.
    pub fn commits(&self, tag: &str) {
        self.lock().committing.insert(tag.to_owned());
    }

    /// The first effect that cannot be taken back and came before its commit.
    pub fn premature(&self) -> Option<String> {
        self.lock().premature.clone()
    }

    /// How many came, whatever became of them.
    pub fn requests(&self) -> u64 {
        self.lock().requests
    }

    /// Somebody else than Remit writes.
    pub fn meddle(&self, id: &str, value: i64) {
        let mut state = self.lock();
        state.holdings.boxes.insert(id.to_owned(), value);
        *state.versions.entry(id.to_owned()).or_default() += 1;
    }

    /// A reach for the process that lives now.
    pub fn arm(&self) -> Arc<dyn Reach> {
        Arc::new(Arm { life: self.lock().life, world: self.clone() })
    }

    /// From here on the process that lives now does nothing any more.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.life += 1;
        self.crashed.send_replace(state.life);
    }

    pub fn life(&self) -> u64 {
        self.lock().life
    }

    pub fn crashes(&self) -> watch::Receiver<u64> {
        self.crashed.subscribe()
    }

    /// What waits in a process that was killed lets go, so that nothing of it is left.
    pub fn bury(&self) {
        self.buried.send_replace(self.life());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stands(&self, note: &str) -> bool {
        let count = |counts: &BTreeMap<String, u32>| counts.get(note).copied().unwrap_or(0);
        count(&self.deeds) > count(&self.undos)
    }
}

struct Arm {
    life: u64,
    world: World,
}

impl Reach for Arm {
    fn kind(&self) -> &'static str {
        "box"
    }

    fn reach(&self, permit: Permit, _: Option<Secret>, mut cancel: Cancel, _: Feed) -> Reaching {
        let (life, world) = (self.life, self.world.clone());
        Box::pin(async move {
            let patience = Duration::from_millis(permit.contract().timeout_ms);
            let writes = permit.contract().effect.writes();
            let asked = Asked::of(&permit);
            let told = { asked.carried_out(&mut world.lock(), life, writes) };
            match told {
                Told::Answer(outcome, body) => ended(outcome, &body, None),
                Told::Refusal(status) => ended(Outcome::Failed, &json!({ "error": "no" }), Some(status)),
                Told::Silence => {
                    let outcome = if writes { Outcome::Unknown } else { Outcome::Failed };
                    tokio::select! {
                        () = tokio::time::sleep(patience) => ended(outcome, &Value::Null, Some("timeout")),
                        () = cancel.wanted() => ended(outcome, &Value::Null, Some("cancelled")),
                    }
                }
                Told::Death => {
                    if world.life() == life {
                        world.kill();
                    }
                    let mut buried = world.buried.subscribe();
                    let _ = buried.wait_for(|dead| *dead > life).await;
                    ended(Outcome::Unknown, &Value::Null, Some("reset"))
                }
            }
        })
    }
}

fn ended(outcome: Outcome, body: &Value, trouble: Option<&str>) -> Reached {
    Reached { outcome, body: canonical(body), trouble: trouble.map(str::to_owned), said: None, used: None }
}

enum Told {
    Answer(Outcome, Value),
    Refusal(&'static str),
    Silence,
    /// The process that asked is no more.
    Death,
}

struct Asked {
    tool: String,
    args: Value,
    note: String,
    side: Side,
    key: Option<String>,
}

impl Asked {
    fn of(permit: &Permit) -> Asked {
        // What arrives are the bytes, not the value that the law decided on.
        let args: Value = serde_json::from_slice(permit.bytes()).unwrap_or_default();
        let text = |name: &str| args.get(name).and_then(Value::as_str).map(str::to_owned);
        let tool = permit.contract().tool.clone();
        let side = match tool.as_str() {
            "give" | "give_plain" | "put" | "drop" => Side::Undo,
            _ => Side::Deed,
        };
        Asked { note: text("note").unwrap_or_default(), key: text("key"), tool, args, side }
    }

    fn carried_out(&self, state: &mut State, life: u64, writes: bool) -> Told {
        state.requests += 1;
        if state.life != life {
            return Told::Death;
        }
        if !writes {
            return Told::Answer(Outcome::Succeeded, self.looked(state));
        }
        match self.fault(state) {
            None => Told::Answer(Outcome::Succeeded, self.done(state)),
            Some(Fault::Error) => Told::Refusal("status_500"),
            Some(Fault::Refusal) => match self.known(state) {
                Some(answer) => Told::Answer(Outcome::Succeeded, answer),
                None => Told::Refusal("status_422"),
            },
            Some(Fault::Hang) => Told::Silence,
            Some(Fault::Lost) => {
                self.done(state);
                Told::Silence
            }
            Some(Fault::Twice) => {
                self.done(state);
                Told::Answer(Outcome::Succeeded, self.done(state))
            }
            Some(Fault::CrashBefore) => Told::Death,
            Some(Fault::CrashAfter) => {
                self.done(state);
                Told::Death
            }
        }
    }

    fn fault(&self, state: &mut State) -> Option<Fault> {
        let place = (self.note.clone(), self.side);
        let listed = state.faults.get_mut(&place).and_then(VecDeque::pop_front);
        listed.or_else(|| state.always.get(&place).copied()).or_else(|| state.next.take())
    }

    fn looked(&self, state: &State) -> Value {
        match self.tool.as_str() {
            "did" => json!({ "done": state.stands(&self.note) }),
            _ => {
                let id = self.text("id");
                let value = state.holdings.boxes.get(&id).copied().unwrap_or(FULL);
                json!({ "value": value, "version": state.versions.get(&id).copied().unwrap_or(0) })
            }
        }
    }

    /// What was answered under its key.
    fn known(&self, state: &State) -> Option<Value> {
        state.answers.get(self.key.as_ref()?).cloned()
    }

    /// Takes effect, unless its key has done so before.
    fn done(&self, state: &mut State) -> Value {
        if let Some(answer) = self.known(state) {
            return answer;
        }
        let counts = if self.side == Side::Deed { &mut state.deeds } else { &mut state.undos };
        *counts.entry(self.note.clone()).or_default() += 1;
        state.order.push((self.side, self.note.clone()));
        let answer = self.effect(state);
        if let Some(key) = &self.key {
            state.answers.insert(key.clone(), answer.clone());
        }
        answer
    }

    fn effect(&self, state: &mut State) -> Value {
        match self.tool.as_str() {
            "mail" | "mail_later" | "mail_late" | "mail_plain" => {
                let tag = self.note.split('/').next().unwrap_or_default();
                if !state.committing.contains(tag) {
                    state.premature.get_or_insert_with(|| self.note.clone());
                }
                state.holdings.mails.push(self.note.clone());
                json!({ "sent": true })
            }
            "make" | "make_probed" => {
                state.handles += 1;
                let handle = format!("h{}", state.handles);
                state.holdings.made.insert(handle.clone(), self.text("name"));
                json!({ "handle": handle })
            }
            "drop" => json!({ "dropped": state.holdings.made.remove(&self.text("handle")).is_some() }),
            tool => {
                let id = self.text("id");
                let before = state.holdings.boxes.get(&id).copied().unwrap_or(FULL);
                let after = match tool {
                    "set" | "put" => self.number("value"),
                    "give" | "give_plain" => before + self.number("amount"),
                    _ => before - self.number("amount"),
                };
                state.holdings.boxes.insert(id.clone(), after);
                if after == FULL {
                    state.holdings.boxes.remove(&id);
                }
                *state.versions.entry(id).or_default() += 1;
                json!({ "value": after })
            }
        }
    }

    fn text(&self, name: &str) -> String {
        self.args.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn number(&self, name: &str) -> i64 {
        self.args.get(name).and_then(Value::as_i64).unwrap_or_default()
    }
}
