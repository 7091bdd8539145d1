//! Every shape of plan with everything that can go wrong in it, as a group too, and taken back later; a death at each
//! append; plays by chance; and very many schedules for one law. Prints what breaks a law, and fails if anything does.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for terminals: printing is its work")]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use kernel::rules::Rules;
use sim::saga::{Case, SHAPES, Tally, by_chance, cases, deaths, grouped, play, play_all, rules, taken_back};
use sim::schedule::{Played, schedule};

const USAGE: &str = "usage: sagas [--random N] [--schedules N] [--from SEED] \
                     [--only faults|groups|back|deaths|random|schedules]";
/// Plays handed out at once.
const CHUNK: u64 = 500;

struct Wanted {
    random: u64,
    schedules: u64,
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
    let mut wanted = Wanted { random: 2_000, schedules: 100_000, from: 0, only: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--random" => wanted.random = value.parse().ok()?,
            "--schedules" => wanted.schedules = value.parse().ok()?,
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
    if does("schedules") {
        broken += schedules(&rules, wanted);
    }
    if ["faults", "groups", "back", "deaths"].into_iter().any(does) {
        for shape in SHAPES {
            broken += one_shape(&rules, shape, &does).await?;
        }
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

async fn one_shape(
    rules: &Arc<Rules>,
    shape: &'static str,
    does: &impl Fn(&str) -> bool,
) -> Result<usize, String> {
    let (mut tally, started) = (Tally::default(), Instant::now());
    let mut parts = Vec::new();
    for (part, made) in
        [("faults", cases as fn(&'static str) -> Vec<Case>), ("groups", grouped), ("back", taken_back)]
    {
        if does(part) {
            parts.extend(made(shape));
        }
    }
    tally = tally.plus(play_all(rules, parts).await);
    if does("deaths") {
        let appends = play(rules, &Case::of(shape)).await?.appends;
        let all = deaths(shape, appends + 6, appends);
        let is_one = !shape.contains(" / ");
        let as_group = all.iter().filter(|_| is_one).map(|case| Case { grouped: true, ..case.clone() });
        let as_group: Vec<Case> = as_group.collect();
        tally = tally.plus(play_all(rules, all).await).plus(play_all(rules, as_group).await);
    }
    Ok(told(shape, &tally, started))
}

/// On all cores: they wait for nothing.
fn schedules(rules: &Arc<Rules>, wanted: &Wanted) -> usize {
    let (next, started) = (AtomicU64::new(wanted.from), Instant::now());
    let end = wanted.from.saturating_add(wanted.schedules);
    let one = || {
        let (mut all, mut broken) = (Played::default(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return (all, broken);
            }
            match schedule(rules, seed) {
                Ok(played) => all = all.plus(played),
                Err(why) => broken.push(format!("schedule {seed}: {why}")),
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let parts: Vec<(Played, Vec<String>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(one)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let all = parts.iter().fold(Played::default(), |all, (played, _)| all.plus(*played));
    let broken: Vec<&String> = parts.iter().flat_map(|(_, broken)| broken).collect();
    println!(
        "schedules from seed {}: {all:?}, {} broken, {:?}",
        wanted.from,
        broken.len(),
        started.elapsed()
    );
    for one in broken.iter().take(20) {
        println!("BROKEN {one}");
    }
    let lost = wanted.schedules.saturating_sub(all.schedules);
    broken.len().max(usize::try_from(lost).unwrap_or(usize::MAX))
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
