//! Lanes are ahead of the disk: what they have only just decided is waited for, and what was never written is closed
//! before it is asked for again.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use kernel::agent::May;
use kernel::approvers::Approvals;
use kernel::book::Book;
use kernel::call::Outcome;
use kernel::contract::Effect;
use kernel::deed::{Deed, Undo};
use kernel::event::Event;
use kernel::id::CallId;
use kernel::verdict::Ruling;
use ledger::memory::Memory;
use ledger::{Batch, Error, Head, Log, Read, Receipt, Stored};
use serde_json::json;
use stdx::digest::Digest;

use crate::book::{book, desk, manifest, may};
use crate::stage::{Stage, ask, until};

/// What the log does with what it is asked.
#[derive(Default)]
struct Mood {
    /// Appends wait.
    held: bool,
    /// The append that decides a call of this tool fails, and from then on nothing can be read.
    fails_at: Option<&'static str>,
    shut: bool,
}

#[derive(Default)]
struct Switch {
    mood: Mutex<Mood>,
    changed: Condvar,
}

impl Switch {
    fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap()
    }

    fn set(&self, change: impl FnOnce(&mut Mood)) {
        change(&mut self.mood());
        self.changed.notify_all();
    }
}

/// A log in memory with a switch at it.
struct Moody {
    log: Memory,
    switch: Arc<Switch>,
}

struct Reader {
    log: Box<dyn Read>,
    switch: Arc<Switch>,
}

impl Moody {
    fn with_switch() -> (Box<dyn Log>, Arc<Switch>) {
        let switch = Arc::<Switch>::default();
        (Box::new(Moody { log: Memory::new(), switch: switch.clone() }), switch)
    }
}

fn gone() -> Error {
    Error::Io(std::io::Error::other("the disk is away"))
}

impl Log for Moody {
    fn append(&mut self, batch: &Batch) -> Result<Vec<Receipt>, Error> {
        let mut mood = self.switch.changed.wait_while(self.switch.mood(), |mood| mood.held).unwrap();
        let decides = |tool: &str, bytes: &[u8]| {
            let event = Event::decode(bytes).unwrap().1;
            matches!(event, Event::CallDecided(decided) if decided.tool == tool)
        };
        let fails = |tool: &&str| batch.entries.iter().any(|entry| decides(tool, &entry.bytes));
        if mood.fails_at.take_if(|tool| fails(&&**tool)).is_some() {
            mood.shut = true;
            return Err(gone());
        }
        drop(mood);
        self.log.append(batch)
    }

    fn erase(&mut self, index: u64, commitment: &Digest) -> Result<(), Error> {
        self.log.erase(index, commitment)
    }

    fn put_snapshot(&mut self, name: &str, index: u64, bytes: &[u8]) -> Result<(), Error> {
        self.log.put_snapshot(name, index, bytes)
    }

    fn reader(&self) -> Result<Box<dyn Read>, Error> {
        Ok(Box::new(Reader { log: self.log.reader()?, switch: self.switch.clone() }))
    }
}

impl Read for Reader {
    fn head(&mut self) -> Result<Head, Error> {
        self.log.head()
    }

    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<Stored>, Error> {
        if self.switch.mood().shut {
            return Err(gone());
        }
        self.log.read(from, limit)
    }

    fn index_of(&mut self, lane: u16, lane_seq: u64) -> Result<Option<u64>, Error> {
        self.log.index_of(lane, lane_seq)
    }

    fn payload(&mut self, index: u64, commitment: &Digest) -> Result<Vec<u8>, Error> {
        self.log.payload(index, commitment)
    }

    fn snapshot(&mut self, name: &str) -> Result<Option<(u64, Vec<u8>)>, Error> {
        self.log.snapshot(name)
    }
}

async fn stage(book: Book) -> (Stage, Arc<Switch>) {
    let (log, switch) = Moody::with_switch();
    (Stage::with(log, Arc::new(tempfile::tempdir().unwrap()), book, 1, 0).await, switch)
}

/// Notes need a yes.
fn asking() -> Book {
    let note = May { ask: Some("leads".into()), ..may("desk.may[0]", "crm.note") };
    let mut book = book(vec![manifest("desk", vec![note])]);
    let people = [("lee".to_owned(), ["leads".to_owned()].into())].into();
    book.house.approvals = Approvals { people, ..Approvals::default() };
    book
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_on_disk_yet_is_waited_for_and_not_taken_for_erased() {
    let (stage, switch) = stage(asking()).await;
    let run = stage.open().await.run;
    switch.set(|mood| mood.held = true);
    let (gate, caller) = (stage.gate.clone(), stage.caller.clone());
    let wanted = ask(run, "crm.note", json!({ "text": "soon" }));
    let asked = tokio::spawn(async move { gate.call(&caller, wanted).await });
    // The lane knows it; the disk does not.
    until(async || stage.gate.waiting_count() == 1).await;
    let (gate, ticket) = (stage.gate.clone(), stage.gate.inbox()[0].call);
    let mut looks = tokio::spawn(async move { gate.pending(ticket).await });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut looks).await;
    assert!(early.is_err(), "it was told before it was there: {early:?}");
    switch.set(|mood| mood.held = false);
    let shown = looks.await.unwrap().unwrap().unwrap();
    assert_eq!(shown.args, Some(json!({ "text": "soon" })));
    assert_eq!(asked.await.unwrap().unwrap().call, ticket);
}

/// What joined a group has its name from then on, and is asked for under it. If the first try comes to nothing, that is
/// closed before the next: else what closes it would close the next, which is under way by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_comes_again_only_when_the_try_that_was_lost_is_closed() {
    let mut book = book(vec![desk()]);
    let mail = book.tools.get_mut("mail.send").unwrap();
    let undo = Undo::Tool { args: json!({}), retries: 0, tool: "crm.note".into(), within_ms: None };
    (mail.effect, mail.deed) = (Effect::Reversible, Deed { undo: Some(undo), ..Deed::default() });
    let (stage, switch) = stage(book).await;
    let run = stage.open().await.run;
    stage.gate.begin_group(&stage.caller, run).await.unwrap().unwrap();
    switch.set(|mood| mood.fails_at = Some("mail.send"));
    let (gate, caller) = (stage.gate.clone(), stage.caller.clone());
    let wanted = ask(run, "mail.send", json!({ "to": "a@b.example" }));
    let asked = tokio::spawn(async move { gate.call(&caller, wanted).await });
    until(async || switch.mood().shut).await;
    assert_eq!(stage.world.count(), 0);
    switch.set(|mood| mood.shut = false);
    until(async || stage.gate.ready().is_ok()).await;
    // Another write of the group wakes its engine at once, before what was lost is looked at again.
    let other = stage.gate.call(&stage.caller, ask(run, "pay.refund", json!({ "cents": 1 }))).await.unwrap();
    assert!(other.held.is_some());
    stage.world.wait_for(1).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    stage.world.go.notify_one();
    let answered = asked.await.unwrap().unwrap();
    assert_eq!((answered.outcome, stage.world.count()), (Some(Outcome::Succeeded), 1));
    let told = |event: &Event| match event {
        Event::CallDecided(decided) => Some((decided.call, decided.ruling == Ruling::Allow)),
        Event::CallFinished(finished) => Some((finished.call, finished.outcome == Outcome::Succeeded)),
        _ => None,
    };
    let told: Vec<(CallId, bool)> = stage.events().iter().filter_map(told).collect();
    assert_eq!(told, [(answered.call, true), (answered.call, true)], "decided once, ended once");
}
