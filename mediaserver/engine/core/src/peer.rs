//! What the `Core`s of one engine say to each other. Media costs one message per packet per worker,
//! never one per subscriber; everything else is rare.

use std::sync::Arc;

use crate::command::{CallId, PublicationId, SubscriptionId};
use crate::packet::MediaPacket;
use crate::spec::{CallSettings, PublicationSpec};

#[derive(Clone, Debug)]
pub enum PeerMessage {
    /// Publisher's worker to a worker with subscribers.
    Media(Arc<MediaPacket>),
    /// RTP timestamp of one encoding at one instant of the engine's NTP time (RFC 3550 section 6.4.1).
    Report {
        publication: PublicationId,
        encoding: u8,
        ntp: u64,
        rtp: u32,
    },
    /// A worker got its first subscriber, or lost its last.
    Join {
        publication: PublicationId,
    },
    Leave {
        publication: PublicationId,
    },
    /// Answer to `Join`, and again when the publication changes.
    Described {
        publication: PublicationId,
        call: CallId,
        spec: Arc<PublicationSpec>,
        muted: bool,
    },
    Ended {
        publication: PublicationId,
    },
    /// A subscriber needs a keyframe of this encoding.
    Keyframe {
        publication: PublicationId,
        encoding: u8,
        requester: SubscriptionId,
    },
    /// Highest layer that the sending worker's subscribers want; -1 for none.
    Demand {
        publication: PublicationId,
        max_spatial: i8,
    },
    /// Levels of a worker's publications, to the call's home worker.
    Levels {
        call: CallId,
        levels: Vec<(PublicationId, f32)>,
    },
    /// From the home worker: which publications the call hears; empty list means all.
    Audible {
        call: CallId,
        all: bool,
        publications: Vec<PublicationId>,
    },
    /// From the home worker to the others when they join a call late.
    Call {
        call: CallId,
        settings: CallSettings,
    },
}
