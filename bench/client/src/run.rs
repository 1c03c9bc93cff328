//! The loop: joins participants at a rate, waits until media flows to all, measures a window,
//! prints one line of JSON.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::cert::Certificate;
use crate::data;
use crate::link::Wire;
use crate::options::Options;
use crate::participant::Participant;
use crate::signal::Signal;
use crate::sys::{Batch, Epoll, now_us, wall_us};

mod churning;
mod joining;
mod measuring;

const TICK_US: u64 = 5_000;
const SIGNAL: u64 = 2;
/// How often the TUN is looked at. Nobody waits for it, so no sender pays for waking us, as none
/// would for waking what is behind a network card.
const LOOK_US: u64 = 50;
/// Runs read from the TUN before whatever else is due gets its turn.
const LOOK_MAX: usize = 256;

type Connected = (usize, Result<Signal, String>);

pub struct World {
    pub options: Options,
    pub participants: Vec<Participant>,
    epoll: Epoll,
    batch: Batch,
    runs: Batch,
    wire: Wire,
    buffer: Vec<u8>,
    certificate: Arc<Certificate>,
    connected: (mpsc::Sender<Connected>, mpsc::Receiver<Connected>),
    next_emit_us: u64,
    next_tick_us: u64,
    tokens: Vec<u64>,
    emitting: bool,
    retried: usize,
}

impl World {
    pub fn new(options: Options) -> Result<Self, String> {
        let certificate = Certificate::generate().map_err(|error| error.to_string())?;
        crate::sys::precise_timers();
        Ok(Self {
            wire: Wire::new(&options)?,
            buffer: sotto_bench_tun::Tun::buffer(),
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
            let link = participant.pcs[which].as_ref().map(|pc| &pc.link);
            if let Some(socket) = link.and_then(|link| link.socket()) {
                let _ = self.epoll.add(socket, (number as u64) << 2 | which as u64);
            }
        }
    }

    /// One turn: wait, read, send what is due.
    pub fn turn(&mut self) {
        let now = now_us();
        let mut until = self.next_emit_us.min(self.next_tick_us);
        if let Wire::Tun(_) = self.wire {
            until = until.min(if self.look() { 0 } else { now + LOOK_US });
        }
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

    /// Reads what lies in the TUN; whether more may lie there.
    fn look(&mut self) -> bool {
        let Wire::Tun(shared) = self.wire.clone() else {
            return false;
        };
        for _ in 0..LOOK_MAX {
            let Some(run) = shared.tun.read(&mut self.buffer) else {
                return false;
            };
            let Some(token) = shared.owner(run.to.port()) else {
                continue;
            };
            let participant = &mut self.participants[(token >> 2) as usize];
            let (which, arrived) = ((token & 3) as usize, Some(wall_us()));
            participant.on_run(which, run.data, run.segment, now_us(), arrived);
        }
        true
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
