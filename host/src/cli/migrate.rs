//! `fermata migrate`.

use anyhow::anyhow;
use clap::{ArgGroup, Args};
use serde::Deserialize;

use super::failure::{Exit, Failure};
use super::{Remote, text};

const EXAMPLES: &str = "\
Examples:
  fermata migrate --to $(fermata deploy order.wasm) --orchestrator Order --dry-run
  fermata migrate --to 3f2a91 --orchestrator Order
  fermata migrate --to 3f2a91 --instance order-1";

/// Moves live instances to another module: those whose history it fits.
///
/// Each history is replayed against the module. Where that does something else than history says, the instance stays as it is, and
/// what differs is shown.
#[derive(Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("what").required(true).args(["orchestrator", "instance"]))]
pub struct Migrate {
    /// The digest of the module, or as much of its beginning as no other has.
    #[arg(long, value_name = "DIGEST")]
    to: String,
    /// All instances of this orchestrator that have not ended.
    #[arg(long, value_name = "NAME")]
    orchestrator: Option<String>,
    /// One instance.
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// Only find out which ones fit.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Deserialize)]
struct Migrations {
    instances: Vec<Found>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    instance_id: String,
    from: String,
    fits: Option<bool>,
    moved: bool,
    same: bool,
    mismatch: Option<Mismatch>,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Mismatch {
    text: String,
}

impl Migrate {
    pub async fn run(self) -> Result<(), Failure> {
        let wish = serde_json::json!({
            "to": self.to, "orchestrator": self.orchestrator, "instance": self.instance, "dryRun": self.dry_run,
        });
        let reply = self.remote.client()?.post("/migrations", wish.to_string().into()).await?;
        let found: Migrations = text::parse(&reply.body)?;
        if self.remote.is_json() {
            text::json(&reply.body)?;
        } else if found.instances.is_empty() {
            eprintln!("there is no live instance to move");
        } else {
            show(&found.instances);
        }
        verdict(&found.instances)
    }
}

fn show(found: &[Found]) {
    let rows: Vec<[&str; 4]> = found
        .iter()
        .map(|found| {
            let why = found.mismatch.as_ref().map(|mismatch| &*mismatch.text).or(found.reason.as_deref());
            [&found.instance_id, text::short(&found.from), found.result(), why.unwrap_or_default()]
        })
        .collect();
    text::table(["INSTANCE", "FROM", "RESULT", "WHY"], &rows);
}

impl Found {
    fn result(&self) -> &'static str {
        match self.fits {
            Some(true) if self.same => "runs it already",
            Some(true) if self.moved => "moved",
            Some(true) => "fits",
            Some(false) => "diverges",
            None => "unknown",
        }
    }
}

/// A command that left something behind has failed.
fn verdict(found: &[Found]) -> Result<(), Failure> {
    let count = |fits| found.iter().filter(|found| found.fits == fits).count();
    match (count(Some(false)), count(None)) {
        (0, 0) => Ok(()),
        (0, unknown) => {
            let error = anyhow!("whether {unknown} of {} fit the module could not be found out", found.len());
            Err(Failure::new(Exit::Failed, error))
        }
        (diverging, _) => {
            let error = anyhow!("{diverging} of {} do not fit the module, and stay as they are", found.len());
            Err(Failure::new(Exit::Diverges, error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(fits: Option<bool>) -> Found {
        let (instance_id, from) = ("i".to_owned(), "m".to_owned());
        Found { instance_id, from, fits, moved: false, same: false, mismatch: None, reason: None }
    }

    #[test]
    fn the_exit_code_tells_the_worst() {
        let exit = |found: &[Found]| verdict(found).err().map(|failure| failure.exit());
        assert_eq!(exit(&[]), None);
        assert_eq!(exit(&[found(Some(true))]), None);
        assert_eq!(exit(&[found(Some(true)), found(None)]), Some(Exit::Failed));
        assert_eq!(exit(&[found(None), found(Some(false))]), Some(Exit::Diverges));
    }
}
