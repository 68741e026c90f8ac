//! Durable state. One trait, and back ends that keep its promises: [`memory`] is obvious and for tests, [`embedded`] is one
//! SQLite file.
//!
//! A back end never reads the meaning of a message or a step: bodies are JSON text to it. Everything that happens is a
//! [`Write`]; each write is all or nothing, is fenced by its partition's epoch, and is answered when it is durable. Writes take
//! effect in the order they were submitted. `docs/persistence.md` says what is kept, and for how long.

pub mod embedded;
mod filter;
pub mod memory;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use fermata_replay::{RuntimeStatus, Timestamp};

use filter::Walk;
pub use filter::{Filter, Page};

/// How many partitions a store is divided into, fixed when it is created.
pub const PARTITIONS: u32 = 64;

/// An instance within the store, whatever its id for the world.
pub type InstanceKey = u64;

/// The partition that owns the instance of this id.
pub fn partition_of(id: &str) -> u32 {
    // FNV-1a: fixed for ever, for the answer is stored.
    let hash =
        id.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash % u64::from(PARTITIONS)) as u32
}

pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Called once when a write is durable, or has failed. Runs on the store's own thread: it must be quick and must not block.
pub type OnDurable = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The methods stand in life-cycle order.
pub trait Store: Send + Sync + 'static {
    /// Makes `owner` the owner of all partitions that are free, or its own, and raises their epochs. From then on writes with a
    /// lower epoch fail with [`StoreError::Fenced`].
    fn acquire<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, Vec<Lease>>;

    /// Gives partitions back. Writes under these leases are fenced from then on.
    fn release<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, ()>;

    /// Reserves `count` numbers that were never handed out before; returns the first. They serve as instance keys and as message sequences,
    /// so a later reservation is always higher.
    fn reserve(&self, count: u64) -> StoreFuture<'_, u64>;

    /// Keeps a module and makes it the active one for the names it holds. The same digest again only makes it active again.
    /// Durable on return.
    fn deploy(&self, module: Module) -> StoreFuture<'_, ()>;

    /// Every module, the latest deployed first, without its bytes.
    fn modules(&self) -> StoreFuture<'_, Vec<ModuleInfo>>;

    /// The same, but for those whose row is damaged: there is more to a host than these.
    fn readable_modules(&self) -> StoreFuture<'_, Vec<ModuleInfo>> {
        self.modules()
    }

    /// Removes a module that no instance needs: one is needed by every instance pinned to it which has not ended, or has failed, for
    /// that may be taken up again; and by every unread message of this body, `move_to`. Gives how many need it: 0, and it is gone.
    /// [`StoreError::Missing`] where there is no such module. It takes effect after all writes that were submitted before.
    fn delete_module<'a>(&'a self, digest: &'a str, move_to: &'a str) -> StoreFuture<'a, u64>;

    /// The bytes of a module.
    fn module_bytes<'a>(&'a self, digest: &'a str) -> StoreFuture<'a, Option<Vec<u8>>>;

    /// Queues one write; never blocks. Writes take effect in the order of submission; `on_durable` learns the outcome.
    fn submit(&self, write: Write, on_durable: OnDurable);

    /// What is kept of the instance with this id.
    fn find<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Instance>>;

    /// What is remembered of the request with this key to the instance with this id, which may be gone. It may have expired.
    fn remembered<'a>(&'a self, id: &'a str, key: &'a str) -> StoreFuture<'a, Option<Remembered>>;

    /// What is kept of the instance with this id, with what a status shows: the first and the last chunk of history, and messages that are unread as yet. One consistent
    /// picture.
    fn snapshot<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Snapshot>>;

    /// The whole of an instance, to run it: history in order and unread messages in order. One consistent picture.
    fn load(&self, key: InstanceKey) -> StoreFuture<'_, Option<Loaded>>;

    /// Instances in the order of creation, a page at a time. Who follows `next` from page to page gets each instance that the filter lets
    /// through exactly once, as long as none begins or ceases to fit meanwhile.
    fn list(&self, filter: Filter) -> StoreFuture<'_, Page>;

    /// What the owner before left undone; read once when partitions were acquired. Where some of it is damaged, all that is not.
    fn undone(&self) -> StoreFuture<'_, Undone> {
        Box::pin(async move {
            let (unread, activities) = (self.unread().await?, self.open_activities().await?);
            Ok(Undone { unread, activities, outbox: self.outbox().await?, harm: None })
        })
    }

    /// Where the place that all write to next is damaged, has them write elsewhere; once, when partitions were acquired and before anything else. Whose
    /// rows were in that place is damaged still.
    fn mend_edges(&self) -> StoreFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Has activities and messages that are damaged no longer stand beside those that are not. After that nobody can tell that they are missing.
    fn mend(&self) -> StoreFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Instances with unread messages.
    fn unread(&self) -> StoreFuture<'_, Vec<UnreadInstance>>;

    /// Activities that were started and have not settled.
    fn open_activities(&self) -> StoreFuture<'_, Vec<Activity>>;

    /// Messages that were sent and not delivered, in the order of their sequence.
    fn outbox(&self) -> StoreFuture<'_, Vec<Sent>>;

    /// Instances that are not parked by the time at which they must run next, the earliest first: those after this place (exclusive, by
    /// time, then key), at most `limit`.
    fn due(&self, after: Option<(Timestamp, InstanceKey)>, limit: usize) -> StoreFuture<'_, Vec<Due>>;

    /// The same, but for those whose row is damaged: nobody waits for these.
    fn readable_due(&self, after: Option<(Timestamp, InstanceKey)>, limit: usize) -> StoreFuture<'_, Vec<Due>> {
        self.due(after, limit)
    }

    /// Finished instances, those that ended first in front, at most `limit`.
    fn ended(&self, limit: usize) -> StoreFuture<'_, Vec<Ended>>;

    /// The same, but for those whose row is damaged.
    fn readable_ended(&self, limit: usize) -> StoreFuture<'_, Vec<Ended>> {
        self.ended(limit)
    }

    /// How many instances have ended and are kept.
    fn count_ended(&self) -> StoreFuture<'_, u64>;

    /// Why this store no longer answers; none while it is well.
    fn poisoned(&self) -> Option<Arc<str>>;
}

