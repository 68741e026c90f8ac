//! One run: hosts, clients, clock and disk, and who of them does something next.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::clients::{Client, Doing, Record, Told, weighted};
use super::clock::HandClock;
use super::disk::Disk;
use super::fate::{Fate, PANICKED, lock};
use super::host::Host;
use super::rest;
use super::swarm::{Theme, Way};

/// Steps in which a run must come to its end.
const STEPS: usize = 2_000_000;

pub struct World {
    pub fate: Arc<Fate>,
    pub disk: Arc<Disk>,
    pub clock: HandClock,
    pub record: Mutex<Record>,
    hosts: Mutex<Hosts>,
    clients: Mutex<Vec<Client>>,
    answers: Arc<Mutex<VecDeque<(usize, Told)>>>,
    /// Turns under way: each began while the one before was.
    turns: Mutex<usize>,
}

#[derive(Default)]
struct Hosts {
    /// The latest is the owner.
    living: Vec<Arc<Host>>,
    begun: usize,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    RunTasks,
    RunTurn,
    Write,
    Answer,
    AnswerReader,
    EndWork,
    Ask,
    Pass,
    Jump,
}

const ACTIONS: [Action; 9] = [
    Action::RunTasks,
    Action::RunTurn,
    Action::Write,
    Action::Answer,
    Action::AnswerReader,
    Action::EndWork,
    Action::Ask,
    Action::Pass,
    Action::Jump,
];

/// Runs a seed to its end, and gives its trace. `theme`: another one than it draws.
pub fn run(seed: u64, theme: Option<Theme>) -> String {
    PANICKED.set(false);
    let world = World::of(seed, theme);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run()));
    let trace = world.fate.take_trace();
    match ended {
        Ok(()) => trace,
        Err(panic) => {
            super::tell_failure(seed, &trace);
            std::panic::resume_unwind(panic)
        }
    }
}

impl World {
    fn of(seed: u64, theme: Option<Theme>) -> Arc<World> {
        let fate = Arc::new(Fate::of(seed, theme));
        fate.note(format_args!("{:?}", fate.swarm));
        let (clients, asks) = (fate.swarm.clients, fate.swarm.asks);
        Arc::new(World {
            disk: Disk::new(fate.clone()),
            fate,
            clock: HandClock::new(),
            record: Mutex::default(),
            hosts: Mutex::default(),
            clients: Mutex::new((0..clients).map(|number| Client::new(number, asks)).collect()),
            answers: Arc::default(),
            turns: Mutex::default(),
        })
    }

    fn run(self: &Arc<World>) {
        self.open();
        self.clients_ask();
        self.fate.calm_down();
        self.fate.note(format_args!("nothing goes wrong any more"));
        self.until("the clients are answered", |world| {
            world.begin_again_if_lost();
            world.clients_are_done() && world.owner().serving().is_some()
        });
        if self.fate.draw(|rng| rng.bool()) {
            self.change(Way::Close);
        }
        rest::come_to_rest(self);
        rest::let_time_pass(self);
        rest::end_all(self);
        self.close_all();
    }

    fn clients_ask(self: &Arc<World>) {
        let mut changes = self.fate.swarm.changes;
        self.until("the clients have asked", |world| {
            world.begin_again_if_lost();
            if changes > 0 && world.is_to_be_resumed() {
                changes -= 1;
                world.change(Way::Crash);
            }
            if changes > 0 && world.fate.below(400) == 0 {
                changes -= 1;
                let ways = &world.fate.swarm.ways;
                world.change(ways[world.fate.below(ways.len())]);
            }
            world.clients_are_done()
        });
    }

    /// Now and then, while what resumes an instance is unread: the next owner has it from the store.
    fn is_to_be_resumed(&self) -> bool {
        self.fate.swarm.theme == Theme::Pauses
            && self.fate.aside(|rng| rng.u32(0..40)) == 0
            && self.disk.ledger(|ledger| ledger.unread_resumes()) > 0
    }

    fn clients_are_done(&self) -> bool {
        lock(&self.clients).iter().all(Client::is_done)
    }

