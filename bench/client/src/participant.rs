//! One participant: its signaling, one or two peer connections, the tracks it sends and what
//! it receives. Driven by `run`'s loop; every answer follows from what the server said.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

use sotto_engine_core::wire::rtcp::{Compound, Packet, Packets};
use sotto_engine_core::wire::{PacketKind, classify};

use crate::cert::Certificate;
use crate::link::Wire;
use crate::pc::Pc;
use crate::proto::{Leave, Request};
use crate::sdp::Offered;
use crate::signal::Signal;
use crate::sink::Sink;
use crate::source::Source;
use crate::sys::Batch;

mod negotiation;

pub const PUBLISHER: usize = 0;
pub const SUBSCRIBER: usize = 1;

pub struct Participant {
    pub number: u64,
    pub single: bool,
    pub signal: Option<Signal>,
    pub pcs: [Option<Pc>; 2],
    pub sources: Vec<Source>,
    pub sink: Sink,
    pub wants_data: bool,
    wire: Wire,
    pub started_us: u64,
    pub failure: Option<String>,
    /// Peer connections made since the last look, for the loop to poll.
    pub fresh: Vec<usize>,
    certificate: Arc<Certificate>,
    offered: Vec<Offered>,
    published: usize,
    offering: bool,
    offer_again: bool,
    offer_id: u32,
    transport_sequence: u16,
    next_ping_us: u64,
}

impl Participant {
    pub fn new(
        number: u64,
        single: bool,
        sources: Vec<Source>,
        sink: Sink,
        certificate: &Arc<Certificate>,
        wire: &Wire,
    ) -> Self {
        Self {
            number,
            single,
            signal: None,
            pcs: [None, None],
            sources,
            sink,
            wants_data: false,
            wire: wire.clone(),
            started_us: 0,
            failure: None,
            fresh: Vec::new(),
            certificate: certificate.clone(),
            offered: Vec::new(),
            published: 0,
            offering: false,
            offer_again: false,
            offer_id: 0,
            transport_sequence: 1,
            next_ping_us: 0,
        }
    }

    /// The connection that media comes on.
    pub fn receiving(&self) -> Option<&Pc> {
        self.pcs[if self.single { PUBLISHER } else { SUBSCRIBER }].as_ref()
    }

    /// Microseconds from opening the socket to the first packet.
    pub fn joined(&self) -> Option<u32> {
        let at = self.sink.first_us?;
        Some(at.saturating_sub(self.started_us) as u32)
    }

    /// And to the first whole picture, or sound.
    pub fn shown(&self) -> Option<u32> {
        let at = self.sink.first_frame.at_us?;
        Some(at.saturating_sub(self.started_us) as u32)
    }

    pub fn sending_ready(&self) -> bool {
        self.sources.is_empty()
            || self.pcs[PUBLISHER]
                .as_ref()
                .is_some_and(|pc| pc.srtp.is_some())
    }

    pub fn on_signal(&mut self) {
        loop {
            let Some(signal) = &mut self.signal else {
                return;
            };
            match signal.receive() {
                Ok(Some(response)) => self.on_response(response),
                Ok(None) => return,
                Err(error) => {
                    self.failure.get_or_insert(error);
                    self.signal = None;
                }
            }
        }
    }

    fn send(&mut self, request: Request) {
        if let Some(signal) = &mut self.signal {
            signal.send(request);
        }
    }

    pub fn leave(&mut self) {
        self.send(Request::Leave(Leave {
            reason: 1,
            action: 0,
        }));
        if let Some(signal) = &mut self.signal {
            signal.flush();
        }
    }

    fn pc(&mut self, which: usize) -> Option<&mut Pc> {
        if self.pcs[which].is_none() {
            match self.wire.link(self.number << 2 | which as u64) {
                Ok(link) => {
                    if let Some(socket) = link.socket() {
                        self.watch(socket);
                    }
                    let number = 2 * self.number + which as u64;
                    let pc = Pc::new(&self.certificate, link, number, which == PUBLISHER);
                    self.pcs[which] = Some(pc);
                    self.fresh.push(which);
                }
                Err(error) => self.failure = Some(format!("socket: {error}")),
            }
        }
        self.pcs[which].as_mut()
    }

    fn watch(&self, socket: &UdpSocket) {
        if self.sink.sampled {
            crate::sys::receive_times(socket);
        }
        if self.sink.probe {
            crate::sys::receive_runs(socket);
        }
    }

    /// Reads one socket until it is empty.
    pub fn on_readable(&mut self, which: usize, batch: &mut Batch, now_us: u64) {
        loop {
            let socket = self.pcs[which].as_ref().and_then(|pc| pc.link.socket());
            let Some(socket) = socket else { return };
            let count = batch.receive(socket);
            for at in 0..count {
                let (arrived, segment) = (batch.received_us(at), batch.segment(at));
                let bytes = batch.datagram(at);
                let segment = segment.unwrap_or(bytes.len());
                self.on_run(which, bytes, segment, now_us, arrived);
            }
            if count < batch.capacity() {
                return;
            }
        }
    }