/// The right to write to a partition, until somebody acquires it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub partition: u32,
    pub epoch: u64,
}

/// A change of one instance, made true as a whole or not at all.
#[derive(Clone, Debug)]
pub struct Write {
    pub lease: Lease,
    pub key: InstanceKey,
    pub change: Change,
}

impl Write {
    /// Whether it brings an instance a message, so that a turn usually follows.
    pub fn is_arrival(&self) -> bool {
        matches!(self.change, Change::Create { .. } | Change::Accept { .. })
    }
}

#[derive(Clone, Debug)]
pub enum Change {
    /// A new instance with its first message. [`StoreError::Exists`] where the id is taken, except by `replaces`, which goes as by
    /// [`Change::Remove`], or where the key is; [`StoreError::Conflict`] where an unread message has the sequence.
    ///
    /// `sent`: the outbox entry that this start comes from, which goes in the same commit. [`StoreError::Delivered`] where that entry
    /// is gone already.
    ///
    /// `once`: remembered in the same commit, together with the sequence of the message. [`StoreError::Repeated`], before any other of
    /// these, where a request to this id is remembered under that key until after `message.at`.
    Create {
        instance: NewInstance,
        replaces: Option<InstanceKey>,
        message: StoredMessage,
        sent: Option<u64>,
        once: Option<Once>,
    },
    /// A message for an instance. [`StoreError::Missing`] where there is no such instance, [`StoreError::Conflict`] where an unread
    /// message has its sequence. `sent`: the outbox entry that it comes from, as with a start; `once` likewise, under the instance's id.
    Accept { message: StoredMessage, sent: Option<u64>, once: Option<Once> },
    /// A turn. [`StoreError::Missing`] where there is no such instance, [`StoreError::Conflict`] where its version is another than
    /// expected, a consumed message is not in its inbox, or an outgoing message, one that is returned, or the start of a generation, has a sequence that is
    /// taken.
    Turn(TurnRecord),
    /// Marks the instance as parked, with the reason, or as no longer parked. Its history and inbox stay as they are.
    /// [`StoreError::Missing`] where there is no such instance.
    Park { reason: Option<String> },
    /// Takes an entry out of the outbox that nobody can receive. [`StoreError::Delivered`] where it is gone already. The key of the
    /// write is not looked at.
    Discard { sent: u64 },
    /// Removes the instance with all it has: history, inbox, activities. Not its outbox entries: they are promises that must still
    /// reach their receivers. [`StoreError::Missing`] where there is no such instance.
    Remove,
}

