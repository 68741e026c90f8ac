use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a key may be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Start orchestrators.
    Start,
    /// Raise events.
    Raise,
    /// See instances with all they hold, and which modules there are.
    Read,
    /// Terminate, suspend, resume, rewind, restart, purge, unpark, migrate.
    Control,
    /// Deploy and delete modules.
    Deploy,
}

impl Scope {
    pub const ALL: [Scope; 5] = [Scope::Start, Scope::Raise, Scope::Read, Scope::Control, Scope::Deploy];

    pub fn name(self) -> &'static str {
        match self {
            Scope::Start => "start",
            Scope::Raise => "raise",
            Scope::Read => "read",
            Scope::Control => "control",
            Scope::Deploy => "deploy",
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Scope, String> {
        let known = Scope::ALL.into_iter().find(|scope| scope.name() == text);
        known.ok_or_else(|| format!("{text:?} is no scope: write some of start, raise, read, control, deploy"))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
