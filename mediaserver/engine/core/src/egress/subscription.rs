//! One publication going to one subscriber: what was negotiated for it, which layer flows, how it
//! is numbered, what was sent. Owned by the subscriber's worker; `feed` offers it packets.

use crate::collections::Rng;
use crate::command::SubscriptionId;
use crate::egress::feed::MAX_SPATIAL;
use crate::egress::history::History;
use crate::egress::layers::{Layer, Mode, Selector, Verdict};
use crate::egress::record::{AGAIN, FILL, MARKER, RICH, RTX, Record, STRIP_RED};
use crate::egress::rewrite::{Numbers, Rewriter};
use crate::egress::routes::{MAX_CODECS, Route, route};
use crate::ingress::reception::Meter;
use crate::packet::Facts;
use crate::spec::{Kind, PublicationSpec, SubscriptionSettings, SubscriptionSpec};
use crate::time::Time;
use crate::wire::codec::red::HEADER;

#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    pub packets: u64,
    /// Payload bytes, for sender reports.
    pub bytes: u64,
    pub retransmitted: u64,
    pub padding: u64,
    pub nacks: u64,
    pub plis: u64,
    pub switches: u64,
    pub lost: i64,
    pub loss: f64,
    pub jitter: u32,
    pub last_send: Time,
}

pub struct Subscription {
    pub id: SubscriptionId,
    pub transport: u32,
    pub feed: u32,
    pub kind: Kind,
    pub spec: SubscriptionSpec,
    pub settings: SubscriptionSettings,
    pub routes: [Option<Route>; MAX_CODECS],
    pub selector: Selector,
    pub rewriter: Rewriter,
    pub history: History,
    pub rtx_seq: u64,
    /// Retransmissions must be the same bytes: no RTX, so nothing that varies may be written.
    pub identical: bool,
    /// NACK was negotiated, so what is sent must be remembered.
    pub nacks: bool,
    /// The path is too narrow for redundant audio beside video.
    pub lean: bool,
    /// The path loses so much that redundant audio gets this many more blocks.
    pub rich: u8,
    /// Some of what waited was thrown away (see `withdraw`).
    pub withdrawn: bool,
    /// Number of the first packet since the last switch.
    pub switched: u64,
    /// The remote has reported on our SSRC, so it knows which section it belongs to.
    pub confirmed: bool,
    pub clock_rate: u32,
    pub sent: Sent,
    pub meter: Meter,
    pub allocated: u64,
    /// What each picture took at most lately, forgotten slowly (`allocate`).
    pub peaks: [u64; MAX_SPATIAL],
    /// Told as `StreamStateChanged`.
    pub paused_by_bandwidth: bool,
    pub told_layer: Option<Layer>,
    /// The encoding that was asked for a keyframe, and when.
    pub asked_keyframe: Option<(u8, Time)>,
    /// When a layer was last taken away, and how long nothing rises after that.
    pub lowered: Option<Time>,
    pub settle: u64,
    /// When it last rose: what falls again soon after settles longer.
    pub raised: Option<Time>,
    /// Since when not even the lowest layer fits.
    pub short: Option<Time>,
    pub last_report: Option<Time>,
}

impl Subscription {
    pub fn new(
        id: SubscriptionId,
        (transport, feed): (u32, u32),
        (spec, settings): (SubscriptionSpec, SubscriptionSettings),
        publication: &PublicationSpec,
        rng: &mut Rng,
    ) -> Subscription {
        let clock_rate = publication
            .codecs
            .first()
            .map_or(90_000, |c| c.clock_rate.max(1));
        let first = first_number(rng) as u16;
        let mut subscription = Subscription {
            id,
            transport,
            feed,
            kind: publication.kind,
            routes: [None; MAX_CODECS],
            selector: Selector::new(mode_of(publication)),
            rewriter: Rewriter::new(clock_rate, first, rng.next_u64() as u32),
            history: History::default(),
            rtx_seq: first_number(rng),
            identical: false,
            nacks: false,
            lean: false,
            rich: 0,
            withdrawn: false,
            switched: 0,
            confirmed: false,
            clock_rate,
            sent: Sent::default(),
            meter: Meter::default(),
            allocated: 0,
            peaks: [0; MAX_SPATIAL],
            paused_by_bandwidth: false,
            told_layer: None,
            asked_keyframe: None,
            lowered: None,
            settle: 0,
            raised: None,
            short: None,
            last_report: None,
            spec,
            settings,
        };
        subscription.route(publication);
        subscription
    }

    /// Computes the routes again after either side was negotiated again.
    pub fn route(&mut self, publication: &PublicationSpec) {
        self.routes = [None; MAX_CODECS];
        for (index, codec) in publication.codecs.iter().take(MAX_CODECS).enumerate() {
            self.routes[index] = route(codec, &self.spec);
        }
        let retransmits =
            |r: &Route| r.nack && (r.rtx_payload_type.is_none() || self.spec.rtx_ssrc.is_none());
        self.identical = self.routes.iter().flatten().any(retransmits);
        self.nacks = self.routes.iter().flatten().any(|r| r.nack);
        let mode = mode_of(publication);
        if self.selector.mode != mode {
            let target = self.selector.target();
            self.selector = Selector::new(mode);
            self.selector.set_target(target);
        }
    }

    /// Forgets everything that was said under the old SSRC.
    pub fn renumber(&mut self, rng: &mut Rng) {
        self.rewriter = Rewriter::new(
            self.clock_rate,
            first_number(rng) as u16,
            rng.next_u64() as u32,
        );
        self.rtx_seq = first_number(rng);
        self.history = History::default();
        self.switched = 0;
        self.confirmed = false;
        self.selector.restart();
    }

