//! RTCP that comes in: what publishers say of their clocks, what subscribers say of our packets.
//! Every number in it is a claim; none may cost more than its share, or touch foreign streams.

use crate::bandwidth::send_side::CROWDED;
use crate::core::Core;
use crate::drops::Drop;
use crate::egress::feed::Anchor;
use crate::egress::record::{AGAIN, RTX, Record};
use crate::fanout::enqueue_again;
use crate::io::Io;
use crate::path::Path;
use crate::peer::PeerMessage;
use crate::receive::srtp_drop;
use crate::time::{SECONDS, Time};
use crate::wire::rtcp::{Packet, Packets, ReceptionReport, SenderInfo};

/// Sequence numbers looked at in one RTCP datagram; an honest receiver asks for some dozens.
const MAX_NACKS: usize = 512;
/// A publisher's wall clock that jumps by more than this is taken anew.
const MAX_CLOCK_STEP: i64 = 2 << 32;

impl Core {
    pub(crate) fn rtcp(
        &mut self,
        now: Time,
        index: u32,
        path: Path,
        datagram: &mut [u8],
        io: &mut dyn Io,
    ) -> Result<(), Drop> {
        let keys = self.transports[index]
            .inbound
            .as_mut()
            .ok_or(Drop::NoKeys)?;
        let len = keys.unprotect_rtcp(datagram).map_err(srtp_drop)?;
        self.alive(now, index, path, io);
        self.counters.rtcp_in += 1;
        let mut nacks = MAX_NACKS;
        for packet in Packets::new(&datagram[..len]) {
            let packet = packet.map_err(|_| Drop::RtcpMalformed)?;
            self.rtcp_packet(now, index, &packet, &mut nacks, io);
        }
        Ok(())
    }

    fn rtcp_packet(
        &mut self,
        now: Time,
        index: u32,
        packet: &Packet<'_>,
        nacks: &mut usize,
        io: &mut dyn Io,
    ) {
        match packet {
            Packet::SenderReport {
                ssrc,
                info,
                reports,
            } => {
                self.sender_report(now, index, *ssrc, info, io);
                reports
                    .clone()
                    .for_each(|report| self.reception_report(now, index, &report));
            }
            Packet::ReceiverReport { reports, .. } => {
                reports
                    .clone()
                    .for_each(|report| self.reception_report(now, index, &report));
            }
            Packet::Nack { media, lost, .. } => {
                for sequence in lost.clone() {
                    if *nacks == 0 {
                        self.drops.add(Drop::NackBudget);
                        break;
                    }
                    *nacks -= 1;
                    if let Err(reason) = self.answer_nack(now, index, *media, sequence) {
                        self.drops.add(reason);
                    }
                }
            }
            Packet::TransportCc { feedback, .. } => {
                let lies = self.transports[index].bandwidth.on_feedback(now, feedback);
                self.drops.add_many(Drop::FeedbackLie, lies);
                self.estimate_changed(now, index, io);
            }
            Packet::Remb { bitrate, .. } => {
                self.transports[index].bandwidth.on_remb(now, *bitrate);
                self.estimate_changed(now, index, io);
            }
            Packet::Pli { media, .. } => self.keyframe_asked(now, index, *media, io),
            Packet::Fir { entries, .. } => {
                for (media, _) in entries.clone().take(16) {
                    self.keyframe_asked(now, index, media, io);
                }
            }
            Packet::Bye { ssrcs } => {
                for ssrc in ssrcs.clone().take(32) {
                    self.bye(index, ssrc);
                }
            }
            _ => {}
        }
    }

    /// The clock of a publisher's encoding. All of its times move by one offset, so that audio and
    /// video of one participant stay together.
    fn sender_report(
        &mut self,
        now: Time,
        index: u32,
        ssrc: u32,
        info: &SenderInfo,
        io: &mut dyn Io,
    ) {
        let ours = self.ntp(now);
        let transport = &mut self.transports[index];
        let Some(stream) = transport.streams.get(&ssrc).copied() else {
            // A receive-only browser sends its reports from an SSRC of its own.
            return;
        };
        if stream.rtx {
            return;
        }
        let measured = ours.wrapping_sub(info.ntp);
        let offset = match transport.clock_offset {
            Some(offset) if (measured.wrapping_sub(offset) as i64).abs() <= MAX_CLOCK_STEP => {
                offset
            }
            _ => {
                transport.clock_offset = Some(measured);
                measured
            }
        };
        let publication = &mut self.publications[stream.publication];
        let entry = &mut publication.encodings[usize::from(stream.encoding)];
        entry.last_report = Some(((info.ntp >> 16) as u32, now));
        let anchor = Anchor {
            ntp: info.ntp.wrapping_add(offset),
            rtp: info.rtp,
        };
        for worker in &publication.remotes {
            let (publication, encoding) = (publication.id, stream.encoding);
            let Anchor { ntp, rtp } = anchor;
            io.to_worker(
                *worker,
                PeerMessage::Report {
                    publication,
                    encoding,
                    ntp,
                    rtp,
                },
            );
        }
        if let Some(feed) = publication.feed
            && let Some(encoding) = self.feeds[feed]
                .encodings
                .get_mut(usize::from(stream.encoding))
        {
            encoding.anchor = Some(anchor);
        }
    }

