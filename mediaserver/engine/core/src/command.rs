//! Everything the outside may ask of a `Core`. Ids are made by the caller and never reused.
//! A command naming an unknown id is ignored and counted: the thing may have ended meanwhile.

use crate::spec::{
    CallSettings, PublicationSpec, SrtpProfile, SubscriptionSettings, SubscriptionSpec,
    TransportSettings,
};

pub type CallId = u64;
pub type TransportId = u64;
pub type PublicationId = u64;
pub type SubscriptionId = u64;

#[derive(Clone, Debug)]
pub enum Command {
    /// `ufrag` must begin with `ice::worker_prefix(worker)`, see `ice::worker_of`.
    CreateTransport {
        id: TransportId,
        call: CallId,
        ufrag: String,
        pwd: String,
        settings: TransportSettings,
    },
    SetRemoteIce {
        id: TransportId,
        ufrag: String,
        pwd: String,
    },
    /// New local credentials. SRTP stays; the old ones work until a pair of the new ones is nominated.
    RestartIce {
        id: TransportId,
        ufrag: String,
        pwd: String,
    },
    SetSrtp {
        id: TransportId,
        profile: SrtpProfile,
        local_key: Vec<u8>,
        local_salt: Vec<u8>,
        remote_key: Vec<u8>,
        remote_salt: Vec<u8>,
    },
    SendDtls {
        id: TransportId,
        bytes: Vec<u8>,
    },
    /// At most this much is planned for its subscriptions, bit/s; 0: what the path takes.
    CapTransport {
        id: TransportId,
        bitrate: u64,
    },
    /// Also ends its publications and subscriptions.
    CloseTransport {
        id: TransportId,
    },
    Publish {
        id: PublicationId,
        transport: TransportId,
        spec: PublicationSpec,
    },
    UpdatePublication {
        id: PublicationId,
        spec: PublicationSpec,
    },
    SetPublicationMuted {
        id: PublicationId,
        muted: bool,
    },
    Unpublish {
        id: PublicationId,
    },
    Subscribe {
        id: SubscriptionId,
        transport: TransportId,
        publication: PublicationId,
        publication_worker: u16,
        spec: SubscriptionSpec,
        settings: SubscriptionSettings,
    },
    UpdateSubscription {
        id: SubscriptionId,
        settings: SubscriptionSettings,
    },
    RespecSubscription {
        id: SubscriptionId,
        spec: SubscriptionSpec,
    },
    Unsubscribe {
        id: SubscriptionId,
    },
    /// Send to every worker; the call's home worker (`call % workers`) decides who is loud.
    SetCall {
        call: CallId,
        settings: CallSettings,
    },
}