    /// Redundant audio was not negotiated.
    pub fn strips_red(&self) -> bool {
        self.routes.iter().flatten().any(|r| r.strip_red)
    }

    pub fn has_route(&self) -> bool {
        self.routes.iter().any(Option::is_some)
    }

    /// Offers a packet; answers what to send for it, and whether forwarding began with it (then
    /// packets that came before it out of order are to be offered too).
    pub fn offer(
        &mut self,
        now: Time,
        index: u32,
        encoding: u8,
        (facts, len): (&Facts, usize),
        align: &dyn Fn(&Subscription) -> Option<u32>,
    ) -> (Option<Record>, bool) {
        let Some(Some(route)) = self.routes.get(usize::from(facts.codec)).copied() else {
            return (None, false);
        };
        let late = facts.seq <= self.rewriter.highest_in();
        let verdict = match len {
            // Padding of the publisher: its number closes up, if it is of what is forwarded.
            0 if self.forwards(encoding) => Verdict::Skip,
            0 => Verdict::Other,
            _ => self.selector.judge(encoding, facts),
        };
        match verdict {
            Verdict::Other => (None, false),
            Verdict::Switch { marker } => {
                let aligned = align(self);
                self.rewriter.switch(now, encoding, facts, aligned);
                self.sent.switches += 1;
                let numbers = self.rewriter.forward(now, encoding, facts);
                self.switched = numbers.map_or(self.switched, |n| n.seq);
                (
                    numbers
                        .map(|n| self.record(now, index, encoding, (facts, len), n, marker, route)),
                    true,
                )
            }
            Verdict::Forward { marker } => {
                let numbers = self.rewriter.forward(now, encoding, facts);
                (
                    numbers
                        .map(|n| self.record(now, index, encoding, (facts, len), n, marker, route)),
                    false,
                )
            }
            Verdict::Skip if late => {
                let numbers = self.rewriter.forward(now, encoding, facts);
                let fill = numbers.map(|n| {
                    let mut record = self.record(now, index, encoding, (facts, 0), n, false, route);
                    record.flags |= FILL;
                    record
                });
                (fill, false)
            }
            Verdict::Skip => {
                self.rewriter.skip(facts);
                (None, false)
            }
        }
    }

    /// What waited to be sent was thrown away: its numbers are free again, and forwarding begins anew.
    pub fn withdraw(&mut self, now: Time) {
        self.selector.restart();
        if let Some(sent) = self.history.recent(now, 0, 0) {
            self.rewriter.rewind(Numbers {
                seq: sent.seq,
                timestamp: sent.timestamp,
                picture: sent.picture,
                tl0: sent.tl0,
                frame: sent.frame,
            });
        }
    }

    /// A packet left, `len` bytes with everything; `share` percent of the stream may be sent again.
    pub fn sent_record(&mut self, now: Time, record: &Record, len: usize, share: u32) {
        let sent = &mut self.sent;
        sent.last_send = now;
        if record.has(RTX | AGAIN) {
            sent.retransmitted += 1;
            return;
        }
        sent.packets += 1;
        sent.bytes += u64::from(record.size);
        self.meter.add(now, len, record.has(MARKER));
        if self.nacks && !record.has(FILL) {
            self.history.push(now, record, share);
        }
    }

    /// Before the last switch: a receiver needs it no more once the switch's keyframe is there.
    pub fn has_left(&self, sequence: u16) -> bool {
        let newest = self.rewriter.next_out().saturating_sub(1);
        let back = u64::from((newest as u16).wrapping_sub(sequence));
        newest.saturating_sub(back) < self.switched
    }

    fn forwards(&self, encoding: u8) -> bool {
        self.selector.current().is_some() && self.rewriter.encoding() == Some(encoding)
    }

    #[allow(clippy::too_many_arguments)] // one construction site for a plain value
    fn record(
        &self,
        now: Time,
        index: u32,
        encoding: u8,
        (facts, len): (&Facts, usize),
        numbers: Numbers,
        marker: bool,
        route: Route,
    ) -> Record {
        let mut flags = if marker { MARKER } else { 0 };
        if route.strip_red || (self.lean && route.opus.is_some()) {
            flags |= STRIP_RED;
        }
        let primary = len.saturating_sub(facts.red_primary.into());
        let mut size = len;
        // A packet that may be sent again byte for byte cannot depend on what the ring still has.
        if facts.red_primary > 0 && len > 0 && flags & STRIP_RED == 0 && !self.identical {
            for flag in RICH.iter().take(self.rich.into()) {
                flags |= flag;
                size += HEADER + primary;
            }
        }
        Record {
            subscription: index,
            timestamp: numbers.timestamp,
            source: facts.seq,
            seq: numbers.seq,
            picture: numbers.picture,
            frame: numbers.frame,
            tl0: numbers.tl0,
            encoding,
            flags,
            codec: facts.codec,
            size: size as u16,
            queued: now,
        }
    }
}

/// RFC 3711 section 3.3.1: a first number in the lower half cannot be taken for a rollover.
fn first_number(rng: &mut Rng) -> u64 {
    rng.below(0x7000) + 1
}

pub fn mode_of(publication: &PublicationSpec) -> Mode {
    match publication.kind {
        Kind::Audio => Mode::Plain,
        Kind::Video if publication.svc => Mode::Svc,
        Kind::Video => Mode::Simulcast,
    }
}
