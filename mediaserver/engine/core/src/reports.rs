//! RTCP that goes out: sender reports to subscribers, receiver reports, NACK, keyframe requests,
//! transport-cc feedback and REMB to publishers.

use crate::control::ntp_span;
use crate::core::Core;
use crate::drops::Drop;
use crate::egress::layers::{Layer, Mode};
use crate::ingress::nack::MAX_BATCH;
use crate::ingress::reception::Loss;
use crate::io::Io;
use crate::receive::FEEDBACK_INTERVAL;
use crate::time::{MILLIS, SECONDS, Time};
use crate::wire::rtcp::{Compound, ReceptionReport, SenderInfo};

const REPORT_INTERVAL: u64 = SECONDS;
/// A compound never exceeds this: what every path carries.
const MAX_COMPOUND: usize = 1_180;
/// REMB to publishers without transport-cc: what we received, and half of it more.
const REMB_MIN: u64 = 300_000;

impl Core {
    /// Protects and sends a compound packet, if there is anything in it and somewhere to go.
    pub(crate) fn send_rtcp(&mut self, index: u32, compound: &[u8], io: &mut dyn Io) -> bool {
        let transport = &mut self.transports[index];
        let (Some(path), Some(keys)) = (transport.ice.selected(), transport.outbound.as_mut())
        else {
            return false;
        };
        if compound.is_empty() {
            return false;
        }
        let mut out = [0u8; MAX_COMPOUND + 64];
        let Ok(len) = keys.protect_rtcp(compound, &mut out) else {
            self.drops.add(Drop::Protect);
            return false;
        };
        self.counters.rtcp_out += 1;
        if !io.send(path, &out[..len], len) {
            self.drops.add(Drop::SendBlocked);
        }
        true
    }

    /// PLI or FIR to the publisher, when its limiter allows it now.
    pub(crate) fn send_keyframe_request(
        &mut self,
        now: Time,
        index: u32,
        encoding: u8,
        io: &mut dyn Io,
    ) -> bool {
        let interval = u64::from(self.cfg.limits.keyframe_interval_ms) * MILLIS;
        let publication = &mut self.publications[index];
        let transport = publication.transport;
        let fir = publication.spec.codecs.iter().all(|c| !c.pli)
            && publication.spec.codecs.iter().any(|c| c.fir);
        let entry = &mut publication.encodings[usize::from(encoding)];
        let Some(ssrc) = entry.ssrc else { return false };
        if !self.transports[transport].can_send() || !entry.keyframes.due(now, interval) {
            return false;
        }
        entry.plis += 1;
        let sender = self.transports[transport].our_ssrc;
        let mut out = [0u8; 64];
        let mut compound = Compound::new(&mut out);
        if fir {
            compound.fir(sender, ssrc, entry.keyframes.next_fir());
        } else {
            compound.pli(sender, ssrc);
        }
        let len = compound.finish();
        self.counters.plis_out += 1;
        self.send_rtcp(transport, &out[..len], io)
    }

    /// Keyframe requests that waited for their interval.
    pub(crate) fn send_waiting_keyframes(
        &mut self,
        now: Time,
        index: u32,
        io: &mut dyn Io,
    ) -> bool {
        let mut waiting = false;
        for position in 0..self.transports[index].publications.len() {
            let publication = self.transports[index].publications[position];
            for encoding in 0..self.publications[publication].encodings.len() {
                let limiter = &mut self.publications[publication].encodings[encoding].keyframes;
                if !limiter.wanted() {
                    continue;
                }
                if !self.somebody_waits(publication, encoding as u8) {
                    let entry = &mut self.publications[publication].encodings[encoding];
                    entry.keyframes.satisfied();
                } else {
                    waiting |= !self.send_keyframe_request(now, publication, encoding as u8, io);
                }
            }
        }
        waiting
    }

