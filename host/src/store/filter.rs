//! Which instances a list shows, a page at a time.

use fermata_replay::{RuntimeStatus, Timestamp};

use super::{Instance, InstanceKey};
use crate::limits;
use crate::name_pattern::NamePattern;

/// Which instances to list. The default lists all.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    pub id_prefix: Option<String>,
    pub name: Option<String>,
    /// Only names of orchestrators that fit one of these; empty: any.
    pub allowed: Vec<NamePattern>,
    /// Empty: any.
    pub statuses: Vec<RuntimeStatus>,
    pub created_from: Option<Timestamp>,
    pub created_to: Option<Timestamp>,
    /// Only instances that an external event of this name, folded, would let go on, and those of which that is not known.
    pub waiting_for: Option<String>,
    /// Only instances created after this one: where the page before ended.
    pub after: Option<InstanceKey>,
    /// The size of a page; 0: as many as it finds.
    pub limit: usize,
    /// How many rows a page looks at: it ends there, full or not.
    pub look_at: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub instances: Vec<Instance>,
    /// Where the next page begins; none on the last. A page may end before it is full, even before it has anything.
    pub next: Option<InstanceKey>,
}

impl Default for Filter {
    fn default() -> Self {
        Filter {
            id_prefix: None,
            name: None,
            allowed: Vec::new(),
            statuses: Vec::new(),
            created_from: None,
            created_to: None,
            waiting_for: None,
            after: None,
            limit: 0,
            look_at: limits::LIST_ROWS_LOOKED_AT,
        }
    }
}

/// The rows that make a page, and where the next page begins.
pub(super) struct Walk {
    pub keys: Vec<InstanceKey>,
    pub next: Option<InstanceKey>,
}

impl Filter {
    /// Whether it lets an instance through, what it waits for aside.
    pub(super) fn admits(&self, id: &str, name: &str, status: RuntimeStatus, created: Timestamp) -> bool {
        self.id_prefix.as_ref().is_none_or(|prefix| id.starts_with(prefix))
            && self.name.as_ref().is_none_or(|wanted| name == wanted)
            && (self.allowed.is_empty() || self.allowed.iter().any(|pattern| pattern.matches(name)))
            && (self.statuses.is_empty() || self.statuses.contains(&status))
            && self.created_from.is_none_or(|from| created >= from)
            && self.created_to.is_none_or(|to| created <= to)
    }

    /// Makes a page of rows that come in the order of their keys, each with whether it is let through.
    pub(super) fn walk<E>(&self, rows: impl Iterator<Item = Result<(InstanceKey, bool), E>>) -> Result<Walk, E> {
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        let (mut keys, mut last) = (Vec::new(), None);
        for (place, row) in rows.enumerate() {
            let (key, admitted) = row?;
            // A page that looked at nothing would be followed by itself.
            if place >= self.look_at.max(1) || admitted && keys.len() == limit {
                return Ok(Walk { keys, next: last });
            }
            keys.extend(admitted.then_some(key));
            last = Some(key);
        }
        Ok(Walk { keys, next: None })
    }
}
