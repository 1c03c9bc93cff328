//! The ingress half of a publication, on its publisher's worker: which SSRC is which encoding, what
//! arrived, what is missing, who wants what. The fan-out half is `egress::feed`.

use std::sync::Arc;

use crate::collections::FastMap;
use crate::command::{CallId, PublicationId};
use crate::drops::Drop;
use crate::ingress::keyframes::KeyframeLimiter;
use crate::ingress::nack::NackGenerator;
use crate::ingress::parse::CodecState;
use crate::ingress::reception::Reception;
use crate::speakers::Level;
use crate::spec::{Codec, Encoding, Kind, PublicationSpec};
use crate::time::{MILLIS, Time};

/// A new SSRC may take an encoding over when the old one has been silent this long.
const TAKEOVER: u64 = 500 * MILLIS;
/// Lower demand is told after this long, higher demand at once.
const DEMAND_DEBOUNCE: u64 = 2_000 * MILLIS;

const NO_CODEC: u8 = 0xFF;
const RTX_BIT: u8 = 0x80;

/// What a payload type means on one publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    Media(u8),
    Rtx(u8),
}

/// Where packets of one SSRC belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    pub publication: u32,
    pub encoding: u8,
    pub rtx: bool,
}

pub struct EncodingIn {
    pub spec: Encoding,
    pub ssrc: Option<u32>,
    pub rtx_ssrc: Option<u32>,
    pub reception: Reception,
    pub nack: NackGenerator,
    pub keyframes: KeyframeLimiter,
    pub state: CodecState,
    pub codec: Option<u8>,
    pub keyframe_count: u64,
    pub plis: u64,
    /// Middle 32 bits of the last sender report's NTP time, and when it came (RFC 3550 6.4.1).
    pub last_report: Option<(u32, Time)>,
}

pub struct Publication {
    pub id: PublicationId,
    pub transport: u32,
    pub call: CallId,
    pub spec: Arc<PublicationSpec>,
    pub muted: bool,
    payloads: [u8; 128],
    pub encodings: Vec<EncodingIn>,
    /// Other workers with subscribers.
    pub remotes: Vec<u16>,
    pub feed: Option<u32>,
    demands: FastMap<u16, i8>,
    pub demand: i8,
    demand_since: Option<Time>,
    pub level: Level,
    pub audible: bool,
    /// Of encodings that a negotiation took away: the next may bring them back at once.
    resting: FastMap<usize, KeyframeLimiter>,
}

impl Publication {
    pub fn new(
        id: PublicationId,
        transport: u32,
        call: CallId,
        spec: PublicationSpec,
    ) -> Publication {
        let mut publication = Publication {
            id,
            transport,
            call,
            spec: Arc::new(spec),
            muted: false,
            payloads: [NO_CODEC; 128],
            encodings: Vec::new(),
            remotes: Vec::new(),
            feed: None,
            demands: FastMap::default(),
            demand: -1,
            demand_since: None,
            level: Level::default(),
            audible: true,
            resting: FastMap::default(),
        };
        publication.apply();
        publication
    }

    /// A new negotiation of the same section. Encodings keep their state by position.
    pub fn update(&mut self, spec: PublicationSpec) {
        self.spec = Arc::new(spec);
        self.apply();
    }

    fn apply(&mut self) {
        self.payloads = [NO_CODEC; 128];
        for (index, codec) in self.spec.codecs.iter().enumerate().take(0x7F) {
            self.payloads[usize::from(codec.payload_type & 0x7F)] = index as u8;
            if let Some(rtx) = codec.rtx_payload_type {
                self.payloads[usize::from(rtx & 0x7F)] = index as u8 | RTX_BIT;
            }
        }
        let clock_rate = self.spec.codecs.first().map_or(90_000, |c| c.clock_rate);
        let mut specs = self.spec.encodings.clone();
        if specs.is_empty() {
            specs.push(Encoding::default());
        }
        let kept = specs.len().min(self.encodings.len());
        let gone = self.encodings.drain(kept..).enumerate();
        self.resting
            .extend(gone.map(|(at, entry)| (kept + at, entry.keyframes)));
        for (index, spec) in specs.into_iter().enumerate() {
            match self.encodings.get_mut(index) {
                Some(known) => known.spec = spec,
                None => {
                    let mut entry = EncodingIn::new(spec, clock_rate);
                    entry.keyframes = self.resting.remove(&index).unwrap_or_default();
                    self.encodings.push(entry);
                }
            }
        }
    }

