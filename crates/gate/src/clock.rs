//! The clock: the one place that reads the wall.

use kernel::time::Time;

pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Time;
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
