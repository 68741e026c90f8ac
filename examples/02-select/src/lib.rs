//! Waits for the first of three external events.

use fermata_guest::*;

#[orchestrator("Select")]
pub async fn select(ctx: Context) -> Result<String> {
    let event1 = ctx.wait_external_event::<f32>("Event1");
    let event2 = ctx.wait_external_event::<bool>("Event2");
    let event3 = ctx.wait_external_event::<i32>("Event3");

    let winner = ctx.task_any((&event1, &event2, &event3)).await;
    if winner == event1 {
        Ok(format!("Event1 won with {}", event1.await?))
    } else if winner == event2 {
        Ok(format!("Event2 won with {}", event2.await?))
    } else {
        Ok(format!("Event3 won with {}", event3.await?))
    }
}

#[cfg(test)]
mod tests {
    use fermata_guest::testing;

    #[test]
    fn whichever_event_comes_first_wins() {
        for (event, payload, output) in [
            ("Event1", "1.5", "Event1 won with 1.5"),
            ("Event2", "true", "Event2 won with true"),
            ("Event3", "-7", "Event3 won with -7"),
        ] {
            let mut run = testing::start("Select", ());
            run.raise_json(event, payload);
            assert_eq!(run.output::<String>().unwrap(), output);
            run.check_replay();
        }
    }
}
