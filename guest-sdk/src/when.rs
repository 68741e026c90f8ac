//! [`When`]: an instant, given as it is or as a time from now.

use std::time::Duration;

use crate::Timestamp;

/// When something is due. A [`Duration`] becomes that time from now on, a [`Timestamp`] that moment.
///
/// *Now* is [`Context::current_utc_time`](crate::Context::current_utc_time): the time of the step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// So long from now.
    After(Duration),
    /// At this moment; at once, where it is past.
    At(Timestamp),
}

impl When {
    pub(crate) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::After(duration) => now + duration,
            Self::At(moment) => moment,
        }
    }
}

impl From<Duration> for When {
    fn from(duration: Duration) -> Self {
        Self::After(duration)
    }
}

impl From<Timestamp> for When {
    fn from(moment: Timestamp) -> Self {
        Self::At(moment)
    }
}
