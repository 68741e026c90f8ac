//! The file that `fermata serve --config` reads: TOML, of which anything may be left out. What an operator may set besides the flags of
//! `serve`, of which those that say the same go before it; what nobody knows is an error.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::capabilities::Grant;
use crate::limits::Limits;
use crate::outbound::Outbound;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub limits: Limits,
    /// Where names may lead.
    pub outbound: Outbound,
    /// What activities may do: by the digest of a module, or the name of an activity or an orchestrator.
    pub modules: BTreeMap<String, Grant>,
}

impl Config {
    /// That of a file; the defaults, where there is none.
    pub fn read(file: Option<&Path>) -> Result<Config> {
        let Some(file) = file else { return Ok(Config::default()) };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("the configuration {} can not be read", file.display()))?;
        Config::parse(&text).with_context(|| format!("the configuration {} is wrong", file.display()))
    }

    fn parse(text: &str) -> Result<Config> {
        let config: Config = toml::from_str(text)?;
        if let Err(wrong) = config.limits.check() {
            bail!(wrong);
        }
        Ok(config)
    }

    /// All of it, as a file to begin with.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refusal(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    #[test]
    fn what_is_left_out_is_as_it_was() {
        let config = Config::parse(
            "[limits.guest]\nwall_time = '2m 5s'\n[limits.guest.execution]\nmemory_bytes = 33_554_432\n[limits.http]\nconnections = 7",
        )
        .unwrap();
        let mut expected = Config::default();
        expected.limits.guest.wall_time = Duration::from_secs(125);
        expected.limits.guest.execution.memory_bytes = 32 << 20;
        expected.limits.http.connections = 7;
        assert_eq!(config, expected);
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn what_is_printed_is_read_again() {
        let text = Config::default().to_toml().unwrap();
        assert_eq!(Config::parse(&text).unwrap(), Config::default());
        for line in ["[limits.guest.execution]", "fuel_per_step = 5000000000", "stalled_pause = \"15m\""] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        let granted = "[outbound]\nnetworks = ['10.20.0.0/16']\n[limits.http]\nkey_rate = { per_second = 0.5, burst = 3 }\naddress_rate = 'unbounded'\n[modules.Ship]\n\
                       outbound = ['a.example:443', '[2001:db8::1]:80', '2001:db8::1', '10.1.0.0/16:5432', '2001:db8::/32:1', 'public']\n\
                       environment = { A = 'b' }\ninherit = ['C']\ndirectories = [{ host = '/a', guest = '/b' }]";
        let config = Config::parse(granted).unwrap();
        assert_eq!((config.limits.http.address_rate, config.limits.http.wrong_keys.burst), (None, 10));
        assert_eq!(Config::parse(&config.to_toml().unwrap()).unwrap(), config);
    }

    #[test]
    fn the_file_of_the_documentation_is_right() {
        let document = include_str!("../../docs/configuration.md");
        let example = document.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let config = Config::parse(example).unwrap();
        // Of the limits it shows the defaults, but for the rates of keys and of wrong ones.
        let mut limits = Limits::default();
        (limits.http.key_rate, limits.http.wrong_keys) = (config.limits.http.key_rate, config.limits.http.wrong_keys);
        assert_eq!(config.limits, limits);
        assert_eq!(config.modules["Ship"].outbound.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("[limits.gest]\n", "unknown field `gest`"),
            ("[limit]", "unknown field `limit`"),
            ("[limits.guest]\nmemory = 1", "unknown field `memory`"),
            ("[limits.guest]\nwall_time = 'soon'", "wall_time = 'soon'"),
            ("[limits.guest]\nwall_time = 30", "wall_time = 30"),
            ("[limits.guest.execution]\nfuel_per_step = -1", "fuel_per_step = -1"),
            ("[limits.guest.execution]\nopen_tasks = 'many'", "open_tasks = 'many'"),
            ("[limits.guest.execution]\nmemory_bytes = 8_589_934_592", "limits.guest.execution.memory_bytes"),
            ("[limits.guest]\nstack_bytes = 1", "limits.guest.stack_bytes"),
            ("[limits.host]\nattempts_before_stalled = 0", "limits.host.attempts_before_stalled"),
            ("[limits.http]\nconnections = 0", "limits.http.connections"),
            ("[limits.http]\nkey_rate = { per_second = 0, burst = 1 }", "at least 0.000001"),
            ("[limits.http]\nkey_rate = { per_second = 1e-300, burst = 1 }", "at least 0.000001"),
            ("[limits.http]\nkey_rate = { per_second = inf, burst = 1 }", "at least 0.000001"),
            ("[limits.http]\naddress_rate = 'none'", "expected \"unbounded\" or a rate"),
            ("[limits.http]\nuncounted = ['10.0.0.0/33']", "uncounted"),
            ("[outbound]\nnetworks = ['here']", "networks"),
            ("[modules.Ship]\nnetwork = true", "unknown field `network`"),
            ("[modules.Ship]\noutbound = ['127.1']", "unusual spelling"),
            ("limits", "expected"),
        ] {
            assert!(refusal(text).contains(named), "{text}: {}", refusal(text));
        }
        let missing = Config::read(Some(Path::new("/nowhere/fermata.toml"))).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/fermata.toml"), "{missing}");
    }
}
