//! `fermata serve`: the host itself.

use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use fermata_replay::Span;
use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::duration;
use crate::api::{Api, Door, Outside, Sites, Traffic};
use crate::budget::Budget;
use crate::callback::Callbacks;
use crate::capabilities::Capabilities;
use crate::clock::{Clock, SkippingClock, SystemClock};
use crate::config::Config;
use crate::dispatcher::{DeployError, Dispatcher, Options, Residency, Retention, Services};
use crate::engine::{Compiler, Engine};
use crate::keys::Keys;
use crate::limits::{HostLimits, Limits};
use crate::outbound::Outbound;
use crate::store::StoreError;
use crate::store::embedded::Embedded;
use crate::{api, store};

const EXAMPLES: &str = "\
Examples:
  fermata serve
  fermata serve --modules target/guests --data /var/lib/fermata
  fermata serve --listen 127.0.0.1:0 --modules budget-approval.wasm --residency 10000
  fermata serve --listen 0.0.0.0:7071 --public-url https://fermata.example.org --trusted-proxy 10.0.0.0/8
  fermata serve --print-config > fermata.toml; fermata serve --config fermata.toml
  fermata serve --activity Charge=http://127.0.0.1:9000/charge --activity-limit Charge=4 --retain-age 30d

The log goes to standard error; FERMATA_LOG chooses what is in it: FERMATA_LOG=debug, FERMATA_LOG=warn,fermata::store=debug.
SIGTERM and SIGINT end the host once the requests under way are answered; a second one ends it at once. Nothing acknowledged is lost either way.";

/// Runs the host: serves the HTTP API and runs orchestrators.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7071", env = "FERMATA_LISTEN")]
    listen: String,
    /// The folder that everything durable is in; made where there is none.
    #[arg(long, value_name = "DIR", default_value = "fermata-data", env = "FERMATA_DATA")]
    data: PathBuf,
    /// Modules to deploy unless they are known already: a file, or a folder with *.wasm files. May be repeated.
    #[arg(long, value_name = "DIR|FILE")]
    modules: Vec<PathBuf>,
    /// A file in TOML with limits of the host, networks that may be reached, and what the activities of a module may do; what it leaves out is
    /// as `--print-config` shows it.
    #[arg(long, value_name = "FILE", env = "FERMATA_CONFIG")]
    config: Option<PathBuf>,
    /// Print the whole configuration, and do nothing else.
    #[arg(long)]
    print_config: bool,
    /// How many waiting orchestrators stay in memory: always, never or a number. The others are replayed when an event comes.
    #[arg(long, value_name = "always|never|N", default_value_t = Residency::default())]
    residency: Residency,
    /// Who serves an activity that not the orchestrator's own module is to serve: an HTTP endpoint, or the newest module that has it.
    /// May be repeated.
    #[arg(long, value_name = "NAME=URL|NAME=module", value_parser = service)]
    activity: Vec<String>,
    /// How many activities of one name run at a time. May be repeated.
    #[arg(long, value_name = "NAME=N", value_parser = limit)]
    activity_limit: Vec<String>,
    /// How long instances that have ended are kept: 12h, 30d; for ever where it is not said.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    retain_age: Option<Span>,
    /// How many instances that have ended are kept; those that ended first go first.
    #[arg(long, value_name = "N")]
    retain_count: Option<u64>,
    /// How long a client may take to send the head of a request, and again for its body, before it is dropped; otherwise the configuration
    /// says it.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    client_time: Option<Span>,
    /// Let `fermata skip` move the clock forward: for trying out what takes days. Not for work: deadlines pass too early, and after a
    /// restart the host goes by the machine's clock again.
    #[arg(long, hide_short_help = true)]
    skippable_clock: bool,
    /// Check no keys: anybody who reaches the host may do anything.
    #[arg(long)]
    insecure_no_auth: bool,
    /// A second address, of this machine alone, where no key is needed although the host has keys: for the clients of Durable Functions,
    /// which send none there.
    #[arg(long, value_name = "ADDR:PORT", env = "FERMATA_LISTEN_LOCAL")]
    listen_local: Option<String>,
    /// A name under which a host without keys may be asked, besides addresses and localhost. May be repeated.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// The host's address for everybody, as in https://fermata.example.org: links lead there, those too that orchestrators send to people.
    #[arg(long, value_name = "URL", env = "FERMATA_PUBLIC_URL", value_parser = public_url)]
    public_url: Option<String>,
    /// A proxy, or a network of them, that may say where a request was sent to and by whom: Forwarded, or X-Forwarded-Host, -Proto and
    /// -For. May be repeated.
    #[arg(long, value_name = "ADDR|NETWORK", value_parser = proxy)]
    trusted_proxy: Vec<IpNet>,
}

