//! What a path holds, and how it is built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::rust::{BuildRequest, Toolchain};
use crate::tools::Tools;
use crate::{Progress, child, javascript, python};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Rust,
    /// TypeScript, too.
    JavaScript,
    Python,
}

/// A project of orchestrators: a folder, or one file in JavaScript, TypeScript or Python.
#[derive(Debug)]
pub struct Project {
    path: PathBuf,
    language: Language,
}

impl Project {
    /// The project at a path. A folder is told by its Cargo.toml, package.json, pyproject.toml or requirements.txt, else by the files in it.
    pub fn at(path: &Path) -> Result<Project> {
        ensure!(path.exists(), "there is no {}", path.display());
        let path = std::path::absolute(path)?;
        let language = if path.is_dir() { of_folder(&path) } else { of_file(&path) };
        let language = language.with_context(|| {
            format!(
                "{} is no project of orchestrators: that is a folder with a Cargo.toml, a package.json, a pyproject.toml or a \
                 requirements.txt, or a file in JavaScript, TypeScript or Python; `fermata new` makes one",
                path.display()
            )
        })?;
        Ok(Project { path, language })
    }

    pub fn language(&self) -> Language {
        self.language
    }

    /// Builds the module, and returns where it is: in `out`, else in `target/guests` of a crate's workspace, else in `dist` of
    /// the project. What it takes to build is in `tools`, or goes there.
    pub fn build(&self, out: Option<&Path>, tools: &Tools, progress: Progress) -> Result<PathBuf> {
        if self.language == Language::Rust {
            return self.build_crate(out, progress);
        }
        let folder =
            if self.path.is_dir() { &self.path } else { self.path.parent().context("a file lies in a folder")? };
        let out = out.map_or_else(|| folder.join("dist"), Path::to_owned);
        fs::create_dir_all(&out).with_context(|| format!("cannot make the folder {}", out.display()))?;
        let module = self.module_in(&out);
        progress(&format!("building {}", self.name()));
        // In two steps, so that whoever watches the folder never sees half a module.
        let unfinished = out.join(format!(".{}.{}.part", self.name(), std::process::id()));
        let build = if self.language == Language::Python { python::build } else { javascript::build };
        let built = build(&self.path, &unfinished, tools, progress)
            .and_then(|()| fs::rename(&unfinished, &module).context("the module was built, and is not there"));
        if built.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        built.map(|()| module)
    }

    /// The module that a project in another language than Rust makes in this folder.
    pub fn module_in(&self, out: &Path) -> PathBuf {
        out.join(format!("{}.wasm", self.name()))
    }

    fn build_crate(&self, out: Option<&Path>, progress: Progress) -> Result<PathBuf> {
        let target = target_dir(&self.path)?;
        let request = BuildRequest {
            manifest_dir: self.path.clone(),
            packages: Vec::new(),
            target_dir: target.join("guest-build"),
            out_dir: out.map_or_else(|| target.join("guests"), Path::to_owned),
        };
        let modules = Toolchain::find_or_install(progress)?.build(&request)?;
        modules.into_iter().next().context("one package makes one module")
    }

    /// What the module is called: as package.json or pyproject.toml say, else as the folder or file is.
    fn name(&self) -> String {
        let declared = match self.language {
            Language::Python => declared_in_pyproject(&self.path),
            _ => declared_in_package_json(&self.path),
        };
        let stem = if self.path.is_dir() { self.path.file_name() } else { self.path.file_stem() };
        let name = declared.or_else(|| Some(stem?.to_string_lossy().into_owned())).unwrap_or_default();
        // The name of a scoped package has a slash.
        name.trim_start_matches('@').replace(['/', '\\'], "-")
    }
}

fn of_folder(folder: &Path) -> Option<Language> {
    let has = |name: &str| folder.join(name).exists();
    if has("Cargo.toml") {
        return Some(Language::Rust);
    }
    if has("package.json") || has("tsconfig.json") {
        return Some(Language::JavaScript);
    }
    if has("pyproject.toml") || has("requirements.txt") || has("function_app.py") {
        return Some(Language::Python);
    }
    let mut names: Vec<_> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    names.sort();
    names.iter().find_map(|path| of_file(path))
}

fn of_file(path: &Path) -> Option<Language> {
    match path.extension()?.to_str()? {
        "js" | "mjs" | "cjs" | "ts" | "mts" | "cts" => Some(Language::JavaScript),
        "py" => Some(Language::Python),
        _ => None,
    }
}

fn declared_in_package_json(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(package["name"].as_str()?.to_owned())
}

fn declared_in_pyproject(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("pyproject.toml")).ok()?;
    let pyproject: toml::Table = text.parse().ok()?;
    Some(pyproject.get("project")?.get("name")?.as_str()?.to_owned())
}

/// The folder that version control ignores: `target` of the workspace, which is the crate itself where there is none around it.
fn target_dir(path: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["locate-project", "--workspace", "--message-format", "plain", "--manifest-path"]);
    let workspace = child::output(cargo.arg(path.join("Cargo.toml"))).context("the crate is not sound")?;
    let workspace = PathBuf::from(workspace.trim_end());
    if !workspace.ends_with("Cargo.toml") {
        bail!("cargo does not say where the workspace of {} is", path.display());
    }
    Ok(workspace.with_file_name("target"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The project of a folder with these files.
    fn project(files: &[(&str, &str)], at: &str) -> Result<(Language, String)> {
        let root = tempfile::tempdir()?;
        let folder = root.path().join("orders");
        for (path, text) in files {
            fs::create_dir_all(folder.join(path).parent().unwrap())?;
            fs::write(folder.join(path), text)?;
        }
        let project = Project::at(&folder.join(at))?;
        Ok((project.language(), project.name()))
    }

    #[test]
    fn a_project_is_told_by_its_files() {
        let of = |files: &[(&str, &str)]| project(files, "").unwrap().0;
        assert_eq!(of(&[("Cargo.toml", ""), ("package.json", "{}")]), Language::Rust);
        assert_eq!(of(&[("package.json", "{}"), ("tool.py", "")]), Language::JavaScript);
        assert_eq!(of(&[("requirements.txt", "")]), Language::Python);
        assert_eq!(of(&[("README.md", ""), ("Select.ts", "")]), Language::JavaScript);
        assert_eq!(of(&[("README.md", ""), ("Select.py", "")]), Language::Python);
        let error = project(&[("README.md", "")], "").unwrap_err().to_string();
        assert!(error.contains("no project of orchestrators") && error.contains("fermata new"), "{error}");
        assert!(project(&[("a", "")], "nowhere").unwrap_err().to_string().starts_with("there is no "));
    }

    #[test]
    fn a_module_is_called_as_its_project_is() {
        let named = |files: &[(&str, &str)], at: &str| project(files, at).unwrap().1;
        assert_eq!(named(&[("package.json", r#"{"name": "@shop/orders"}"#)], ""), "shop-orders");
        assert_eq!(named(&[("package.json", "{}")], ""), "orders");
        let pyproject =
            "[build-system]\nname = 'no'\n[project]\nversion = '1'\nname = \"py-orders\"\n[tool.x]\nname = 'no'\n";
        assert_eq!(named(&[("pyproject.toml", pyproject)], ""), "py-orders");
        assert_eq!(named(&[("Select.py", "")], "Select.py"), "Select");
    }
}
