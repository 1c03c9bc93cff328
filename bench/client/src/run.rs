//! The loop: joins participants at a rate, waits until media flows to all, measures a window,
//! prints one line of JSON.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::cert::Certificate;
use crate::options::Options;
use crate::participant::Participant;
use crate::sdp::Kind;
use crate::signal::{Signal, Target};
use crate::sink::{Counts, Sink};
use crate::source::Source;
use crate::sys::{Batch, Epoll, cpu_us, now_us};
use crate::{data, token};

const TICK_US: u64 = 5_000;
const SIGNAL: u64 = 2;

type Connected = (usize, Result<Signal, String>);

pub struct World {
    pub options: Options,
    pub participants: Vec<Participant>,
    epoll: Epoll,
    batch: Batch,
    runs: Batch,
    certificate: Arc<Certificate>,
    connected: (mpsc::Sender<Connected>, mpsc::Receiver<Connected>),
    next_emit_us: u64,
    next_tick_us: u64,
    tokens: Vec<u64>,
    emitting: bool,
    retried: usize,
}

/// What one participant does.
#[derive(Clone, Copy)]
struct Plan {
    publishes: bool,
    subscribes: bool,
}

fn plans(options: &Options) -> Vec<Plan> {
    if options.meeting > 0 {
        return vec![
            Plan {
                publishes: true,
                subscribes: true
            };
            options.meeting
        ];
    }
    let mut plans = vec![
        Plan {
            publishes: true,
            subscribes: false
        };
        options.publishers
    ];
    plans.resize(
        options.publishers + options.subscribers,
        Plan {
            publishes: false,
            subscribes: true,
        },
    );
    plans
}

impl World {
    pub fn new(options: Options) -> Result<Self, String> {
        let certificate = Certificate::generate().map_err(|error| error.to_string())?;
        Ok(Self {
            options,
            participants: Vec::new(),
            epoll: Epoll::new().map_err(|error| error.to_string())?,
            batch: Batch::new(64, 2048),
            runs: Batch::new(8, 65_536),
            certificate: Arc::new(certificate),
            connected: mpsc::channel(),
            next_emit_us: u64::MAX,
            next_tick_us: 0,
            tokens: Vec::new(),
            emitting: false,
            retried: 0,
        })
    }

    fn sources(&self, number: usize) -> Vec<Source> {
        let options = &self.options;
        let ssrc = 0x1000_0000 + number as u32 * 16;
        match options.kind.as_str() {
            "audio" => vec![Source::new(Kind::Audio, ssrc, 1, options.size, 20_000)],
            "data" => Vec::new(),
            _ => vec![Source::new(
                Kind::Video,
                ssrc,
                options.burst,
                options.size,
                1_000_000 / options.fps,
            )],
        }
    }

    /// Starts to connect one more participant, on a thread.
    fn start(&mut self, plan: Plan) {
        let participant = self.make(self.participants.len(), plan);
        self.participants.push(participant);
    }

    fn make(&self, number: usize, plan: Plan) -> Participant {
        let sampled = plan.subscribes && number.is_multiple_of(self.options.sample.max(1));
        let mut sink = Sink::new(
            number as u64,
            sampled,
            if plan.subscribes {
                self.options.loss
            } else {
                0.0
            },
        );
        // One subscriber is enough to see how long runs are.
        sink.probe = plan.subscribes
            && self.participants[..number]
                .iter()
                .all(|other| !other.sink.probe);
        let sources = if plan.publishes {
            self.sources(number)
        } else {
            Vec::new()
        };
        let mut participant = Participant::new(
            number as u64,
            self.options.single,
            sources,
            sink,
            &self.certificate,
        );
        participant.wants_data = self.options.kind == "data";
        participant.address.clone_from(&self.options.address);
        participant.started_us = now_us();
        let options = &self.options;
        let identity = format!("bench-{number}-{}", self.retried);
        let target = Target {
            host: options.host.clone(),
            token: token::make(&options.key, &options.secret, &options.room, &identity),
            auto_subscribe: plan.subscribes,
            single: options.single,
        };
        let connected = self.connected.0.clone();
        std::thread::spawn(move || {
            // Nobody listens any more when the run is over.
            let _ = connected.send((number, Signal::connect(&target)));
        });
        participant
    }

