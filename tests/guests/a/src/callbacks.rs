//! Orchestrators that ask by callback URL.

use std::time::Duration;

use fermata_guest::*;
use serde_json::value::RawValue;

/// Shows a URL for `Answer` as its custom status, good for so many seconds as its input says, hands it to an activity, and returns what is
/// answered.
#[orchestrator("AsksByUrl")]
async fn asks_by_url(ctx: Context, seconds: f64) -> Result<Box<RawValue>> {
    let url = ctx.callback_url_until("Answer", Duration::from_secs_f64(seconds));
    ctx.set_custom_status(&url);
    ctx.call_activity::<usize>("Mail", &url).await?;
    ctx.wait_external_event("Answer").await
}

#[activity("Mail")]
fn mail(text: String) -> usize {
    text.len()
}

/// Its URL is for its next generation, which begins when it is told to go.
#[orchestrator("AsksForTheNext")]
async fn asks_for_the_next(ctx: Context, is_next: bool) -> Result<Box<RawValue>> {
    if !is_next {
        ctx.set_custom_status(ctx.callback_url("Answer"));
        ctx.wait_external_event::<()>("go").await?;
        return ctx.continue_as_new(&true).await;
    }
    ctx.wait_external_event("Answer").await
}

#[orchestrator("FloodsUrls")]
async fn floods(ctx: Context) -> Result<()> {
    loop {
        ctx.callback_url("Answer");
    }
}