    /// Whether a request that had to wait is still worth sending: a subscription forwards the
    /// encoding or wants to. Other workers are believed.
    fn somebody_waits(&self, index: u32, encoding: u8) -> bool {
        let publication = &self.publications[index];
        let here = publication.feed.map(|feed| &self.feeds[feed].subscriptions);
        !publication.remotes.is_empty()
            || here.into_iter().flatten().any(|index| {
                let selector = &self.subscriptions[*index].selector;
                let svc = selector.mode == Mode::Svc;
                let of = |layer: Layer| svc || layer.spatial == encoding;
                selector.target().is_some_and(of) || selector.current().is_some_and(of)
            })
    }

    /// Asks the publisher for missing packets; true while some are missing.
    pub(crate) fn send_nacks(&mut self, now: Time, index: u32, io: &mut dyn Io) -> bool {
        let mut pending = false;
        let rtt = self.transports[index].rtt_or_guess();
        let sender = self.transports[index].our_ssrc;
        for position in 0..self.transports[index].publications.len() {
            let publication = self.transports[index].publications[position];
            for encoding in 0..self.publications[publication].encodings.len() {
                let entry = &mut self.publications[publication].encodings[encoding];
                let mut lost = [0u16; MAX_BATCH];
                let count = entry.nack.due(now, rtt, &mut lost);
                pending |= entry.nack.pending();
                let (Some(ssrc), true) = (entry.ssrc, count > 0) else {
                    continue;
                };
                let mut out = [0u8; 512];
                let mut compound = Compound::new(&mut out);
                compound.nack(sender, ssrc, lost[..count].iter().copied());
                let len = compound.finish();
                self.counters.nacks_out += count as u64;
                self.send_rtcp(index, &out[..len], io);
            }
        }
        pending
    }

    /// What arrived of a publisher's transport-wide numbers.
    pub(crate) fn send_feedback(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        let transport = &mut self.transports[index];
        if transport.feedback_due.is_none_or(|at| now < at) {
            return;
        }
        transport.feedback_due = None;
        let Some(arrivals) = transport.arrivals.as_mut() else {
            return;
        };
        let sender = transport.our_ssrc;
        let media = transport.streams.keys().next().copied().unwrap_or(0);
        // Bounded: each message covers hundreds of packets, and four fill a tick at any sane rate.
        let mut messages = [[0u8; MAX_COMPOUND]; 4];
        let mut lens = [0usize; 4];
        for (message, len) in messages.iter_mut().zip(&mut lens) {
            let mut fci = [0u8; MAX_COMPOUND - 16];
            let Some(size) = arrivals.write(&mut fci) else {
                break;
            };
            let mut compound = Compound::new(message);
            compound.transport_cc(sender, media, &fci[..size]);
            *len = compound.finish();
        }
        for (message, len) in messages.iter().zip(lens).filter(|(_, len)| *len > 0) {
            self.send_rtcp(index, &message[..len], io);
        }
        if self.transports[index]
            .arrivals
            .as_ref()
            .is_some_and(|a| !a.is_empty())
        {
            self.transports[index].feedback_due = Some(now + FEEDBACK_INTERVAL);
        }
    }

    /// Receiver and sender reports, once a second.
    pub(crate) fn send_reports(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        if now < self.transports[index].reports_due || !self.transports[index].can_send() {
            return;
        }
        self.transports[index].reports_due = now + REPORT_INTERVAL;
        self.send_receiver_report(now, index, io);
        self.send_sender_reports(now, index, io);
        self.send_remb(now, index, io);
    }

    fn send_receiver_report(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        let Core {
            transports,
            publications,
            ..
        } = self;
        let transport = &transports[index];
        let mut reports = [ReceptionReport::default(); 31];
        let mut count = 0;
        for publication in &transport.publications {
            for entry in &mut publications[*publication].encodings {
                let (Some(ssrc), true) = (entry.ssrc, entry.reception.started) else {
                    continue;
                };
                if count == reports.len() {
                    break;
                }
                reports[count] = block(now, ssrc, entry.last_report, entry.reception.report());
                count += 1;
            }
        }
        if count == 0 {
            return;
        }
        let mut out = [0u8; MAX_COMPOUND];
        let mut compound = Compound::new(&mut out);
        compound.receiver_report(transport.our_ssrc, &reports[..count]);
        let len = compound.finish();
        self.send_rtcp(index, &out[..len], io);
    }

