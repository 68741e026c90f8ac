//! `cargo xtask torture` and `cargo xtask soak`, which build a host for this to start.

use clap::{Parser, Subcommand};
use tests::torture::kills;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "A host under load that dies and lives again")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Kills a host under load again and again, and compares what became of everything with a ledger outside of it
    Torture {
        #[arg(long, default_value_t = 5_000)]
        kills: u32,
        /// A number to repeat a run by; drawn where it is not given
        #[arg(long)]
        seed: Option<u64>,
    },
}

fn main() {
    match Arguments::parse().what {
        What::Torture { kills, seed } => {
            let seed = seed.unwrap_or_else(|| fastrand::u64(..));
            println!("{kills} kills, seed {seed}");
            let again = format!("cargo xtask torture --kills {kills} --seed {seed}");
            print!("{}", kills::run(kills, seed, again));
        }
    }
}
