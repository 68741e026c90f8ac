//! [`Level`], and the methods that log at one.

/// How urgent a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

macro_rules! log_methods {
    ($context:ty) => {
        impl $context {
            /// Logs at this level, as [`log`](Self::log) does.
            pub fn info(&self, message: impl Display) {
                self.log(Level::Info, message);
            }

            /// Logs at this level, as [`log`](Self::log) does.
            pub fn warn(&self, message: impl Display) {
                self.log(Level::Warn, message);
            }

            /// Logs at this level, as [`log`](Self::log) does.
            pub fn error(&self, message: impl Display) {
                self.log(Level::Error, message);
            }
        }
    };
}

pub(crate) use log_methods;
