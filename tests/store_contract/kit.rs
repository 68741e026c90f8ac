//! A store under test, and short words for what is done to it.

use std::path::Path;
use std::sync::Arc;

use fermata::store::embedded::{Embedded, pages};
use fermata::store::memory::Memory;
use fermata::store::{
    Change, InstanceKey, Lease, Loaded, NewActivity, NewInstance, Outgoing, Store, StoreError, StoredMessage,
    TurnRecord, Write, partition_of,
};
use fermata_replay::{RuntimeStatus, Timestamp};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use tokio::sync::oneshot;

pub struct World {
    pub name: &'static str,
    pub store: Arc<dyn Store>,
    pub leases: Vec<Lease>,
    _dir: Option<TempDir>,
}

/// A fresh store of every kind.
pub async fn every() -> Vec<World> {
    let dir = TempDir::new().unwrap();
    let embedded = World::open(dir.path()).await;
    let memory = World::over("memory", Arc::new(Memory::new())).await;
    vec![memory, World { _dir: Some(dir), ..embedded }]
}

/// Runs a test on every back end. The name is printed as the test comes to it, so that a failure shows whose it is.
macro_rules! on_every_back_end {
    ($(#[doc = $doc:literal])* async fn $test:ident($world:ident) $body:block) => {
        $(#[doc = $doc])*
        #[tokio::test]
        async fn $test() {
            for $world in crate::kit::every().await {
                println!("on {}", $world.name);
                $body
            }
        }
    };
}
pub(crate) use on_every_back_end;

impl World {
    pub async fn over(name: &'static str, store: Arc<dyn Store>) -> World {
        let leases = store.acquire("tests").await.unwrap();
        World { name, store, leases, _dir: None }
    }

    /// A store whose partitions are owned already.
    pub fn owning(store: Arc<dyn Store>, leases: Vec<Lease>) -> World {
        World { name: "embedded", store, leases, _dir: None }
    }

    pub async fn open(dir: &Path) -> World {
        World::over("embedded", Arc::new(Embedded::open(dir).unwrap())).await
    }

    pub fn lease(&self, id: &str) -> Lease {
        self.leases[partition_of(id) as usize]
    }

    pub async fn number(&self) -> u64 {
        self.store.reserve(1).await.unwrap()
    }

    /// Queues a write; its answer comes through the channel.
    pub fn queue(&self, lease: Lease, key: InstanceKey, change: Change) -> oneshot::Receiver<Result<(), StoreError>> {
        let (answer, outcome) = oneshot::channel();
        let on_durable = Box::new(move |result| answer.send(result).unwrap());
        self.store.submit(Write { lease, key, change }, on_durable);
        outcome
    }

    pub async fn write(&self, key: InstanceKey, change: Change) -> Result<(), StoreError> {
        self.queue(self.leases[0], key, change).await.unwrap()
    }

    pub async fn create(&self, id: &str, replaces: Option<InstanceKey>) -> Result<InstanceKey, StoreError> {
        let key = self.number().await;
        let message = message(self.number().await, r#"{"Started":{}}"#);
        let change = Change::Create { instance: instance(id), replaces, message, sent: None, once: None };
        self.queue(self.lease(id), key, change).await.unwrap().map(|()| key)
    }

    pub async fn accept(&self, key: InstanceKey) -> Result<u64, StoreError> {
        let seq = self.number().await;
        self.write(key, Change::Accept { message: message(seq, r#"{"EventRaised":{}}"#), sent: None, once: None })
            .await
            .map(|()| seq)
    }

    pub async fn turn(&self, key: InstanceKey, turn: TurnRecord) -> Result<(), StoreError> {
        self.write(key, Change::Turn(turn)).await
    }

    pub async fn load(&self, key: InstanceKey) -> Loaded {
        self.store.load(key).await.unwrap().unwrap()
    }

    pub async fn unread(&self, key: InstanceKey) -> Vec<u64> {
        self.load(key).await.unread.iter().map(|message| message.seq).collect()
    }
}

/// A connection of one's own to the file of a store in this directory, by which it can be changed.
pub fn database(dir: &Path) -> Connection {
    Connection::open_with_flags_and_vfs(dir.join("fermata.db"), OpenFlags::default(), pages::vfs().unwrap()).unwrap()
}

pub fn instance(id: &str) -> NewInstance {
    NewInstance {
        id: id.to_owned(),
        name: "Orchestrator".to_owned(),
        module: "d1".to_owned(),
        execution: format!("execution of {id}"),
        created: Timestamp(1_000_000),
    }
}

/// The write that makes an instance.
pub fn creation(id: &str, replaces: Option<InstanceKey>, seq: u64) -> Change {
    Change::Create { instance: instance(id), replaces, message: message(seq, "{}"), sent: None, once: None }
}

/// The write that a message arrives by.
pub fn arrival(seq: u64) -> Change {
    Change::Accept { message: message(seq, "{}"), sent: None, once: None }
}

pub fn message(seq: u64, body: &str) -> StoredMessage {
    StoredMessage { seq, at: Timestamp(2_000_000 + seq as i64), body: body.to_owned() }
}

pub fn activity(task: u32) -> NewActivity {
    NewActivity { task, name: format!("Activity {task}"), input: format!("[{task}]"), attempt: 1, timeout: None }
}

pub fn outgoing(seq: u64, to: &str) -> Outgoing {
    Outgoing { seq, to: to.to_owned(), body: format!("[{seq}]") }
}

/// A turn that changes nothing but the version.
pub fn turn(expected_version: u64) -> TurnRecord {
    TurnRecord {
        expected_version,
        steps: None,
        consumed: Vec::new(),
        returned: Vec::new(),
        status: RuntimeStatus::Running,
        updated: Timestamp(3_000_000 + expected_version as i64),
        due: None,
        waiting: None,
        module: None,
        custom_status: None,
        activities: Vec::new(),
        settled: Vec::new(),
        outgoing: Vec::new(),
        generation: None,
    }
}

/// The elements of arrays that follow one another.
pub fn steps(arrays: &[String]) -> Vec<serde_json::Value> {
    arrays.iter().flat_map(|array| serde_json::from_str::<Vec<serde_json::Value>>(array).unwrap()).collect()
}