impl Serve {
    pub fn run(self) -> Result<()> {
        let config = self.configuration()?;
        if self.print_config {
            print!("{}", config.to_toml()?);
            return Ok(());
        }
        log();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.serve(config))
    }

    async fn serve(self, config: Config) -> Result<()> {
        let stop = StopSignals::listen().context("signals can not be listened to")?;
        store::embedded::directory(&self.data)?;
        let capabilities = Capabilities::new(config.modules, &self.data)?;
        let _ = rlimit::increase_nofile_limit(OPEN_FILES);
        let keys = Arc::new(Keys::open(&self.data)?);
        let addresses = resolve(&self.listen).await?;
        let door = self.door(&addresses, &keys)?;
        let listener = bind(&addresses).await?;
        let address = listener.local_addr()?;
        let local = self.bind_local().await?;
        let callbacks = self.callbacks(address);
        let options = self.options(config.limits.host.clone(), config.outbound, capabilities)?;
        let dispatcher = self.open(&callbacks, &config.limits, options).await?;
        self.deploy(&dispatcher).await?;
        let limits = config.limits.http;
        let (bodies, uploads) = (Budget::new(limits.bodies_bytes), Budget::new(limits.bodies_bytes));
        let traffic = Arc::new(Traffic::new(&limits));
        let api = |listening, door| Api {
            dispatcher: dispatcher.clone(),
            callbacks: callbacks.clone(),
            limits: limits.clone(),
            module_bytes: config.limits.module.module_bytes,
            bodies: bodies.clone(),
            uploads: uploads.clone(),
            traffic: traffic.clone(),
            door,
            outside: Outside { url: self.public_url.clone(), proxies: self.trusted_proxy.clone() },
            listening,
        };
        let mut listeners = vec![(listener, api(address, door))];
        let local_address = local.as_ref().map(TcpListener::local_addr).transpose()?;
        if let Some((local, address)) = local.zip(local_address) {
            listeners.push((local, api(address, Door::Local(self.sites()))));
        }
        self.banner(&dispatcher, address, local_address, &keys);
        api::serve(listeners, dispatcher, limits, stop.first()).await?;
        tracing::info!("stopped; everything acknowledged is durable");
        Ok(())
    }

    async fn bind_local(&self) -> Result<Option<TcpListener>> {
        let Some(listen) = &self.listen_local else { return Ok(None) };
        let addresses = resolve(listen).await?;
        if let Some(address) = reachable(&addresses) {
            bail!("{address} can be reached from other machines: --listen-local is for 127.0.0.1 or [::1]");
        }
        bind(&addresses).await.map(Some)
    }

    /// Who is let in where the host listens. What others can reach is not open by accident.
    fn door(&self, addresses: &[SocketAddr], keys: &Arc<Keys>) -> Result<Door> {
        if self.insecure_no_auth {
            return Ok(Door::Open);
        }
        let Some(address) = reachable(addresses) else { return Ok(Door::KeysOrLocal(keys.clone(), self.sites())) };
        if keys.current().is_none_or(|keys| keys.is_empty()) {
            bail!(
                "{address} can be reached from other machines, and there is no key yet: make one with `fermata key create NAME --data {}`, \
                 or listen on 127.0.0.1, or give --insecure-no-auth to let anybody who reaches it do anything",
                self.data.display()
            );
        }
        Ok(Door::Keys(keys.clone()))
    }

    fn sites(&self) -> Sites {
        let ours = self.public_url.as_deref().and_then(|url| url.parse::<hyper::Uri>().ok());
        let ours = ours.and_then(|url| url.host().map(str::to_owned));
        Sites { names: self.allow_host.iter().cloned().chain(ours).collect() }
    }

    /// URLs for people lead to where the host listens, unless it has an address for everybody.
    fn callbacks(&self, listening: SocketAddr) -> Arc<Callbacks> {
        let origin = self.public_url.clone().unwrap_or_else(|| format!("http://{listening}"));
        if self.public_url.is_none() && listening.ip().is_unspecified() {
            tracing::info!(
                "callback URLs would lead to {origin}, where nobody finds this host: --public-url says where it is"
            );
        }
        Arc::new(Callbacks::new(&self.data, origin))
    }

    /// The configuration, of which the command line may say some things otherwise.
    fn configuration(&self) -> Result<Config> {
        let mut config = Config::read(self.config.as_deref())?;
        if let Some(time) = self.client_time {
            let time = Duration::from_micros(time.0);
            (config.limits.http.head_time, config.limits.http.body_time) = (time, time);
        }
        Ok(config)
    }

    fn options(&self, limits: HostLimits, outbound: Outbound, capabilities: Capabilities) -> Result<Options> {
        let retention = Retention { age: self.retain_age, count: self.retain_count };
        let (residency, services) = (self.residency, self.services()?);
        Ok(Options { residency, services, outbound, capabilities, retention, limits, ..Options::default() })
    }

    async fn open(&self, callbacks: &Arc<Callbacks>, limits: &Limits, options: Options) -> Result<Arc<Dispatcher>> {
        let store = Embedded::open(&self.data).with_context(|| format!("can not open {}", self.data.display()))?;
        let cache = cache(&self.data)?;
        let compiler = Compiler::in_children(limits.module.clone());
        let engine = Engine::of_host(limits.guest.clone(), options.guests(), compiler, &cache, callbacks.clone())
            .map_err(|error| anyhow::anyhow!("the WebAssembly engine can not start: {error:#}"))?;
        let clock: Arc<dyn Clock> =
            if self.skippable_clock { Arc::new(SkippingClock::default()) } else { Arc::new(SystemClock) };
        let dispatcher = Dispatcher::open(Arc::new(store), engine, clock, &options).await;
        dispatcher.with_context(|| format!("can not go on from the data in {}", self.data.display()))
    }

    fn services(&self) -> Result<Services> {
        let mut services = Services::default();
        self.activity.iter().try_for_each(|text| services.serve(text)).map_err(anyhow::Error::msg)?;
        self.activity_limit.iter().try_for_each(|text| services.limit(text)).map_err(anyhow::Error::msg)?;
        Ok(services)
    }

    /// Deploys what is not known. What is known stays as it is: a restart never makes an old module active again.
    async fn deploy(&self, dispatcher: &Arc<Dispatcher>) -> Result<()> {
        for file in module_files(&self.modules)? {
            let bytes =
                std::fs::read(&file).with_context(|| format!("the module {} can not be read", file.display()))?;
            match dispatcher.deploy_if_new(bytes.into()).await {
                Ok(None) => {}
                Ok(Some(module)) => tracing::info!(digest = module.digest, "deployed {}", file.display()),
                // Those that can be read go on.
                Err(DeployError::Store(damaged @ StoreError::Damaged(_))) => {
                    tracing::error!("the module {} can not be deployed: {damaged}", file.display());
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("the module {} can not be deployed", file.display()));
                }
            }
        }
        Ok(())
    }

    /// Says what runs where. Its last line is for programs too.
    fn banner(&self, dispatcher: &Dispatcher, address: SocketAddr, local: Option<SocketAddr>, keys: &Keys) {
        let modules = dispatcher.modules();
        let residency = match self.residency {
            Residency::Always => "every waiting orchestrator stays in memory".to_owned(),
            Residency::Never => "waiting orchestrators leave memory at once".to_owned(),
            Residency::UpTo(guests) => format!("up to {guests} waiting orchestrators stay in memory"),
        };
        let data = self.data.canonicalize().unwrap_or_else(|_| self.data.clone());
        eprintln!("Fermata {}", env!("CARGO_PKG_VERSION"));
        eprintln!("  data           {}", data.display());
        eprintln!("  durable        yes: every answer waits until what it says is on disk (fsync)");
        eprintln!("  residency      {residency}");
        eprintln!("  modules        {}", modules.len());
        eprintln!("  orchestrators  {}", orchestrators(&modules));
        for (label, list) in [("activities", &self.activity), ("at a time", &self.activity_limit)] {
            if !list.is_empty() {
                eprintln!("  {label:<14} {}", list.join(", "));
            }
        }
        eprintln!("  kept           {}", self.kept());
        if self.skippable_clock {
            eprintln!("  clock          FOR TRYING THINGS OUT: `fermata skip` moves it forward");
        }
        eprintln!("  keys           {}", self.who_is_let_in(keys));
        if let Some(local) = local {
            eprintln!("  without a key  on http://{local}, which only this machine reaches");
        }
        eprintln!("listening on http://{address}");
    }

    fn who_is_let_in(&self, keys: &Keys) -> String {
        match keys.current() {
            _ if self.insecure_no_auth => "NONE CHECKED: whoever reaches this address may do anything".to_owned(),
            None => "none needed: only this machine reaches this address, and no key was made yet".to_owned(),
            Some(keys) => format!("needed; there are {}", keys.len()),
        }
    }

    /// What becomes of instances that have ended.
    fn kept(&self) -> String {
        let age = self.retain_age.map(|age| format!("for {}", duration::show(age)));
        let count = self.retain_count.map(|count| format!("at most {count}"));
        match [age, count].into_iter().flatten().collect::<Vec<_>>() {
            bounds if bounds.is_empty() => "instances that have ended, until they are purged".to_owned(),
            bounds => format!("instances that have ended, {}", bounds.join(", ")),
        }
    }
}

