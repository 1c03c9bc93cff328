//! What was negotiated, as values: codecs, header extensions, encodings, and what a subscriber wants.
//! Made by the negotiation in Python; nothing here knows SDP beyond the fmtp line kept for matching codecs.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Audio,
    Video,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CodecName {
    Opus,
    Red,
    Pcmu,
    Pcma,
    Vp8,
    H264,
    Vp9,
    Av1,
    H265,
}

impl CodecName {
    pub fn parse(name: &str) -> Option<CodecName> {
        Some(match name.to_ascii_lowercase().as_str() {
            "opus" => CodecName::Opus,
            "red" => CodecName::Red,
            "pcmu" => CodecName::Pcmu,
            "pcma" => CodecName::Pcma,
            "vp8" => CodecName::Vp8,
            "h264" => CodecName::H264,
            "vp9" => CodecName::Vp9,
            "av1" => CodecName::Av1,
            "h265" => CodecName::H265,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            CodecName::Opus => "opus",
            CodecName::Red => "red",
            CodecName::Pcmu => "pcmu",
            CodecName::Pcma => "pcma",
            CodecName::Vp8 => "vp8",
            CodecName::H264 => "h264",
            CodecName::Vp9 => "vp9",
            CodecName::Av1 => "av1",
            CodecName::H265 => "h265",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    pub payload_type: u8,
    pub name: CodecName,
    pub clock_rate: u32,
    pub rtx_payload_type: Option<u8>,
    pub nack: bool,
    pub pli: bool,
    pub fir: bool,
    pub remb: bool,
    pub transport_cc: bool,
    pub fmtp: String,
}

/// One encoding of a publication (simulcast layer, or the only stream).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    pub rid: Option<String>,
    pub ssrc: Option<u32>,
    pub rtx_ssrc: Option<u32>,
    /// 0 low, 1 medium, 2 high.
    pub quality: u8,
    pub width: u32,
    pub height: u32,
    pub max_bitrate: u64,
}

/// Header extension ids as negotiated on one m-section (RFC 8285); `None` when absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    pub mid: Option<u8>,
    pub rid: Option<u8>,
    pub rrid: Option<u8>,
    pub audio_level: Option<u8>,
    pub abs_send_time: Option<u8>,
    pub transport_cc: Option<u8>,
    pub abs_capture_time: Option<u8>,
    pub orientation: Option<u8>,
    pub playout_delay: Option<u8>,
    pub dependency_descriptor: Option<u8>,
}

impl Extensions {
    /// Sets an extension by its contract name; false when the name is unknown or the id is not 1..=255 (15 excepted).
    pub fn set(&mut self, name: &str, id: u8) -> bool {
        let slot = match name {
            "mid" => &mut self.mid,
            "rid" => &mut self.rid,
            "rrid" => &mut self.rrid,
            "audio_level" => &mut self.audio_level,
            "abs_send_time" => &mut self.abs_send_time,
            "transport_cc" => &mut self.transport_cc,
            "abs_capture_time" => &mut self.abs_capture_time,
            "orientation" => &mut self.orientation,
            "playout_delay" => &mut self.playout_delay,
            "dependency_descriptor" => &mut self.dependency_descriptor,
            _ => return false,
        };
        if id == 0 || id == 15 {
            return false;
        }
        *slot = Some(id);
        true
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationSpec {
    pub kind: Kind,
    pub mid: String,
    pub codecs: Vec<Codec>,
    pub extensions: Extensions,
    pub encodings: Vec<Encoding>,
    pub svc: bool,
    pub screen: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionSpec {
    pub mid: String,
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    pub codecs: Vec<Codec>,
    pub extensions: Extensions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionSettings {
    pub paused: bool,
    pub max_spatial: u8,
    pub max_temporal: u8,
    /// Higher goes first when bandwidth is short.
    pub priority: i32,
}

impl Default for SubscriptionSettings {
    fn default() -> SubscriptionSettings {
        SubscriptionSettings {
            paused: false,
            max_spatial: 2,
            max_temporal: 3,
            priority: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallSettings {
    /// Forward only this many loudest speakers; 0 forwards all.
    pub top_audio: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportSettings {
    /// First bandwidth estimate, bit/s; 0 takes `CoreConfig::start_bitrate`.
    pub start_bitrate: u64,
    /// Upper bound of what is sent, bit/s; 0 takes `Limits::max_bitrate`.
    pub max_bitrate: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum SrtpProfile {
    AeadAes128Gcm,
    AeadAes256Gcm,
    Aes128CmSha1_80,
}

impl SrtpProfile {
    pub fn parse(name: &str) -> Option<SrtpProfile> {
        Some(match name {
            "AEAD_AES_128_GCM" | "SRTP_AEAD_AES_128_GCM" => SrtpProfile::AeadAes128Gcm,
            "AEAD_AES_256_GCM" | "SRTP_AEAD_AES_256_GCM" => SrtpProfile::AeadAes256Gcm,
            "AES128_CM_SHA1_80" | "SRTP_AES128_CM_SHA1_80" => SrtpProfile::Aes128CmSha1_80,
            _ => return None,
        })
    }
}
