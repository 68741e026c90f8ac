//! [`RetryPolicy`]: how often, and how soon, what failed is tried again.

use std::time::Duration;

/// How often, and how soon, an activity or a sub-orchestration that failed is tried again.
///
/// The host keeps it: while it waits for the next attempt the guest may be unloaded, and the whole is one task, which fails with the
/// failure of the last attempt. A failure that says [`non_retryable`](crate::Failure::non_retryable) is never tried again.
///
/// ```
/// use std::time::Duration;
///
/// use fermata_guest::*;
///
/// #[orchestrator]
/// async fn publish(ctx: Context) -> Result<String> {
///     let policy = RetryPolicy::new(3, Duration::from_secs(5)).backoff(2.0).non_retryable(["NotFound"]);
///     ctx.call_activity_with_retry("Upload", policy, "report.pdf").await
/// }
///
/// # fn main() {
/// let mut run = testing::start("publish", ());
/// run.fail("Upload", Failure::new("Busy", "try again later"));
/// assert_eq!(run.open_activities(), []);
/// run.advance(Duration::from_secs(5));
/// run.complete("Upload", "done");
/// assert_eq!(run.output::<String>().unwrap(), "done");
/// # }
/// ```
///
/// To decide by looking at the error, call again in a loop:
///
/// ```
/// use std::time::Duration;
///
/// use fermata_guest::*;
///
/// #[orchestrator]
/// async fn stubborn(ctx: Context) -> Result<u32> {
///     let mut attempt = 1;
///     loop {
///         match ctx.call_activity::<u32>("Measure", &attempt).await {
///             Err(error) if attempt < 5 && error.to_string().contains("cloud") => {
///                 ctx.create_timer(Duration::from_secs(60)).await?;
///                 attempt += 1;
///             }
///             result => return result,
///         }
///     }
/// }
///
/// # fn main() {
/// let mut run = testing::start("stubborn", ());
/// run.fail("Measure", Failure::new("", "a cloud is before the sun"));
/// run.skip_to_next_timer();
/// run.complete("Measure", 7);
/// assert_eq!(run.output::<u32>().unwrap(), 7);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a policy holds for the tasks it is given to"]
pub struct RetryPolicy {
    pub(crate) max_attempts: u32,
    pub(crate) first_interval: Duration,
    pub(crate) backoff_coefficient: f64,
    pub(crate) max_interval: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) non_retryable: Vec<String>,
}

impl RetryPolicy {
    /// So many attempts in all, the first included, with this time between the failure of one and the next.
    ///
    /// # Panics
    /// Where there is to be no attempt.
    pub fn new(max_attempts: u32, first_interval: Duration) -> Self {
        assert!(max_attempts > 0, "a retry policy allows at least one attempt, the first");
        Self {
            max_attempts,
            first_interval,
            backoff_coefficient: 1.0,
            max_interval: None,
            timeout: None,
            attempt_timeout: None,
            non_retryable: Vec::new(),
        }
    }

    /// Makes each interval the one before times this. Without it all are as long as the first.
    ///
    /// # Panics
    /// Where it is less than 1, or not finite.
    pub fn backoff(mut self, coefficient: f64) -> Self {
        assert!(coefficient >= 1.0 && coefficient.is_finite(), "a backoff coefficient is a number from 1 on");
        self.backoff_coefficient = coefficient;
        self
    }

    /// The longest interval that the backoff comes to.
    pub fn max_interval(mut self, longest: Duration) -> Self {
        self.max_interval = Some(longest);
        self
    }

    /// After this time from the first attempt on none begins, and the one under way is given up.
    pub fn timeout(mut self, whole: Duration) -> Self {
        self.timeout = Some(whole);
        self
    }

    /// How long one attempt at an activity may take; it then fails with the kind `timeout`, and may be tried again.
    pub fn attempt_timeout(mut self, each: Duration) -> Self {
        self.attempt_timeout = Some(each);
        self
    }

    /// Failures with one of these [error types](crate::Failure::error_type) are not tried again.
    pub fn non_retryable<S: Into<String>>(mut self, error_types: impl IntoIterator<Item = S>) -> Self {
        self.non_retryable.extend(error_types.into_iter().map(Into::into));
        self
    }
}
