//! Everything a `Core` tells the outside. Rare by design: nothing here is sent per media packet.

use crate::command::{CallId, PublicationId, SubscriptionId, TransportId};
use crate::path::Path;
use crate::spec::CodecName;

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A DTLS datagram from the validated pair of a transport.
    DtlsReceived {
        transport: TransportId,
        data: Vec<u8>,
    },
    IceConnected {
        transport: TransportId,
        path: Path,
    },
    IcePathChanged {
        transport: TransportId,
        path: Path,
    },
    /// Nothing authenticated from the ICE pair for 4 s; again at 10 s and 30 s.
    TransportIdle {
        transport: TransportId,
        idle_ms: u32,
    },
    TransportActive {
        transport: TransportId,
    },
    TransportFailed {
        transport: TransportId,
        reason: &'static str,
    },
    EncodingStarted {
        publication: PublicationId,
        quality: u8,
        ssrc: u32,
        codec: CodecName,
    },
    StreamStateChanged {
        subscription: SubscriptionId,
        paused: bool,
    },
    LayerChanged {
        subscription: SubscriptionId,
        spatial: u8,
        temporal: u8,
    },
    /// Highest layer that anybody watches; -1 when nobody does.
    DemandChanged {
        publication: PublicationId,
        max_spatial: i8,
    },
    ActiveSpeakers {
        call: CallId,
        levels: Vec<SpeakerLevel>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpeakerLevel {
    pub publication: PublicationId,
    /// 0 silent to 1 loud.
    pub level: f32,
    pub active: bool,
}
