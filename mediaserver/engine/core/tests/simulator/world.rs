//! Cores, clients and links on one virtual clock. Event driven: nothing happens between two
//! instants at which something is due. Long because the clock, the queue of what is due and all that
//! it can be are one machine.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use sotto_engine_core::Core;
use sotto_engine_core::command::Command;
use sotto_engine_core::config::{CoreConfig, Limits};
use sotto_engine_core::event::Event;
use sotto_engine_core::ice::worker_prefix;
use sotto_engine_core::io::Io;
use sotto_engine_core::path::Path;
use sotto_engine_core::peer::PeerMessage;
use sotto_engine_core::spec::{
    PublicationSpec, SrtpProfile, SubscriptionSettings, SubscriptionSpec, TransportSettings,
};
use sotto_engine_core::time::{MILLIS, Time};

use crate::client::{Client, key_material};
use crate::network::{Link, Naps};
use crate::source::Source;

/// What a core did, kept for the world to carry out.
#[derive(Default)]
struct Wire {
    sent: Vec<(Path, Vec<u8>, usize)>,
    events: Vec<Event>,
    messages: Vec<(u16, PeerMessage)>,
}

impl Io for Wire {
    fn send(&mut self, path: Path, bytes: &[u8], segment: usize) -> bool {
        assert!(!bytes.is_empty() && segment > 0, "an empty run");
        self.sent.push((path, bytes.to_vec(), segment));
        true
    }
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
    fn to_worker(&mut self, worker: u16, msg: PeerMessage) {
        self.messages.push((worker, msg));
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum To {
    Server(usize, [u8; 6]),
    Client(usize),
}

/// When, in which order, where to, and the bytes.
type Delivery = (Time, u64, To, Vec<u8>);

pub struct World {
    pub now: Time,
    pub cores: Vec<Core>,
    pub clients: Vec<Client>,
    pub up: Vec<Link>,
    pub down: Vec<Link>,
    pub events: Vec<(Time, Event)>,
    queue: BinaryHeap<Reverse<Delivery>>,
    mail: VecDeque<(usize, u16, PeerMessage)>,
    order: u64,
    next_id: u64,
    pub seed: u64,
    pub runs: Vec<usize>,
    pub strays: u64,
    next_client_tick: Time,
    pub naps: Naps,
    /// A real clock, for the benchmark only, and what the cores took of it.
    pub stopwatch: fn() -> Duration,
    pub spent: Duration,
}

pub fn seeds() -> impl Iterator<Item = u64> {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let first = number("SOTTO_SEED", 1);
    let count = number("SOTTO_SEEDS", 1);
    (first..first + count).inspect(|seed| println!("seed {seed}"))
}

impl World {
    pub fn new(seed: u64, workers: u16) -> World {
        World::limited(seed, workers, Limits::default())
    }

    pub fn limited(seed: u64, workers: u16, limits: Limits) -> World {
        let cfg = |worker| CoreConfig {
            workers,
            seed: seed ^ worker,
            limits: limits.clone(),
            ..CoreConfig::default()
        };
        World {
            now: Time::from_millis(1_000),
            cores: (0..workers)
                .map(|w| Core::new(cfg(u64::from(w)), w))
                .collect(),
            clients: Vec::new(),
            up: Vec::new(),
            down: Vec::new(),
            events: Vec::new(),
            queue: BinaryHeap::new(),
            mail: VecDeque::new(),
            order: 0,
            next_id: 100,
            seed,
            runs: Vec::new(),
            strays: 0,
            next_client_tick: Time::ZERO,
            naps: Naps::new(seed),
            stopwatch: || Duration::ZERO,
            spent: Duration::ZERO,
        }
    }

    pub fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub fn act(&mut self, worker: usize, act: impl FnOnce(&mut Core, Time, &mut dyn Io)) {
        let mut wire = Wire::default();
        let began = (self.stopwatch)();
        act(&mut self.cores[worker], self.now, &mut wire);
        self.spent += (self.stopwatch)() - began;
        self.carry_out(worker, wire);
    }

    pub fn command(&mut self, worker: usize, command: Command) {
        self.act(worker, |core, now, io| core.command(now, command, io));
    }

    fn carry_out(&mut self, worker: usize, wire: Wire) {
        for (path, bytes, segment) in wire.sent {
            self.runs.push(bytes.len().div_ceil(segment));
            let Some(client) = self.clients.iter().position(|c| c.path == path) else {
                self.strays += 1;
                continue;
            };
            for datagram in bytes.chunks(segment) {
                for at in self.down[client]
                    .carry(self.now, datagram.len())
                    .into_iter()
                    .flatten()
                {
                    self.order += 1;
                    self.queue.push(Reverse((
                        at,
                        self.order,
                        To::Client(client),
                        datagram.to_vec(),
                    )));
                }
            }
        }
        let now = self.now;
        self.events
            .extend(wire.events.into_iter().map(|e| (now, e)));
        for (to, message) in wire.messages {
            self.mail
                .push_back((usize::from(to), worker as u16, message));
        }
    }

    fn deliver_mail(&mut self) {
        while let Some((to, from, message)) = self.mail.pop_front() {
            self.act(to, |core, now, io| core.peer(now, from, message, io));
            self.act(to, |core, now, io| core.flush(now, io));
        }
    }

    /// A client with its transport, connected and keyed; on `worker`.
    pub fn join(&mut self, worker: usize) -> usize {
        let id = self.id();
        let prefix = worker_prefix(worker as u16);
        let ufrag = format!("{}{}u{id}", prefix[0] as char, prefix[1] as char);
        let pwd = format!("password-of-{id}-which-is-long");
        let remote: SocketAddr = format!("10.0.{}.{}:5000", id / 250, id % 250 + 1)
            .parse()
            .unwrap();
        self.command(
            worker,
            Command::CreateTransport {
                id,
                call: 1,
                ufrag: ufrag.clone(),
                pwd: pwd.clone(),
                settings: TransportSettings::default(),
            },
        );
        let client = Client::new(id, worker, remote, (&ufrag, &pwd));
        let remote_ufrag = client.remote_ufrag.clone();
        self.command(
            worker,
            Command::SetRemoteIce {
                id,
                ufrag: remote_ufrag,
                pwd: "x".repeat(22),
            },
        );
        let (theirs, ours) = (key_material(id as u8), key_material(id as u8 ^ 0x80));
        self.command(
            worker,
            Command::SetSrtp {
                id,
                profile: SrtpProfile::AeadAes128Gcm,
                local_key: ours.0.to_vec(),
                local_salt: ours.1.to_vec(),
                remote_key: theirs.0.to_vec(),
                remote_salt: theirs.1.to_vec(),
            },
        );
        self.clients.push(client);
        let number = self.clients.len() as u64;
        self.up.push(Link::new(self.seed * 1_000 + number));
        self.down.push(Link::new(self.seed * 2_000 + number));
        self.clients.len() - 1
    }

    pub fn publish(&mut self, client: usize, spec: PublicationSpec, mut source: Source) -> u64 {
        let id = self.id();
        source.next = self.now + 50 * MILLIS;
        let (transport, worker) = (self.clients[client].transport, self.clients[client].worker);
        self.clients[client].sources.push(source);
        self.command(
            worker,
            Command::Publish {
                id,
                transport,
                spec,
            },
        );
        self.deliver_mail();
        id
    }

    pub fn subscribe(
        &mut self,
        client: usize,
        publication: u64,
        publisher: usize,
        spec: SubscriptionSpec,
    ) -> u64 {
        self.subscribe_with(
            client,
            publication,
            publisher,
            spec,
            SubscriptionSettings::default(),
        )
    }

    pub fn subscribe_with(
        &mut self,
        client: usize,
        publication: u64,
        publisher: usize,
        spec: SubscriptionSpec,
        settings: SubscriptionSettings,
    ) -> u64 {
        let id = self.id();
        let (transport, worker) = (self.clients[client].transport, self.clients[client].worker);
        if let Some(rtx) = spec.rtx_ssrc {
            self.clients[client].rtx.insert(rtx, spec.ssrc);
        }
        let publication_worker = self.clients[publisher].worker as u16;
        self.command(
            worker,
            Command::Subscribe {
                id,
                transport,
                publication,
                publication_worker,
                spec,
                settings,
            },
        );
        self.deliver_mail();
        id
    }

    pub fn client_sends(&mut self, client: usize, bytes: &[u8]) {
        let worker = self.clients[client].worker;
        let SocketAddr::V4(remote) = self.clients[client].path.remote else {
            return;
        };
        let mut address = [0u8; 6];
        address[..4].copy_from_slice(&remote.ip().octets());
        address[4..].copy_from_slice(&remote.port().to_be_bytes());
        for at in self.up[client]
            .carry(self.now, bytes.len())
            .into_iter()
            .flatten()
        {
            self.order += 1;
            self.queue.push(Reverse((
                at,
                self.order,
                To::Server(worker, address),
                bytes.to_vec(),
            )));
        }
    }

    /// A datagram from an address of the attacker's choice, at once.
    pub fn inject(&mut self, worker: usize, path: Path, bytes: &[u8]) {
        self.receive(worker, path, bytes.to_vec());
        self.act(worker, |core, now, io| core.flush(now, io));
        self.deliver_mail();
    }

    fn receive(&mut self, worker: usize, path: Path, mut datagram: Vec<u8>) {
        self.act(worker, |core, now, io| {
            core.receive(now, path, &mut datagram, io)
        });
    }

    pub fn run(&mut self, duration: u64) {
        let end = self.now + duration;
        loop {
            let next = self.next_instant();
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            self.step();
        }
    }

    fn next_instant(&self) -> Time {
        let delivery = self.queue.peek().map(|Reverse((at, ..))| *at);
        let timer = self.cores.iter().filter_map(Core::next_timer).min();
        let timer = timer.map(|at| at.max(self.naps.until(self.now)));
        [delivery, timer, Some(self.next_client_tick)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.now)
    }

    fn step(&mut self) {
        let awake = self.naps.awake(self.now);
        let mut drained = vec![false; self.cores.len()];
        while let Some(Reverse((at, ..))) = self.queue.peek() {
            if *at > self.now {
                break;
            }
            let Some(Reverse((_, _, to, bytes))) = self.queue.pop() else {
                break;
            };
            match to {
                To::Server(..) if awake > self.now => {
                    self.order += 1;
                    self.queue.push(Reverse((awake, self.order, to, bytes)));
                }
                To::Server(worker, address) => {
                    let ip = [address[0], address[1], address[2], address[3]];
                    let port = u16::from_be_bytes([address[4], address[5]]);
                    let path = Path::udp(0, SocketAddr::from((ip, port)));
                    self.receive(worker, path, bytes);
                    drained[worker] = true;
                }
                To::Client(client) => {
                    for answer in self.clients[client].receive(self.now, &bytes) {
                        self.client_sends(client, &answer);
                    }
                }
            }
        }
        for (worker, drained) in drained.into_iter().enumerate() {
            if drained {
                self.act(worker, |core, now, io| core.flush(now, io));
            }
            if awake > self.now {
                continue;
            }
            if self.cores[worker]
                .next_timer()
                .is_some_and(|at| at <= self.now)
            {
                self.act(worker, |core, now, io| core.timer(now, io));
            }
        }
        self.deliver_mail();
        if self.now >= self.next_client_tick {
            self.next_client_tick = self.now + 5 * MILLIS;
            for client in 0..self.clients.len() {
                for datagram in self.clients[client].tick(self.now) {
                    self.client_sends(client, &datagram);
                }
            }
        }
    }

    pub fn drops(&self, reason: &str) -> u64 {
        self.cores
            .iter()
            .map(|c| c.snapshot(self.now).drops.get(reason).copied().unwrap_or(0))
            .sum()
    }
}
