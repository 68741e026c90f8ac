//! A later version of an orchestrator that module A holds too.

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
