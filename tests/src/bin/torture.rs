//! `cargo xtask torture` and `cargo xtask soak`, which build a host for this to start.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tests::torture::{End, repeat, soak};

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
        /// The draws of another run; drawn where it is not given
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Keeps a host under load for long, with a kill now and then, and tells whether it stays as it was
    Soak {
        #[arg(long, default_value_t = 30)]
        minutes: u64,
        /// The draws of another run; drawn where it is not given
        #[arg(long)]
        seed: Option<u64>,
        /// Requests a second, at most
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
        rate: u32,
        /// Seconds until the host is killed, or at times stopped, and started again
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
        life: u64,
        /// Where samples and verdict are written to as JSON; the table as text beside it
        #[arg(long, value_name = "FILE.json")]
        out: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().what {
        What::Torture { kills, seed } => {
            let seed = seed.unwrap_or_else(|| fastrand::u64(..));
            let again = format!("cargo xtask torture --kills {kills} --seed {seed}");
            println!("{again}");
            print!("{}", repeat(End::Kill, kills, seed, again));
            ExitCode::SUCCESS
        }
        What::Soak { minutes, seed, rate, life, out } => {
            let seed = seed.unwrap_or_else(|| fastrand::u64(..));
            let again = format!("cargo xtask soak --minutes {minutes} --seed {seed} --rate {rate} --life {life}");
            println!("{again}");
            let length = Duration::from_secs(60 * minutes);
            let trend = soak::run(&soak::Plan { length, seed, rate, life: Duration::from_secs(life), again });
            print!("{trend}");
            if let Some(out) = out {
                let json = serde_json::to_string_pretty(&trend).expect("numbers are JSON");
                let written = std::fs::write(&out, json);
                let written = written.and_then(|()| std::fs::write(out.with_extension("txt"), trend.to_string()));
                written.unwrap_or_else(|error| panic!("{} can not be written: {error}", out.display()));
            }
            if trend.is_flat() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}