    pub fn payload(&self, payload_type: u8) -> Option<Payload> {
        match self.payloads[usize::from(payload_type & 0x7F)] {
            NO_CODEC => None,
            rtx if rtx & RTX_BIT != 0 => Some(Payload::Rtx(rtx & !RTX_BIT)),
            media => Some(Payload::Media(media)),
        }
    }

    pub fn codec(&self, index: u8) -> Option<&Codec> {
        self.spec.codecs.get(usize::from(index))
    }

    /// Encoding that mid was already matched for, by rid or because there is only one.
    pub fn encoding_for(
        &self,
        rid: Option<&str>,
        rrid: Option<&str>,
        rtx: bool,
    ) -> Option<(u8, bool)> {
        let by_rid = |wanted: &str| {
            self.encodings
                .iter()
                .position(|e| e.spec.rid.as_deref() == Some(wanted))
        };
        let found = match (rid, rrid) {
            (_, Some(rrid)) => (by_rid(rrid)?, true),
            (Some(rid), None) => (by_rid(rid)?, rtx),
            (None, None) if self.encodings.len() == 1 => (0, rtx),
            (None, None) => return None,
        };
        Some((found.0 as u8, found.1))
    }

    /// Gives an encoding its SSRC. Refused when another one is alive on it; `Ok` carries the SSRC
    /// that it replaces.
    pub fn claim(
        &mut self,
        now: Time,
        encoding: u8,
        rtx: bool,
        ssrc: u32,
    ) -> Result<Option<u32>, Drop> {
        let entry = self
            .encodings
            .get_mut(usize::from(encoding))
            .ok_or(Drop::UnknownSsrc)?;
        let slot = if rtx {
            &mut entry.rtx_ssrc
        } else {
            &mut entry.ssrc
        };
        let old = *slot;
        if old == Some(ssrc) {
            return Ok(None);
        }
        let alive = entry.reception.started && now.since(entry.reception.last_receive) < TAKEOVER;
        if old.is_some() && alive && !rtx {
            return Err(Drop::SsrcConflict);
        }
        *slot = Some(ssrc);
        if old.is_some() && !rtx {
            entry.reception.rebase();
            entry.nack.clear();
        }
        Ok(old)
    }

    /// Remote subscribers' highest layer, by worker; -1 removes.
    pub fn set_demand(&mut self, worker: u16, max_spatial: i8) {
        if max_spatial < 0 {
            self.demands.remove(&worker);
        } else {
            self.demands.insert(worker, max_spatial);
        }
    }

    pub fn forget_worker(&mut self, worker: u16) {
        self.remotes.retain(|w| *w != worker);
        self.demands.remove(&worker);
    }

    /// The demand to tell now, if it changed: at once upwards, after a while downwards.
    pub fn demand_change(&mut self, now: Time) -> Option<i8> {
        let wanted = self.demands.values().copied().max().unwrap_or(-1);
        if wanted == self.demand {
            self.demand_since = None;
            return None;
        }
        if wanted < self.demand {
            let since = *self.demand_since.get_or_insert(now);
            if now.since(since) < DEMAND_DEBOUNCE {
                return None;
            }
        }
        self.demand_since = None;
        self.demand = wanted;
        Some(wanted)
    }

    /// A lower demand is waiting out its debounce.
    pub fn demand_waits(&self) -> bool {
        self.demand_since.is_some()
    }

    pub fn is_audio(&self) -> bool {
        self.spec.kind == Kind::Audio
    }
}

impl EncodingIn {
    pub fn new(spec: Encoding, clock_rate: u32) -> EncodingIn {
        EncodingIn {
            ssrc: None,
            rtx_ssrc: None,
            reception: Reception::new(clock_rate),
            nack: NackGenerator::default(),
            keyframes: KeyframeLimiter::default(),
            state: CodecState::default(),
            codec: None,
            keyframe_count: 0,
            plis: 0,
            last_report: None,
            spec,
        }
    }
}
