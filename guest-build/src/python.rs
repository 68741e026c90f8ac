//! Modules from Python, made components by componentize-py.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::child::{self, command};
use crate::language::{self, PYTHON};
use crate::tools::{Tools, name_of};
use crate::{Progress, sdk};

/// What the SDK stands in for; nobody has to install it.
const OURS: [&str; 3] = ["azure-functions", "azure-functions-durable", "fermata-guest"];

/// Python as it is in a module.
const VERSION_IN_MODULES: &str = "3.14";

/// Builds the project, a file or a folder, to the module `out`.
pub fn build(project: &Path, out: &Path, tools: &Tools, progress: Progress) -> Result<()> {
    let version = PYTHON.find_or_install("a module in Python", progress)?;
    let environment = install_tools(&version, tools, progress)?;
    let sdk = sdk::unpack(tools)?;
    let python = language::python_in(&environment);
    let packages = install_dependencies(project, &python, tools, progress)?;
    let mut build = command(python);
    build.arg("-B").arg(sdk.python_build()).arg(project).arg(out).arg("--wit").arg(sdk.wit());
    if let Some(packages) = packages {
        build.arg("--site-packages").arg(packages);
    }
    child::told(&mut build, progress)
}

fn install_tools(version: &str, tools: &Tools, progress: Progress) -> Result<PathBuf> {
    tools.folder(&format!("python-{}", name_of([version, sdk::PYTHON_TOOLS])), |folder| {
        progress("installing componentize-py with pip");
        let requirements = folder.with_extension("txt");
        fs::write(&requirements, sdk::PYTHON_TOOLS)?;
        let installed = language::python_environment(folder, &requirements, progress);
        installed.context("the tools for Python could not be installed")
    })
}

/// Installs what the project's requirements.txt names, where it names anything. A module holds packages in Python alone, and none with native code.
fn install_dependencies(project: &Path, python: &Path, tools: &Tools, progress: Progress) -> Result<Option<PathBuf>> {
    let requirements = project.join("requirements.txt");
    let Ok(text) = fs::read_to_string(&requirements) else { return Ok(None) };
    let wanted: Vec<&str> = text.lines().map(str::trim).filter(|line| is_needed(line)).collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let name = format!("python-packages-{}", name_of(wanted.iter().copied()));
    let folder = tools.folder(&name, |folder| {
        progress("installing the project's packages with pip");
        let list = folder.with_extension("txt");
        fs::write(&list, wanted.join("\n"))?;
        let mut pip = command(python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
        pip.args([
            "--platform",
            "any",
            "--implementation",
            "py",
            "--abi",
            "none",
            "--python-version",
            VERSION_IN_MODULES,
        ]);
        pip.arg("--target").arg(folder).arg("--requirement").arg(&list);
        let no_native = "a module holds packages that are in Python alone, and none with native code";
        child::told(&mut pip, progress)
            .with_context(|| format!("{} could not be installed: {no_native}", requirements.display()))
    })?;
    Ok(Some(folder))
}

fn is_needed(line: &str) -> bool {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(line.len());
    let name = line[..end].to_lowercase().replace(['_', '.'], "-");
    !(line.is_empty() || line.starts_with('#') || OURS.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::is_needed;

    #[test]
    fn what_the_sdk_stands_in_for_is_not_installed() {
        for line in ["", "# a comment", "azure-functions", "azure_functions_durable>=1.2", "Azure-Functions[x]==1"] {
            assert!(!is_needed(line), "{line}");
        }
        for line in ["pendulum", "azure-identity", "-r more.txt", "azure-functions-extras"] {
            assert!(is_needed(line), "{line}");
        }
    }
}