impl Change {
    /// About how many bytes it carries.
    pub fn bytes(&self) -> usize {
        match self {
            Change::Create { message, .. } | Change::Accept { message, .. } => message.body.len(),
            Change::Turn(turn) => {
                turn.steps.as_ref().map_or(0, String::len)
                    + turn.custom_status.as_ref().map_or(0, String::len)
                    + turn.activities.iter().map(|activity| activity.input.len()).sum::<usize>()
                    + turn.outgoing.iter().map(|message| message.body.len()).sum::<usize>()
                    + turn.generation.as_ref().map_or(0, |generation| generation.start.body.len())
            }
            Change::Park { reason } => reason.as_ref().map_or(0, String::len),
            Change::Discard { .. } | Change::Remove => 0,
        }
    }
}

/// A request that takes effect once, however often it comes. What is remembered of it is the id's: it outlives the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Tells it from other requests to the same id.
    pub key: String,
    /// SHA-256 of what is asked.
    pub request: [u8; 32],
    /// It is remembered until then, unless there are too many that are to be remembered longer.
    pub until: Timestamp,
}

/// What is remembered of a request that took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// SHA-256 of what was asked.
    pub request: [u8; 32],
    /// Of the message that it became.
    pub seq: u64,
    pub until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInstance {
    pub id: String,
    pub name: String,
    /// Digest of the module it is pinned to.
    pub module: String,
    pub execution: String,
    pub created: Timestamp,
}

impl NewInstance {
    /// The instance under this key, before its first turn.
    pub fn begun(self, key: InstanceKey) -> Instance {
        let NewInstance { id, name, module, execution, created } = self;
        Instance {
            key,
            id,
            name,
            module,
            execution,
            status: RuntimeStatus::Pending,
            created,
            updated: created,
            version: 0,
            custom_status: None,
            parked: None,
            due: None,
            ended: None,
            waiting: Some(BTreeSet::new()),
        }
    }
}

/// A message as it is kept: an opaque body, by its place in the order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    pub seq: u64,
    pub at: Timestamp,
    /// JSON.
    pub body: String,
}

/// What one turn makes true. The instance is not parked after it, for it runs.
#[derive(Clone, Debug)]
pub struct TurnRecord {
    /// The version the instance had when the turn began: 0 before the first turn, then one more each turn.
    pub expected_version: u64,
    /// A JSON array of the turn's steps; none where the turn only consumed messages.
    pub steps: Option<String>,
    /// Messages that leave the inbox.
    pub consumed: Vec<u64>,
    /// Messages that an earlier turn consumed, and that are to be read again: they go back into the inbox.
    pub returned: Vec<StoredMessage>,
    /// Where it is final, the instance ended at `updated`, and is not due. A later turn may undo that with another one.
    pub status: RuntimeStatus,
    pub updated: Timestamp,
    /// When the instance must run next even if nothing arrives; none: not before something does. Replaces what was there.
    pub due: Option<Timestamp>,
    /// The names, folded, of the external events that would let the instance go on; none where that is not known. Replaces what was
    /// there. What has ended waits for nothing.
    pub waiting: Option<BTreeSet<String>>,
    /// Another module that the instance is pinned to from now on.
    pub module: Option<String>,
    /// JSON; none leaves it as it is.
    pub custom_status: Option<String>,
    /// Activities that start when the turn is durable. One with the task of an open one, its next attempt, takes its place.
    pub activities: Vec<NewActivity>,
    /// Tasks whose activities need no more work, also where this turn starts them. A final status settles all.
    pub settled: Vec<u32>,
    /// Messages for other instances, made durable with this turn and delivered afterwards.
    pub outgoing: Vec<Outgoing>,
    /// Where this turn ends a generation: the next one, which begins with an empty history and its start message in the inbox. `steps`
    /// are not kept then, and all activities are settled.
    pub generation: Option<NewGeneration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewActivity {
    pub task: u32,
    pub name: String,
    /// JSON.
    pub input: String,
    /// 1 is the first.
    pub attempt: u32,
    /// Microseconds that the attempt may take; none: as many as the host allows.
    pub timeout: Option<u64>,
}

/// A message on its way to another instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Unlike that of any other message.
    pub seq: u64,
    /// The id of the instance that is to have it.
    pub to: String,
    /// JSON.
    pub body: String,
}

/// A message that was sent and is not delivered as yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub seq: u64,
    pub from: InstanceKey,
    /// The id of the sender, which may be gone.
    pub from_id: String,
    pub to: String,
    pub body: String,
}

/// The life of an instance after it was continued as new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGeneration {
    pub execution: String,
    /// Digest of the module it is pinned to.
    pub module: String,
    /// Takes its place in the inbox when the turn's messages have left it: it may have the sequence of one of these.
    pub start: StoredMessage,
}

