//! Books one thing after the other, and cancels in reverse where one fails.

use std::time::Duration;

use fermata_guest::*;
use serde::{Deserialize, Serialize};

/// What is booked, in this order, and how it is cancelled.
const LEGS: [(&str, &str); 3] =
    [("BookFlight", "CancelFlight"), ("BookHotel", "CancelHotel"), ("BookCar", "CancelCar")];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trip {
    traveller: String,
    /// The activity that finds nothing left to book; all is simulated.
    #[serde(default)]
    sold_out: Option<String>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The bookings that stand.
    booked: Vec<String>,
    /// Those that were cancelled, in this order.
    cancelled: Vec<String>,
    /// Why nothing is booked.
    reason: Option<String>,
}

#[orchestrator("BookTrip")]
pub async fn book_trip(ctx: Context, trip: Trip) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut compensations = Vec::new();
    for (book, cancel) in LEGS {
        match ctx.call_activity::<String>(book, &trip).await {
            Ok(booking) => {
                compensations.push((cancel, booking.clone()));
                outcome.booked.push(booking);
            }
            Err(error) => {
                ctx.warn(format_args!("{book} failed: {error}"));
                outcome.reason = Some(error.to_string());
                break;
            }
        }
    }
    if outcome.reason.is_some() {
        outcome.booked.clear();
        // To give up on a compensation would leave a booking that nobody wants.
        let stubborn =
            RetryPolicy::new(100, Duration::from_secs(1)).backoff(2.0).max_interval(Duration::from_secs(3600));
        for (cancel, booking) in compensations.into_iter().rev() {
            ctx.call_activity_with_retry::<()>(cancel, &stubborn, &booking).await?;
            outcome.cancelled.push(booking);
        }
    }
    Ok(outcome)
}

#[activity("BookFlight")]
pub fn book_flight(ctx: ActivityContext, trip: Trip) -> Result<String> {
    book(&ctx, "BookFlight", "flight", &trip)
}

#[activity("BookHotel")]
pub fn book_hotel(ctx: ActivityContext, trip: Trip) -> Result<String> {
    book(&ctx, "BookHotel", "hotel", &trip)
}

#[activity("BookCar")]
pub fn book_car(ctx: ActivityContext, trip: Trip) -> Result<String> {
    book(&ctx, "BookCar", "car", &trip)
}

#[activity("CancelFlight")]
pub fn cancel_flight(ctx: ActivityContext, booking: String) -> Result<()> {
    cancel(&ctx, &booking)
}

#[activity("CancelHotel")]
pub fn cancel_hotel(ctx: ActivityContext, booking: String) -> Result<()> {
    cancel(&ctx, &booking)
}

#[activity("CancelCar")]
pub fn cancel_car(ctx: ActivityContext, booking: String) -> Result<()> {
    cancel(&ctx, &booking)
}

/// Books nothing, and returns what the booking would be called.
fn book(ctx: &ActivityContext, activity: &str, what: &str, trip: &Trip) -> Result<String> {
    if trip.sold_out.as_deref() == Some(activity) {
        return Err(Failure::new("SoldOut", format!("no {what} is left")).into());
    }
    // Whoever books for real hands `ctx.task_key()` on, so that a call that is repeated after a crash books once.
    let booking = format!("{what} for {}", trip.traveller);
    ctx.info(format_args!("booked: {booking}"));
    Ok(booking)
}

/// Fails at first, as a service that is busy does.
fn cancel(ctx: &ActivityContext, booking: &str) -> Result<()> {
    if ctx.attempt() == 1 {
        return Err(Failure::new("Busy", "try again later").into());
    }
    ctx.info(format_args!("cancelled: {booking}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use fermata_guest::testing;

    use super::*;

    fn book_all(sold_out: Option<&str>) -> (Outcome, testing::Run) {
        let trip = Trip { traveller: "Ada".to_owned(), sold_out: sold_out.map(str::to_owned) };
        let mut run = testing::start("BookTrip", trip);
        while run.is_running() {
            run.run_activities();
            run.skip_to_next_timer();
        }
        run.check_replay();
        (run.output().unwrap(), run)
    }

    #[test]
    fn a_whole_trip_is_booked() {
        let (outcome, _) = book_all(None);
        assert_eq!(outcome.booked, ["flight for Ada", "hotel for Ada", "car for Ada"]);
        assert_eq!((outcome.cancelled.len(), outcome.reason), (0, None));
    }

    #[test]
    fn where_one_fails_those_before_are_cancelled_in_reverse() {
        let cancelled: [(&str, &[&str]); 3] = [
            ("BookFlight", &[]),
            ("BookHotel", &["flight for Ada"]),
            ("BookCar", &["hotel for Ada", "flight for Ada"]),
        ];
        for (sold_out, cancelled) in cancelled {
            let (outcome, run) = book_all(Some(sold_out));
            assert_eq!(outcome.booked, [""; 0]);
            assert_eq!(outcome.cancelled, cancelled);
            assert!(outcome.reason.unwrap().starts_with("SoldOut: no "));
            assert_eq!(run.logged().iter().filter(|line| line.starts_with("info: cancelled")).count(), cancelled.len());
        }
    }
}
