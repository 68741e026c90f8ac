use std::process::ExitCode;

fn main() -> ExitCode {
    fermata::cli::run()
}
