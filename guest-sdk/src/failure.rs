//! [`Failure`]: why an orchestrator or an activity did not succeed, as it stands in the history.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an activity or an orchestrator did not succeed.
///
/// It crosses the host and lands in the history, so it holds what the receiving side can use: text and a name to branch on.
///
/// ```
/// # use fermata_guest::*;
/// #[activity("ReserveBricks")]
/// fn reserve_bricks(count: u32) -> Result<u32> {
///     if count > 1_000 {
///         return Err(Failure::new("OutOfStock", "only 1,000 bricks are left").non_retryable().into());
///     }
///     Ok(count)
/// }
///
/// #[orchestrator("Build")]
/// async fn build(ctx: Context) -> Result<String> {
///     match ctx.call_activity::<u32>("ReserveBricks", &5_000).await {
///         Ok(bricks) => Ok(format!("{bricks} bricks")),
///         Err(error) if error.error_type() == "OutOfStock" => Ok("wood, then".to_owned()),
///         Err(error) => Err(error),
///     }
/// }
/// # let mut run = testing::start("Build", ());
/// # run.run_activities();
/// # assert_eq!(run.output::<String>().unwrap(), "wood, then");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What went wrong, of an open set. From guests: `application` (the code returned an error), `payload` (JSON that does not fit the
    /// expected type). From the host: `trap` (the guest crashed), `not-found` (there is no such orchestrator or activity), `limit` (a
    /// bound of the host was passed), `timeout` (it took longer than it might), `terminated` (the sub-orchestration was terminated),
    /// `conflict` (its id belongs to an instance that has not ended), `unavailable` (what serves the activity cannot be reached).
    pub kind: String,
    /// One sentence for a person.
    pub message: String,
    /// The author's own name for the error, such as `OutOfStock`; empty where there is none.
    pub error_type: String,
    /// More for a person: the causes, where it came from. Empty where there is none.
    pub details: String,
    /// True where trying again cannot help.
    pub non_retryable: bool,
}

impl Failure {
    /// The code returned an error.
    pub(crate) const APPLICATION: &'static str = "application";
    /// JSON did not fit the expected type.
    pub(crate) const PAYLOAD: &'static str = "payload";
    /// It took longer than it might.
    pub(crate) const TIMEOUT: &'static str = "timeout";

    /// A failure with a name that its receiver can branch on, and a sentence for a person.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind: Self::APPLICATION.to_owned(),
            message: message.into(),
            error_type: error_type.into(),
            ..Self::default()
        }
    }

    /// Says that trying again cannot help.
    pub fn non_retryable(mut self) -> Self {
        self.non_retryable = true;
        self
    }

    /// Adds more for a person.
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    /// Adds a line to the details.
    pub(crate) fn add_detail(&mut self, line: &str) {
        if !self.details.is_empty() {
            self.details.push('\n');
        }
        self.details.push_str(line);
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.error_type.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.error_type, self.message)
        }
    }
}

impl std::error::Error for Failure {}
