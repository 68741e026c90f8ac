//! The words people read first, followed to the letter: files and commands are taken from the README, and what it shows must come.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Fresh;

const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const ADDRESS: &str = "127.0.0.1:7071";

#[test]
fn the_first_orchestrator() {
    let readme = fs::read_to_string(Path::new(CHECKOUT).join("README.md")).unwrap();
    let (_, steps) = readme.split_once("### Write it\n").expect("the README has a first orchestrator");
    let (steps, _) = steps.split_once("\n## ").expect("and something after it");
    Reader::in_an_empty_folder().follow(steps);
}

#[test]
fn the_first_orchestrator_in_javascript() {
    Reader::in_an_empty_folder().follow(include_str!("../../docs/javascript.md"));
}

#[test]
fn the_first_orchestrator_in_python() {
    Reader::in_an_empty_folder().follow(include_str!("../../docs/python.md"));
}

#[test]
fn the_examples() {
    for example in fs::read_dir(Path::new(CHECKOUT).join("examples")).unwrap() {
        let folder = example.unwrap().path();
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let package = manifest.lines().find_map(|line| line.strip_prefix("name = ")).expect("a package has a name");
        let host = Fresh::with(|settings| settings.modules(&[package.trim_matches('"')]));
        let mut reader = Reader::in_an_empty_folder();
        reader.address = host.address().to_owned();
        reader.follow(&readme);
    }
}

/// Somebody who does what is written.
struct Reader {
    folder: PathBuf,
    address: String,
    host: Option<Child>,
    /// Goes last, with all that is in it.
    home: tempfile::TempDir,
}

/// A fenced block.
enum Block {
    /// What to put into a file.
    File(PathBuf, String),
    /// What to type.
    Commands(String),
    /// What to see then. `…` stands for anything.
    Shown(String),
}

impl Reader {
    fn in_an_empty_folder() -> Reader {
        let home = tempfile::tempdir().unwrap();
        // On a terminal curl shows no progress when its answer is short.
        fs::write(home.path().join(".curlrc"), "silent\nshow-error\n").unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Reader { folder: home.path().join("empty"), address, host: None, home }
    }

    fn follow(&mut self, text: &str) {
        fs::create_dir(&self.folder).unwrap();
        let mut blocks = blocks(text).into_iter().peekable();
        while let Some(block) = blocks.next() {
            match block {
                Block::File(path, text) => self.write(&path, &text),
                Block::Commands(commands) => {
                    let shown = match blocks.next_if(|next| matches!(next, Block::Shown(_))) {
                        Some(Block::Shown(shown)) => self.adapt(&shown),
                        _ => "…".to_owned(),
                    };
                    self.type_in(&self.adapt(&commands), &shown);
                }
                Block::Shown(shown) => panic!("nothing was typed for this to be shown:\n{shown}"),
            }
        }
    }

    /// Puts in what differs here.
    fn adapt(&self, text: &str) -> String {
        text.replace(ADDRESS, &self.address).replace("/path/to/fermata", CHECKOUT)
    }

    fn write(&self, path: &Path, text: &str) {
        fs::write(self.folder.join(path), self.adapt(text)).unwrap();
        if path == Path::new("Cargo.toml") {
            // The versions that are here already, so that no registry is asked; and a target directory that is warm.
            fs::copy(Path::new(CHECKOUT).join("Cargo.lock"), self.folder.join("Cargo.lock")).unwrap();
            fs::create_dir(self.folder.join("target")).unwrap();
            std::os::unix::fs::symlink(target().join("guest-build"), self.folder.join("target/guest-build")).unwrap();
        }
    }

