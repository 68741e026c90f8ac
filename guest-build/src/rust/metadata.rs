//! The little that a build needs to know of `cargo metadata`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::child;

/// The profile of guests; a workspace may define its own.
pub(super) const PROFILE: &str = "guest";

#[derive(Deserialize)]
pub(super) struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

impl Metadata {
    pub(super) fn read(cargo: &mut Command, manifest_dir: &Path) -> Result<Self> {
        let manifest = manifest_dir.join("Cargo.toml");
        cargo.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(&manifest);
        let json = child::output(cargo).with_context(|| format!("cannot read {}", manifest.display()))?;
        serde_json::from_str(&json).context("cargo metadata has an unknown form")
    }

    /// The packages of these names; without names, the one in the folder.
    pub(super) fn select(&self, manifest_dir: &Path, names: &[String]) -> Result<Vec<&Package>> {
        if names.is_empty() {
            let manifest = manifest_dir.canonicalize()?.join("Cargo.toml");
            let package = self.packages.iter().find(|package| package.manifest_path == manifest);
            return Ok(vec![package.with_context(|| {
                format!("{} holds a workspace and no package: name the packages to build", manifest_dir.display())
            })?]);
        }
        let find = |name: &String| {
            let package = self.packages.iter().find(|package| package.name == *name);
            package.with_context(|| format!("there is no package `{name}` in {}", self.workspace_root.display()))
        };
        names.iter().map(find).collect()
    }

    /// Whether the workspace has a profile for guests of its own.
    pub(super) fn has_profile(&self) -> bool {
        let manifest = std::fs::read_to_string(self.workspace_root.join("Cargo.toml")).unwrap_or_default();
        manifest.lines().any(|line| line.trim() == format!("[profile.{PROFILE}]"))
    }

    pub(super) fn has_lock_file(&self) -> bool {
        self.workspace_root.join("Cargo.lock").exists()
    }
}

impl Package {
    /// The name of the file that cargo makes.
    pub(super) fn artifact(&self) -> Result<String> {
        let library = self.targets.iter().find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"));
        let Some(library) = library else {
            bail!(
                "package `{}` makes no module. Put this into {}:\n\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n",
                self.name,
                self.manifest_path.display()
            );
        };
        Ok(format!("{}.wasm", library.name.replace('-', "_")))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::Toolchain;

    fn workspace() -> TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("Cargo.toml", "[workspace]\nresolver = '3'\nmembers = ['*']\n[profile.guest]\ninherits = 'release'\n");
        for (folder, library) in [("module", "[lib]\ncrate-type = ['cdylib', 'rlib']"), ("plain", "")] {
            let package = format!("[package]\nname = 'the-{folder}'\nedition = '2024'\n{library}");
            write(&format!("{folder}/Cargo.toml"), &package);
            write(&format!("{folder}/src/lib.rs"), "");
        }
        root
    }

    fn read(manifest_dir: &Path) -> Metadata {
        Metadata::read(&mut Toolchain::Rustup.cargo(), manifest_dir).unwrap()
    }

    #[test]
    fn the_package_in_the_folder_is_built_where_none_is_named() {
        let root = workspace();
        let folder = root.path().join("module");
        let metadata = read(&folder);
        let selected = metadata.select(&folder, &[]).unwrap();
        assert_eq!(selected[0].artifact().unwrap(), "the_module.wasm");
        assert!(metadata.has_profile() && !metadata.has_lock_file());
    }

    #[test]
    fn what_cannot_be_built_is_named() {
        let root = workspace();
        let metadata = read(root.path());
        let error = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
            let selected = metadata.select(root.path(), &names);
            selected.and_then(|packages| packages[0].artifact()).unwrap_err().to_string()
        };
        assert!(error(&[]).contains("name the packages to build"));
        assert!(error(&["other"]).contains("there is no package `other`"));
        assert!(error(&["the-plain"]).contains("crate-type = [\"cdylib\", \"rlib\"]"));
    }
}
