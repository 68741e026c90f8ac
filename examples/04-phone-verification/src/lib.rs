//! Waits for a person, three times at most, against one timer.

use std::time::Duration;

use fermata_guest::*;
use serde::{Deserialize, Serialize};

const ATTEMPTS: u32 = 3;
const TIME_TO_ANSWER: Duration = Duration::from_secs(90);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Challenge {
    phone_number: String,
    code: u16,
}

#[orchestrator("SmsPhoneVerification")]
pub async fn sms_phone_verification(ctx: Context, phone_number: String) -> Result<bool> {
    let code = challenge_code(&ctx);
    ctx.call_activity::<u16>("SendSmsChallenge", &Challenge { phone_number, code }).await?;

    let time_is_up = ctx.create_timer(TIME_TO_ANSWER);
    for attempt in 1..=ATTEMPTS {
        ctx.set_custom_status(format!("attempt {attempt} of {ATTEMPTS}"));
        let response = ctx.wait_external_event::<u16>("SmsChallengeResponse");
        if ctx.task_any((&response, &time_is_up)).await == time_is_up {
            return Ok(false);
        }
        // What is no number is a wrong answer as well.
        if response.await.is_ok_and(|answer| answer == code) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Four digits. A GUID of the context is the same on replay, and so is what is made of it.
fn challenge_code(ctx: &Context) -> u16 {
    let guid = ctx.new_guid();
    let sum = guid.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    1_000 + (sum % 9_000) as u16
}

/// Sends no message, but logs what it would send.
#[activity("SendSmsChallenge")]
pub fn send_sms_challenge(ctx: ActivityContext, challenge: Challenge) -> u16 {
    let Challenge { phone_number, code } = challenge;
    ctx.info(format_args!("to {phone_number}: your verification code is {code}"));
    code
}

#[cfg(test)]
mod tests {
    use fermata_guest::testing;

    use super::*;

    /// A run that waits for the first answer, and its code.
    fn challenged() -> (testing::Run, u16) {
        let mut run = testing::start("SmsPhoneVerification", "+1 555 0100");
        run.run_activities();
        assert_eq!(run.waiting_for(), ["timer in 90s", "event SmsChallengeResponse"]);
        let message = run.logged().pop().expect("the message is logged");
        let (_, code) = message.rsplit_once(' ').expect("the code is the last word");
        (run, code.parse().expect("the code is a number"))
    }

    #[test]
    fn the_right_code_verifies() {
        let (mut run, code) = challenged();
        assert!((1_000..10_000).contains(&code));
        run.raise("SmsChallengeResponse", code);
        assert!(run.output::<bool>().unwrap());
        run.check_replay();
    }

    #[test]
    fn the_third_answer_is_the_last() {
        for (third_is_right, verified) in [(true, true), (false, false)] {
            let (mut run, code) = challenged();
            run.raise("SmsChallengeResponse", code + 1);
            run.raise("SmsChallengeResponse", "what code?");
            assert_eq!(run.custom_status().unwrap(), "\"attempt 3 of 3\"");
            run.raise("SmsChallengeResponse", code + u16::from(!third_is_right));
            assert_eq!(run.output::<bool>().unwrap(), verified);
            run.check_replay();
        }
    }

    #[test]
    fn all_answers_share_ninety_seconds() {
        let (mut run, code) = challenged();
        run.advance(Duration::from_secs(80));
        run.raise("SmsChallengeResponse", code + 1);
        assert!(run.is_running());
        run.advance(Duration::from_secs(10));
        assert!(!run.output::<bool>().unwrap());
        run.check_replay();
    }
}
