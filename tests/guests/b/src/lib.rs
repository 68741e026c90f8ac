//! A later version of an orchestrator that module A holds too.

use fermata_guest::*;

#[orchestrator("Versioned")]
async fn versioned(ctx: Context) -> Result<String> {
    ctx.wait_external_event::<()>("go").await?;
    Ok("B".to_owned())
}
