//! The places where the API of Durable Functions lies.

/// Each has the same endpoints below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    /// Where it lies on Azure, and where links lead.
    Public,
    /// Where Functions 1.x has it.
    Admin,
    /// What a Functions host opens for the clients of its own workers.
    Local,
    /// The same for Python's client, which encodes every payload twice (Azure/azure-functions-durable-python#295): one level is taken off.
    Python,
}

/// Where the API of Durable Functions lies for everybody.
pub const BASE: &str = "/runtime/webhooks/durabletask";

const MOUNTS: [Mount; 4] = [Mount::Public, Mount::Admin, Mount::Python, Mount::Local];

impl Mount {
    pub fn path(self) -> &'static str {
        match self {
            Mount::Public => BASE,
            Mount::Admin => "/admin/extensions/DurableTaskExtension",
            Mount::Local => "/durabletask",
            Mount::Python => "/durabletask-py",
        }
    }

    /// The mount that a path lies below, and what follows.
    pub fn of(path: &str) -> Option<(Mount, &str)> {
        MOUNTS.into_iter().find_map(|mount| {
            let (base, tail) = path.split_at_checked(mount.path().len())?;
            let tail = if base.eq_ignore_ascii_case(mount.path()) { tail.strip_prefix('/') } else { None };
            tail.map(|tail| (mount, tail))
        })
    }
}