    /// A busy server refuses or forgets some: they try again, under a new name. The time that
    /// they lost counts.
    fn retry(&mut self) -> Result<(), String> {
        let Some(failure) = self.failure() else {
            return Ok(());
        };
        if self.retried >= self.options.retries {
            return Err(failure);
        }
        self.retried += 1;
        let plans = plans(&self.options);
        for number in 0..self.participants.len() {
            let participant = &self.participants[number];
            let Some(plan) = plans.get(number).filter(|_| participant.failure.is_some()) else {
                continue;
            };
            if plan.publishes {
                return Err(failure);
            }
            let started_us = participant.started_us;
            let mut again = self.make(number, *plan);
            again.started_us = started_us;
            self.participants[number] = again;
        }
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.subscribers()
            .filter(|participant| participant.sink.streams() == 0)
            .count()
    }

    fn take_connected(&mut self) {
        while let Ok((number, result)) = self.connected.1.try_recv() {
            let participant = &mut self.participants[number];
            match result {
                Ok(signal) => {
                    let _ = self
                        .epoll
                        .add(signal.stream(), (number as u64) << 2 | SIGNAL);
                    participant.signal = Some(signal);
                    participant.on_signal();
                    self.add_fresh(number);
                }
                Err(error) => participant.failure = Some(error),
            }
        }
    }

    fn add_fresh(&mut self, number: usize) {
        let participant = &mut self.participants[number];
        for which in std::mem::take(&mut participant.fresh) {
            if let Some(pc) = &participant.pcs[which] {
                let _ = self
                    .epoll
                    .add(&pc.socket, (number as u64) << 2 | which as u64);
            }
        }
    }

    /// One turn: wait, read, send what is due.
    pub fn turn(&mut self) {
        let now = now_us();
        let until = self.next_emit_us.min(self.next_tick_us);
        let mut tokens = std::mem::take(&mut self.tokens);
        self.epoll.wait(until.saturating_sub(now), &mut tokens);
        let now = now_us();
        if now >= self.next_emit_us {
            self.emit(now);
        }
        for token in &tokens {
            let number = (token >> 2) as usize;
            match token & 3 {
                SIGNAL => self.participants[number].on_signal(),
                which => {
                    let participant = &mut self.participants[number];
                    let batch = if participant.sink.probe {
                        &mut self.runs
                    } else {
                        &mut self.batch
                    };
                    participant.on_readable(which as usize, batch, now);
                }
            }
            self.add_fresh(number);
        }
        self.tokens = tokens;
        if now >= self.next_tick_us {
            self.next_tick_us = now + TICK_US;
            self.take_connected();
            let instant = Instant::now();
            self.participants
                .iter_mut()
                .for_each(|participant| participant.tick(now, instant));
            if self.emitting && self.next_emit_us == u64::MAX {
                self.emit(now);
            }
        }
    }

    fn emit(&mut self, now: u64) {
        let senders = self
            .participants
            .iter_mut()
            .filter(|participant| !participant.sources.is_empty());
        self.next_emit_us = senders
            .map(|participant| participant.emit(now))
            .min()
            .unwrap_or(u64::MAX);
    }

    /// Spreads the sources over their period and lets them run.
    fn start_sources(&mut self) {
        let now = now_us();
        let count = self
            .participants
            .iter()
            .map(|participant| participant.sources.len() as u64)
            .sum::<u64>()
            .max(1);
        let sources = self
            .participants
            .iter_mut()
            .flat_map(|participant| &mut participant.sources);
        for (at, source) in sources.enumerate() {
            source.next_us = now + 10_000 + source.period_us * at as u64 / count;
        }
        self.emitting = true;
    }

    fn expected_streams(&self, participant: &Participant) -> usize {
        let tracks: usize = self
            .participants
            .iter()
            .map(|other| other.sources.len())
            .sum();
        tracks - participant.sources.len()
    }

    fn subscribers(&self) -> impl Iterator<Item = &Participant> {
        let meeting = self.options.meeting > 0;
        self.participants
            .iter()
            .filter(move |participant| meeting || participant.sources.is_empty())
    }

    fn flowing(&self) -> bool {
        self.subscribers()
            .all(|participant| participant.sink.streams() >= self.expected_streams(participant))
    }

    fn failure(&self) -> Option<String> {
        let failed = |participant: &Participant| {
            participant
                .failure
                .as_ref()
                .map(|failure| format!("participant {}: {failure}", participant.number))
        };
        self.participants.iter().find_map(failed)
    }

