//! What activities may do besides computing. None may do anything, unless the operator grants it, by the digest of their module or by a
//! name that the module has. A digest is one module for ever; a name is whatever module has it, so it is worth as much as the right to deploy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use fermata_replay::fold_name;
use serde::{Deserialize, Serialize};

use crate::outbound::destination::Destination;

/// A table `[modules."…"]` of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grant {
    /// What may be connected to, by TCP.
    pub outbound: Vec<Destination>,
    /// The variables of the environment.
    pub environment: BTreeMap<String, String>,
    /// Further ones, which have the values that they have for the host.
    pub inherit: BTreeSet<String>,
    pub directories: Vec<Directory>,
}

/// A folder of the host that an activity sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Where it is.
    pub host: PathBuf,
    /// Where the activity sees it.
    pub guest: String,
    /// Whether it may change what is there.
    #[serde(default)]
    pub write: bool,
}

/// All that is granted, by digest or name.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    grants: BTreeMap<String, Grant>,
    nothing: Arc<Grant>,
}

impl Capabilities {
    /// Checks what is granted, and takes the values of what is inherited. `data`: the directory of the host, which no activity may see.
    pub fn new(grants: BTreeMap<String, Grant>, data: &Path) -> Result<Capabilities> {
        let granted = grants.into_iter().map(|(name, grant)| {
            let grant =
                grant.checked(data).with_context(|| format!("what [modules.{name:?}] grants can not be granted"));
            grant.map(|grant| (name, grant))
        });
        Ok(Capabilities { grants: granted.collect::<Result<_>>()?, nothing: Arc::default() })
    }

    /// What an activity may do: the sum of all that is granted to it, to its module, and to the orchestrators of this.
    pub fn of(&self, digest: &str, orchestrators: &[String], activity: &str) -> Arc<Grant> {
        let is_meant = |name: &str| {
            name == digest
                || name == activity
                || orchestrators.iter().any(|orchestrator| fold_name(orchestrator) == fold_name(name))
        };
        let mut granted = self.grants.iter().filter(|(name, _)| is_meant(name)).map(|(_, grant)| grant);
        let Some(first) = granted.next() else { return self.nothing.clone() };
        Arc::new(granted.fold(first.clone(), Grant::and))
    }
}

impl Grant {
    fn checked(mut self, data: &Path) -> Result<Grant> {
        for name in std::mem::take(&mut self.inherit) {
            let value =
                std::env::var(&name).with_context(|| format!("the host has no variable {name:?} to inherit"))?;
            self.environment.insert(name, value);
        }
        for (name, value) in &self.environment {
            let is_name = !name.is_empty() && !name.contains(['=', '\0']);
            ensure!(is_name && !value.contains('\0'), "{name:?} can not be a variable of the environment");
        }
        let data =
            data.canonicalize().with_context(|| format!("the data directory {} can not be found", data.display()))?;
        for directory in &mut self.directories {
            let shown = directory.host.display();
            let host = directory.host.canonicalize().with_context(|| format!("the folder {shown} can not be found"))?;
            ensure!(host.is_dir(), "{shown} is no folder");
            ensure!(
                !host.starts_with(&data) && !data.starts_with(&host),
                "{shown} has the data of the host in it, or is a part of them"
            );
            directory.host = host;
            let is_path = directory.guest.starts_with('/') && !directory.guest.contains('\0');
            let is_plain = directory.guest.split('/').all(|part| part != "." && part != "..");
            ensure!(is_path && is_plain, "{:?} is no path such as \"/data\"", directory.guest);
        }
        let mut places: Vec<&str> = self.directories.iter().map(|directory| &*directory.guest).collect();
        places.sort_unstable();
        ensure!(places.windows(2).all(|two| two[0] != two[1]), "two folders are to be seen at the same path");
        Ok(self)
    }

    /// Both. Where they say otherwise of the same variable or path, the first holds.
    fn and(mut self, other: &Grant) -> Grant {
        self.outbound.extend(other.outbound.iter().cloned());
        for (name, value) in &other.environment {
            self.environment.entry(name.clone()).or_insert_with(|| value.clone());
        }
        for directory in &other.directories {
            if self.directories.iter().all(|own| own.guest != directory.guest) {
                self.directories.push(directory.clone());
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(text: &str) -> BTreeMap<String, Grant> {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn an_activity_may_what_is_granted_to_it_and_to_its_module() {
        let capabilities = Capabilities::new(
            grants(
                "[abcd]\nenvironment = { A = \"digest\", B = \"digest\" }\n\
                 [Ship]\nenvironment = { B = \"activity\" }\noutbound = [\"api.example.com:443\"]\n\
                 [Order]\nenvironment = { B = \"orchestrator\", C = \"orchestrator\" }\n",
            ),
            tempfile::tempdir().unwrap().path(),
        )
        .unwrap();
        let of = |digest, orchestrators: &[&str], activity| {
            let orchestrators: Vec<String> = orchestrators.iter().map(ToString::to_string).collect();
            let grant = capabilities.of(digest, &orchestrators, activity);
            let variables: Vec<String> =
                grant.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (variables.join(" "), grant.outbound.len())
        };
        assert_eq!(of("0000", &["Other"], "Charge"), (String::new(), 0));
        assert_eq!(of("abcd", &["Other"], "Charge"), ("A=digest B=digest".into(), 0));
        assert_eq!(of("0000", &["Other"], "Ship"), ("B=activity".into(), 1));
        assert_eq!(of("0000", &["Other"], "ship"), (String::new(), 0), "names of activities are as they are spelled");
        assert_eq!(of("0000", &["order"], "Charge"), ("B=orchestrator C=orchestrator".into(), 0));
        assert_eq!(of("abc", &[], ""), (String::new(), 0), "a digest is named whole");
        let (variables, outbound) = of("abcd", &["Order"], "Ship");
        assert_eq!((&*variables, outbound), ("A=digest B=orchestrator C=orchestrator", 1));
    }

    #[test]
    fn what_can_not_be_granted() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(data.join("cache")).unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        std::os::unix::fs::symlink(&data, folder.path().join("link")).unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let directory = |host: &str, guest: &str| {
            let host = folder.path().join(host);
            format!("[a]\ndirectories = [{{ host = {host:?}, guest = {guest:?} }}]")
        };
        let check = |text: &str| Capabilities::new(grants(text), &data).map_err(|error| format!("{error:#}"));
        check(&directory("files", "/files")).unwrap();
        for (wrong, why) in [
            (directory("none", "/files"), "can not be found"),
            (directory("file", "/files"), "no folder"),
            (directory("data", "/files"), "the data of the host"),
            (directory("data/cache", "/files"), "the data of the host"),
            (directory("link", "/files"), "the data of the host"),
            (directory("", "/files"), "the data of the host"),
            (directory("files", "files"), "no path"),
            (directory("files", "/../files"), "no path"),
            ("[a]\ninherit = [\"FERMATA_TEST_NOT_SET\"]".into(), "FERMATA_TEST_NOT_SET"),
            ("[a]\nenvironment = { \"A=B\" = \"c\" }".into(), "A=B"),
        ] {
            let error = check(&wrong).unwrap_err();
            assert!(error.contains(why) && error.contains("[modules.\"a\"]"), "{wrong}: {error}");
        }
        for unreadable in ["[a]\nnetwork = true", "[a]\noutbound = [\"127.1\"]", "[a]\noutbound = \"a\""] {
            assert!(toml::from_str::<BTreeMap<String, Grant>>(unreadable).is_err(), "{unreadable}");
        }
    }
}
