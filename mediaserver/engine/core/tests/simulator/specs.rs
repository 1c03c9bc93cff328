//! Negotiated values as browsers would have them.

use sotto_engine_core::spec::*;

pub const OPUS: u8 = 111;
pub const RED: u8 = 63;
pub const VP8: u8 = 96;
pub const VP8_RTX: u8 = 97;

pub fn extensions() -> Extensions {
    Extensions {
        mid: Some(4),
        rid: Some(10),
        rrid: Some(11),
        audio_level: Some(1),
        abs_send_time: Some(2),
        transport_cc: Some(3),
        dependency_descriptor: Some(12),
        ..Extensions::default()
    }
}

pub fn codec(name: CodecName, payload_type: u8, rtx: Option<u8>) -> Codec {
    let video = !matches!(name, CodecName::Opus | CodecName::Red);
    Codec {
        payload_type,
        name,
        clock_rate: if video { 90_000 } else { 48_000 },
        rtx_payload_type: rtx,
        nack: video,
        pli: video,
        fir: video,
        remb: false,
        transport_cc: true,
        fmtp: String::new(),
    }
}

pub fn opus() -> Codec {
    codec(CodecName::Opus, OPUS, None)
}

pub fn red() -> Codec {
    codec(CodecName::Red, RED, None)
}

pub fn vp8() -> Codec {
    codec(CodecName::Vp8, VP8, Some(VP8_RTX))
}

pub fn audio(mid: &str) -> PublicationSpec {
    PublicationSpec {
        kind: Kind::Audio,
        mid: mid.into(),
        codecs: vec![opus()],
        extensions: extensions(),
        encodings: vec![Encoding::default()],
        svc: false,
        screen: false,
    }
}

/// Simulcast of `count` encodings by rid, low first.
pub fn video(mid: &str, count: u8) -> PublicationSpec {
    let rids = ["q", "h", "f"];
    let encodings = (0..count).map(|quality| Encoding {
        rid: (count > 1).then(|| rids[usize::from(quality)].to_owned()),
        quality,
        ..Encoding::default()
    });
    PublicationSpec {
        kind: Kind::Video,
        mid: mid.into(),
        codecs: vec![vp8()],
        extensions: extensions(),
        encodings: encodings.collect(),
        svc: false,
        screen: false,
    }
}

pub fn subscription(mid: &str, ssrc: u32, codecs: Vec<Codec>) -> SubscriptionSpec {
    let rtx = codecs.iter().any(|c| c.rtx_payload_type.is_some());
    SubscriptionSpec {
        mid: mid.into(),
        ssrc,
        rtx_ssrc: rtx.then_some(ssrc + 1),
        codecs,
        extensions: extensions(),
    }
}
