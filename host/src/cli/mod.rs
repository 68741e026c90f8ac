//! The `fermata` command. Apart from `serve`, `new`, `build`, `replay`, `key`, `backup`, `restore` and `verify` it talks HTTP like anyone else.
//!
//! Data goes to standard output, words go to standard error, and the exit code says how it went: see [`Exit`].
//!
//! - [`serve`]: the host itself; [`new`], [`build`]: projects, and modules from them
//! - [`key`]: who may ask a host; [`backup`]: data directories, and copies of them
//! - [`instances`], [`control`], [`modules`], [`migrate`], [`skip`], [`binding`]: the commands that ask a host; [`client`]: how they do it; [`text`]: how
//!   answers are shown to people
//! - [`replay`]: a history outside its host
//! - [`duration`]: lengths of time on the command line
//! - [`failure`]: why a command failed
//! - [`compile`]: what `serve` starts for each module that it compiles

mod backup;
mod binding;
mod build;
mod client;
mod compile;
mod control;
mod duration;
mod failure;
mod instances;
mod key;
mod migrate;
mod modules;
mod new;
mod replay;
mod serve;
mod skip;
mod text;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use client::Client;
pub use failure::Exit;
use failure::Failure;

const AFTER_HELP: &str = "\
First steps:
  fermata new orders --lang ts               make a project: rust, js, ts or python
  fermata build orders                       build its module, print the module's path
  fermata serve --modules orders/dist
  fermata start Select --id s1
  fermata raise s1 Event2 true
  fermata status s1

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the module does not fit the history, 4 not found, 5 no key or
none that is good for this, 6 conflict (the id is taken, the instance has ended or is in a wrong state), 7 unavailable
(no host answers, or it is busy).";

/// A durable orchestrator: functions compiled to WebAssembly, suspended and resumed by replay, fed by HTTP events.
#[derive(Parser)]
#[command(name = "fermata", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    New(new::New),
    Build(build::Build),
    Deploy(modules::Deploy),
    Modules(modules::Modules),
    Start(instances::Start),
    Raise(instances::Raise),
    Status(instances::Status),
    List(instances::List),
    Terminate(control::Terminate),
    Suspend(control::Suspend),
    Resume(control::Resume),
    Rewind(control::Rewind),
    Restart(control::Restart),
    Purge(control::Purge),
    Unpark(control::Unpark),
    Migrate(migrate::Migrate),
    Export(replay::Export),
    Replay(replay::Replay),
    Skip(skip::Skip),
    Key(key::KeyCommand),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Verify(backup::Verify),
    Binding(binding::Binding),
    Openapi(Openapi),
    CompileModule(compile::CompileModule),
}

/// Prints the document of the HTTP API (OpenAPI 3.1). A host serves it at /openapi.json, and for people at /docs.
#[derive(Args)]
#[command(after_help = "Examples:\n  fermata openapi > openapi.json")]
struct Openapi;

/// Which host to ask, and how to show its answer.
#[derive(Args)]
struct Remote {
    /// Where the host listens.
    #[arg(long, env = "FERMATA_URL", default_value = "http://127.0.0.1:7071", global = true)]
    url: String,
    /// The key to ask with, where the host needs one.
    #[arg(long, env = "FERMATA_KEY", hide_env_values = true, global = true)]
    key: Option<String>,
    /// How to print the answer; json is what the host sent.
    #[arg(short, long, value_enum, default_value_t = Format::Text, global = true)]
    output: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Remote {
    fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.url, self.key.as_deref())
    }

    fn is_json(&self) -> bool {
        self.output == Format::Json
    }
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit().into()
        }
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(serve) => Ok(serve.run()?),
        Command::New(new) => Ok(new.run()?),
        Command::Build(build) => Ok(build.run()?),
        Command::Replay(replay) => replay.run(),
        Command::Key(key) => key.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Verify(verify) => verify.run(),
        Command::CompileModule(compile) => compile.run(),
        Command::Openapi(Openapi) => {
            text::line(&format!("{:#}", crate::api::document()));
            Ok(())
        }
        Command::Deploy(deploy) => ask(deploy.run()),
        Command::Modules(modules) => ask(modules.run()),
        Command::Start(start) => ask(start.run()),
        Command::Raise(raise) => ask(raise.run()),
        Command::Status(status) => ask(status.run()),
        Command::List(list) => ask(list.run()),
        Command::Terminate(terminate) => ask(terminate.run()),
        Command::Suspend(suspend) => ask(suspend.run()),
        Command::Resume(resume) => ask(resume.run()),
        Command::Rewind(rewind) => ask(rewind.run()),
        Command::Restart(restart) => ask(restart.run()),
        Command::Purge(purge) => ask(purge.run()),
        Command::Unpark(unpark) => ask(unpark.run()),
        Command::Migrate(migrate) => ask(migrate.run()),
        Command::Export(export) => ask(export.run()),
        Command::Skip(skip) => ask(skip.run()),
        Command::Binding(binding) => ask(binding.run()),
    }
}

/// Runs a command that only waits for a host.
fn ask(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(anyhow::Error::from)?.block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_command_shows_examples() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("fermata {}", command.get_name())), "{}", command.get_name());
        }
    }
}
