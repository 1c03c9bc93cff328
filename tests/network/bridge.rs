//! A bad network between two namespaces: one TUN device in each, this program between them.
//!
//! `bridge NETNS TUN NETNS TUN SEED`: every packet read from one side is delayed, lost, doubled, overtaken or
//! queued behind a rate on its way to the other. Orders come by stdin, one a line: `up|down|both key=value...`;
//! `stats` prints counters as JSON (`doubled` of media alone). Keys: delay, jitter (ms, uniform around, order kept), loss, duplicate,
//! reorder (percent), hold (ms an overtaken packet is held), rate (kbit/s, 0 = none), queue (ms of it).
//! The kernel of the build machines has no netem. Linux on 64 bits, standard library only.

use std::collections::BinaryHeap;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::{Duration, Instant};

extern "C" {
    fn setns(fd: i32, kind: i32) -> i32;
    fn ioctl(fd: i32, request: u64, ...) -> i32;
    fn open(path: *const i8, flags: i32, ...) -> i32;
    fn poll(fds: *mut PollFd, count: u64, timeout_ms: i32) -> i32;
    fn fcntl(fd: i32, command: i32, ...) -> i32;
    fn prctl(option: i32, ...) -> i32;
}

const CLONE_NEWNET: i32 = 0x4000_0000;
const TUNSETIFF: u64 = 0x4004_54ca;
const IFF_TUN_NO_PI: u16 = 0x1001;
const O_RDWR_NONBLOCK: i32 = 0x802;
const PR_SET_TIMERSLACK: i32 = 29;

#[repr(C)]
struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}

/// Opens a TUN device inside a namespace; the descriptor stays with it after we leave.
fn tun(namespace: &str, name: &str) -> File {
    let inside = File::open(format!("/var/run/netns/{namespace}")).expect("namespace");
    assert_eq!(unsafe { setns(inside.as_raw_fd(), CLONE_NEWNET) }, 0, "setns");
    let path = CString::new("/dev/net/tun").unwrap();
    let fd = unsafe { open(path.as_ptr(), O_RDWR_NONBLOCK) };
    assert!(fd >= 0, "open tun");
    let mut request = [0u8; 40];
    request[..name.len()].copy_from_slice(name.as_bytes());
    request[16..18].copy_from_slice(&IFF_TUN_NO_PI.to_ne_bytes());
    assert_eq!(unsafe { ioctl(fd, TUNSETIFF, request.as_mut_ptr()) }, 0, "TUNSETIFF");
    unsafe { File::from_raw_fd(fd) }
}

/// splitmix64: small, seeded, good enough for dice.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
    fn percent(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.unit() * 100.0 < chance
    }
}

#[derive(Default, Clone)]
struct Shape {
    delay: f64,
    jitter: f64,
    loss: f64,
    duplicate: f64,
    reorder: f64,
    hold: f64,
    rate: f64,
    queue: f64,
}

impl Shape {
    fn set(&mut self, key: &str, value: f64) -> bool {
        let field = match key {
            "delay" => &mut self.delay,
            "jitter" => &mut self.jitter,
            "loss" => &mut self.loss,
            "duplicate" => &mut self.duplicate,
            "reorder" => &mut self.reorder,
            "hold" => &mut self.hold,
            "rate" => &mut self.rate,
            "queue" => &mut self.queue,
            _ => return false,
        };
        *field = value;
        true
    }
}

struct Due {
    at: Instant,
    order: u64,
    bytes: Vec<u8>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.order == other.order
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    /// The earliest is the greatest, as BinaryHeap wants.
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// One direction: its shape, what waits in it, and what it has done.
struct Way {
    shape: Shape,
    heap: BinaryHeap<Due>,
    free_at: Instant,
    last_due: Instant,
    order: u64,
    passed: u64,
    lost: u64,
    doubled: u64,
    overflowed: u64,
}

/// Whether this is SRTP or SRTCP (RFC 7983) over UDP and IPv4.
fn is_media(packet: &[u8]) -> bool {
    let payload = packet.first().map_or(0, |first| usize::from(first & 15) * 4 + 8);
    packet.get(9) == Some(&17) && packet.get(payload).is_some_and(|first| (128..192).contains(first))
}

impl Way {
    fn new(now: Instant) -> Way {
        let shape = Shape { hold: 30.0, queue: 200.0, ..Shape::default() };
        Way { shape, heap: BinaryHeap::new(), free_at: now, last_due: now, order: 0, passed: 0, lost: 0, doubled: 0, overflowed: 0 }
    }

