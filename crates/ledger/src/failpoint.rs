//! Named points at which a debug build kills itself, so that tests can crash it exactly there.

/// A release build has no failpoints.
#[cfg(not(debug_assertions))]
pub fn hit(_name: &str) {}

#[cfg(debug_assertions)]
pub use armed::hit;

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Point {
        name: String,
        /// Counts down; the hit that finds 1 is the deadly one.
        left: AtomicU64,
    }

    static POINT: OnceLock<Option<Point>> = OnceLock::new();

    /// `REMIT_FAILPOINT=name` dies at the first hit of that name, `name:n` at the n-th. A release build has
    /// no failpoints. The variable is read once.
    pub fn hit(name: &str) {
        let point = POINT.get_or_init(|| {
            let text = std::env::var("REMIT_FAILPOINT").ok()?;
            let (name, left) = parse(&text);
            Some(Point { name: name.to_owned(), left: AtomicU64::new(left) })
        });
        let Some(point) = point else { return };
        if point.name == name && point.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            die();
        }
    }

    pub(super) fn parse(text: &str) -> (&str, u64) {
        match text.rsplit_once(':').map(|(name, count)| (name, count.parse())) {
            Some((name, Ok(count))) => (name, count),
            _ => (text, 1),
        }
    }

    /// A kill, not an abort: no handler, no buffer flushed, as when the power goes.
    fn die() -> ! {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort()
    }
}

#[cfg(all(test, debug_assertions))]
mod tests;
