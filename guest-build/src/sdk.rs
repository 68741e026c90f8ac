//! The SDKs of languages that are no crates, and the contract. They are part of the program, so that it builds for the contract it knows, and
//! are unpacked into the folder of tools when they are needed.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use include_dir::{Dir, include_dir};

use crate::project::Language;
use crate::tools::Tools;

/// The types of the SDK for JavaScript, for an editor.
pub const JAVASCRIPT_TYPES: &str = include_str!("../../guest-sdk/js/types/index.d.ts");

pub(crate) const JAVASCRIPT_TOOLS: [(&str, &str); 2] = [
    ("package.json", include_str!("../../guest-sdk/js/build/package.json")),
    ("package-lock.json", include_str!("../../guest-sdk/js/build/package-lock.json")),
];
pub(crate) const PYTHON_TOOLS: &str = include_str!("../../guest-sdk/python/requirements.txt");

static WIT: Dir = include_dir!("$CARGO_MANIFEST_DIR/../wit");
static JAVASCRIPT: Dir = include_dir!("$CARGO_MANIFEST_DIR/../guest-sdk/js/src");
static JAVASCRIPT_BUILD: Dir = include_dir!("$CARGO_MANIFEST_DIR/../guest-sdk/js/build");
static PYTHON: Dir = include_dir!("$CARGO_MANIFEST_DIR/../guest-sdk/python/src");
static PYTHON_BUILD: &str = include_str!("../../guest-sdk/python/build.py");

/// Where the SDKs lie unpacked.
pub(crate) struct Unpacked(PathBuf);

impl Unpacked {
    /// The contract.
    pub(crate) fn wit(&self) -> PathBuf {
        self.0.join("wit")
    }

    pub(crate) fn javascript_build(&self) -> PathBuf {
        self.0.join("js/build/build.mjs")
    }

    pub(crate) fn python_build(&self) -> PathBuf {
        self.0.join("python/build.py")
    }
}

/// Unpacks the SDKs, unless they lie there already: the name of the folder tells what is in it.
pub(crate) fn unpack(tools: &Tools) -> Result<Unpacked> {
    let files: Vec<_> = [files(Language::JavaScript), files(Language::Python)].concat();
    let name = format!("sdk-{}", fingerprint_of(&files));
    let fill = |folder: &Path| files.iter().try_for_each(|(path, text)| write(&folder.join(path), text));
    Ok(Unpacked(tools.folder(&name, fill)?))
}

/// Tells the SDK of a language, and the tools it is built with, from those of another version.
pub fn fingerprint(language: Language) -> String {
    fingerprint_of(&files(language))
}

fn fingerprint_of(files: &[(PathBuf, &[u8])]) -> String {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The files of the SDK of a language, and the contract: where they go, and what they hold.
fn files(language: Language) -> Vec<(PathBuf, &'static [u8])> {
    let mut files = Vec::new();
    let mut folder = |name: &str, dir| collect(name.as_ref(), dir, &mut files);
    folder("wit", &WIT);
    match language {
        Language::Rust => {}
        Language::JavaScript => {
            folder("js/src", &JAVASCRIPT);
            folder("js/build", &JAVASCRIPT_BUILD);
        }
        Language::Python => {
            folder("python/src", &PYTHON);
            files.push(("python/build.py".into(), PYTHON_BUILD.as_bytes()));
            files.push(("python/requirements.txt".into(), PYTHON_TOOLS.as_bytes()));
        }
    }
    files
}

/// Writes what an editor needs to know the SDK for Python: the packages themselves.
pub fn write_python(folder: &Path) -> Result<()> {
    let mut files = Vec::new();
    collect("".as_ref(), &PYTHON, &mut files);
    files.iter().try_for_each(|(path, text)| write(&folder.join(path), text))
}

/// The files below a folder, in a fixed order, but for what tools leave behind.
fn collect<'a>(under: &Path, dir: &'a Dir<'a>, files: &mut Vec<(PathBuf, &'a [u8])>) {
    let is_ours = |path: &Path| !path.iter().any(|part| part == "node_modules" || part == "__pycache__");
    for file in dir.files().filter(|file| is_ours(file.path())) {
        files.push((under.join(file.path()), file.contents()));
    }
    dir.dirs().filter(|below| is_ours(below.path())).for_each(|below| collect(under, below, files));
    files.sort();
}

fn write(path: &Path, text: &[u8]) -> Result<()> {
    let folder = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("cannot write {}", path.display()))
}
