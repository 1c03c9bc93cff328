//! Why something was thrown away. Every drop is counted under exactly one reason, and none is logged.

use std::collections::BTreeMap;

macro_rules! reasons {
    ($($variant:ident => $name:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Drop { $($variant,)* }
        const NAMES: &[&str] = &[$($name,)*];
    };
}

reasons! {
    Empty => "empty",
    UnknownProtocol => "unknown_protocol",
    UnvalidatedSource => "unvalidated_source",
    StunMalformed => "stun_malformed",
    StunUnknownUser => "stun_unknown_user",
    StunIntegrity => "stun_integrity",
    StunRole => "stun_role",
    StunPairs => "stun_pairs",
    DtlsRate => "dtls_rate",
    NoKeys => "no_keys",
    AuthFail => "auth_fail",
    Replay => "replay",
    Malformed => "malformed",
    RtcpMalformed => "rtcp_malformed",
    OverRate => "over_rate",
    UnknownSsrc => "unknown_ssrc",
    SsrcConflict => "ssrc_conflict",
    UnknownPayloadType => "unknown_payload_type",
    TooOld => "too_old",
    Duplicate => "duplicate",
    RtxEmpty => "rtx_empty",
    Muted => "muted",
    Padding => "padding",
    ForeignSsrc => "foreign_ssrc",
    NackTooOld => "nack_too_old",
    NackRepeated => "nack_repeated",
    NackBudget => "nack_budget",
    KeyframeLimited => "keyframe_limited",
    FeedbackLie => "feedback_lie",
    QueueOverflow => "queue_overflow",
    SlotGone => "slot_gone",
    Protect => "protect",
    SendBlocked => "send_blocked",
    UnknownId => "unknown_id",
    Limit => "limit",
}

#[derive(Clone, Debug)]
pub struct Drops([u64; NAMES.len()]);

impl Default for Drops {
    fn default() -> Self {
        Drops([0; NAMES.len()])
    }
}

impl Drops {
    pub fn add(&mut self, reason: Drop) {
        self.0[reason as usize] += 1;
    }

    pub fn add_many(&mut self, reason: Drop, count: u64) {
        self.0[reason as usize] += count;
    }

    pub fn get(&self, reason: Drop) -> u64 {
        self.0[reason as usize]
    }

    pub fn named(&self) -> BTreeMap<&'static str, u64> {
        NAMES
            .iter()
            .zip(self.0)
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| (*name, n))
            .collect()
    }
}
