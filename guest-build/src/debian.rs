//! Debian's packages.

use std::path::Path;

use anyhow::{Result, bail};

use crate::child::{self, command};

/// Whether every one of these packages is installed.
pub(crate) fn are_installed(packages: &[&str]) -> bool {
    let states = child::output(command("dpkg-query").args(["-W", "-f", "${db:Status-Abbrev}\n"]).args(packages));
    states.is_ok_and(|states| states.lines().all(|state| state.starts_with("ii")))
}

/// Installs packages, where this is Debian and we are root; `progress` is told, since it takes a while.
pub fn install(packages: &[&str], what: &str, progress: &mut dyn FnMut(&str)) -> Result<()> {
    if !Path::new("/etc/debian_version").exists() {
        bail!("this is not Debian");
    }
    if child::output(command("id").arg("-u"))?.trim() != "0" {
        bail!("only root may install packages");
    }
    progress(&format!("installing Debian's {what}"));
    let apt =
        |arguments: &[&str]| child::output(command("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"));
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())?;
    Ok(())
}
