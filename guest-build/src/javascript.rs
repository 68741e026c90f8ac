//! Modules from JavaScript and TypeScript: bundled by esbuild, made components by componentize-qjs, which run in Node.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::child::{self, command};
use crate::language::{self, NODE};
use crate::tools::Tools;
use crate::{Progress, sdk};

/// What the SDK and the build stand in for; nobody has to install it.
const OURS: [&str; 3] = ["durable-functions", "fermata-guest", "@azure/functions"];

/// Builds the project, a file or a folder, to the module `out`.
pub fn build(project: &Path, out: &Path, tools: &Tools, progress: Progress) -> Result<()> {
    let version = NODE.find_or_install("a module in JavaScript", progress)?;
    let installed = install_tools(&version, tools, progress)?;
    let sdk = sdk::unpack(tools)?;
    if project.is_dir() {
        install_dependencies(project, progress)?;
    }
    let mut node = command("node");
    node.arg(sdk.javascript_build()).arg("--tools").arg(installed).arg("--wit").arg(sdk.wit()).arg(project).arg(out);
    child::told(&mut node, progress)
}

fn install_tools(version: &str, tools: &Tools, progress: Progress) -> Result<std::path::PathBuf> {
    let [(_, _), (_, lock)] = sdk::JAVASCRIPT_TOOLS;
    tools.folder(&format!("js-{}", crate::tools::name_of([version, lock])), |folder| {
        progress("installing componentize-qjs and esbuild with npm");
        for (name, text) in sdk::JAVASCRIPT_TOOLS {
            fs::write(folder.join(name), text)?;
        }
        language::npm_install(folder, progress).context("the tools for JavaScript could not be installed")
    })
}

/// Installs what the project itself depends on, unless somebody has done so.
fn install_dependencies(project: &Path, progress: Progress) -> Result<()> {
    let Ok(text) = fs::read_to_string(project.join("package.json")) else { return Ok(()) };
    let package: serde_json::Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is no JSON", project.join("package.json").display()))?;
    let names = package["dependencies"].as_object().into_iter().flat_map(|dependencies| dependencies.keys());
    if names.into_iter().all(|name| OURS.contains(&name.as_str())) || project.join("node_modules").exists() {
        return Ok(());
    }
    progress("installing the project's packages with npm");
    let how = if project.join("package-lock.json").exists() { "ci" } else { "install" };
    let arguments = [how, "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"];
    child::told(command("npm").args(arguments).current_dir(project), progress)
        .context("the project's packages could not be installed")
}