/// A started activity, with all that is needed to run it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    pub key: InstanceKey,
    pub instance_id: String,
    pub execution: String,
    pub module: String,
    pub task: u32,
    pub name: String,
    pub input: String,
    pub attempt: u32,
    pub timeout: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pub key: InstanceKey,
    pub id: String,
    pub name: String,
    pub module: String,
    pub execution: String,
    pub status: RuntimeStatus,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub version: u64,
    pub custom_status: Option<String>,
    pub parked: Option<String>,
    /// When it must run next though nothing arrives.
    pub due: Option<Timestamp>,
    /// When it ended; none while it has not.
    pub ended: Option<Timestamp>,
    /// The names, folded, of the external events that would let it go on; none where that is not known: they are many, or an older
    /// host wrote it.
    pub waiting: Option<BTreeSet<String>>,
}

/// What a status shows of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub instance: Instance,
    /// JSON array of steps whose first is the first of the generation; none before its first turn.
    pub first: Option<String>,
    /// Of one that has ended: JSON array of steps whose last is the instance's last; none where that is `first` too.
    pub last: Option<String>,
    /// Unread messages in the order of arrival; only filled while there is no history, when the start is among them.
    pub unread: Vec<StoredMessage>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub instance: Instance,
    /// JSON arrays of steps, in order.
    pub history: Vec<String>,
    pub unread: Vec<StoredMessage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadInstance {
    pub key: InstanceKey,
    pub id: String,
}

/// What the owner before left undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Instances with unread messages.
    pub unread: Vec<UnreadInstance>,
    /// Activities that were started and have not settled.
    pub activities: Vec<Activity>,
    /// Messages that were sent and not delivered, in the order of their sequence.
    pub outbox: Vec<Sent>,
    /// None where all of it could be read.
    pub harm: Option<Harm>,
}

/// Some of what was left undone is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Harm {
    /// Activities are missing, of nobody knows which instances.
    pub activities: bool,
    /// Messages are missing.
    pub outbox: bool,
    /// Instances that have not ended, parked or not: any of them may wait for what is missing.
    pub unended: Vec<InstanceKey>,
}

/// An instance that must run at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub due: Timestamp,
    pub key: InstanceKey,
    pub id: String,
}

/// An instance that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub ended: Timestamp,
    pub key: InstanceKey,
    pub id: String,
}

#[derive(Clone, Debug)]
pub struct Module {
    /// SHA-256 of the bytes, in lower-case hex.
    pub digest: String,
    pub bytes: Arc<[u8]>,
    pub orchestrators: Vec<String>,
    pub activities: Vec<String>,
    pub deployed: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleInfo {
    pub digest: String,
    pub size: u64,
    pub orchestrators: Vec<String>,
    pub activities: Vec<String>,
    /// When it was deployed last.
    pub deployed: Timestamp,
    /// Grows with each deployment: of the modules that hold a name, the one with the highest is active.
    pub deployment: u64,
}

/// What can go wrong, by what the caller does about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else owns the partition now: drop everything held in memory for it.
    #[error("partition {0} has a new owner")]
    Fenced(u32),
    /// The instance is not as the writer thought: drop what is held in memory and load it again.
    #[error("the instance changed under its writer")]
    Conflict,
    #[error("an instance with this id exists already")]
    Exists,
    #[error("there is no such instance")]
    Missing,
    /// The outbox entry is gone: what it held has its effect, or nobody wanted it.
    #[error("the message was delivered before")]
    Delivered,
    /// A request with this key took effect, and is remembered.
    #[error("the request took effect before")]
    Repeated,
    /// Nothing was written; trying later can help.
    #[error("the disk is full")]
    Full,
    /// Whether a write is durable can not be known: this process must not answer any more. A restart recovers.
    #[error("storage can no longer be trusted: {0}; restart the host to recover")]
    Poisoned(Arc<str>),
    #[error("the data in {path} has format {found}, newer than the {supported} this host knows: run a newer host")]
    NewerFormat { path: PathBuf, found: u32, supported: u32 },
    #[error("the data in {path} is in use by another process{}", .pid.map(|pid| format!(" ({pid})")).unwrap_or_default())]
    InUse { path: PathBuf, pid: Option<u32> },
    /// Reading found something that can not be: the instance at hand is lost to us, others are not.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    #[error("storage failed: {0}")]
    Io(Arc<str>),
}
