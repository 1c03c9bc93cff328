//! How much a subscriber's path carries. `Bandwidth` is the face of one transport: by what it
//! negotiated it listens to transport-cc (`send_side`), REMB, or only loss. Who gets what of it is
//! `allocator`'s. Claims of the remote move it within bounds, never beyond.

pub mod acked;
pub mod allocator;
pub mod clock;
pub mod history;
pub mod lean;
pub mod loss;
pub mod probe;
pub mod rich;
pub mod send_side;
pub mod trendline;

use crate::path::HEADERS;
use crate::time::{SECONDS, Time};
use crate::wire::twcc;
use send_side::SendSide;

/// Congestion seen this recently makes the estimate a limit; else it is only what was tried.
const CONGESTED: u64 = 8 * SECONDS;
/// Without feedback, a path is taken for this good until loss says otherwise.
const BLIND_START: u64 = 20_000_000;
/// Feedback that was negotiated comes within a round trip or two.
const DEAF_AFTER: u64 = 2 * SECONDS;
/// REMB that is older than this has lost its sender.
const REMB_LIFETIME: u64 = 15 * SECONDS;

/// What the subscriber negotiated to tell us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feedback {
    Loss,
    Remb,
    TransportCc,
}

/// What a packet is to the estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Audio,
    Video,
    Probe,
}

pub struct Bandwidth {
    start: u64,
    min: u64,
    max: u64,
    feedback: Feedback,
    send_side: Option<Box<SendSide>>,
    remb: Option<(u64, Time)>,
    blind: u64,
    blind_at: Time,
    congested: Option<Time>,
    first_sent: Option<Time>,
    /// Negotiated feedback never came: loss must do.
    deaf: bool,
}

impl Bandwidth {
    pub fn new(start: u64, min: u64, max: u64) -> Bandwidth {
        Bandwidth {
            start: start.clamp(min, max),
            min,
            max,
            feedback: Feedback::Loss,
            send_side: None,
            remb: None,
            blind: BLIND_START.min(max),
            blind_at: Time::ZERO,
            congested: None,
            first_sent: None,
            deaf: false,
        }
    }

    /// The best of what its subscriptions negotiated.
    pub fn set_feedback(&mut self, feedback: Feedback) {
        self.feedback = self.feedback.max(feedback);
        if self.feedback == Feedback::TransportCc && self.send_side.is_none() {
            self.send_side = Some(Box::new(SendSide::new(self.start, self.min, self.max)));
        }
    }

    pub fn feedback(&self) -> Feedback {
        self.feedback
    }

    /// A packet with a transport-wide number left.
    pub fn sent(&mut self, now: Time, sequence: u16, size: usize, sort: Sort) {
        let Some(send_side) = self.send_side.as_mut() else {
            return;
        };
        send_side.sent(now, sequence, size + HEADERS, sort);
    }

    /// What sending the next `count` packets, from number `next` on, will need.
    pub fn prefetch(&self, next: u16, count: usize) {
        if let Some(send_side) = self.send_side.as_ref() {
            send_side.prefetch(next, count);
        }
    }

    /// So many bytes of numbered packets left in one run.
    pub fn sent_bytes(&mut self, now: Time, bytes: usize) {
        let Some(send_side) = self.send_side.as_mut().filter(|_| bytes > 0) else {
            return;
        };
        send_side.sent_bytes(now, bytes);
        if !send_side.heard() {
            let first = *self.first_sent.get_or_insert(now);
            self.deaf = now.since(first) > DEAF_AFTER;
        }
    }

    /// Answers how many claims about packets that were never sent it held.
    pub fn on_feedback(&mut self, now: Time, feedback: &twcc::Feedback<'_>) -> u64 {
        self.deaf = false;
        match self.send_side.as_mut() {
            Some(send_side) => send_side.on_feedback(now, feedback),
            None => 1,
        }
    }

