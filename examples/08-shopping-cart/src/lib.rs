//! Lives on events, for as long as they come.

use std::collections::BTreeMap;
use std::time::Duration;

use fermata_guest::*;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// After so many events the cart continues as new, so that its history stays short.
const EVENTS_PER_GENERATION: u32 = 20;

/// What a generation hands on to the next.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cart {
    items: BTreeMap<String, u32>,
    /// Without an event for so long, the cart is abandoned.
    abandon_after_seconds: f64,
}

impl Default for Cart {
    fn default() -> Self {
        Self { items: BTreeMap::new(), abandon_after_seconds: 24.0 * 3600.0 }
    }
}

/// The payload of `AddItem` and `RemoveItem`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Item {
    article: String,
    #[serde(default = "one")]
    quantity: u32,
}

fn one() -> u32 {
    1
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "camelCase")]
pub enum End {
    Ordered { order: String, items: BTreeMap<String, u32> },
    Abandoned { items: BTreeMap<String, u32> },
}

#[orchestrator("Cart")]
pub async fn cart(ctx: Context, cart: Option<Cart>) -> Result<End> {
    let mut cart = cart.unwrap_or_default();
    let patience = Duration::try_from_secs_f64(cart.abandon_after_seconds)?;
    for _ in 0..EVENTS_PER_GENERATION {
        ctx.set_custom_status(&cart.items);
        let add = ctx.wait_external_event::<Item>("AddItem");
        let remove = ctx.wait_external_event::<Item>("RemoveItem");
        let checkout = ctx.wait_external_event::<IgnoredAny>("Checkout");
        let abandoned = ctx.create_timer(patience);

        // The others are dropped at the end of each round: the waits are closed, the timer is cancelled.
        let winner = ctx.task_any((&add, &remove, &checkout, &abandoned)).await;
        if winner == add {
            cart.change(&ctx, add.await, u32::saturating_add);
        } else if winner == remove {
            cart.change(&ctx, remove.await, u32::saturating_sub);
        } else if winner == abandoned {
            return Ok(End::Abandoned { items: cart.items });
        } else if cart.items.is_empty() {
            checkout.await?;
            ctx.warn("there is nothing to order");
        } else {
            checkout.await?;
            let order = ctx.call_activity("PlaceOrder", &cart.items).await?;
            return Ok(End::Ordered { order, items: cart.items });
        }
    }
    // Events that have come meanwhile are there for the next generation.
    ctx.continue_as_new(&cart).await
}

impl Cart {
    /// What does not fit is left out: one bad event must not end the cart.
    fn change(&mut self, ctx: &Context, item: Result<Item>, by: fn(u32, u32) -> u32) {
        match item {
            Ok(Item { article, quantity }) => {
                let count = self.items.entry(article).or_default();
                *count = by(*count, quantity);
                self.items.retain(|_, count| *count > 0);
            }
            Err(error) => ctx.warn(error),
        }
    }
}

/// Orders nothing, and returns what the order would be called.
#[activity("PlaceOrder")]
pub fn place_order(ctx: ActivityContext, items: BTreeMap<String, u32>) -> String {
    ctx.info(format_args!("ordered: {items:?}"));
    format!("order of {}", ctx.instance_id())
}

#[cfg(test)]
mod tests {
    use fermata_guest::testing;

    use super::*;

    fn item(article: &str, quantity: u32) -> Item {
        Item { article: article.to_owned(), quantity }
    }

    fn items(of: &[(&str, u32)]) -> BTreeMap<String, u32> {
        of.iter().map(|(article, count)| ((*article).to_owned(), *count)).collect()
    }

    #[test]
    fn a_cart_is_filled_and_ordered() {
        let mut run = testing::start("Cart", ());
        run.raise("AddItem", item("lamp", 3));
        run.raise("AddItem", item("chair", 1));
        run.raise("RemoveItem", item("lamp", 1));
        run.raise("RemoveItem", item("table", 1));
        assert_eq!(run.custom_status().unwrap(), r#"{"chair":1,"lamp":2}"#);
        run.raise("Checkout", ());
        run.run_activities();
        let end =
            End::Ordered { order: "order of test-instance".to_owned(), items: items(&[("chair", 1), ("lamp", 2)]) };
        assert_eq!(run.output::<End>().unwrap(), end);
        run.check_replay();
    }

    #[test]
    fn a_cart_that_nobody_touches_is_abandoned() {
        let mut run = testing::start("Cart", Cart { abandon_after_seconds: 60.0, ..Cart::default() });
        run.advance(Duration::from_secs(59));
        run.raise("AddItem", item("lamp", 1));
        run.advance(Duration::from_secs(59));
        assert!(run.is_running(), "each event gives it more time");
        run.advance(Duration::from_secs(1));
        assert_eq!(run.output::<End>().unwrap(), End::Abandoned { items: items(&[("lamp", 1)]) });
        run.check_replay();
    }

    #[test]
    fn what_cannot_be_done_is_passed_over() {
        let mut run = testing::start("Cart", ());
        run.raise("Checkout", ());
        run.raise("AddItem", "a lamp, please");
        run.raise_json("AddItem", r#"{"article": "lamp"}"#);
        assert_eq!(run.custom_status().unwrap(), r#"{"lamp":1}"#);
        assert_eq!(run.logged()[0], "warn: there is nothing to order");
        assert!(run.logged()[1].contains("the payload of event `AddItem` does not fit the type Item"));
        run.check_replay();
    }

    #[test]
    fn a_long_life_is_many_generations() {
        let mut run = testing::start("Cart", ());
        for _ in 0..5 * EVENTS_PER_GENERATION + 3 {
            run.raise("AddItem", item("nail", 1));
        }
        assert_eq!((run.generation(), run.history().len()), (5, 4));
        assert_eq!(run.custom_status().unwrap(), r#"{"nail":103}"#);
        run.check_replay();
    }

    #[test]
    fn events_that_pile_up_are_all_seen_in_order() {
        let mut run = testing::start("Cart", ());
        run.suspend();
        for _ in 0..2 * EVENTS_PER_GENERATION {
            run.raise("AddItem", item("nail", 1));
        }
        run.raise("Checkout", ());
        run.resume();
        run.run_activities();
        let end = End::Ordered { order: "order of test-instance".to_owned(), items: items(&[("nail", 40)]) };
        assert_eq!(run.output::<End>().unwrap(), end);
        run.check_replay();
    }
}
