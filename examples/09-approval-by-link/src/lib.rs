//! Asks a person by a link.

use std::time::Duration;

use fermata_guest::*;
use serde::{Deserialize, Serialize};

const TIME_TO_ANSWER: Duration = Duration::from_secs(3 * 24 * 3600);

#[derive(Debug, Serialize, Deserialize)]
pub struct Expense {
    what: String,
    amount: f64,
    /// Whom to ask, by mail.
    approver: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Mail {
    to: String,
    text: String,
}

#[orchestrator("ApprovalByLink")]
pub async fn approval_by_link(ctx: Context, expense: Expense) -> Result<String> {
    let Expense { what, amount, approver } = expense;
    let link = ctx.callback_url_until("Approval", TIME_TO_ANSWER);
    let mail = Mail { to: approver.clone(), text: format!("May we spend {amount} on {what}? Answer here: {link}") };
    ctx.call_activity::<()>("SendMail", &mail).await?;
    ctx.set_custom_status(format!("{approver} has been asked"));

    match ctx.wait_external_event::<bool>("Approval").timeout(TIME_TO_ANSWER).await {
        Ok(true) => Ok(format!("{what}: approved")),
        Ok(false) => Ok(format!("{what}: rejected")),
        Err(error) if error.is_timeout() => Ok(format!("{what}: {approver} has not answered")),
        // Who follows the link may write what they like.
        Err(_) => Ok(format!("{what}: {approver} said neither yes nor no")),
    }
}

/// Sends no mail, but logs what it would send.
#[activity("SendMail")]
pub fn send_mail(ctx: ActivityContext, mail: Mail) {
    ctx.info(format_args!("to {}: {}", mail.to, mail.text));
}

#[cfg(test)]
mod tests {
    use fermata_guest::testing;

    use super::*;

    /// A run that has asked, and the link that is in the mail.
    fn asked() -> (testing::Run, String) {
        let expense = Expense { what: "a lamp".to_owned(), amount: 40.0, approver: "ada@example.org".to_owned() };
        let mut run = testing::start("ApprovalByLink", expense);
        run.run_activities();
        assert_eq!(run.custom_status().unwrap(), "\"ada@example.org has been asked\"");
        let mail = run.logged().pop().expect("the mail is logged");
        let (text, link) = mail.rsplit_once(' ').expect("the link is the last word");
        assert_eq!(text, "info: to ada@example.org: May we spend 40 on a lamp? Answer here:");
        assert_eq!(run.callback_urls(), [("Approval".to_owned(), link.to_owned())]);
        (run, link.to_owned())
    }

    #[test]
    fn the_link_decides() {
        for (approved, output) in [(true, "a lamp: approved"), (false, "a lamp: rejected")] {
            let (mut run, link) = asked();
            run.answer(&link, approved);
            assert_eq!(run.output::<String>().unwrap(), output);
            run.check_replay();
        }
    }

    #[test]
    fn any_other_answer_is_none() {
        let (mut run, link) = asked();
        run.answer(&link, "I have to think about it");
        assert_eq!(run.output::<String>().unwrap(), "a lamp: ada@example.org said neither yes nor no");
    }

    #[test]
    fn nobody_waits_for_ever() {
        let (mut run, _) = asked();
        run.advance(TIME_TO_ANSWER);
        assert_eq!(run.output::<String>().unwrap(), "a lamp: ada@example.org has not answered");
        run.check_replay();
    }
}