    fn send_sender_reports(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        let mut out = [0u8; MAX_COMPOUND];
        let mut len = 0;
        for position in 0..self.transports[index].subscriptions.len() {
            let subscription = self.transports[index].subscriptions[position];
            let Some((ssrc, info)) = self.sender_info(now, subscription) else {
                continue;
            };
            if MAX_COMPOUND - len < 32 {
                self.send_rtcp(index, &out[..len], io);
                len = 0;
            }
            let mut compound = Compound::new(&mut out[len..]);
            compound.sender_report(ssrc, &info, &[]);
            len += compound.finish();
        }
        self.send_rtcp(index, &out[..len], io);
    }

    /// Our NTP time and the subscription's RTP time of the same instant.
    fn sender_info(&self, now: Time, index: u32) -> Option<(u32, SenderInfo)> {
        let subscription = &self.subscriptions[index];
        let sent = &subscription.sent;
        if sent.packets == 0 || now.since(sent.last_send) > 10 * SECONDS {
            return None;
        }
        let ntp = self.ntp(now);
        let (last, at) = subscription.rewriter.last_timestamp();
        let anchor = subscription
            .rewriter
            .encoding()
            .and_then(|e| self.feeds[subscription.feed].encodings.get(usize::from(e)))
            .and_then(|e| e.anchor);
        let rtp = match anchor {
            Some(anchor) => {
                let ticks = ticks(ntp.wrapping_sub(anchor.ntp), subscription.clock_rate);
                anchor
                    .rtp
                    .wrapping_add(ticks)
                    .wrapping_add(subscription.rewriter.timestamp_offset())
            }
            None => last.wrapping_add(ticks(
                ntp_span(now).wrapping_sub(ntp_span(at)),
                subscription.clock_rate,
            )),
        };
        let info = SenderInfo {
            ntp,
            rtp,
            packets: sent.packets as u32,
            octets: sent.bytes as u32,
        };
        Some((subscription.spec.ssrc, info))
    }

    /// For publishers that negotiated REMB instead of transport-cc.
    fn send_remb(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        let transport = &self.transports[index];
        if !transport.wants_remb || transport.arrivals.is_some() {
            return;
        }
        let (mut rate, mut loss) = (0, 0.0f64);
        for publication in &transport.publications {
            for entry in &self.publications[*publication].encodings {
                rate += entry.reception.meter.rate(now);
                loss = loss.max(entry.reception.fraction);
            }
        }
        let allowed = if loss > 0.1 {
            rate - rate / 8
        } else {
            rate + rate / 2
        };
        let mut ssrcs = [0u32; 32];
        let mut count = 0;
        for (ssrc, _) in transport
            .streams
            .iter()
            .filter(|(_, s)| !s.rtx)
            .take(ssrcs.len())
        {
            ssrcs[count] = *ssrc;
            count += 1;
        }
        let mut out = [0u8; 256];
        let mut compound = Compound::new(&mut out);
        compound.remb(transport.our_ssrc, allowed.max(REMB_MIN), &ssrcs[..count]);
        let len = compound.finish();
        self.send_rtcp(index, &out[..len], io);
    }
}

/// Clock ticks in an NTP duration, which may be negative.
fn ticks(span: u64, clock_rate: u32) -> u32 {
    ((i128::from(span as i64) * i128::from(clock_rate)) >> 32) as u32
}

fn block(now: Time, ssrc: u32, last: Option<(u32, Time)>, loss: Loss) -> ReceptionReport {
    let (last_sr, delay) = match last {
        Some((middle, at)) => (middle, ((now.since(at) << 16) / SECONDS) as u32),
        None => (0, 0),
    };
    ReceptionReport {
        ssrc,
        fraction_lost: loss.fraction,
        cumulative_lost: loss.cumulative as i32,
        highest_sequence: loss.highest,
        jitter: loss.jitter,
        last_sr,
        delay_since_last_sr: delay,
    }
}
