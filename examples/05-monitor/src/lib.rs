//! Looks again and again, with a timer in between, in as many generations as it takes.

use std::time::Duration;

use fermata_guest::*;
use serde::{Deserialize, Serialize};

/// What is watched, and how far it has come: the input of each generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitor {
    job_id: String,
    /// The job, which is simulated, is done when it is looked at for the time of this number.
    done_after: u32,
    poll_seconds: f64,
    expiry_seconds: f64,
    /// How often it was looked at.
    #[serde(default)]
    checks: u32,
    /// Set by the first generation.
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum JobStatus {
    Running,
    Completed,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    job_id: String,
    completed: bool,
    checks: u32,
}

#[orchestrator("MonitorJob")]
pub async fn monitor_job(ctx: Context, mut monitor: Monitor) -> Result<Report> {
    let now = ctx.current_utc_time();
    let expires_at = *monitor.expires_at.get_or_insert(now + seconds(monitor.expiry_seconds)?);

    monitor.checks += 1;
    let status: JobStatus = ctx.call_activity("CheckJob", &monitor).await?;
    ctx.set_custom_status(format!("{status:?} at check {}", monitor.checks));
    let report = |completed| Report { job_id: monitor.job_id.clone(), completed, checks: monitor.checks };
    if status == JobStatus::Completed {
        return Ok(report(true));
    }

    let next_check = ctx.current_utc_time() + seconds(monitor.poll_seconds)?;
    if next_check >= expires_at {
        return Ok(report(false));
    }
    ctx.create_timer(next_check).await?;
    // The history begins anew, so that it is short to replay however long the job takes.
    ctx.continue_as_new(&monitor).await
}

fn seconds(number: f64) -> Result<Duration> {
    Ok(Duration::try_from_secs_f64(number)?)
}

/// Asks nobody: the job is done when the monitor says so.
#[activity("CheckJob")]
pub fn check_job(monitor: Monitor) -> JobStatus {
    if monitor.checks < monitor.done_after { JobStatus::Running } else { JobStatus::Completed }
}

#[cfg(test)]
mod tests {
    use fermata_guest::testing;

    use super::*;

    fn monitor(done_after: u32, expiry_seconds: f64) -> Monitor {
        let job_id = "job-1".to_owned();
        Monitor { job_id, done_after, poll_seconds: 60.0, expiry_seconds, checks: 0, expires_at: None }
    }

    fn watch(monitor: Monitor) -> testing::Run {
        let mut run = testing::start("MonitorJob", monitor);
        while run.is_running() {
            run.run_activities();
            run.skip_to_next_timer();
        }
        run.check_replay();
        run
    }

    fn report(completed: bool, checks: u32) -> Report {
        Report { job_id: "job-1".to_owned(), completed, checks }
    }

    #[test]
    fn it_ends_when_the_job_is_done() {
        let mut run = testing::start("MonitorJob", monitor(3, 3600.0));
        run.run_activities();
        assert_eq!(run.waiting_for(), ["timer in 60s"]);
        assert_eq!(run.custom_status().unwrap(), "\"Running at check 1\"");

        let run = watch(monitor(3, 3600.0));
        assert_eq!((run.generation(), run.output::<Report>().unwrap()), (2, report(true, 3)));
    }

    #[test]
    fn it_ends_when_its_time_is_over() {
        let begun = testing::start("MonitorJob", monitor(99, 170.0)).now();
        let run = watch(monitor(99, 170.0));
        assert_eq!(run.output::<Report>().unwrap(), report(false, 3));
        assert_eq!(run.now().since(begun), Duration::from_secs(120));
    }

    #[test]
    fn it_may_go_on_for_ever_and_its_history_stays_short() {
        let run = watch(monitor(2_000, f64::from(u32::MAX)));
        assert_eq!((run.generation(), run.history().len()), (1_999, 2));
    }

    #[test]
    fn a_time_that_is_none_is_an_error() {
        let run = testing::start("MonitorJob", monitor(1, -1.0));
        assert_eq!(run.output::<Report>().unwrap_err().error_type(), "TryFromFloatSecsError");
    }
}
