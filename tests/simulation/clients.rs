//! What clients and operators ask for, one thing after the other, and what each answer promises.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use fermata::dispatcher::{
    ControlError, Dispatcher, InstanceView, MigrateError, Migration, PurgeError, RaiseError, RequestKey, StartError,
};
use fermata::store::{Instance, InstanceKey, StoreError};
use fermata_replay::{Control, Payload, RuntimeStatus, State};

use super::disk::Disk;
use super::fate::Fate;
use super::modules::{self, Drawn, Wish};
use super::swarm::{Swarm, Theme, Way};

/// Numbers of events begin here: orchestrators that raise events use lower ones.
const FIRST_EVENT: u64 = 1_000;
/// A client has as many.
const EVENTS: u64 = 1_000;

/// Whose event it is; none where no client raised it.
pub fn client_of(event: u64) -> Option<u64> {
    event.checked_sub(FIRST_EVENT).map(|number| number / EVENTS)
}

pub struct Client {
    number: u64,
    /// What is left to be asked.
    left: usize,
    pub state: Doing,
    events: u64,
    /// The place of its latest event.
    latest: u64,
}

/// What a client does.
pub enum Doing {
    Nothing,
    /// It waits for the answer of the host of this number.
    Waits {
        asked: Asked,
        host: usize,
    },
    /// No answer came, and it is to be asked again.
    Asks(Asked),
}

/// A request, and what was stored when it was sent.
#[derive(Clone)]
pub struct Asked {
    ask: Arc<Ask>,
    key: Option<InstanceKey>,
    times: u64,
    /// How often it was sent.
    sent: u32,
    standing: Option<Standing>,
}

/// How an instance stands of which only one client asks something.
#[derive(Clone, PartialEq)]
struct Standing {
    instance: Instance,
    /// How often anybody has asked something of it.
    asks: u64,
}

pub struct Ask {
    id: String,
    /// The same for the same request, sent again.
    request: Option<String>,
    what: What,
}

