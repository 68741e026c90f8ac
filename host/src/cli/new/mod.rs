//! `fermata new`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use fermata_guest_build::sdk;

use crate::cli::text;

const EXAMPLES: &str = "\
Examples:
  fermata new orders
  fermata new orders --lang ts
  fermata new shop/orders --lang python && fermata build shop/orders";

/// Makes a project of an orchestrator and an activity that builds and runs, and prints its path.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct New {
    /// The folder to make; its name is the project's.
    path: PathBuf,
    /// The language to write in.
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lang {
    Rust,
    Js,
    Ts,
    Python,
}

/// A file of a starter project: its path, and its text with words to fill in.
type Template = (&'static str, &'static str);

const EVERYWHERE: [Template; 2] =
    [(".gitignore", include_str!("gitignore.in")), ("README.md", include_str!("README.md.in"))];
const RUST: [Template; 2] =
    [("Cargo.toml", include_str!("rust/Cargo.toml.in")), ("src/lib.rs", include_str!("rust/src/lib.rs.in"))];
const JAVASCRIPT: [Template; 4] = [
    ("package.json", include_str!("javascript/package.json.in")),
    ("jsconfig.json", include_str!("javascript/jsconfig.json.in")),
    ("src/orders.js", include_str!("javascript/src/orders.js.in")),
    ("types/fermata-guest.d.ts", sdk::JAVASCRIPT_TYPES),
];
const TYPESCRIPT: [Template; 4] = [
    ("package.json", include_str!("typescript/package.json.in")),
    ("tsconfig.json", include_str!("typescript/tsconfig.json.in")),
    ("src/orders.ts", include_str!("typescript/src/orders.ts.in")),
    ("types/fermata-guest.d.ts", sdk::JAVASCRIPT_TYPES),
];
const PYTHON: [Template; 2] = [
    ("pyproject.toml", include_str!("python/pyproject.toml.in")),
    ("function_app.py", include_str!("python/function_app.py.in")),
];

impl New {
    pub fn run(self) -> Result<()> {
        let name = self.name()?;
        ensure!(!self.path.exists(), "{} is there already: choose another name", self.path.display());
        let templates: &[Template] = match self.lang {
            Lang::Rust => &RUST,
            Lang::Js => &JAVASCRIPT,
            Lang::Ts => &TYPESCRIPT,
            Lang::Python => &PYTHON,
        };
        for (path, template) in EVERYWHERE.iter().chain(templates) {
            write(&self.path.join(path), &template.replace("NAME", name).replace("FERMATA_GUEST", &guest_crate()))?;
        }
        if self.lang == Lang::Python {
            sdk::write_python(&self.path.join("typings"))?;
        }
        text::line(&self.path.display().to_string());
        eprintln!("build it with `fermata build {}`; its README.md says how to run it", self.path.display());
        Ok(())
    }

    /// The name of the project, which cargo, npm and pip take.
    fn name(&self) -> Result<&str> {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let is_good = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_name);
        ensure!(
            is_good,
            "a project's name begins with a small letter and has small letters, digits, - and _ only: not {name:?}"
        );
        Ok(name)
    }
}

/// How a crate depends on the SDK: by the checkout that this program was built from, where that is still there.
fn guest_crate() -> String {
    let checkout = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk");
    match fs::canonicalize(checkout) {
        Ok(path) => format!("{{ path = {:?} }}", path.display().to_string()),
        Err(_) => format!("{:?}", env!("CARGO_PKG_VERSION")),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("{} can not be written", path.display()))
}
