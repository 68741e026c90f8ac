//! Child processes, with an environment that is the user's and not that of the cargo we may run under.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Progress;

/// What a user sets to reach a registry, or to be spared a load, stays.
const KEPT: &[&str] =
    &["CARGO_HOME", "CARGO_BUILD_JOBS", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"];

/// A command without the variables with which one cargo tells its children what it builds, and for what: to a guest they
/// are wrong, and native linker flags break it.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(leaks) {
            command.env_remove(variable);
        }
    }
    command
}

fn leaks(variable: &str) -> bool {
    let of_cargo = variable == "CARGO" || variable.starts_with("CARGO_");
    let of_rustc = matches!(
        variable,
        "RUSTC" | "RUSTC_WORKSPACE_WRAPPER" | "RUSTDOC" | "RUSTFLAGS" | "RUSTDOCFLAGS" | "RUSTC_BOOTSTRAP"
    );
    of_rustc || (of_cargo && !KEPT.iter().any(|kept| variable.starts_with(kept)))
}

/// What the command prints, where it succeeds; nothing is shown.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the command in the sight of the user.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// Runs a tool that tells how it goes, line by line on standard error, and at last `error: ` with the reason where it fails.
pub(crate) fn told(command: &mut Command, progress: Progress) -> Result<()> {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = piped.spawn().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    let mut reason: Option<String> = None;
    let errors = child.stderr.take().context("the standard error of a child is a pipe")?;
    for line in BufReader::new(errors).lines().map_while(std::io::Result::ok) {
        match (&mut reason, line.strip_prefix("error: ")) {
            (None, Some(begins)) => reason = Some(begins.to_owned()),
            (None, None) => progress(&line),
            (Some(reason), _) => *reason += &format!("\n{line}"),
        }
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    match reason {
        Some(reason) => bail!("{}", reason.trim_end()),
        None => bail!("{command:?} failed: {status}"),
    }
}

/// Runs the command quietly, and not for longer than this.
pub(crate) fn run_within(limit: Duration, command: &mut Command) -> Result<()> {
    let started = Instant::now();
    let silenced = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = silenced.spawn().with_context(|| format!("cannot run {command:?}"))?;
    let mut errors = child.stderr.take().context("the standard error of a child is a pipe")?;
    // Read elsewhere, so that a full pipe stops nobody.
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).map(|_| text).unwrap_or_default()
    });
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            bail!("{command:?} was not done after {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if !status.success() {
        let text = reader.join().unwrap_or_default();
        bail!("{command:?} failed: {}", text.lines().find(|line| line.contains("error")).unwrap_or(text.trim()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_tells_its_children_does_not_leak() {
        for variable in ["CARGO", "CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "CARGO_PKG_NAME", "RUSTFLAGS", "RUSTC"]
        {
            assert!(leaks(variable), "{variable}");
        }
        for variable in [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_REGISTRIES_MINE_TOKEN",
            "PATH",
            "RUSTUP_HOME",
            "RUSTUP_TOOLCHAIN",
        ] {
            assert!(!leaks(variable), "{variable}");
        }
    }

    #[test]
    fn what_a_tool_tells_is_progress_until_it_is_the_reason() {
        let mut lines = Vec::new();
        let mut try_it =
            |script: &str| told(command("sh").args(["-c", script]), &mut |line| lines.push(line.to_owned()));
        try_it("echo one >&2; echo two >&2").unwrap();
        let error = try_it("echo three >&2; echo error: no route >&2; echo at all >&2; exit 1").unwrap_err();
        assert_eq!(error.to_string(), "no route\nat all");
        assert_eq!(lines, ["one", "two", "three"]);
    }

    #[test]
    fn a_child_that_hangs_is_ended() {
        let error = run_within(Duration::from_millis(100), command("sleep").arg("60")).unwrap_err();
        assert!(error.to_string().contains("was not done"), "{error}");
    }

    #[test]
    fn a_child_that_fails_says_why_in_one_line() {
        let script = "echo info: trying >&2; echo error: no route >&2; exit 1";
        let error = run_within(Duration::from_secs(10), command("sh").args(["-c", script])).unwrap_err();
        assert!(error.to_string().ends_with("error: no route"), "{error}");
    }
}