async fn resolve(listen: &str) -> Result<Vec<SocketAddr>> {
    let addresses = tokio::net::lookup_host(listen).await;
    Ok(addresses.with_context(|| format!("{listen:?} is no address to listen on: write ADDR:PORT"))?.collect())
}

async fn bind(addresses: &[SocketAddr]) -> Result<TcpListener> {
    let shown = || addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    TcpListener::bind(addresses).await.with_context(|| format!("can not listen on {}", shown()))
}

/// The first of these addresses that other machines can reach.
fn reachable(addresses: &[SocketAddr]) -> Option<&SocketAddr> {
    addresses.iter().find(|address| !address.ip().is_loopback())
}

/// How many files and connections may be open, where the system lets it be so many.
const OPEN_FILES: u64 = 1 << 20;

/// Checks `--public-url`: scheme, host and port, and no more.
fn public_url(text: &str) -> Result<String, String> {
    let url: hyper::Uri = text.parse().map_err(|_| format!("{text:?} is no URL"))?;
    let is_plain = matches!(url.path(), "" | "/") && url.query().is_none();
    match (url.scheme_str(), url.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) if is_plain => Ok(format!("{scheme}://{authority}")),
        _ => Err("write http://HOST:PORT or https://HOST, without a path".into()),
    }
}

