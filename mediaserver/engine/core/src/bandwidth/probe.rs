//! When to try whether the path carries more: a short train of packets at the rate in question.
//! What arrives as fast as it was meant to proves the rate; what does not proves the bottleneck.

use crate::time::{MILLIS, SECONDS, Time};

/// A train is this long at its rate, and at least this many packets.
const DURATION: u64 = 15 * MILLIS;
const MIN_PACKETS: usize = 6;
/// The opening train is as long as a first frame happens to be.
const FEW: usize = 4;
const PACKET: usize = 1_000;
const MAX_BYTES: usize = 48_000;
/// Feedback that has not come by then will not.
const PATIENCE: u64 = 700 * MILLIS;
/// After a success the next step follows soon; after a failure the pause doubles.
const NEXT: u64 = 300 * MILLIS;
const FIRST_PAUSE: u64 = 2 * SECONDS;
const MAX_PAUSE: u64 = 16 * SECONDS;
/// While video is paused, its end matters more than the disturbance of a small train.
const EAGER_PAUSES: (u64, u64) = (SECONDS, 2 * SECONDS);
/// Where trains are of small packets: six large ones are a sixth of a second of a narrow path.
const SMALL_PACKET: usize = 300;
/// A queue that grows this soon after a train is the train's.
const DISTURBANCE: u64 = 500 * MILLIS;
/// Times between packets are known no better than this when they are spread.
const UNHINDERED: i64 = 2_000;
/// What must have arrived of a train.
const ENOUGH: f64 = 0.8;

#[derive(Clone, Copy, Debug)]
struct Train {
    rate: u64,
    started: Time,
    sent: usize,
    sent_bytes: u64,
    received: usize,
    received_bytes: u64,
    bytes_after_first: u64,
    first: Option<i64>,
    last: i64,
    /// How far apart the first and the last that arrived were sent.
    first_sent: Time,
    sent_span: u64,
    /// Longest time between two arrivals.
    gap: i64,
    /// How long the queue was before it.
    queued: i64,
    opening: bool,
}

/// What a train says of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It came as fast as it was sent.
    Carried,
    /// Its packets came evenly, one after the other: that is the rate of the path.
    Bottleneck,
    /// It came late, but unevenly or all at once: somebody slept.
    Uneven,
}

impl Train {
    fn new(started: Time, rate: u64) -> Train {
        Train {
            rate,
            started,
            sent: 0,
            sent_bytes: 0,
            received: 0,
            received_bytes: 0,
            bytes_after_first: 0,
            first: None,
            last: 0,
            first_sent: started,
            sent_span: 0,
            gap: 0,
            queued: 0,
            opening: false,
        }
    }

    fn span(&self) -> i64 {
        self.last - self.first.unwrap_or(self.last)
    }

    fn measured(&self) -> u64 {
        match self.span() {
            ..=0 => u64::MAX,
            span => self.bytes_after_first * 8 * SECONDS / span as u64,
        }
    }

    /// It came as it was sent, however slowly that was.
    fn unhindered(&self) -> bool {
        let sent = self.sent_span as i64;
        self.span() <= sent + (sent / 5).max(UNHINDERED)
    }

    /// What the path carried at least, since all of the train passed between its sending and its
    /// last arrival: a receiver that slept and then has all at once would prove any rate.
    fn at_least(&self, base: i64) -> u64 {
        let passing = self.last - self.first_sent.micros() as i64 - base;
        let passing = (passing.max(0) as u64).max(self.sent_span).max(1);
        self.received_bytes * 8 * SECONDS / passing
    }

    fn proof(&self) -> Proof {
        if self.gap * 5 < self.span() * 2 {
            Proof::Bottleneck
        } else {
            Proof::Uneven
        }
    }
}

#[derive(Debug, Default)]
pub struct Prober {
    train: Option<Train>,
    next: Time,
    pause: u64,
    last: Option<Time>,
    pub trains: u64,
}

