//! How a publisher's codecs reach a subscriber: payload types, profiles, redundant audio or not.

use crate::spec::{Codec, CodecName, SubscriptionSpec};

/// Codecs of one publication that are told apart; Chromium offers about thirty payload types,
/// the negotiation keeps those that are used.
pub const MAX_CODECS: usize = 32;

/// How packets of one of the publication's codecs leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
    pub strip_red: bool,
    /// What the Opus frame of a RED payload goes out as.
    pub opus: Option<u8>,
    pub nack: bool,
}

/// How a codec of the publisher reaches this subscriber, if at all.
pub fn route(codec: &Codec, spec: &SubscriptionSpec) -> Option<Route> {
    // Chromium decodes no AV1 without the descriptor, and others gain nothing from it bare.
    if codec.name == CodecName::Av1 && spec.extensions.dependency_descriptor.is_none() {
        return None;
    }
    let opus = spec.codecs.iter().find(|c| c.name == CodecName::Opus);
    if let Some(same) = best_match(codec, &spec.codecs) {
        return Some(Route {
            payload_type: same.payload_type,
            rtx_payload_type: same.rtx_payload_type,
            strip_red: false,
            opus: opus
                .filter(|_| codec.name == CodecName::Red)
                .map(|c| c.payload_type),
            nack: same.nack,
        });
    }
    if codec.name != CodecName::Red {
        return None;
    }
    let opus = opus?;
    Some(Route {
        payload_type: opus.payload_type,
        rtx_payload_type: opus.rtx_payload_type,
        strip_red: true,
        opus: Some(opus.payload_type),
        nack: opus.nack,
    })
}

/// The same codec with the same profile, else the same codec.
fn best_match<'a>(codec: &Codec, offered: &'a [Codec]) -> Option<&'a Codec> {
    let same: Vec<&Codec> = offered.iter().filter(|c| c.name == codec.name).collect();
    let profile = profile_of(codec);
    same.iter()
        .find(|c| profile_of(c) == profile)
        .or(same.first())
        .copied()
}

/// What must agree between two payload types of one codec name: H.264's packetization mode and
/// profile (RFC 6184 section 8.1), VP9's and AV1's profile.
fn profile_of(codec: &Codec) -> (String, String) {
    let parameter = |name: &str, default: &str| {
        let found = codec.fmtp.split(';').find_map(|p| {
            let (key, value) = p.trim().split_once('=')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_ascii_lowercase())
        });
        found.unwrap_or_else(|| default.to_owned())
    };
    match codec.name {
        CodecName::H264 => {
            let profile: String = parameter("profile-level-id", "42e01f")
                .chars()
                .take(4)
                .collect();
            (parameter("packetization-mode", "0"), profile)
        }
        CodecName::Vp9 => (parameter("profile-id", "0"), String::new()),
        CodecName::Av1 => (parameter("profile", "0"), String::new()),
        _ => (String::new(), String::new()),
    }
}
