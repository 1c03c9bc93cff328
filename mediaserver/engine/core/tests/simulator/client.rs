//! A client of the simulator: checks its path, protects what it sends, answers NACK, asks for what
//! it misses, reports arrivals. A strict receiver: it keeps every packet for the test to judge.
//! Long because it is both ends of a peer, which share every key and number.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sotto_engine_core::path::Path;
use sotto_engine_core::time::{MILLIS, SECONDS, Time};
use sotto_engine_core::wire::ext::{Ids, Values};
use sotto_engine_core::wire::rtcp::{Compound, Packet, Packets, ReceptionReport};
use sotto_engine_core::wire::rtp::{Fields, HeaderWriter, split_rtx};
use sotto_engine_core::wire::srtp::{Profile, Receiver, Sender, estimate_index};
use sotto_engine_core::wire::stun::{self, IntegrityKey, Request, Role};
use sotto_engine_core::wire::twcc::ArrivalLog;
use sotto_engine_core::wire::{demux, ext};

use crate::source::{Plain, Source};

#[derive(Clone, Debug)]
pub struct Got {
    pub at: Time,
    pub index: u64,
    pub timestamp: u32,
    pub marker: bool,
    pub payload_type: u8,
    pub payload: Vec<u8>,
    pub recovered: bool,
    pub descriptor: Vec<u8>,
}

/// One subscribed stream.
#[derive(Debug, Default)]
pub struct Sink {
    pub packets: BTreeMap<u64, Got>,
    highest: u64,
    missing: BTreeMap<u64, (Time, u8)>,
    pub nacks: u64,
    pub duplicates: u64,
    pub padding_only: u64,
    /// Middle of the last sender report, when it came, and its two times.
    pub report: Option<(u32, Time)>,
    pub reports: Vec<(Time, u64, u32)>,
    /// Numbers that were neither received nor recovered within a second.
    pub abandoned: Vec<u64>,
    expected_prior: u64,
    received_prior: u64,
    fresh: u64,
}

pub struct Client {
    pub transport: u64,
    pub worker: usize,
    pub path: Path,
    pub ufrag: String,
    pub pwd: String,
    pub remote_ufrag: String,
    pub sources: Vec<Source>,
    /// Media SSRC of a subscription to its stream.
    pub sinks: BTreeMap<u32, Sink>,
    pub rtx: BTreeMap<u32, u32>,
    pub sender: Sender,
    pub receiver: Receiver,
    pub ids: Ids,
    pub twcc_out: u16,
    arrivals: ArrivalLog,
    pub gives_feedback: bool,
    pub feedback_every: u64,
    pub sends_nack: bool,
    /// For a picture that it has asked for in vain as often as it asks.
    pub asks_for_keyframes: bool,
    pub nacks_received: u64,
    next_check: Time,
    next_feedback: Time,
    next_report: Time,
    transaction: u8,
    pub stun_replies: u64,
    pub feedback_in: u64,
    pub unreadable: u64,
    pub bytes_in: u64,
    pub silent: bool,
    pub remb: Option<u64>,
    /// Says of each so many packets that one did not come; 0: the truth.
    pub denies: u16,
}

pub fn key_material(seed: u8) -> ([u8; 16], [u8; 12]) {
    ([seed; 16], [seed ^ 0x55; 12])
}

impl Client {
    pub fn new(
        transport: u64,
        worker: usize,
        remote: SocketAddr,
        (ufrag, pwd): (&str, &str),
    ) -> Client {
        let (local, remote_keys) = (
            key_material(transport as u8),
            key_material(transport as u8 ^ 0x80),
        );
        let mut ids = Ids::default();
        for (kind, id) in sotto_engine_core::transport::named(&crate::specs::extensions()) {
            if let Some(id) = id {
                ids.set(kind, id);
            }
        }
        Client {
            transport,
            worker,
            path: Path::udp(0, remote),
            ufrag: ufrag.to_owned(),
            pwd: pwd.to_owned(),
            remote_ufrag: format!("c{transport}"),
            sources: Vec::new(),
            sinks: BTreeMap::new(),
            rtx: BTreeMap::new(),
            sender: Sender::new(Profile::AeadAes128Gcm, &local.0, &local.1).unwrap(),
            receiver: Receiver::new(Profile::AeadAes128Gcm, &remote_keys.0, &remote_keys.1)
                .unwrap(),
            ids,
            twcc_out: 1,
            arrivals: ArrivalLog::default(),
            gives_feedback: true,
            feedback_every: 50 * MILLIS,
            sends_nack: true,
            asks_for_keyframes: false,
            nacks_received: 0,
            next_check: Time::ZERO,
            next_feedback: Time::ZERO,
            next_report: Time::ZERO,
            transaction: 0,
            stun_replies: 0,
            feedback_in: 0,
            unreadable: 0,
            bytes_in: 0,
            silent: false,
            remb: None,
            denies: 0,
        }
    }