    fn take(&mut self, bytes: &[u8], now: Instant, dice: &mut Dice) {
        if dice.percent(self.shape.loss) {
            self.lost += 1;
            return;
        }
        let mut at = now;
        if self.shape.rate > 0.0 {
            let start = self.free_at.max(now);
            if (start - now).as_secs_f64() * 1000.0 > self.shape.queue {
                self.overflowed += 1;
                return;
            }
            self.free_at = start + Duration::from_secs_f64(bytes.len() as f64 * 8.0 / (self.shape.rate * 1000.0));
            at = self.free_at;
        }
        let swing = if self.shape.jitter > 0.0 { self.shape.jitter * (2.0 * dice.unit() - 1.0) } else { 0.0 };
        at += Duration::from_secs_f64((self.shape.delay + swing).max(0.0) / 1000.0);
        if dice.percent(self.shape.reorder) {
            at += Duration::from_secs_f64(self.shape.hold / 1000.0);
        } else {
            at = at.max(self.last_due);
            self.last_due = at;
        }
        self.queue(bytes, at);
        if dice.percent(self.shape.duplicate) {
            self.doubled += u64::from(is_media(bytes));
            self.queue(bytes, at);
        }
    }

    fn queue(&mut self, bytes: &[u8], at: Instant) {
        self.order += 1;
        self.heap.push(Due { at, order: self.order, bytes: bytes.to_vec() });
    }

    fn release(&mut self, now: Instant, out: &mut File) {
        while self.heap.peek().is_some_and(|due| due.at <= now) {
            let due = self.heap.pop().expect("peeked");
            if out.write(&due.bytes).is_ok() {
                self.passed += 1;
            }
        }
    }

    fn report(&self) -> String {
        let Way { passed, lost, doubled, overflowed, heap, .. } = self;
        let waiting = heap.len();
        format!(r#"{{"passed":{passed},"lost":{lost},"doubled":{doubled},"overflowed":{overflowed},"waiting":{waiting}}}"#)
    }
}

fn obey(line: &str, ways: &mut [Way; 2]) -> String {
    let mut words = line.split_whitespace();
    let which: &[usize] = match words.next() {
        Some("up") => &[0],
        Some("down") => &[1],
        Some("both") => &[0, 1],
        Some("stats") => return format!(r#"{{"up":{},"down":{}}}"#, ways[0].report(), ways[1].report()),
        _ => return String::from("unknown order"),
    };
    for word in words {
        let Some((key, value)) = word.split_once('=') else { return format!("bad word {word}") };
        let Ok(value) = value.parse::<f64>() else { return format!("bad number {word}") };
        for &at in which {
            if !ways[at].shape.set(key, value) {
                return format!("unknown key {key}");
            }
        }
    }
    String::from("ok")
}

/// Reads up to 64 packets of one side, so that neither side starves the other.
fn drain(from: &mut File, way: &mut Way, buffer: &mut [u8], dice: &mut Dice) {
    for _ in 0..64 {
        match from.read(buffer) {
            Ok(length) if length > 0 => way.take(&buffer[..length], Instant::now(), dice),
            _ => return,
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    assert_eq!(words.len(), 6, "bridge NETNS TUN NETNS TUN SEED");
    let mut sides = [tun(&words[1], &words[2]), tun(&words[3], &words[4])];
    let mut dice = Dice(words[5].parse().expect("seed"));
    let mut ways = [Way::new(Instant::now()), Way::new(Instant::now())];
    let mut buffer = vec![0u8; 65_536];
    let mut orders = String::new();
    unsafe {
        prctl(PR_SET_TIMERSLACK, 50_000u64);
        fcntl(0, 4, 0x800);
    }
    println!("ready");
    loop {
        let now = Instant::now();
        let next = ways.iter().filter_map(|way| way.heap.peek()).map(|due| due.at).min();
        let wait = next.map_or(1000, |at| at.saturating_duration_since(now).as_millis().min(1000) as i32 + i32::from(at > now));
        let mut fds = [0, sides[0].as_raw_fd(), sides[1].as_raw_fd()].map(|fd| PollFd { fd, events: 1, revents: 0 });
        unsafe { poll(fds.as_mut_ptr(), 3, wait) };
        if fds[0].revents != 0 {
            let mut chunk = [0u8; 4096];
            match std::io::stdin().read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => orders.push_str(&String::from_utf8_lossy(&chunk[..length])),
                Err(_) => {}
            }
            while let Some(end) = orders.find('\n') {
                println!("{}", obey(orders.drain(..=end).as_str(), &mut ways));
            }
        }
        for at in 0..2 {
            if fds[at + 1].revents != 0 {
                drain(&mut sides[at], &mut ways[at], &mut buffer, &mut dice);
            }
        }
        let now = Instant::now();
        for at in 0..2 {
            let (way, out) = (&mut ways[at], &mut sides[1 - at]);
            way.release(now, out);
        }
    }
}
