//! The time a guest sees.

use crate::guest::json;
use crate::histories;
use crate::play::check;

#[test]
fn time_never_goes_back() {
    check(&histories::clock_goes_back(), async |ctx| {
        let mut seen = vec![ctx.now().as_millis_f64()];
        for _ in 0..3 {
            ctx.event("A").await?;
            seen.push(ctx.now().as_millis_f64());
        }
        Ok(json(&format!("[{},{},{},{}]", seen[0], seen[1], seen[2], seen[3])))
    });
}
