//! The clock: the one place that reads the wall.

use std::time::Duration;

use kernel::time::Time;

pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Time;

    /// How long to sleep until so much of its time has passed.
    fn wait(&self, ms: u64) -> Duration {
        Duration::from_millis(ms)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Wall;

impl Clock for Wall {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that may read the wall clock")]
    fn now(&self) -> Time {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
