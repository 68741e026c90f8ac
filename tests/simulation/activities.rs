//! What the activities of the tests' guest come to, whoever does their work.

use fermata::store::Activity;
use fermata_replay::{Failure, Outcome, Payload, kind};

pub fn outcome(activity: &Activity) -> Outcome {
    let number = || activity.input.parse::<u64>().expect("its input is a number");
    match &*activity.name {
        "Double" => succeeded(&(2 * number()).to_string()),
        "FailUntil" if u64::from(activity.attempt) <= number() => failed("NotYet"),
        "OutOfStock" => failed("OutOfStock"),
        _ => succeeded(&activity.attempt.to_string()),
    }
}

fn succeeded(output: &str) -> Outcome {
    Outcome::Succeeded(Payload::parse(output).expect("it is JSON"))
}

pub fn failed(error_type: &str) -> Outcome {
    Outcome::Failed(Failure { error_type: error_type.into(), ..Failure::new(kind::APPLICATION, "it failed") })
}