#[derive(Debug)]
enum What {
    Start { name: &'static str, input: String },
    Raise { name: &'static str, event: u64 },
    Suspend(Control),
    Resume(Control),
    Terminate(Control),
    Rewind,
    Purge { force: bool },
    Restart,
    View,
    Modules(Wish),
}

/// The kinds of [`What`] that all runs have, in that order: a seed says how often there is which.
const KINDS: usize = 9;

#[derive(Debug)]
pub enum Told {
    Done,
    Raised(u64),
    Seen(Option<Box<InstanceView>>),
    Moved(Result<Vec<Migration>, MigrateError>),
    NotFound,
    Gone,
    Exists,
    /// It is not as it would have to be, or there is too much to do.
    NotNow,
    Failed(StoreError),
}

/// What the clients were told, and what may be missing for what they asked.
#[derive(Default)]
pub struct Record {
    pub raised: Vec<Raised>,
    pub terminated: Vec<(String, InstanceKey)>,
    /// How often something was asked of an instance id.
    asks: BTreeMap<String, u64>,
    /// Instances that may have gone before their end was known.
    pub torn: HashSet<String>,
}

/// An event that was acknowledged, and who has taken it in.
pub struct Raised {
    pub event: u64,
    pub key: InstanceKey,
}

impl Client {
    pub fn new(number: usize, asks: usize) -> Client {
        Client { number: number as u64, left: asks, state: Doing::Nothing, events: 0, latest: 0 }
    }

    pub fn wants_to_ask(&self) -> bool {
        match self.state {
            Doing::Nothing => self.left > 0,
            Doing::Asks(_) => true,
            Doing::Waits { .. } => false,
        }
    }

    pub fn is_done(&self) -> bool {
        self.left == 0 && matches!(self.state, Doing::Nothing)
    }

    /// Whether it waits for an answer about the same instance.
    pub fn waits_for(&self, asked: &Asked) -> bool {
        matches!(&self.state, Doing::Waits { asked: other, .. } if other.ask.id == asked.ask.id)
    }

    /// What it asks now.
    pub fn ask(&mut self, fate: &Fate, disk: &Disk, record: &mut Record) -> Asked {
        if let Doing::Asks(asked) = std::mem::replace(&mut self.state, Doing::Nothing) {
            return Asked { sent: asked.sent + 1, ..asked };
        }
        self.left -= 1;
        let about_modules = fate.swarm.theme == Theme::Modules;
        let drawn = if about_modules { fate.aside(|rng| modules::draw(rng, fate.swarm.ids)) } else { None };
        let ask = match drawn {
            Some(drawn) => self.ask_of(drawn),
            None => fate.draw(|rng| self.draw(rng, fate, disk)),
        };
        if let What::Purge { force: true } = ask.what {
            record.torn.insert(ask.id.clone());
        }
        let (key, times) = disk.ledger(|ledger| (ledger.key(&ask.id), ledger.times(&ask.id, ask.what.written())));
        Asked { ask: Arc::new(ask), key, times, sent: 1, standing: None }
    }

    fn ask_of(&mut self, drawn: Drawn) -> Ask {
        let (id, what) = match drawn {
            Drawn::Wish(id, wish) => (id, What::Modules(wish)),
            Drawn::Start(id, name, input) => (id, What::Start { name, input }),
            Drawn::Raise(id, name) => (id, What::Raise { name, event: self.next_event() }),
        };
        Ask { id, request: None, what }
    }

    fn next_event(&mut self) -> u64 {
        self.events += 1;
        FIRST_EVENT + self.number * EVENTS + self.events
    }

    fn draw(&mut self, rng: &mut fastrand::Rng, fate: &Fate, disk: &Disk) -> Ask {
        let swarm = &fate.swarm;
        let mut id = match rng.u32(0..10) {
            0..7 => format!("i{}", rng.u32(0..swarm.ids)),
            _ => format!("c{}", rng.u32(0..2)),
        };
        let control = Control { cascade: rng.bool(), ..Control::default() };
        let what = match weighted(rng, &swarm.wishes[..KINDS]) {
            0 => {
                let (name, input) = orchestrator(rng, &swarm.orchestrators);
                What::Start { name, input }
            }
            1 => {
                let mut name = ["item", "item", "go", "mood", "amount", "noise"][rng.usize(0..6)];
                if rng.u32(0..4) == 0 {
                    // Children whose ids nobody chose.
                    let tempers = disk.instances().into_iter().filter(|instance| instance.name == "Temper");
                    if let Some(temper) = rng.choice(tempers.collect::<Vec<_>>()) {
                        (id, name) = (temper.id, "mood");
                    }
                }
                What::Raise { name, event: self.next_event() }
            }
            2 => What::Suspend(control),
            3 => What::Resume(control),
            4 => What::Terminate(control),
            5 => What::Rewind,
            6 => What::Purge { force: rng.bool() },
            7 => What::Restart,
            _ => What::View,
        };
        let is_keyed =
            matches!(what, What::Start { .. } | What::Raise { .. }) && swarm.keyed > 0 && rng.u32(0..swarm.keyed) == 0;
        let request = is_keyed.then(|| format!("{}-{}", self.number, self.left));
        Ask { id, request, what }
    }

    /// Its host is gone, and has not answered.
    pub fn hears_nothing(&mut self) {
        if let Doing::Waits { asked, .. } = std::mem::replace(&mut self.state, Doing::Nothing) {
            self.try_again(asked);
        }
    }

    fn try_again(&mut self, asked: Asked) {
        if asked.ask.request.is_some() {
            self.state = Doing::Asks(asked);
        }
    }

    /// Holds an answer against what is on disk.
    pub fn hear(&mut self, told: Told, fate: &Fate, disk: &Disk, record: &mut Record) {
        let Doing::Waits { asked, host } = std::mem::replace(&mut self.state, Doing::Nothing) else {
            panic!("client {} is told {told:?}, and has asked nothing", self.number);
        };
        let Ask { id, what, request } = &*asked.ask;
        fate.note(format_args!("client {} is told by {host} of {id}: {told:?}", self.number));
        let key = disk.ledger(|ledger| ledger.key(id));
        let times = |what| disk.ledger(|ledger| ledger.times(id, what));
        match (what, told) {
            (What::Raise { event, .. }, Told::Raised(seq)) => {
                let written = disk.ledger(|ledger| ledger.event(*event));
                assert_eq!(written, Some(seq), "the event {event} for {id} is acknowledged, and not durable");
                assert!(asked.sent > 1 || seq > self.latest, "{event} comes before what was acknowledged before it");
                self.latest = self.latest.max(seq);
                let key = disk.ledger(|ledger| ledger.accepted(seq)).expect("it was accepted");
                record.raised.push(Raised { event: *event, key });
            }
            (What::Start { .. }, Told::Done) if request.is_some() => assert!(times("started") > 0, "{id} is not there"),
            (What::Modules(wish), told) if !matches!(told, Told::Failed(_) | Told::NotNow | Told::Gone) => {
                wish.check(id, &told, asked.key, asked.times, fate, disk);
            }
            (_, Told::Done) => {
                let durable = times(what.written()) > asked.times;
                assert!(durable, "{id}: {what:?} is acknowledged, and not durable");
                if let (What::Terminate(_), Some(key)) = (what, key.filter(|key| asked.key == Some(*key))) {
                    record.terminated.push((id.clone(), key));
                }
            }
            (What::View, Told::Seen(view)) => view.iter().for_each(|view| check_view(view)),
            (_, Told::NotFound) => {
                assert!(key.is_none() || key != asked.key, "{id} was there all the time, and is not found");
            }
            (_, Told::Gone) => assert!(times("ended") > 0, "{id} is said to have ended, and that is not durable"),
            (_, Told::Exists) => assert!(times("started") > 0, "{id} is said to exist, and is not durable"),
            (what, Told::NotNow) => {
                let standing = asked.standing.as_ref().filter(|standing| standing.holds(id, disk, record));
                assert!(standing.is_none_or(|standing| !what.suits(&standing.instance)), "{id}: {what:?} is refused");
            }
            (_, Told::Failed(error)) => {
                expected(&error, fate, times("removed") > 0);
                self.try_again(asked);
            }
            (_, told) => panic!("{id}: {what:?} is answered with {told:?}"),
        }
    }
}

impl Asked {
    /// Takes note of how the instance stands, by which it must not be refused. Where others ask something of it, or of many at once, or where
    /// a former owner may be asked, that is not known.
    pub fn note_standing(&mut self, is_alone: bool, swarm: &Swarm, disk: &Disk, record: &mut Record) {
        *record.asks.entry(self.ask.id.clone()).or_default() += 1;
        let is_known = is_alone && swarm.theme != Theme::Modules && !swarm.may_change(Way::Takeover);
        self.standing = if is_known { Standing::of(&self.ask.id, disk, record) } else { None };
    }

    /// Whether it takes effect once, however often it is sent.
    pub fn is_keyed(&self) -> bool {
        self.ask.request.is_some()
    }

    /// Asks the dispatcher.
    pub async fn put(self, dispatcher: Arc<Dispatcher>) -> Told {
        let Ask { id, request, what } = &*self.ask;
        let request = request.clone().map(|key| RequestKey { key, until: None });
        let json = |text: &str| Payload::parse(text).expect("it is JSON");
        match what {
            What::Start { name, input } => started(match request {
                Some(request) => dispatcher.start_once(name, Some(id), json(input), request).await,
                None => dispatcher.start(name, Some(id), json(input)).await,
            }),
            What::Raise { name, event } => {
                let input = json(&event.to_string());
                raised(match request {
                    Some(request) => {
                        dispatcher.raise_once(id, name, input, request, None).await.map(|raised| raised.seq)
                    }
                    None => dispatcher.raise(id, name, input).await,
                })
            }
            What::Suspend(control) => controlled(dispatcher.suspend(id, control.clone()).await),
            What::Resume(control) => controlled(dispatcher.resume(id, control.clone()).await),
            What::Terminate(control) => controlled(dispatcher.terminate(id, control.clone()).await),
            What::Rewind => controlled(dispatcher.rewind(id, Control::default()).await),
            What::Purge { force } => match dispatcher.purge(id, *force).await {
                Ok(()) => Told::Done,
                Err(PurgeError::NotFound(_)) => Told::NotFound,
                Err(PurgeError::NotEnded { .. }) => Told::NotNow,
                Err(PurgeError::Store(error)) => Told::Failed(error),
            },
            What::Restart => started(dispatcher.restart(id, false).await),
            What::View => match dispatcher.view(id, true).await {
                Ok(view) => Told::Seen(view.map(Box::new)),
                Err(error) => Told::Failed(error),
            },
            What::Modules(wish) => wish.put(id, dispatcher).await,
        }
    }
}

impl Standing {
    fn of(id: &str, disk: &Disk, record: &Record) -> Option<Standing> {
        let asks = record.asks.get(id).copied().unwrap_or(0);
        // Nothing is about to change it that somebody has asked for, or whose parent.
        let is_sure = id.starts_with('i') && !disk.ledger(|ledger| ledger.is_controlled(id));
        disk.find(id).filter(|_| is_sure).map(|instance| Standing { instance, asks })
    }

    /// Whether nothing has happened to it.
    fn holds(&self, id: &str, disk: &Disk, record: &Record) -> bool {
        Standing::of(id, disk, record).as_ref() == Some(self)
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ask { id, request, what } = &*self.ask;
        write!(f, "{id}: {what:?}, {request:?}, the time {}", self.sent)
    }
}

impl What {
    /// Whether it may be asked of an instance as this one is.
    fn suits(&self, instance: &Instance) -> bool {
        match self {
            What::Suspend(_) => matches!(instance.status, RuntimeStatus::Pending | RuntimeStatus::Running),
            What::Resume(_) => instance.status == RuntimeStatus::Suspended,
            _ => false,
        }
    }

    /// What is written where it is done.
    fn written(&self) -> &'static str {
        match self {
            What::Start { .. } | What::Restart => "started",
            What::Raise { .. } => "raised",
            What::Suspend(_) => "suspended",
            What::Resume(_) => "resumed",
            What::Terminate(_) => "terminated",
            What::Rewind => "rewound",
            What::Purge { .. } => "removed",
            What::View => "nothing",
            What::Modules(wish) => wish.written(),
        }
    }
}

fn started<T>(answer: Result<T, StartError>) -> Told {
    match answer {
        Ok(_) => Told::Done,
        Err(StartError::Exists(_)) => Told::Exists,
        Err(StartError::NotFound(_)) => Told::NotFound,
        Err(StartError::Busy) => Told::NotNow,
        Err(StartError::Store(error)) => Told::Failed(error),
        Err(other) => panic!("{other}"),
    }
}

pub fn raised(answer: Result<u64, RaiseError>) -> Told {
    match answer {
        Ok(seq) => Told::Raised(seq),
        Err(RaiseError::NotFound(_)) => Told::NotFound,
        Err(RaiseError::Gone(_)) => Told::Gone,
        Err(RaiseError::Busy(_)) => Told::NotNow,
        Err(RaiseError::Store(error)) => Told::Failed(error),
        Err(other) => panic!("{other}"),
    }
}

fn controlled(answer: Result<(), ControlError>) -> Told {
    match answer {
        Ok(()) => Told::Done,
        Err(ControlError::NotFound(_)) => Told::NotFound,
        Err(ControlError::Gone { .. }) => Told::Gone,
        Err(ControlError::WrongState { .. } | ControlError::Busy) => Told::NotNow,
        Err(ControlError::Store(error)) => Told::Failed(error),
    }
}

/// What is shown is the fold of the history.
pub fn check_view(view: &InstanceView) {
    let history = view.history.as_ref().expect("it was asked for");
    let status = match State::of(&history.steps).runtime_status() {
        // The next generation has yet to begin.
        RuntimeStatus::Pending if view.generation > 0 => RuntimeStatus::Running,
        status => status,
    };
    assert_eq!(status, view.status, "{}: the status is the fold of the history", view.id);
}

/// `was_removed`: what was asked of was there, and went.
pub fn expected(error: &StoreError, fate: &Fate, was_removed: bool) {
    let swarm = &fate.swarm;
    let written = swarm.full > 0 || swarm.failed_writes > 0 || swarm.lost > 0;
    let is_expected = match error {
        StoreError::Full => swarm.full > 0,
        // One that was closed says this, too.
        StoreError::Io(_) => swarm.failed_writes > 0 || swarm.failed_reads > 0 || swarm.may_change(Way::Close),
        // The start that came just before failed, or it was purged meanwhile.
        StoreError::Missing => written || swarm.changes > 0 || was_removed,
        StoreError::Fenced(_) => swarm.may_change(Way::Takeover) || swarm.may_change(Way::Close),
        StoreError::Poisoned(_) => swarm.lost > 0,
        _ => false,
    };
    assert!(is_expected, "a client is told: {error}");
}

pub fn weighted(rng: &mut fastrand::Rng, weights: &[u32]) -> usize {
    let mut place = rng.u32(0..weights.iter().sum());
    for (number, weight) in weights.iter().enumerate() {
        match place.checked_sub(*weight) {
            None => return number,
            Some(left) => place = left,
        }
    }
    unreachable!("the place is less than all weights together")
}

/// How many kinds of orchestrators there are to start.
pub const ORCHESTRATORS: usize = 17;

fn orchestrator(rng: &mut fastrand::Rng, kinds: &[usize]) -> (&'static str, String) {
    let kind = kinds[rng.usize(0..kinds.len())];
    let mut number = |below: u32| rng.u32(0..below);
    match kind {
        0 => ("Collect", number(6).to_string()),
        1 => ("Ledger", number(4).to_string()),
        2 => ("Timer", number(20_000).to_string()),
        3 => ("Race", number(20_000).to_string()),
        4 => ("Timeout", number(20_000).to_string()),
        5 => {
            let (fail, attempts, interval) = (number(3), 1 + number(3), number(5_000));
            ("Tries", format!(r#"{{"fail":{fail},"max_attempts":{attempts},"interval":{interval}}}"#))
        }
        6 => {
            let (id, attempts) = (number(2), number(3));
            let child = format!(r#"{{"orchestrator":"Temper","id":"c{id}","input":null,"attempts":{attempts}}}"#);
            ("Parent", child)
        }
        7 => ("StrictParent", r#"{"orchestrator":"Temper","id":null,"input":null}"#.to_owned()),
        8 => ("Family", number(5).to_string()),
        9 => ("Sender", number(6).to_string()),
        10 => ("OneEach", format!(r#"{{"wanted":{},"taken":[]}}"#, 1 + number(5))),
        11 => ("OneEachAmongOthers", format!(r#"{{"wanted":{},"taken":[]}}"#, 1 + number(5))),
        12 => ("CountDown", number(40).to_string()),
        13 => ("Stages", ["[]", r#"["Tell","OutOfStock"]"#, r#"["Tell","Tell"]"#][number(3) as usize].to_owned()),
        14 => ("Rounds", format!("[{},{},{}]", number(5), number(3_000), number(4))),
        15 => ("Naps", format!("[{},{}]", 1 + number(3), number(2) == 0)),
        _ => ("Temper", "null".to_owned()),
    }
}