    fn turn_until(
        &mut self,
        deadline_us: u64,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<bool, String> {
        loop {
            if done(self) {
                return Ok(true);
            }
            if now_us() >= deadline_us {
                return Ok(false);
            }
            self.turn();
            self.retry()?;
        }
    }

    /// Joins everybody: publishers first, media at once, subscribers at the join rate.
    pub fn join_all(&mut self) -> Result<(), String> {
        let plans = plans(&self.options);
        let gap_us = (1_000_000.0 / self.options.join_rate) as u64;
        let mut next_us = now_us();
        for (number, plan) in plans.iter().enumerate() {
            self.start(*plan);
            next_us += gap_us;
            self.turn_until(next_us, |_| false)?;
            if self.emitting {
                let most = self.options.in_flight;
                self.wait(|world| world.waiting() < most, "media at those who joined")?;
            }
            let all_publishers = number + 1 == plans.iter().filter(|plan| plan.publishes).count();
            if all_publishers && self.options.kind != "data" {
                self.wait(
                    |world| world.participants.iter().all(Participant::sending_ready),
                    "publishers connected",
                )?;
                self.start_sources();
            }
        }
        Ok(())
    }

    pub fn wait(&mut self, done: impl FnMut(&Self) -> bool, what: &str) -> Result<(), String> {
        let deadline = now_us() + (self.options.timeout * 1e6) as u64;
        match self.turn_until(deadline, done)? {
            true => Ok(()),
            false => Err(format!("not reached in {} s: {what}", self.options.timeout)),
        }
    }

    pub fn run_for(&mut self, seconds: f64) -> Result<(), String> {
        self.turn_until(now_us() + (seconds * 1e6) as u64, |_| false)
            .map(|_| ())
    }

    /// Tells the server that all leave, so that the next run finds nobody.
    pub fn leave_all(&mut self) {
        self.participants.iter_mut().for_each(Participant::leave);
        std::thread::sleep(std::time::Duration::from_millis(200));
    }

    fn sent(&self) -> u64 {
        self.participants
            .iter()
            .flat_map(|participant| &participant.sources)
            .map(|source| source.sent)
            .sum()
    }

    /// Packets that each subscriber should get, for packets `sent` by all.
    fn owed(&self, sent: u64) -> u64 {
        match self.options.meeting {
            0 => sent * self.options.subscribers as u64,
            everybody => sent * (everybody as u64 - 1),
        }
    }

    fn mark(&mut self) {
        self.participants
            .iter_mut()
            .for_each(|participant| participant.sink.mark());
    }

    fn expected(&self) -> u64 {
        self.subscribers()
            .map(|participant| participant.sink.counts().expected)
            .sum()
    }

    /// A server raises its estimate step by step: waits until it forwards all that is sent, so
    /// that what is measured is the load that was asked for. Answers how long it took.
    fn settle(&mut self) -> Result<f64, String> {
        let started = now_us();
        loop {
            let sent = self.sent();
            self.mark();
            self.run_for(1.0)?;
            let waited = (now_us() - started) as f64 / 1e6;
            let owed = self.owed(self.sent() - sent);
            if self.expected() as f64 > 0.98 * owed as f64 || waited > self.options.settle {
                return Ok(waited);
            }
        }
    }

    fn media(&mut self) -> Result<Value, String> {
        self.join_all()?;
        self.wait(Self::flowing, "media at every subscriber")?;
        self.run_for(self.options.warmup)?;
        let settled = self.settle()?;
        let sent_before = self.sent();
        self.mark();
        let (started, cpu_before) = (now_us(), cpu_us(&self.options.pids));
        self.run_for(self.options.seconds)?;
        let (elapsed, cpu_after) = (now_us() - started, cpu_us(&self.options.pids));
        let sent = self.sent() - sent_before;
        let mut report = self.report(
            elapsed,
            sent,
            (cpu_after.0 - cpu_before.0, cpu_after.1 - cpu_before.1),
        );
        report["settled_s"] = settled.into();
        report["delivered"] = (self.expected() as f64 / self.owed(sent).max(1) as f64).into();
        report["runs"] = self.runs_report();
        Ok(report)
    }

    fn report(&self, elapsed_us: u64, sent: u64, cpu: (u64, u64)) -> Value {
        let mut total = Counts::default();
        let mut delays: Vec<u32> = Vec::new();
        let mut joins: Vec<u32> = Vec::new();
        for participant in self.subscribers() {
            let counts = participant.sink.counts();
            total.packets += counts.packets;
            total.expected += counts.expected;
            total.lost += counts.lost;
            total.bytes += counts.bytes;
            total.retransmitted += counts.retransmitted;
            total.dropped_on_purpose += counts.dropped_on_purpose;
            delays.extend(&participant.sink.delays_us);
            joins.extend(
                participant
                    .sink
                    .first_us
                    .map(|first| first.saturating_sub(participant.started_us) as u32),
            );
        }
        let profile = self
            .participants
            .iter()
            .find_map(|p| p.receiving()?.profile);
        let cpu_total = cpu.0 + cpu.1;
        json!({
            "sent": sent, "packets": total.packets, "expected": total.expected, "lost": total.lost,
            "bytes": total.bytes, "retransmitted": total.retransmitted, "dropped_on_purpose": total.dropped_on_purpose,
            "elapsed_us": elapsed_us, "packets_per_second": total.packets as f64 * 1e6 / elapsed_us as f64,
            "cpu_user_us": cpu.0, "cpu_system_us": cpu.1,
            "cpu_us_per_packet": cpu_total as f64 / total.packets.max(1) as f64,
            "cpu_share": cpu_total as f64 / elapsed_us as f64,
            "delay_us": percentiles(&mut delays), "join_us": percentiles(&mut joins),
            "subscribers": self.subscribers().count(), "retried": self.retried, "profile": profile.map(|profile| format!("{profile:?}")),
            "transport_cc": self.subscribers().any(|p| p.sink.transport_cc.is_some()),
            "keyframes": self.participants.iter().flat_map(|p| &p.sources).map(|s| s.keyframes).sum::<u64>(),
            "resent": self.participants.iter().flat_map(|p| &p.sources).map(|s| s.resent).sum::<u64>(),
        })
    }

    /// Share of packets by the length of the run they came in, as the probe saw it.
    fn runs_report(&self) -> Value {
        let Some(probe) = self
            .participants
            .iter()
            .find(|participant| participant.sink.probe)
        else {
            return Value::Null;
        };
        let total: u64 = probe.sink.runs.iter().sum();
        let share = |(length, packets): (usize, &u64)| {
            (
                length.to_string(),
                json!(*packets as f64 / total.max(1) as f64),
            )
        };
        let seen = probe
            .sink
            .runs
            .iter()
            .enumerate()
            .filter(|(_, packets)| **packets > 0);
        Value::Object(seen.map(share).collect())
    }

    /// Joins and leaves, a few at a time; the room and its publisher stay.
    fn churn(&mut self) -> Result<Value, String> {
        self.options.subscribers = 0;
        self.join_all()?;
        let publishers = self.participants.len();
        let mut joins: Vec<u32> = Vec::new();
        let mut started = 0;
        let at = now_us();
        let gap_us = (1e6 / self.options.join_rate) as u64;
        let mut next_us = at;
        while joins.len() < self.options.churn {
            if started < self.options.churn
                && now_us() >= next_us
                && self.participants.len() < publishers + self.options.in_flight
            {
                self.start(Plan {
                    publishes: false,
                    subscribes: true,
                });
                started += 1;
                next_us += gap_us;
            }
            self.turn();
            if let Some(failure) = self.failure() {
                return Err(failure);
            }
            self.reap(publishers, &mut joins)?;
        }
        let elapsed = now_us() - at;
        Ok(json!({
            "joins": joins.len(), "elapsed_us": elapsed,
            "joins_per_second": joins.len() as f64 * 1e6 / elapsed as f64, "join_us": percentiles(&mut joins),
        }))
    }

    /// Those with media leave. Slots are reused only when all are empty, so tokens stay right.
    fn reap(&mut self, publishers: usize, joins: &mut Vec<u32>) -> Result<(), String> {
        let now = now_us();
        let mut busy = false;
        for participant in &mut self.participants[publishers..] {
            match participant.sink.first_us {
                Some(first) if participant.signal.is_some() => {
                    joins.push(first.saturating_sub(participant.started_us) as u32);
                    participant.leave();
                    participant.signal = None;
                    participant.pcs = [None, None];
                }
                Some(_) => {}
                None if now - participant.started_us > (self.options.timeout * 1e6) as u64 => {
                    return Err(format!("participant {} got no media", participant.number));
                }
                None => busy = true,
            }
        }
        if !busy {
            self.participants.truncate(publishers);
        }
        Ok(())
    }

    pub fn run(&mut self) -> Result<Value, String> {
        let result = match (self.options.churn, self.options.kind.as_str()) {
            (0, "data") => data::run(self),
            (0, _) => self.media(),
            _ => self.churn(),
        };
        self.leave_all();
        result
    }
}

/// Count, median, 95th and 99th percentile, maximum.
pub fn percentiles(values: &mut [u32]) -> Value {
    values.sort_unstable();
    let at = |share: f64| {
        values.get(((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1)))
    };
    json!({"count": values.len(), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": values.last()})
}