    /// What a subscriber says of one of our streams (RFC 3550 section 6.4.1).
    fn reception_report(&mut self, now: Time, index: u32, report: &ReceptionReport) {
        let transport = &mut self.transports[index];
        let Some(subscription) = transport.outgoing.get(&report.ssrc).copied() else {
            self.drops.add(Drop::ForeignSsrc);
            return;
        };
        if report.last_sr != 0 {
            let middle = (self.cfg.ntp_epoch.wrapping_add(ntp_span(now)) >> 16) as u32;
            let trip = middle
                .wrapping_sub(report.last_sr)
                .wrapping_sub(report.delay_since_last_sr);
            // Units of 1/65536 s; more than ten seconds is a lie or a wrapped clock.
            if trip < 10 << 16 {
                transport.measured_rtt((u64::from(trip) * SECONDS) >> 16);
            }
        }
        let entry = &mut self.subscriptions[subscription];
        if report.ssrc != entry.spec.ssrc {
            return;
        }
        entry.confirmed = true;
        entry.sent.lost = i64::from(report.cumulative_lost);
        entry.sent.loss = f64::from(report.fraction_lost) / 256.0;
        entry.sent.jitter = report.jitter;
        let loss = entry.sent.loss;
        let sending = transport.sending.rate(now);
        transport.bandwidth.on_loss(now, loss, sending);
    }

    fn answer_nack(
        &mut self,
        now: Time,
        index: u32,
        media: u32,
        sequence: u16,
    ) -> Result<(), Drop> {
        self.counters.nacks_in += 1;
        let transport = &mut self.transports[index];
        let subscription = *transport.outgoing.get(&media).ok_or(Drop::ForeignSsrc)?;
        let entry = &mut self.subscriptions[subscription];
        if entry.spec.ssrc != media {
            return Err(Drop::ForeignSsrc);
        }
        entry.sent.nacks += 1;
        let highest = entry.rewriter.next_out().wrapping_sub(1);
        let queued = transport.bandwidth.queued();
        if queued >= CROWDED && entry.has_left(sequence) {
            return Err(Drop::NackTooOld);
        }
        let trip = (transport.rtt_or_guess(), queued);
        let loss = transport.bandwidth.loss_of_stream(entry.sent.loss);
        let repair = self.cfg.limits.repair.at(loss);
        let numbers = (sequence, highest);
        let limit = &mut transport.repair_limit;
        let mut record: Record =
            entry
                .history
                .answer(now, subscription, numbers, trip, repair, limit)?;
        record.flags |= if entry.identical { AGAIN } else { RTX };
        if !enqueue_again(transport, index, record, &mut self.dirty) {
            return Err(Drop::QueueOverflow);
        }
        Ok(())
    }

    /// PLI or FIR of a subscriber for one of our streams.
    fn keyframe_asked(&mut self, now: Time, index: u32, media: u32, io: &mut dyn Io) {
        self.counters.plis_in += 1;
        let Some(subscription) = self.transports[index].outgoing.get(&media).copied() else {
            self.drops.add(Drop::ForeignSsrc);
            return;
        };
        let entry = &mut self.subscriptions[subscription];
        entry.sent.plis += 1;
        let svc = entry.selector.mode == crate::egress::layers::Mode::Svc;
        let wanted = entry.selector.current().or(entry.selector.target());
        let Some(layer) = wanted else { return };
        let encoding = if svc { 0 } else { layer.spatial };
        if !self.ask_keyframe(now, subscription, encoding, io) {
            self.counters.keyframes_suppressed += 1;
            self.drops.add(Drop::KeyframeLimited);
        }
    }

    /// The end of one of the sender's own streams; anybody else's stays.
    fn bye(&mut self, index: u32, ssrc: u32) {
        let transport = &mut self.transports[index];
        let Some(stream) = transport.streams.get(&ssrc).copied() else {
            self.drops.add(Drop::ForeignSsrc);
            return;
        };
        let publication = &mut self.publications[stream.publication];
        let entry = &mut publication.encodings[usize::from(stream.encoding)];
        entry.nack.clear();
        if !stream.rtx {
            // Another SSRC may take its place at once.
            entry.reception.last_receive = Time::ZERO;
            entry.codec = None;
        }
    }
}

/// NTP duration of the engine's time.
pub(crate) fn ntp_span(now: Time) -> u64 {
    let seconds = now.micros() / SECONDS;
    (seconds << 32) | (((now.micros() % SECONDS) << 32) / SECONDS)
}
