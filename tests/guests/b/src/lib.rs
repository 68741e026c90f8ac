//! Later versions of what module A holds too.

use fermata_guest::*;

#[orchestrator("Versioned")]
async fn versioned(ctx: Context) -> Result<String> {
    ctx.wait_external_event::<()>("go").await?;
    Ok("B".to_owned())
}

/// The other way round.
#[orchestrator("TwoNames")]
async fn two_names(ctx: Context) -> Result<(String, String)> {
    let second = ctx.wait_external_event("second").await?;
    let first = ctx.wait_external_event("first").await?;
    Ok((first, second))
}

/// The same, but for what it says it is.
#[orchestrator("Successor")]
async fn successor(ctx: Context) -> Result<String> {
    let next: String = ctx.input()?;
    ctx.wait_external_event::<()>("go").await?;
    match &*next {
        "newest" => ctx.continue_as_new("none").await,
        "same" => ctx.continue_as_new_on_same_module("none").await,
        _ => Ok("B".to_owned()),
    }
}

#[activity("Which")]
fn which() -> &'static str {
    "B"
}
