//! Waits for one external event.

use fermata_guest::*;

#[orchestrator("BudgetApproval")]
pub async fn budget_approval(ctx: Context) -> Result<String> {
    let approved = ctx.wait_external_event::<bool>("Approval").await?;
    if approved {
        // approval granted - do the approved action
        Ok("approval granted".to_owned())
    } else {
        // approval denied - send a notification
        Ok("approval denied".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use fermata_guest::testing;

    #[test]
    fn the_event_decides() {
        for (approved, output) in [(true, "approval granted"), (false, "approval denied")] {
            let mut run = testing::start("BudgetApproval", ());
            assert!(run.is_running());
            run.raise("Approval", approved);
            assert_eq!(run.output::<String>().unwrap(), output);
            run.check_replay();
        }
    }

    #[test]
    fn a_quoted_answer_is_understood() {
        let mut run = testing::start("BudgetApproval", ());
        run.raise("Approval", "true");
        assert_eq!(run.output::<String>().unwrap(), "approval granted");
    }
}
