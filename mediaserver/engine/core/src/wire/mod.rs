//! Wire formats: parsers and writers without state of their own. Nothing here knows a call.
//!
//! Every parser takes bytes from the network and answers `Err(Malformed)` for what it does not
//! understand; none panics on any input (`fuzzing` replays a corpus of each). Nothing that runs
//! per packet allocates. `core` drives all of it.

pub mod bytes;
pub mod codec;
pub mod dcep;
pub mod demux;
pub mod ext;
pub mod framing;
pub mod fuzzing;
pub mod rtcp;
pub mod rtp;
pub mod sctp;
pub mod srtp;
pub mod stun;
pub mod twcc;

pub use demux::{PacketKind, classify};

/// Why bytes were refused. `reason()` is the label of the drop counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    #[error("ends before its fixed part does")]
    Truncated,
    #[error("unsupported version")]
    Version,
    #[error("a length field points outside")]
    Length,
    #[error("padding is zero or longer than the payload")]
    Padding,
    #[error("a field has a value that the format forbids")]
    Value,
    #[error("a checksum does not match")]
    Checksum,
    #[error("more elements than the documented bound")]
    TooMany,
    #[error("refers to state that was never received")]
    MissingState,
}

impl Malformed {
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Version => "version",
            Self::Length => "length",
            Self::Padding => "padding",
            Self::Value => "value",
            Self::Checksum => "checksum",
            Self::TooMany => "too_many",
            Self::MissingState => "missing_state",
        }
    }
}