    fn type_in(&mut self, commands: &str, shown: &str) {
        if commands.contains("curl ") && !has_curl() {
            return println!("there is no curl here, so this was not tried:\n{commands}");
        }
        if commands.starts_with("fermata serve") {
            return self.serve(commands, shown);
        }
        // What an event causes comes soon after its answer: who asks may ask again.
        let asks = commands.starts_with("fermata status") || commands.starts_with("curl http");
        let begun = Instant::now();
        loop {
            let (succeeded, output) = self.run(commands);
            if succeeded && matches(shown, &output) {
                return;
            }
            assert!(
                asks && begun.elapsed() < Duration::from_secs(10),
                "$ {commands}\nshould show\n{shown}\nand showed\n{output}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs commands to their end, and goes where they went.
    fn run(&mut self, commands: &str) -> (bool, String) {
        let whereabouts = self.home.path().join("whereabouts");
        let script = format!("exec 2>&1\n{commands}\npwd > '{}'", whereabouts.display());
        let output = self.shell(&script).output().unwrap();
        if output.status.success() {
            self.folder = fs::read_to_string(whereabouts).unwrap().trim_end().into();
        }
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts a host in a terminal of its own.
    fn serve(&mut self, command: &str, shown: &str) {
        self.stop();
        let mut host = self.shell(&format!("exec {command}")).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(host.stderr.take().unwrap()).lines().map_while(Result::ok);
        self.host = Some(host);
        let mut said = String::new();
        while !said.contains("listening on") {
            said += &lines.next().unwrap_or_else(|| panic!("the host ended:\n{said}"));
            said.push('\n');
        }
        // Read on, or the host would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        assert!(matches(shown, &said), "$ {command}\nshould show\n{shown}\nand showed\n{said}");
    }

    fn stop(&mut self) {
        if let Some(mut host) = self.host.take() {
            // It may have been killed already.
            let _ = host.kill();
            let _ = host.wait();
        }
    }

    fn shell(&self, script: &str) -> Command {
        let binary = tests::binary();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]).current_dir(&self.folder).stdin(Stdio::null());
        shell
            .env("PATH", format!("{}:{path}", binary.parent().unwrap().display()))
            .env("CURL_HOME", self.home.path())
            .env("FERMATA_LISTEN", &self.address)
            .env("FERMATA_URL", format!("http://{}", self.address))
            .env("FERMATA_TOOLS", target().join("guest-tools"))
            .env("CARGO_TARGET_DIR", target().join("readme"))
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_NET_OFFLINE", "true");
        shell
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Fenced blocks with an info string of `sh`, `text`, or a language and the name of a file.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let body = body.join("\n") + "\n";
        blocks.push(match info.split_once(' ') {
            Some((_, file)) => Block::File(file.into(), body),
            None if info == "sh" => Block::Commands(body),
            None if info == "text" => Block::Shown(body),
            None => panic!("what is a reader to do with a block of {info:?}?"),
        });
    }
    assert!(!blocks.is_empty(), "there is nothing to do");
    blocks
}

/// Whether a text is what was shown, surrounding white space aside; `…` stands for anything, over lines as well.
fn matches(shown: &str, text: &str) -> bool {
    let (shown, mut rest) = (shown.trim(), text.trim());
    let mut pieces = shown.split('…');
    let (first, mut last) = (pieces.next().unwrap_or_default(), None);
    let Some(after) = rest.strip_prefix(first.trim_end_matches('\n')) else { return false };
    rest = after;
    for piece in pieces {
        let piece = piece.trim_matches('\n');
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
        last = Some(piece);
    }
    // Nothing may follow but what a `…` at the end stands for.
    rest.is_empty() || last.is_some_and(|last| last.is_empty() || text.trim().ends_with(last))
}

#[test]
fn dots_stand_for_anything() {
    assert!(matches("a\n…\nd\n…", "a\nb\nc\nd\ne"));
    assert!(matches("{\"id\":1,…}", "{\"id\":1,\"x\":{}}"));
    assert!(matches("…", ""));
    assert!(!matches("a", "ab"));
    assert!(!matches("…b", "abc"));
    assert!(!matches("a…d", "abc"));
}

fn has_curl() -> bool {
    Command::new("curl").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// The target directory that this test was built in.
fn target() -> PathBuf {
    tests::binary().ancestors().nth(2).expect("the binary lies in target/<profile>").to_owned()
}
