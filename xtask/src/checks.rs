//! `cargo xtask test`: everything that must hold before a change lands.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::project::{self, cargo};
use crate::{clients, guests};

pub fn run(rest: &[String]) -> Result<()> {
    let everything = rest.is_empty();
    if everything {
        project::run(cargo().args(["fmt", "--all", "--check"]))?;
    }
    guests::build_all()?;
    clients::install()?;
    if everything {
        project::run(cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    }
    // Tests start the binary themselves.
    project::host_binary()?;
    // Documentation tests are the one kind that nextest does not run.
    let documented =
        if everything { counted(cargo().args(["test", "--workspace", "--doc", "--no-fail-fast"]))? } else { 0 };
    let tests = if has_nextest() {
        counted(cargo().args(["nextest", "run", "--workspace", "--no-fail-fast"]).args(rest))?
    } else {
        counted(cargo().args(["test", "--workspace", "--all-targets", "--no-fail-fast"]).args(rest))?
    };
    eprintln!("{tests} tests and {documented} documentation tests passed");
    if everything {
        eprintln!("every check passed");
    }
    Ok(())
}

/// Runs tests with their output where ours goes, and counts those that passed.
fn counted(command: &mut Command) -> Result<u64> {
    let mut passed = 0;
    let mut child = project::spawn(command.stderr(Stdio::piped()).stdout(Stdio::piped()))?;
    // nextest tells its summary on standard error, cargo test on standard output.
    let stdout = child.stdout.take().context("it is piped")?;
    let stderr = child.stderr.take().context("it is piped")?;
    let others = std::thread::spawn(move || relay(BufReader::new(stdout), |line| println!("{line}")));
    passed += relay(BufReader::new(stderr), |line| eprintln!("{line}"));
    passed += others.join().unwrap_or(0);
    let status = child.wait()?;
    ensure!(status.success(), "tests failed: {status}");
    Ok(passed)
}

fn relay(lines: impl BufRead, show: impl Fn(&str)) -> u64 {
    let mut passed = 0;
    for line in lines.lines().map_while(Result::ok) {
        passed += passed_in(&line);
        show(&line);
    }
    passed
}

/// The number of tests that a summary line of cargo test or nextest says passed.
fn passed_in(line: &str) -> u64 {
    let is_summary = line.starts_with("test result:") || line.trim_start().starts_with("Summary [");
    let before = line.split(" passed").next().filter(|before| is_summary && before.len() < line.len());
    before.and_then(|before| before.rsplit(' ').next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn has_nextest() -> bool {
    let mut ask = Command::new("cargo-nextest");
    ask.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    ask.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::passed_in;

    #[test]
    fn summaries_are_read() {
        let nextest = "     Summary [  57.434s] 229 tests run: 225 passed (1 slow), 4 failed, 2 skipped";
        assert_eq!(passed_in(nextest), 225);
        assert_eq!(passed_in("test result: ok. 17 passed; 0 failed; 0 ignored"), 17);
        assert_eq!(passed_in("test it_says_that_3 passed ... ok"), 0);
    }
}