    pub fn check(&mut self, use_candidate: bool) -> Vec<u8> {
        self.transaction = self.transaction.wrapping_add(1);
        let username = format!("{}:{}", self.ufrag, self.remote_ufrag);
        let request = Request {
            transaction: [self.transaction; 12],
            username: &username,
            priority: 1_000,
            role: Role::Controlling(1),
            use_candidate,
        };
        let mut out = [0u8; 256];
        let len = stun::write_request(&mut out, &request, &IntegrityKey::new(self.pwd.as_bytes()))
            .unwrap();
        out[..len].to_vec()
    }

    /// Everything that leaves at this instant.
    pub fn tick(&mut self, now: Time) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        if self.silent {
            return out;
        }
        if now >= self.next_check {
            let pause = if self.stun_replies == 0 { 100 } else { 2_500 };
            self.next_check = now + pause * MILLIS;
            out.push(self.check(true));
        }
        let mut produced = Vec::new();
        for source in &mut self.sources {
            let mid = source.mid;
            produced.extend(source.produce(now).into_iter().map(|p| (mid, p)));
        }
        for (mid, packet) in produced {
            out.push(self.protect(mid, &packet));
        }
        if now >= self.next_feedback {
            self.next_feedback = now + self.feedback_every;
            self.feedback(&mut out);
        }
        self.nack(now, &mut out);
        if now >= self.next_report {
            self.next_report = now + SECONDS;
            self.report(now, &mut out);
        }
        out
    }

    pub fn protect(&mut self, mid: &str, packet: &Plain) -> Vec<u8> {
        let fields = Fields {
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence: packet.index as u16,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
        };
        let form = match packet.descriptor.len() {
            0..=16 => ext::Form::OneByte,
            _ => ext::Form::TwoByte,
        };
        let mut header = [0u8; 128];
        let mut writer = HeaderWriter::new(&mut header, &fields, form);
        writer.element(4, mid.as_bytes());
        if let Some(rid) = packet.rid {
            writer.element(10, rid.as_bytes());
        }
        if let Some(rid) = packet.rrid {
            writer.element(11, rid.as_bytes());
        }
        if let Some(level) = packet.level {
            writer.element(1, &[0x80 | level]);
        }
        if !packet.descriptor.is_empty() {
            writer.element(12, &packet.descriptor);
        }
        self.twcc_out = self.twcc_out.wrapping_add(1);
        writer.element(3, &self.twcc_out.to_be_bytes());
        let len = writer.finish().unwrap();
        // Nothing but padding is what a sender probes with.
        let padding = if packet.payload.is_empty() { 220 } else { 0 };
        let mut out = [0u8; 1_600];
        let size = self
            .sender
            .protect_rtp(
                packet.index,
                &header[..len],
                &packet.payload,
                padding,
                &mut out,
            )
            .unwrap();
        out[..size].to_vec()
    }

    pub fn rtcp(&mut self, write: impl FnOnce(&mut Compound<'_>)) -> Vec<u8> {
        let mut plain = [0u8; 4_096];
        let mut compound = Compound::new(&mut plain);
        write(&mut compound);
        let len = compound.finish();
        let mut out = [0u8; 4_200];
        let size = self.sender.protect_rtcp(&plain[..len], &mut out).unwrap();
        out[..size].to_vec()
    }

    fn feedback(&mut self, out: &mut Vec<Vec<u8>>) {
        let mut fci = [0u8; 1_100];
        while let Some(len) = self.arrivals.write(&mut fci) {
            if self.gives_feedback {
                out.push(self.rtcp(|c| {
                    c.transport_cc(1, 2, &fci[..len]);
                }));
            }
        }
    }

    fn nack(&mut self, now: Time, out: &mut Vec<Vec<u8>>) {
        let (mut wanted, mut hopeless) = (Vec::new(), Vec::new());
        for (ssrc, sink) in &mut self.sinks {
            let mut lost = Vec::new();
            let expired: Vec<u64> = sink
                .missing
                .iter()
                .filter(|(_, (at, tries))| {
                    *tries >= 10 || (*tries == 0 && now.since(*at) > SECONDS)
                })
                .map(|(index, _)| *index)
                .collect();
            if !expired.is_empty() && self.rtx.values().any(|media| media == ssrc) {
                hopeless.push(*ssrc);
            }
            for index in expired {
                sink.missing.remove(&index);
                sink.abandoned.push(index);
            }
            for (index, (at, tries)) in &mut sink.missing {
                let wait = if *tries == 0 {
                    20 * MILLIS
                } else {
                    60 * MILLIS
                };
                if now.since(*at) >= wait && lost.len() < 300 {
                    *tries += 1;
                    *at = now;
                    lost.push(*index as u16);
                }
            }
            sink.nacks += lost.len() as u64;
            if !lost.is_empty() {
                wanted.push((*ssrc, lost));
            }
        }
        if self.asks_for_keyframes {
            for ssrc in hopeless {
                out.push(self.rtcp(|c| {
                    c.pli(1, ssrc);
                }));
            }
        }
        if !self.sends_nack {
            return;
        }
        for (ssrc, lost) in wanted {
            out.push(self.rtcp(|c| {
                c.nack(1, ssrc, lost);
            }));
        }
    }

    fn report(&mut self, now: Time, out: &mut Vec<Vec<u8>>) {
        let mut blocks = Vec::new();
        for (ssrc, sink) in &mut self.sinks {
            let Some(first) = sink.packets.keys().next().copied() else {
                continue;
            };
            let expected = sink.highest - first + 1;
            let received = sink.fresh;
            let (e, r) = (
                expected - sink.expected_prior,
                received - sink.received_prior,
            );
            sink.expected_prior = expected;
            sink.received_prior = received;
            let lost = e.saturating_sub(r);
            let (last_sr, delay) = sink.report.map_or((0, 0), |(middle, at)| {
                (middle, now.since(at) * 65_536 / SECONDS)
            });
            blocks.push(ReceptionReport {
                ssrc: *ssrc,
                fraction_lost: (lost * 255).checked_div(e).unwrap_or(0) as u8,
                cumulative_lost: expected as i32 - received as i32,
                highest_sequence: sink.highest as u32,
                jitter: 0,
                last_sr,
                delay_since_last_sr: delay as u32,
            });
        }
        let mut infos = Vec::new();
        for source in &self.sources {
            for encoder in source.encoders.iter().filter(|e| e.frame > 0) {
                let clock = if source.audio { 48_000 } else { 90_000 };
                let ntp = ((now.micros() / SECONDS + 1_000) << 32)
                    | (((now.micros() % SECONDS) << 32) / SECONDS);
                infos.push((encoder.ssrc, ntp, encoder.timestamp(now, clock)));
            }
        }
        for (ssrc, ntp, rtp) in infos {
            let info = sotto_engine_core::wire::rtcp::SenderInfo {
                ntp,
                rtp,
                packets: 1,
                octets: 1,
            };
            out.push(self.rtcp(|c| {
                c.sender_report(ssrc, &info, &[]);
            }));
        }
        for chunk in blocks.chunks(31) {
            out.push(self.rtcp(|c| {
                c.receiver_report(1, chunk);
            }));
        }
        if let Some(bitrate) = self.remb {
            out.push(self.rtcp(|c| {
                c.remb(1, bitrate, &[]);
            }));
        }
    }

    /// A datagram from the server; answers what it provokes at once.
    pub fn receive(&mut self, now: Time, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut datagram = bytes.to_vec();
        self.bytes_in += bytes.len() as u64;
        match demux::classify(&datagram) {
            demux::PacketKind::Stun => {
                self.stun_replies += 1;
                Vec::new()
            }
            demux::PacketKind::Rtcp => self.receive_rtcp(now, &mut datagram),
            demux::PacketKind::Rtp => {
                self.receive_rtp(now, &mut datagram);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn receive_rtcp(&mut self, now: Time, datagram: &mut [u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let Ok(len) = self.receiver.unprotect_rtcp(datagram) else {
            self.unreadable += 1;
            return out;
        };
        for packet in Packets::new(&datagram[..len]) {
            match packet.unwrap() {
                Packet::Nack { media, lost, .. } => {
                    for sequence in lost {
                        self.nacks_received += 1;
                        let found = self
                            .sources
                            .iter_mut()
                            .find_map(|s| s.retransmit(media, sequence).map(|p| (s.mid, p)));
                        if let Some((mid, packet)) = found {
                            out.push(self.protect(mid, &packet));
                        }
                    }
                }
                Packet::Pli { media, .. } => {
                    self.sources
                        .iter_mut()
                        .for_each(|s| s.keyframe_request(now, media));
                }
                Packet::TransportCc { .. } => self.feedback_in += 1,
                Packet::SenderReport { ssrc, info, .. } => {
                    if let Some(sink) = self.sinks.get_mut(&ssrc) {
                        sink.report = Some(((info.ntp >> 16) as u32, now));
                        sink.reports.push((now, info.ntp, info.rtp));
                    }
                }
                _ => {}
            }
        }
        out
    }

    fn receive_rtp(&mut self, now: Time, datagram: &mut [u8]) {
        let Ok(unprotected) = self.receiver.unprotect_rtp(datagram) else {
            self.unreadable += 1;
            return;
        };
        let header = unprotected.header;
        let packet = &datagram[..unprotected.len];
        let values = Values::read(&self.ids, header.elements(packet));
        let told = |number: &u16| self.denies == 0 || !number.is_multiple_of(self.denies);
        if let Some(number) = values.transport_cc.filter(told) {
            self.arrivals.record(number, now.micros());
        }
        let payload = header.payload(packet).unwrap();
        let (ssrc, index, payload, recovered) = match self.rtx.get(&header.ssrc) {
            Some(media) => {
                let Some((original, rest)) = split_rtx(payload) else {
                    return;
                };
                let highest = self.sinks.get(media).map_or(0, |s| s.highest);
                (*media, estimate_index(highest, original), rest, true)
            }
            None => (header.ssrc, unprotected.index, payload, false),
        };
        let got = Got {
            at: now,
            index,
            timestamp: header.timestamp,
            marker: header.marker,
            payload_type: header.payload_type,
            payload: payload.to_vec(),
            recovered,
            descriptor: values.dependency_descriptor.unwrap_or(&[]).to_vec(),
        };
        let sink = self.sinks.entry(ssrc).or_default();
        sink.add(now, got);
    }
}

impl Sink {
    fn add(&mut self, now: Time, got: Got) {
        let index = got.index;
        if self.packets.contains_key(&index) {
            self.duplicates += 1;
            return;
        }
        if !got.recovered {
            self.fresh += 1;
        }
        if self.packets.is_empty() {
            self.highest = index;
        } else if index > self.highest {
            for missing in self.highest + 1..index {
                self.missing.insert(missing, (now, 0));
            }
            self.highest = index;
        }
        self.missing.remove(&index);
        if got.payload.is_empty() {
            self.padding_only += 1;
        }
        self.packets.insert(index, got);
    }

    /// Longest time between two arrivals from `since` on.
    pub fn longest_gap(&self, since: Time, until: Time) -> u64 {
        let mut times: Vec<Time> = self
            .packets
            .values()
            .filter(|g| g.at >= since && g.at <= until)
            .map(|g| g.at)
            .collect();
        times.push(until);
        times.sort_unstable();
        let mut last = since;
        times
            .into_iter()
            .map(|at| at.since(std::mem::replace(&mut last, at)))
            .max()
            .unwrap_or(0)
    }

    /// Share of numbers between the first and last that never came.
    pub fn loss(&self) -> f64 {
        let (Some(first), Some(last)) =
            (self.packets.keys().next(), self.packets.keys().next_back())
        else {
            return 1.0;
        };
        1.0 - self.packets.len() as f64 / (last - first + 1) as f64
    }
}
