use std::collections::HashMap;
use std::sync::Arc;

use hyper::Uri;
use tokio::sync::Semaphore;

use crate::outbound::destination::http_url;

/// Who serves an activity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// The module of the orchestrator that calls it; where that does not have it, the newest one that does.
    #[default]
    Module,
    /// The newest module that has it, even where the orchestrator's own does.
    OtherModule,
    /// An HTTP endpoint.
    Http(Uri),
}

/// Who serves which activity, and how many of one name run at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    services: HashMap<String, Service>,
    at_a_time: HashMap<String, usize>,
}

impl Services {
    /// Takes `NAME=module` or `NAME=http://…`; the error says what is wrong with it.
    pub fn serve(&mut self, text: &str) -> Result<(), String> {
        let (name, service) = split(text, "NAME=URL or NAME=module")?;
        let service = match service {
            "module" => Service::OtherModule,
            url => Service::Http(http_url(url).map_err(|why| format!("write NAME=module, or NAME=URL; {why}"))?),
        };
        self.services.insert(name.to_owned(), service);
        Ok(())
    }

    /// Takes `NAME=N`: at most so many of the name run at a time.
    pub fn limit(&mut self, text: &str) -> Result<(), String> {
        let (name, number) = split(text, "NAME=N")?;
        match number.parse() {
            Ok(number @ 1..) => {
                self.at_a_time.insert(name.to_owned(), number);
                Ok(())
            }
            _ => Err(format!("{number:?} is no number of activities: write 1 or more")),
        }
    }

    pub(super) fn of(&self, name: &str) -> &Service {
        self.services.get(name).unwrap_or(&Service::Module)
    }

    pub(super) fn limits(&self) -> Limits {
        let limit = |(name, number): (&String, &usize)| (name.clone(), Arc::new(Semaphore::new(*number)));
        Limits(self.at_a_time.iter().map(limit).collect())
    }
}

fn split<'a>(text: &'a str, form: &str) -> Result<(&'a str, &'a str), String> {
    let parts = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    parts.ok_or_else(|| format!("{text:?} is not of the form {form}"))
}

/// Permits for the activities of each name.
pub(super) struct Limits(HashMap<String, Arc<Semaphore>>);

impl Limits {
    pub fn of(&self, name: &str) -> Option<Arc<Semaphore>> {
        self.0.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read() {
        let mut services = Services::default();
        services.serve("Charge=http://127.0.0.1:9000/charge?x=1").unwrap();
        services.serve("Ship=module").unwrap();
        assert_eq!(services.of("Charge"), &Service::Http("http://127.0.0.1:9000/charge?x=1".parse().unwrap()));
        assert_eq!(services.of("Ship"), &Service::OtherModule);
        assert_eq!(services.of("Other"), &Service::Module);
        for wrong in ["Charge", "=module", "Charge=", "Charge=https://a", "Charge=/path", "Charge=ftp://a"] {
            services.serve(wrong).unwrap_err();
        }
        services.limit("Charge=2").unwrap();
        for wrong in ["Charge=0", "Charge=-1", "Charge=many", "Charge"] {
            services.limit(wrong).unwrap_err();
        }
        assert_eq!(services.limits().of("Charge").unwrap().available_permits(), 2);
    }
}
