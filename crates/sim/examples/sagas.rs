//! Every shape of plan with everything that can go wrong in it, and a death at each append; then plays by chance.
//! Prints the plays that break a law, and fails if there is one.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for terminals: printing is its work")]

use std::process::ExitCode;
use std::time::Instant;

use sim::saga::{Case, SHAPES, Tally, by_chance, cases, deaths, play, play_all, rules};

const USAGE: &str = "usage: sagas [--random N] [--from SEED] [--only random|faults|deaths]";
/// Plays handed out at once.
const CHUNK: u64 = 500;

struct Wanted {
    random: u64,
    from: u64,
    only: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(wanted) = wanted() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match all(&wanted).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(broken) => {
            println!("{broken} plays broke a law");
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn wanted() -> Option<Wanted> {
    let mut wanted = Wanted { random: 2_000, from: 0, only: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--random" => wanted.random = value.parse().ok()?,
            "--from" => wanted.from = value.parse().ok()?,
            "--only" => wanted.only = Some(value),
            _ => return None,
        }
    }
    Some(wanted)
}

async fn all(wanted: &Wanted) -> Result<usize, String> {
    let rules = rules()?;
    let does = |part: &str| wanted.only.as_deref().is_none_or(|only| only == part);
    let mut broken = 0;
    for shape in SHAPES {
        let mut tally = Tally::default();
        let started = Instant::now();
        if does("faults") {
            tally = tally.plus(play_all(&rules, cases(shape)).await);
        }
        if does("deaths") {
            let appends = play(&rules, &Case::of(shape)).await?.appends;
            tally = tally.plus(play_all(&rules, deaths(shape, appends + 6, appends)).await);
        }
        broken += told(shape, &tally, started);
    }
    if does("random") {
        let (mut tally, started) = (Tally::default(), Instant::now());
        let mut seed = wanted.from;
        let end = wanted.from.saturating_add(wanted.random);
        while seed < end {
            let next = end.min(seed + CHUNK);
            tally = tally.plus(play_all(&rules, (seed..next).map(by_chance).collect()).await);
            seed = next;
        }
        broken += told(&format!("by chance, from seed {}", wanted.from), &tally, started);
    }
    Ok(broken)
}

fn told(what: &str, tally: &Tally, started: Instant) -> usize {
    let Tally { plays, committed, rolled_back, quarantined, deaths, asked, broken } = tally;
    println!(
        "{what}: {plays} plays, {committed} committed, {rolled_back} rolled back, {quarantined} left something, \
         {deaths} deaths, {asked} times a person was asked, {} broken, {:?}",
        broken.len(),
        started.elapsed()
    );
    for one in broken {
        println!("BROKEN {one}");
    }
    broken.len()
}