    pub fn on_remb(&mut self, now: Time, bitrate: u64) {
        let claimed = bitrate.clamp(self.min, self.max);
        if self
            .remb
            .is_some_and(|(before, _)| claimed < before - before / 10)
        {
            self.congested = Some(now);
        }
        self.remb = Some((claimed, now));
    }

    /// Loss of one stream from a receiver report; all that some remotes say.
    pub fn on_loss(&mut self, now: Time, fraction: f64, sending: u64) {
        if !(self.feedback == Feedback::Loss || self.deaf) || now.since(self.blind_at) < SECONDS / 2
        {
            return;
        }
        let elapsed = now.since(self.blind_at).min(2 * SECONDS);
        self.blind_at = now;
        if fraction > 0.10 {
            let base = self.blind.min(sending.max(self.min) * 2);
            self.blind = ((base as f64 * (1.0 - fraction / 2.0)) as u64).max(self.min);
            self.congested = Some(now);
        } else if fraction < 0.02 {
            let step = self.blind * elapsed / SECONDS / 8;
            self.blind = (self.blind + step).min(BLIND_START.min(self.max));
        }
    }

    /// bit/s that may be sent; `None` when nothing limits.
    pub fn estimate(&self) -> Option<u64> {
        match (self.feedback, self.send_side.as_ref(), self.remb) {
            (Feedback::TransportCc, Some(send_side), _) if !self.deaf => Some(send_side.estimate()),
            (Feedback::Remb, _, Some((rate, _))) => Some(rate),
            (Feedback::Remb, _, None) => Some(self.start),
            _ if self.blind >= BLIND_START.min(self.max) => None,
            _ => Some(self.blind),
        }
    }

    /// The path showed congestion lately: what exceeds the estimate would only queue.
    pub fn is_limited(&self, now: Time) -> bool {
        let own = self.send_side.as_ref().and_then(|s| s.congested_at());
        let stale = self
            .remb
            .is_some_and(|(_, at)| now.since(at) > REMB_LIFETIME);
        let last = own.max(self.congested.filter(|_| !stale));
        last.is_some_and(|at| now.since(at) < CONGESTED)
    }

    /// How long every packet waits on the path, beyond its delay; microseconds.
    pub fn queued(&self) -> u64 {
        self.send_side.as_ref().map_or(0, |s| s.queued())
    }

    /// Nothing is known of the path yet.
    pub fn is_opening(&self, now: Time) -> bool {
        self.send_side.as_ref().is_some_and(|s| s.is_opening(now)) && !self.deaf
    }

    /// Share of packets that the path loses however little is sent.
    pub fn inherent_loss(&self, now: Time) -> f64 {
        let measured = self.send_side.as_ref();
        measured.map_or(0.0, |s| s.losses().inherent(now))
    }

    /// Share of packets that are lost now, whoever's fault it is; 0 where nobody says.
    pub fn loss(&self) -> f64 {
        let measured = self.send_side.as_ref();
        measured.map_or(0.0, |s| s.losses().recent())
    }

    /// Share of its packets that a stream loses, of which its reports say `reported`. Where there is
    /// transport-wide feedback they are believed up to twice of what that says of the path: who lies
    /// there pays with the estimate, while a report alone costs nothing.
    pub fn loss_of_stream(&self, reported: f64) -> f64 {
        if self.can_probe() {
            let loss = self.loss();
            reported.clamp(loss, 2.0 * loss)
        } else {
            reported
        }
    }

    /// REMB is a measurement by the receiver; transport-cc says nothing about idle capacity.
    pub fn can_probe(&self) -> bool {
        self.feedback == Feedback::TransportCc && !self.deaf
    }

    /// Bytes of a probe to send now, if `desired` bit/s are wanted and more is worth trying.
    /// `eager`: video is paused, and waits for the answer.
    /// Answers also whether its packets must be small.
    pub fn probe(&mut self, now: Time, desired: u64, eager: bool) -> Option<(usize, bool)> {
        self.send_side.as_mut()?.probe(now, desired, eager)
    }
}
