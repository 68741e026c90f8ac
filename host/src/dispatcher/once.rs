//! Requests that take effect once, however often they are sent. What took effect is remembered in the commit that made it true; here it is
//! seen to that of the same requests at once one goes first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use fermata_replay::{MessageBody, Payload, Span, Timestamp};
use sha2::{Digest as _, Sha256};

use super::admission::{Terms, check_id, closed};
use super::{Dispatcher, RaiseError, Raised, StartError, Started, lock};
use crate::store::{InstanceKey, Once, StoreError};

/// What tells one request from all others to the same instance id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    pub key: String,
    /// Until when it is remembered; none: for as long as the limits say.
    pub until: Option<Timestamp>,
}

/// What became of a request.
enum Effect<T> {
    Now(T),
    /// It had its effect before: the sequence of the message that it became.
    Before(u64),
}

/// The key was sent before with another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key was sent before, with another request")]
pub struct Reused;

/// Requests that are under way.
#[derive(Default)]
pub struct UnderWay(Mutex<HashMap<Place, Arc<tokio::sync::Mutex<()>>>>);

/// An instance id and a key.
type Place = (String, String);

impl Dispatcher {
    /// Starts an orchestrator once for this key. Without an id it has one that follows from the key.
    pub async fn start_once(
        self: &Arc<Self>,
        name: &str,
        id: Option<&str>,
        input: Payload,
        request: RequestKey,
    ) -> Result<Started, StartError> {
        let start = self.new_start(name, input, None).ok_or_else(|| self.unknown_orchestrator(name))?;
        let id = id.map_or_else(|| derived_id(&start.name, &request.key), str::to_owned);
        check_id(&id)?;
        let dispatcher = self.clone();
        // The client may hang up, and what it began is to be finished all the same.
        let starting = self.runtime.spawn(async move {
            let parts = ["start", &start.name, start.input.as_str()];
            let create = async |once| {
                let durable = dispatcher.create(&id, &start, None, Some(once)).await?;
                Ok::<_, StartError>(durable.await.map_err(|_| closed())??)
            };
            dispatcher.once(&id, &request, parts, create).await?;
            Ok(Started { id })
        });
        starting.await.map_err(|_| closed())?
    }

    /// Raises an external event once for this key, whatever has become of the instance since; with `run` for that very one of the instances
    /// that have the id. Durable on return.
    pub async fn raise_once(
        self: &Arc<Self>,
        id: &str,
        name: &str,
        input: Payload,
        request: RequestKey,
        run: Option<InstanceKey>,
    ) -> Result<Raised, RaiseError> {
        let (dispatcher, id, name) = (self.clone(), id.to_owned(), name.to_owned());
        // The client may hang up, and what it began is to be finished all the same.
        let raising = self.runtime.spawn(async move {
            let text = input.as_str().to_owned();
            let raise = async |once| {
                let body = MessageBody::EventRaised { name: name.clone(), input };
                let terms = Terms { taking: true, once: Some(once), key: run, ..Terms::default() };
                dispatcher.deliver(&id, &body, &terms).await
            };
            Ok(match dispatcher.once(&id, &request, ["raise", &name, &text], raise).await? {
                Effect::Now(raised) => raised,
                Effect::Before(seq) => Raised { seq, taking: None },
            })
        });
        raising.await.map_err(|_| closed())?
    }

    /// Whether a request with this key has had its effect, and is remembered still.
    pub async fn was_raised(&self, id: &str, request: &RequestKey) -> Result<bool, StoreError> {
        let remembered = self.store.remembered(id, &request.key).await?;
        Ok(remembered.is_some_and(|remembered| remembered.until > self.clock.now()))
    }

    /// Has a request take effect, unless it has before. `parts`: all that makes it another request. Must not be cancelled: it runs in a
    /// task of its own.
    async fn once<T, E: From<Reused> + From<StoreError>>(
        self: &Arc<Self>,
        id: &str,
        request: &RequestKey,
        parts: [&str; 3],
        work: impl AsyncFnOnce(Once) -> Result<T, E>,
    ) -> Result<Effect<T>, E> {
        let place = (id.to_owned(), request.key.clone());
        let turn = lock(&self.under_way.0).entry(place.clone()).or_default().clone();
        let done = {
            let _first = turn.lock().await;
            self.once_in_turn(id, request, parts, work).await
        };
        let mut under_way = lock(&self.under_way.0);
        // This one, and the map.
        if Arc::strong_count(&turn) == 2 {
            under_way.remove(&place);
        }
        done
    }

    async fn once_in_turn<T, E: From<Reused> + From<StoreError>>(
        &self,
        id: &str,
        request: &RequestKey,
        parts: [&str; 3],
        work: impl AsyncFnOnce(Once) -> Result<T, E>,
    ) -> Result<Effect<T>, E> {
        let (now, hash) = (self.clock.now(), hash(parts));
        let remembered = self.store.remembered(id, &request.key).await?;
        match remembered.filter(|remembered| remembered.until > now) {
            Some(remembered) if remembered.request == hash => Ok(Effect::Before(remembered.seq)),
            Some(_) => Err(Reused.into()),
            None => {
                let until = request.until.unwrap_or_else(|| now + Span::from(self.limits.idempotency_time));
                work(Once { key: request.key.clone(), request: hash, until }).await.map(Effect::Now)
            }
        }
    }

    /// Waits until a message is unread no more.
    pub async fn read(self: &Arc<Self>, id: &str, seq: u64) -> Result<bool, StoreError> {
        let mut watch = self.watch(id);
        loop {
            let Some(instance) = self.store.find(id).await? else { return Ok(true) };
            let loaded = self.store.load(instance.key).await?;
            if loaded.is_none_or(|loaded| loaded.unread.iter().all(|message| message.seq != seq)) {
                return Ok(true);
            }
            if !watch.changed().await {
                return Ok(false);
            }
        }
    }
}

/// The id of an instance that is started with a key and without an id: the same each time.
fn derived_id(orchestrator: &str, key: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, format!("fermata:{orchestrator}\n{key}").as_bytes())
        .simple()
        .to_string()
}

/// Parts of different lengths never look the same together.
fn hash(parts: [&str; 3]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_differ_in_a_part_are_others() {
        assert_eq!(hash(["raise", "Go", "1"]), hash(["raise", "Go", "1"]));
        for other in [["start", "Go", "1"], ["raise", "Go1", ""], ["raise", "G", "o1"], ["raise", "Go", "2"]] {
            assert_ne!(hash(["raise", "Go", "1"]), hash(other));
        }
    }

    #[test]
    fn a_derived_id_is_an_id_and_stays_the_same() {
        assert_eq!(derived_id("Order", "k1"), derived_id("Order", "k1"));
        assert_ne!(derived_id("Order", "k1"), derived_id("Order", "k2"));
        assert_eq!(crate::limits::check_instance_id(&derived_id("Order", "k/1")), Ok(()));
    }
}
