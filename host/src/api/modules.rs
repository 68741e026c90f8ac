//! Modules: deploy, list.

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::http::request::Parts;

use super::body::read;
use super::wire::Module;
use super::{Answer, Api, Handled, json};

impl Api {
    /// Keeps a module and makes it active for the names it holds: 201, or 200 where it was known. Durable on return.
    pub async fn deploy(&self, head: &Parts, body: Incoming) -> Handled {
        let body = read(head, body, self.limits.module_bytes, self.limits.body_time).await?;
        let before = self.dispatcher.modules();
        let module = self.dispatcher.deploy(body).await?;
        let known = before.iter().any(|known| known.digest == module.digest);
        let status = if known { StatusCode::OK } else { StatusCode::CREATED };
        Ok(json(status, &Module::from(&module)))
    }

    /// The latest deployed first.
    pub fn modules(&self) -> Answer {
        let modules = self.dispatcher.modules();
        let list: Vec<Module> = modules.iter().map(Module::from).collect();
        json(StatusCode::OK, &list)
    }
}
