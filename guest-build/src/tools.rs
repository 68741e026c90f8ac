//! The folder of build tools: what is installed once, by what it is made from.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Says where the tools go.
pub const FOLDER: &str = "FERMATA_TOOLS";

/// A folder of installed tools.
pub struct Tools(PathBuf);

impl Tools {
    /// In this folder.
    pub fn at(folder: PathBuf) -> Tools {
        Tools(folder)
    }

    /// The folder that `FERMATA_TOOLS` names, else one in the user's cache (`XDG_CACHE_HOME`, else `~/.cache`).
    pub fn of_user() -> Result<Tools> {
        if let Some(folder) = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty()) {
            return Ok(Tools(std::path::absolute(folder)?));
        }
        let set = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        let cache = cache.with_context(|| format!("there is no place for build tools: set {FOLDER} to a folder"))?;
        Ok(Tools(cache.join("fermata/tools")))
    }

    /// A folder of this name, which `fill` made once: a later call finds it, and one at the same time waits. What broke off is made anew.
    pub fn folder(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let folder = self.0.join(name);
        let done = folder.join(".complete");
        if done.exists() {
            return Ok(folder);
        }
        let cannot = || format!("cannot make {}", folder.display());
        fs::create_dir_all(&self.0).with_context(cannot)?;
        let lock = File::create(self.0.join(format!(".{name}.lock"))).with_context(cannot)?;
        lock.lock().with_context(cannot)?;
        if !done.exists() {
            if folder.exists() {
                fs::remove_dir_all(&folder).with_context(cannot)?;
            }
            fs::create_dir_all(&folder).with_context(cannot)?;
            fill(&folder)?;
            fs::write(&done, "").with_context(cannot)?;
        }
        Ok(folder)
    }
}

/// A name for a folder: it tells these texts from others.
pub fn name_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = DefaultHasher::new();
    texts.into_iter().for_each(|text| text.hash(&mut hasher));
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn a_folder_is_filled_once_and_anew_where_that_broke_off() {
        let root = tempfile::tempdir().unwrap();
        let tools = Tools(root.path().join("tools"));
        let fill = |text: &'static str| move |folder: &Path| Ok(fs::write(folder.join("tool"), text)?);
        let broken = tools.folder("a", |folder| {
            fs::write(folder.join("half"), "")?;
            bail!("no network")
        });
        assert_eq!(broken.unwrap_err().to_string(), "no network");
        let folder = tools.folder("a", fill("1")).unwrap();
        assert!(!folder.join("half").exists());
        tools.folder("a", fill("2")).unwrap();
        assert_eq!(fs::read_to_string(folder.join("tool")).unwrap(), "1");
    }
}
