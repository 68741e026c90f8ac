//! The project's own commands. `cargo xtask --help` lists them.

mod bench;
mod checks;
mod clients;
mod demo;
mod faults;
mod fuzz;
mod guests;
mod project;
mod sim;
mod torture;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What this project does with itself")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sets everything up, starts a host and runs the three orchestrators of the Durable Functions page on external events
    Demo {
        /// Leave no host running at the end, and fail unless every answer is the expected one
        #[arg(long)]
        check: bool,
    },
    /// Sets everything up and runs every check: format, lints, all tests
    Test {
        /// Handed on to the test runner, for example the name of a test
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Runs the tests of a disk that fails, as long as these numbers say
    Faults(faults::Faults),
    /// Builds every guest but those that are measured, in every language, to target/guests/<name>.wasm
    Guests,
    /// Installs the clients of Durable Functions that the tests drive a host with, where they are not installed yet
    Clients,
    /// Runs the simulation of the dispatcher for longer than the tests do; with SEED in the environment that seed again
    Sim {
        /// How long
        #[arg(long)]
        minutes: Option<u64>,
        /// How many seeds
        #[arg(long)]
        seeds: Option<u64>,
    },
    /// Sends random inputs to whatever takes bytes from strangers; FERMATA_FUZZ_INPUT=<file> tries one alone, SEED=<number> the same ones again
    Fuzz {
        /// How long each target is given
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        /// All where it is not said
        #[arg(value_parser = fuzz::TARGETS)]
        target: Option<String>,
    },
    /// Measures a release build; `cargo xtask bench --help` lists what and how. `cargo xtask bench micro` measures the pure pieces alone
    #[command(disable_help_flag = true)]
    Bench {
        /// Handed on to the `bench` binary of benches/
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Kills a host under load again and again, and compares what became of everything with a ledger outside of it; `--help` lists how
    #[command(disable_help_flag = true)]
    Torture {
        /// Handed on to the `torture` binary of tests/
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Keeps a host under load for long, with a kill now and then, and tells whether it stays as it was; `--help` lists how
    #[command(disable_help_flag = true)]
    Soak {
        /// Handed on to the `torture` binary of tests/
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Demo { check } => demo::run(check),
        Command::Test { rest } => checks::run(&rest),
        Command::Faults(faults) => faults.run(),
        Command::Guests => guests::build_all(),
        Command::Clients => clients::install(),
        Command::Sim { minutes, seeds } => sim::run(minutes, seeds),
        Command::Fuzz { seconds, target } => fuzz::run(seconds, target.as_deref()),
        Command::Bench { rest } => bench::run(&rest),
        Command::Torture { rest } => torture::run("torture", &rest),
        Command::Soak { rest } => torture::run("soak", &rest),
    }
}
