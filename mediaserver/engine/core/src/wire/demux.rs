//! Tells apart what shares one UDP port: RFC 7983 section 7 by the first byte, RFC 5761
//! section 4 between RTP and RTCP. It decides who reads a datagram next, nothing more.

/// What a datagram claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Unknown,
}

/// Empty, too short and unassigned first bytes are `Unknown`; no length is promised beyond the
/// fixed part that the kind's own parser checks again.
pub fn classify(datagram: &[u8]) -> PacketKind {
    match datagram {
        [0..=3, ..] => match super::stun::is_stun(datagram) {
            true => PacketKind::Stun,
            false => PacketKind::Unknown,
        },
        [20..=63, rest @ ..] if rest.len() >= 12 => PacketKind::Dtls,
        [128..=191, 192..=223, rest @ ..] if rest.len() >= 6 => PacketKind::Rtcp,
        [128..=191, 192..=223, ..] => PacketKind::Unknown,
        [128..=191, rest @ ..] if rest.len() >= 11 => PacketKind::Rtp,
        _ => PacketKind::Unknown,
    }
}