impl Prober {
    /// Begins a train at `rate` behind a queue of so many microseconds; answers its bytes.
    pub fn begin(
        &mut self,
        now: Time,
        rate: u64,
        queued: u64,
        eager: bool,
        small: bool,
    ) -> Option<usize> {
        let pause = self.pause.clamp(EAGER_PAUSES.0, EAGER_PAUSES.1);
        let soon = eager && self.last.is_none_or(|at| now.since(at) >= pause);
        if self.train.is_some_and(|t| now.since(t.started) <= PATIENCE)
            || (now < self.next && !soon)
        {
            return None;
        }
        self.train = Some(Train {
            queued: queued as i64,
            ..Train::new(now, rate)
        });
        self.trains += 1;
        self.last = Some(now);
        let bytes = (rate * DURATION / 8 / SECONDS) as usize;
        let packet = if small { SMALL_PACKET } else { PACKET };
        Some(bytes.clamp(MIN_PACKETS * packet, MAX_BYTES))
    }

    /// The first packets of a stream are a train, whatever they carry.
    pub fn open(&mut self, now: Time, rate: u64) {
        self.train = Some(Train {
            opening: true,
            ..Train::new(now, rate)
        });
        self.last = Some(now);
    }

    pub fn sent(&mut self, size: usize) {
        if let Some(train) = self.train.as_mut() {
            train.sent += 1;
            train.sent_bytes += size as u64;
        }
    }

    pub fn received(&mut self, sent: Time, arrival_us: i64, size: usize) {
        let Some(train) = self.train.as_mut() else {
            return;
        };
        train.received += 1;
        train.received_bytes += size as u64;
        if train.first.is_none() {
            train.first = Some(arrival_us);
            train.first_sent = sent;
            train.last = arrival_us;
        } else {
            train.bytes_after_first += size as u64;
            train.sent_span = train.sent_span.max(sent.since(train.first_sent));
            train.gap = train.gap.max(arrival_us - train.last);
            train.last = train.last.max(arrival_us);
        }
    }

    /// What the train proved: a rate, and whether that is the bottleneck. Call on feedback.
    /// `base` is the least delay seen.
    pub fn result(&mut self, now: Time, base: i64) -> Option<(u64, Proof)> {
        let train = self.train?;
        // A bottleneck shows before all of the train has passed it.
        let enough = if train.opening { FEW } else { MIN_PACKETS };
        let clear = train.received >= enough && train.proof() == Proof::Bottleneck;
        let slow = clear && !train.unhindered() && train.measured() < train.rate / 2;
        let complete =
            slow || train.sent > 0 && train.received as f64 >= train.sent as f64 * ENOUGH;
        let over = now.since(train.started) > PATIENCE;
        if !complete && !over {
            return None;
        }
        self.train = None;
        if !complete || train.received < enough.min(MIN_PACKETS - 1) {
            self.failed(now);
            return None;
        }
        let measured = train.measured();
        let fast = measured >= train.rate - train.rate / 10 || train.unhindered();
        // What met no queue of its own met none at all.
        let bound = train.at_least(if fast { base } else { base + train.queued });
        if measured.min(train.rate) > bound + bound / 4 {
            // It slept; it may be awake next time.
            self.next = now + FIRST_PAUSE;
            return Some((bound, Proof::Uneven));
        }
        if fast {
            self.pause = 0;
            self.next = now + NEXT;
            return Some((train.rate.min(measured), Proof::Carried));
        }
        self.failed(now);
        Some((measured, train.proof()))
    }

    fn failed(&mut self, now: Time) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, MAX_PAUSE);
        self.next = now + self.pause;
    }

    /// A train that came late proved more than was thought: no failure, the next may prove more yet.
    pub fn promising(&mut self, now: Time) {
        self.pause = 0;
        self.next = self.next.min(now + FIRST_PAUSE);
    }

    /// The opening train says nothing yet: what was sent of it has not come, or came late.
    pub fn opens(&self) -> bool {
        self.train
            .is_some_and(|t| t.opening && (t.received < t.sent || !t.unhindered()))
    }

    /// A train may still be in some queue.
    pub fn disturbed(&self, now: Time) -> bool {
        self.last.is_some_and(|at| now.since(at) < DISTURBANCE)
    }

    /// The path is congested: not now, and gently afterwards.
    pub fn congested(&mut self, now: Time) {
        self.train = None;
        self.pause = self.pause.max(FIRST_PAUSE / 2);
        self.next = self.next.max(now + FIRST_PAUSE);
    }
}
