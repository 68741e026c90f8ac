//! Waits for all of three external events, then calls an activity.

use fermata_guest::*;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permit {
    application_id: String,
    number: String,
}

#[orchestrator("NewBuildingPermit")]
pub async fn new_building_permit(ctx: Context) -> Result<Permit> {
    let application_id: String = ctx.input()?;

    let gate1 = ctx.wait_external_event::<IgnoredAny>("CityPlanningApproval");
    let gate2 = ctx.wait_external_event::<IgnoredAny>("FireDeptApproval");
    let gate3 = ctx.wait_external_event::<IgnoredAny>("BuildingDeptApproval");

    // all three departments must grant approval before a permit can be issued
    ctx.task_all((gate1, gate2, gate3)).await?;

    ctx.call_activity("IssueBuildingPermit", &application_id).await
}

#[activity("IssueBuildingPermit")]
pub fn issue_building_permit(ctx: ActivityContext, application_id: String) -> Result<Permit> {
    if application_id.is_empty() {
        return Err(Failure::new("NoApplication", "a permit needs the id of an application").non_retryable().into());
    }
    // An activity may run again after a crash. The key of its task is the same then, and so is the number made of it.
    let sum = ctx.task_key().bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let number = format!("BP-{:06}", sum % 1_000_000);
    ctx.info(format_args!("permit {number} issued for application {application_id}"));
    Ok(Permit { application_id, number })
}

#[cfg(test)]
mod tests {
    use fermata_guest::testing;

    use super::*;

    fn approved(application_id: &str) -> testing::Run {
        let mut run = testing::start("NewBuildingPermit", application_id);
        run.raise("FireDeptApproval", ());
        run.raise("CityPlanningApproval", "with conditions");
        assert_eq!(run.open_activities(), []);
        run.raise("BuildingDeptApproval", true);
        run
    }

    #[test]
    fn a_permit_is_issued_once_all_three_have_approved() {
        let mut run = approved("A-17");
        run.run_activities();
        let permit = run.output::<Permit>().unwrap();
        assert_eq!(permit.application_id, "A-17");
        assert!(permit.number.starts_with("BP-"));
        run.check_replay();
    }

    #[test]
    fn the_failure_of_the_activity_reaches_the_output() {
        let mut run = approved("");
        run.run_activities();
        assert_eq!(run.output::<Permit>().unwrap_err().error_type(), "NoApplication");
    }
}