    /// An owner whose store is lost, or that could not begin, ends.
    fn begin_again_if_lost(self: &Arc<World>) {
        if self.owner().is_lost() {
            self.change(Way::Crash);
        }
    }

    /// Lets things happen until this holds.
    pub fn until(self: &Arc<World>, what: &str, mut holds: impl FnMut(&Arc<World>) -> bool) {
        for _ in 0..STEPS {
            if holds(self) {
                return;
            }
            self.step();
            assert!(!PANICKED.get(), "a task has panicked");
        }
        panic!("it never comes about that {what}");
    }

    /// Lets a future come to its end, at the owner.
    pub fn done<T: Send + 'static>(self: &Arc<World>, what: &str, work: impl Future<Output = T> + Send + 'static) -> T {
        let done = Arc::new(Mutex::new(None));
        let place = done.clone();
        self.owner().spawn(async move {
            let value = work.await;
            *lock(&place) = Some(value);
        });
        let mut value = None;
        self.until(what, |_| {
            value = lock(&done).take();
            value.is_some()
        });
        value.expect("it is there now")
    }

    /// The owner of the store.
    pub fn owner(&self) -> Arc<Host> {
        lock(&self.hosts).living.last().expect("there is an owner").clone()
    }

    /// Others act in the midst of a turn, unless the runtime is entered.
    pub fn meanwhile(self: &Arc<World>) {
        let one_in = self.fate.swarm.meanwhile;
        if self.fate.is_inside() || one_in == 0 || self.fate.below(one_in as usize) > 0 {
            return;
        }
        let most = if self.fate.swarm.theme == Theme::Pauses { 20 } else { 6 };
        for _ in 0..1 + self.fate.below(most) {
            self.step();
        }
    }

    /// One thing happens.
    fn step(self: &Arc<World>) {
        let host = {
            let hosts = lock(&self.hosts);
            let former = hosts.living.len() > 1 && self.fate.below(4) == 0;
            let place = if former { self.fate.below(hosts.living.len()) } else { hosts.living.len() - 1 };
            hosts.living[place].clone()
        };
        let action = loop {
            let action = ACTIONS[self.fate.draw(|rng| weighted(rng, &self.fate.swarm.pace))];
            if self.can(action, &host) {
                break action;
            }
        };
        self.act(action, &host);
    }

    fn can(&self, action: Action, host: &Host) -> bool {
        match action {
            Action::RunTasks | Action::Pass => true,
            Action::RunTurn => *lock(&self.turns) < self.fate.swarm.workers,
            Action::Write => host.store.can_write(),
            Action::Answer => host.store.can_answer(),
            Action::AnswerReader => host.store.has_readers(),
            Action::EndWork => host.can_work(),
            Action::Ask => host.serving().is_some() && lock(&self.clients).iter().any(Client::wants_to_ask),
            Action::Jump => !self.fate.is_calm(),
        }
    }

    fn act(self: &Arc<World>, action: Action, host: &Arc<Host>) {
        match action {
            Action::RunTasks => {
                host.run_tasks(1 + self.fate.below(8));
                self.hear();
            }
            Action::RunTurn => self.run_turn(host),
            Action::Write => host.store.write(),
            Action::Answer => host.store.answer(),
            Action::AnswerReader => host.store.answer_reader(),
            Action::EndWork => host.end_work(),
            Action::Ask => self.ask(host),
            Action::Pass => self.pass(),
            Action::Jump => self.jump(),
        }
    }

    fn run_turn(self: &Arc<World>, host: &Host) {
        let Some(dispatcher) = host.dispatcher() else { return };
        *lock(&self.turns) += 1;
        let mut number = 0;
        dispatcher.run_one(|of| {
            number = self.fate.below(of);
            self.fate.note(format_args!("  {} runs {number} of {of}", host.number));
            number
        });
        *lock(&self.turns) -= 1;
    }

    fn ask(self: &Arc<World>, host: &Arc<Host>) {
        let Some(dispatcher) = host.serving() else { return };
        let (number, asked) = {
            let mut clients = lock(&self.clients);
            let waiting: Vec<usize> = (0..clients.len()).filter(|number| clients[*number].wants_to_ask()).collect();
            let number = waiting[self.fate.below(waiting.len())];
            let mut record = lock(&self.record);
            let mut asked = clients[number].ask(&self.fate, &self.disk, &mut record);
            let is_alone = !clients.iter().any(|client| client.waits_for(&asked));
            asked.note_standing(is_alone, &self.fate.swarm, &self.disk, &mut record);
            clients[number].state = Doing::Waits { asked: asked.clone(), host: host.number };
            (number, asked)
        };
        self.fate.note(format_args!("client {number} asks {} of {asked}", host.number));
        // It comes twice, and one answer is lost.
        let twice = asked.is_keyed() && self.fate.draw(|rng| rng.bool());
        let answers = self.answers.clone();
        host.spawn(async move {
            let told = match twice {
                true => tokio::join!(asked.clone().put(dispatcher.clone()), asked.put(dispatcher)).0,
                false => asked.put(dispatcher).await,
            };
            lock(&answers).push_back((number, told));
        });
    }

    /// At once: what was acknowledged must be durable by now.
    fn hear(&self) {
        while let Some((number, told)) = { lock(&self.answers).pop_front() } {
            lock(&self.clients)[number].hear(told, &self.fate, &self.disk, &mut lock(&self.record));
        }
    }

    /// As much as somebody sleeps, or a little, or more than anybody waits for an instance to come to rest.
    fn pass(&self) {
        let much = [3_000, 3_000, 3_000, 1_000_000][self.fate.below(4)];
        let span = self.fate.below(much) as i64;
        let pause = self.clock.next_pause().filter(|_| self.fate.draw(|rng| rng.bool()));
        self.clock.pass(pause.unwrap_or(span));
    }

    fn jump(&self) {
        let back = self.fate.swarm.clock_back && self.fate.draw(|rng| rng.u32(0..3)) == 0;
        let span = self.fate.below(5_000_000) as i64;
        self.fate.note(format_args!("the clock jumps by {}{span}", if back { '-' } else { '+' }));
        self.clock.jump(if back { -span } else { span });
    }

    fn open(self: &Arc<World>) {
        let number = {
            let mut hosts = lock(&self.hosts);
            hosts.begun += 1;
            hosts.begun
        };
        self.fate.note(format_args!("{number} begins"));
        let host = Host::open(self, number);
        lock(&self.hosts).living.push(host);
    }

    /// Another owner follows.
    pub fn change(self: &Arc<World>, way: Way) {
        self.fate.note(format_args!("{way:?}"));
        match way {
            Way::Crash => self.crash_all(),
            Way::Close => {
                self.close_all();
                self.disk.check_without_owner();
            }
            Way::Takeover => {
                self.fate.trouble();
                // One that is taken over while it begins knows that it has failed.
                self.until("it serves", |world| world.owner().serving().is_some() || world.owner().is_lost());
                self.disk.release(&self.owner().store.leases());
                self.disk.check();
            }
        }
        self.open();
    }

    fn crash_all(&self) {
        let living = std::mem::take(&mut lock(&self.hosts).living);
        for host in living {
            self.disk.release(&host.store.leases());
            host.crash();
        }
        self.nobody_answers();
        self.disk.check_without_owner();
    }

    /// Those that take no requests yet crash.
    fn close_all(self: &Arc<World>) {
        if self.owner().is_lost() || self.owner().serving().is_none() {
            return self.crash_all();
        }
        let closing: Vec<_> = lock(&self.hosts).living.clone();
        for host in &closing {
            let closed = Arc::new(Mutex::new(false));
            if let Some(dispatcher) = host.serving() {
                let told = closed.clone();
                host.spawn(async move {
                    dispatcher.close().await;
                    *lock(&told) = true;
                });
                self.until("it closes", |_| *lock(&closed) || host.is_lost());
            }
        }
        drop(closing);
        self.crash_all();
    }

    fn nobody_answers(&self) {
        lock(&self.answers).clear();
        lock(&self.clients).iter_mut().for_each(Client::hears_nothing);
    }
}