/// Checks `--trusted-proxy`.
fn proxy(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| alone()).map_err(|_| format!("{text:?} is no address and no network such as 10.0.0.0/8"))
}

/// Checks `--activity`, which takes effect later.
fn service(text: &str) -> Result<String, String> {
    Services::default().serve(text).map(|()| text.to_owned())
}

/// The same for `--activity-limit`.
fn limit(text: &str) -> Result<String, String> {
    Services::default().limit(text).map(|()| text.to_owned())
}

fn log() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var("FERMATA_LOG")
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

/// Where compiled modules are kept. They are run as machine code: nobody else may write here.
fn cache(data: &Path) -> Result<PathBuf> {
    let cache = data.join("cache");
    std::fs::create_dir_all(&cache)
        .and_then(|()| std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o700)))
        .with_context(|| format!("the folder {} can not be made", cache.display()))?;
    Ok(cache)
}

/// The files, and the `*.wasm` files of folders by name.
fn module_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = path
            .read_dir()
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>());
        let mut found = entries.with_context(|| format!("the folder {} can not be read", path.display()))?;
        found.retain(|file| file.extension().is_some_and(|extension| extension == "wasm"));
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

fn orchestrators(modules: &[store::ModuleInfo]) -> String {
    let mut names: Vec<&str> = modules.iter().flat_map(|module| &module.orchestrators).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { "none yet: deploy a module with `fermata deploy FILE`".to_owned() } else { names.join(", ") }
}

/// SIGTERM and SIGINT.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> std::io::Result<StopSignals> {
        Ok(StopSignals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the first signal; the second then ends the process as a kill would, which the store is made for.
    async fn first(mut self) {
        self.next().await;
        tracing::info!("stopping: requests under way are answered first; another signal stops at once");
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(130);
        });
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_urls_have_no_path() {
        assert_eq!(public_url("https://f.example/"), Ok("https://f.example".into()));
        for wrong in ["", "f.example", "ftp://f.example", "https://f.example/a", "https://f.example?a", "/"] {
            assert!(public_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn proxies_are_addresses_or_networks() {
        assert_eq!(proxy("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert_eq!(proxy("fd00::/8").unwrap().to_string(), "fd00::/8");
        assert!(proxy("proxy").is_err());
    }

    #[test]
    fn folders_give_their_modules_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        for file in ["b.wasm", "a.wasm", "notes.txt"] {
            std::fs::write(dir.join(file), "").unwrap();
        }
        let files = module_files(&[PathBuf::from("x.wasm"), dir.to_owned()]).unwrap();
        assert_eq!(files, [PathBuf::from("x.wasm"), dir.join("a.wasm"), dir.join("b.wasm")]);
    }
}
