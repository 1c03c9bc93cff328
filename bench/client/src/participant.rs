//! One participant: its signaling, one or two peer connections, the tracks it sends and what
//! it receives. Driven by `run`'s loop; every answer follows from what the server said.

use std::sync::Arc;
use std::time::Instant;

use sotto_engine_core::wire::rtcp::{Compound, Packet, Packets};
use sotto_engine_core::wire::{PacketKind, classify};

use crate::cert::Certificate;
use crate::pc::Pc;
use crate::proto::{AddTrack, Leave, Request, Response, SessionDescription, Trickle, VideoLayer};
use crate::sdp::{self, Description, Kind, Local, Offered};
use crate::signal::Signal;
use crate::sink::Sink;
use crate::source::{Ids, Source};
use crate::sys::Batch;

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
    pub address: String,
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
    ) -> Self {
        Self {
            number,
            single,
            signal: None,
            pcs: [None, None],
            sources,
            sink,
            wants_data: false,
            address: String::new(),
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

    fn on_response(&mut self, response: Response) {
        match response {
            Response::Join(_) => self.on_join(),
            Response::TrackPublished(_) => {
                self.published += 1;
                if self.published == self.sources.len() {
                    self.offer();
                }
            }
            Response::Offer(description) => self.on_offer(&description),
            Response::Answer(description) => self.on_answer(&description),
            Response::Trickle(trickle) => self.on_trickle(&trickle),
            Response::Sections(sections) => {
                let audio = (0..sections.audios).map(|_| Kind::Audio);
                let video = (0..sections.videos).map(|_| Kind::Video);
                self.offered
                    .extend(audio.chain(video).map(|kind| Offered { kind, send: None }));
                self.offer();
            }
            Response::Leave(leave) => {
                self.failure.get_or_insert(format!(
                    "leave: reason {} action {}",
                    leave.reason, leave.action
                ));
            }
            Response::Quality(_) | Response::Pong(_) => {}
        }
    }

    fn on_join(&mut self) {
        if self.single || self.wants_data {
            self.offered.push(Offered {
                kind: Kind::Data,
                send: None,
            });
        }
        let mut requests = Vec::new();
        for source in &mut self.sources {
            source.mid = self.offered.len().to_string();
            self.offered.push(Offered {
                kind: source.kind,
                send: Some((source.cid.clone(), source.ssrc)),
            });
            requests.push(Request::AddTrack(add_track(source)));
        }
        requests.into_iter().for_each(|request| self.send(request));
        if self.sources.is_empty() && (self.single || self.wants_data) {
            self.offer();
        }
    }

    fn pc(&mut self, which: usize) -> Option<&mut Pc> {
        if self.pcs[which].is_none() {
            let pc = Pc::new(
                &self.certificate,
                &self.address,
                2 * self.number + which as u64,
                which == PUBLISHER,
            );
            match pc {
                Ok(pc) => {
                    if self.sink.sampled {
                        crate::sys::receive_times(&pc.socket);
                    }
                    if self.sink.probe {
                        crate::sys::receive_runs(&pc.socket);
                    }
                    self.pcs[which] = Some(pc);
                    self.fresh.push(which);
                }
                Err(error) => self.failure = Some(format!("socket: {error}")),
            }
        }
        self.pcs[which].as_mut()
    }

    fn offer(&mut self) {
        if self.offering {
            self.offer_again = true;
            return;
        }
        self.offering = true;
        let (fingerprint, offered) = (self.certificate.fingerprint.clone(), self.offered.clone());
        let Some(pc) = self.pc(PUBLISHER) else { return };
        pc.version += 1;
        let sdp = local(pc, &fingerprint).offer(&offered);
        self.offer_id += 1;
        let id = self.offer_id;
        self.send(Request::Offer(SessionDescription {
            kind: "offer".to_owned(),
            sdp,
            id,
        }));
    }

    fn on_offer(&mut self, description: &SessionDescription) {
        let offer = Description::parse(&description.sdp);
        self.learn_receiving(&offer);
        let fingerprint = self.certificate.fingerprint.clone();
        let Some(pc) = self.pc(SUBSCRIBER) else {
            return;
        };
        pc.version += 1;
        pc.set_remote(offer.remote());
        let sdp = local(pc, &fingerprint).answer(&offer);
        let id = description.id;
        self.send(Request::Answer(SessionDescription {
            kind: "answer".to_owned(),
            sdp,
            id,
        }));
    }

    fn on_answer(&mut self, description: &SessionDescription) {
        let answer = Description::parse(&description.sdp);
        if self.single {
            self.learn_receiving(&answer);
        }
        for source in &mut self.sources {
            let Some(section) = answer
                .sections
                .iter()
                .find(|section| section.mid() == source.mid)
            else {
                continue;
            };
            source.ids = Ids {
                mid: section.extension(sdp::MID),
                audio_level: section.extension(sdp::AUDIO_LEVEL),
                transport_cc: section.extension(sdp::TRANSPORT_CC),
            };
        }
        if let Some(pc) = self.pc(PUBLISHER) {
            pc.set_remote(answer.remote());
        }
        self.offering = false;
        if std::mem::take(&mut self.offer_again) {
            self.offer();
        }
    }

    fn learn_receiving(&mut self, description: &Description) {
        for section in description
            .sections
            .iter()
            .filter(|section| section.is_media())
        {
            if section.has("recvonly") || section.has("inactive") {
                continue;
            }
            self.sink.transport_cc = self
                .sink
                .transport_cc
                .or(section.extension(sdp::TRANSPORT_CC));
            self.sink.remb |= section
                .values("rtcp-fb")
                .any(|value| value.ends_with("goog-remb"));
            for value in section.values("rtpmap") {
                let Some((payload_type, name)) = value.split_once(' ') else {
                    continue;
                };
                if let (Ok(payload_type @ 0..=127), true) =
                    (payload_type.parse::<usize>(), name.starts_with("rtx/"))
                {
                    self.sink.rtx_payload_types[payload_type] = true;
                }
            }
        }
    }

    fn on_trickle(&mut self, trickle: &Trickle) {
        let parsed: Option<serde_json::Value> = serde_json::from_str(&trickle.candidate_init).ok();
        let text = parsed
            .as_ref()
            .and_then(|value| value.get("candidate")?.as_str())
            .unwrap_or_default();
        let which = usize::from(trickle.target == 1);
        if let (Some(address), Some(pc)) = (sdp::candidate(text), &mut self.pcs[which]) {
            pc.add_candidate(address);
        }
    }

    /// Reads one socket until it is empty.
    pub fn on_readable(&mut self, which: usize, batch: &mut Batch, now_us: u64) {
        loop {
            let Some(pc) = &self.pcs[which] else { return };
            let count = batch.receive(&pc.socket);
            for at in 0..count {
                let (arrived, segment) = (batch.received_us(at), batch.segment(at));
                let bytes = batch.datagram(at);
                let segment = segment.unwrap_or(bytes.len()).max(1);
                if self.sink.probe && bytes.first().is_some_and(|first| first & 0xC0 == 0x80) {
                    self.sink.on_run(bytes.len().div_ceil(segment));
                }
                for datagram in bytes.chunks_mut(segment) {
                    self.on_datagram(which, datagram, now_us, arrived);
                }
            }
            if count < batch.capacity() {
                return;
            }
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

fn local<'a>(pc: &'a Pc, fingerprint: &'a str) -> Local<'a> {
    Local {
        ufrag: &pc.ufrag,
        pwd: &pc.pwd,
        fingerprint,
        address: pc.address,
        version: pc.version,
    }
}

fn add_track(source: &Source) -> AddTrack {
    let video = source.kind == Kind::Video;
    let bitrate =
        (source.size as u64 * 8 * u64::from(source.burst) * 1_000_000 / source.period_us) as u32;
    let layers = if video {
        vec![VideoLayer {
            quality: 2,
            width: 640,
            height: 360,
            bitrate,
        }]
    } else {
        Vec::new()
    };
    AddTrack {
        cid: source.cid.clone(),
        name: source.cid.clone(),
        kind: i32::from(video),
        width: if video { 640 } else { 0 },
        height: if video { 360 } else { 0 },
        source: if video { 1 } else { 2 },
        layers,
        disable_red: true,
    }
}
