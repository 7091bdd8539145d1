//! A halt that meets calls under way: how soon the last of them is answered, and what a permitted call beside them
//! costs meanwhile.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::house::House;
use crate::wire::{Line, Request};

/// Calls under way when the halt comes; as many as one tool takes at once.
pub const CALLS: usize = 64;
/// Permitted calls are timed for so long before each halt, too.
const BEFORE: Duration = Duration::from_millis(200);
const REACHED_WAIT: Duration = Duration::from_secs(10);

/// A tool that is asked and never answers.
pub struct Silent {
    pub address: SocketAddr,
    asked: Rc<Cell<usize>>,
}

impl Silent {
    pub async fn start() -> Silent {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = Silent { address: listener.local_addr().unwrap(), asked: Rc::default() };
        let asked = silent.asked.clone();
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let asked = asked.clone();
                tokio::task::spawn_local(async move {
                    let mut some = [0; 4096];
                    let mut is_first = true;
                    // Until Remit lets go of it.
                    while stream.read(&mut some).await.is_ok_and(|count| count > 0) {
                        asked.set(asked.get() + usize::from(std::mem::take(&mut is_first)));
                    }
                });
            }
        });
        silent
    }

    async fn reached(&self, count: usize) {
        let started = Instant::now();
        while self.asked.get() < count {
            assert!(started.elapsed() < REACHED_WAIT, "{} calls came, not {count}", self.asked.get());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// When a halt was asked for and reported, when its calls were answered, and how long others took, by their start.
struct Round {
    asked: Instant,
    reported: Instant,
    answered: Vec<Instant>,
    beside: Vec<(Instant, Duration)>,
}

pub async fn measure(house: &House, silent: &Silent, tokens: &[String], rounds: usize) {
    let (calling, beside) = tokens.split_at(CALLS);
    let mut all = Vec::new();
    for number in 1..=rounds {
        all.push(round(house, silent, calling, &beside[0], number).await);
    }
    let of = |f: fn(&Round) -> Duration| all.iter().map(f).collect::<Vec<_>>();
    say(
        "last answer after it was asked for",
        of(|round| last_of(round).saturating_duration_since(round.asked)),
    );
    say("last answer after its report", of(|round| last_of(round).saturating_duration_since(round.reported)));
    say("report after it was asked for", of(|round| round.reported - round.asked));
    let times = |is_meanwhile: bool| {
        let of = all.iter().flat_map(|round| {
            let within = move |(at, time): &&(Instant, Duration)| {
                let during = *at + *time > round.asked && *at < last_of(round);
                if is_meanwhile { during } else { *at + *time <= round.asked }
            };
            round.beside.iter().filter(within).map(|(_, time)| *time)
        });
        of.collect::<Vec<_>>()
    };
    say("an allow beside them, before the halt", times(false));
    say("an allow beside them, during the halt", times(true));
}

fn last_of(round: &Round) -> Instant {
    round.answered.iter().copied().max().unwrap_or(round.asked)
}

async fn round(house: &House, silent: &Silent, calling: &[String], beside: &str, number: usize) -> Round {
    let (operator, mut lines) = (house.operator(), Vec::new());
    for _ in 0..CALLS {
        lines.push(Line::connect(house.agents).await);
    }
    let (mut people, mut other) = (Line::connect(house.people).await, Line::connect(house.agents).await);
    let is_over = Cell::new(false);
    let calls = lines.iter_mut().zip(calling).map(|(line, token)| async move {
        line.ask(&Request::halted(&house.key, token)).await;
        Instant::now()
    });
    let calls = async {
        let answered = join_all(calls).await;
        is_over.set(true);
        answered
    };
    let halt = async {
        silent.reached(number * CALLS).await;
        tokio::time::sleep(BEFORE).await;
        let asked = Instant::now();
        people.ask(&Request::halt(&operator)).await;
        (asked, Instant::now())
    };
    let allows = async {
        silent.reached(number * CALLS).await;
        let mut times = Vec::new();
        while !is_over.get() {
            let began = Instant::now();
            other.ask(&Request::decide(&house.key, beside, 1)).await;
            times.push((began, began.elapsed()));
        }
        times
    };
    let (answered, (asked, reported), beside) = tokio::join!(calls, halt, allows);
    people.ask(&Request::resume(&operator)).await;
    Round { asked, reported, answered, beside }
}

fn say(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| {
        times.get((times.len().max(1) - 1) * percent / 100).map_or(0, |time| time.as_micros())
    };
    println!("{CALLS} calls halted, {what}: p50 {:6} µs   max {:6} µs   of {}", at(50), at(100), times.len());
}