    /// Datagrams of `segment` bytes that came in one send.
    pub fn on_run(
        &mut self,
        which: usize,
        bytes: &mut [u8],
        segment: usize,
        now_us: u64,
        arrived_us: Option<u64>,
    ) {
        let segment = segment.max(1);
        if self.sink.probe && bytes.first().is_some_and(|first| first & 0xC0 == 0x80) {
            self.sink.on_run(bytes.len().div_ceil(segment));
        }
        for datagram in bytes.chunks_mut(segment) {
            self.on_datagram(which, datagram, now_us, arrived_us);
        }
    }

    fn on_datagram(
        &mut self,
        which: usize,
        bytes: &mut [u8],
        now_us: u64,
        arrived_us: Option<u64>,
    ) {
        let Some(pc) = &mut self.pcs[which] else {
            return;
        };
        match classify(bytes) {
            PacketKind::Rtp => {
                if let Some(keys) = &mut pc.srtp {
                    self.sink.on_rtp(bytes, now_us, arrived_us, &mut keys.1);
                }
            }
            PacketKind::Rtcp => self.on_rtcp(which, bytes),
            PacketKind::Stun => pc.on_stun(bytes, Instant::now()),
            PacketKind::Dtls => pc.on_dtls(bytes, Instant::now()),
            PacketKind::Unknown => {}
        }
    }

    /// Key frame requests and NACKs are all that matters to a synthetic source.
    fn on_rtcp(&mut self, which: usize, bytes: &mut [u8]) {
        if self.sources.is_empty() {
            return;
        }
        let Some(keys) = self.pcs[which].as_mut().and_then(|pc| pc.srtp.as_mut()) else {
            return;
        };
        let Ok(len) = keys.1.unprotect_rtcp(bytes) else {
            return;
        };
        for packet in Packets::new(&bytes[..len]).flatten() {
            match packet {
                Packet::Pli { .. } | Packet::Fir { .. } => {
                    self.sources
                        .iter_mut()
                        .for_each(|source| source.keyframe_wanted = true);
                }
                Packet::Nack { media, lost, .. } => {
                    let Some(source) = self.sources.iter_mut().find(|source| source.ssrc == media)
                    else {
                        continue;
                    };
                    let Some(pc) = &self.pcs[which] else { continue };
                    lost.into_iter()
                        .for_each(|sequence| source.resend(sequence, |bytes| pc.send(bytes)));
                }
                _ => {}
            }
        }
    }

    /// Sends the bursts that are due; answers when the next one is.
    pub fn emit(&mut self, now_us: u64) -> u64 {
        let Some(pc) = &self.pcs[PUBLISHER] else {
            return u64::MAX;
        };
        let Some(keys) = &pc.srtp else {
            return u64::MAX;
        };
        let mut out = [0u8; 1500];
        for source in &mut self.sources {
            if source.next_us > now_us {
                continue;
            }
            source.next_us += source.period_us;
            source.emit(
                &mut self.transport_sequence,
                |index, header, payload, kept| {
                    if let Ok(len) = keys.0.protect_rtp(index, header, payload, 0, &mut out) {
                        pc.send(&out[..len]);
                        kept.extend(&out[..len]);
                    }
                },
            );
        }
        self.sources
            .iter()
            .map(|source| source.next_us)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Timers: pings, ICE, DTLS, feedback.
    pub fn tick(&mut self, now_us: u64, now: Instant) {
        if now_us >= self.next_ping_us {
            self.next_ping_us = now_us + 5_000_000;
            self.send(Request::Ping((crate::sys::wall_us() / 1000) as i64));
        }
        self.pcs
            .iter_mut()
            .flatten()
            .for_each(|pc| pc.tick(now_us, now));
        if self.pcs.iter().flatten().any(|pc| pc.failed) {
            self.failure.get_or_insert("DTLS failed".to_owned());
        }
        let which = if self.single { PUBLISHER } else { SUBSCRIBER };
        let Some(pc) = self.pcs[which].as_mut().filter(|_| self.sink.streams() > 0) else {
            return;
        };
        let Some(keys) = &mut pc.srtp else { return };
        let mut plain = [0u8; 1150];
        let mut compound = Compound::new(&mut plain);
        self.sink.feedback(now_us, &mut compound);
        let len = compound.finish();
        let mut out = [0u8; 1300];
        if len > 0
            && let Ok(len) = keys.0.protect_rtcp(&plain[..len], &mut out)
        {
            pc.send(&out[..len]);
        }
    }
}
