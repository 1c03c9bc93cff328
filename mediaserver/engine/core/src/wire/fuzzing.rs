//! One plain function for each parser, for cargo-fuzz (`engine/fuzz`) and for the replay of its
//! corpus by `cargo test`. Each one parses, walks everything lazy, and checks what must hold
//! between reading and writing; it panics only when that is broken.

use std::collections::BTreeSet;

use super::codec::{av1, dd, h264, h265, red, vp8, vp9};
use super::ext::{Ids, Kind, Values};
use super::rtcp::{Compound, Packet, Packets};
use super::srtp::{Profile, Receiver, Sender};
use super::{classify, dcep, framing, rtp, sctp, stun, twcc};

/// A target: its name, which is also its corpus directory, and its function.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 16] = [
    ("stun", stun),
    ("rtp", rtp),
    ("ext", ext),
    ("rtcp", rtcp),
    ("twcc", twcc),
    ("srtp_unprotect", srtp_unprotect),
    ("vp8", vp8),
    ("vp9", vp9),
    ("h264", h264),
    ("h265", h265),
    ("av1", av1),
    ("dd", dd),
    ("red", red),
    ("sctp", sctp),
    ("dcep", dcep),
    ("framing", framing),
];

pub fn stun(data: &[u8]) {
    let _ = classify(data);
    let Ok(message) = stun::Message::parse(data) else {
        return;
    };
    let _ = message.username_parts();
    let _ = message.check_integrity(&stun::IntegrityKey::new(b"password"));
    if let Some(address) = message.mapped {
        let mut out = [0u8; 128];
        let key = stun::IntegrityKey::new(b"password");
        let len = stun::write_success(&mut out, &message.transaction, address, &key).unwrap_or(0);
        let written = stun::Message::parse(&out[..len]).map(|message| message.mapped);
        let canonical = address.ip().to_canonical();
        assert!(written.is_ok_and(|mapped| mapped.is_some_and(|mapped| mapped.ip() == canonical)));
    }
}

pub fn rtp(data: &[u8]) {
    let Ok(header) = rtp::Header::parse(data) else {
        return;
    };
    assert!(header.len <= data.len());
    if let Ok(payload) = header.payload(data) {
        assert!(payload.len() <= data.len() - header.len);
        let _ = rtp::split_rtx(payload);
    }
}

pub fn ext(data: &[u8]) {
    let Ok(header) = rtp::Header::parse(data) else {
        return;
    };
    let mut ids = Ids::default();
    for (kind, id) in Kind::ALL.into_iter().zip(1..) {
        ids.set(kind, id);
    }
    let _ = Values::read(&ids, header.elements(data));
    let Some(block) = header.extension else {
        return;
    };
    let fields = rtp::Fields {
        marker: false,
        payload_type: 1,
        sequence: 2,
        timestamp: 3,
        ssrc: 4,
    };
    let mut out = [0u8; 2048];
    let mut writer = rtp::HeaderWriter::new(&mut out, &fields, block.form);
    let mut kept = 0;
    for element in header.elements(data).flatten() {
        assert_eq!(
            data.get(element.at..element.at + element.value.len()),
            Some(element.value)
        );
        kept += usize::from(writer.element(element.id, element.value).is_some());
    }
    if let Some(len) = writer.finish() {
        let written = rtp::Header::parse(&out[..len])
            .map(|header| header.elements(&out[..len]).flatten().count());
        assert_eq!(written, Ok(kept));
    }
}

pub fn rtcp(data: &[u8]) {
    for packet in Packets::new(data).flatten() {
        match packet {
            Packet::SenderReport { reports, .. } | Packet::ReceiverReport { reports, .. } => {
                walk(reports)
            }
            Packet::Bye { ssrcs } | Packet::Remb { ssrcs, .. } => walk(ssrcs),
            Packet::Fir { entries, .. } => walk(entries),
            Packet::ExtendedReport { blocks, .. } => walk(blocks),
            Packet::TransportCc { feedback, .. } => walk(feedback.reports()),
            Packet::Nack { lost, .. } => nack(lost.into_iter()),
            _ => {}
        }
    }
}

fn walk<T>(items: impl Iterator<Item = T>) {
    items.for_each(drop);
}

/// Whatever was asked for is asked for again by what we write; order and repetition are free.
fn nack(lost: impl Iterator<Item = u16> + Clone) {
    let mut out = [0u8; 1400];
    let asked = lost.take(300);
    let mut compound = Compound::new(&mut out);
    assert!(compound.nack(1, 2, asked.clone()));
    let len = compound.finish();
    for packet in Packets::new(&out[..len]) {
        let Ok(Packet::Nack { lost, .. }) = packet else {
            panic!("not a NACK")
        };
        let again: BTreeSet<u16> = lost.into_iter().collect();
        assert_eq!(again, asked.clone().collect());
    }
}

pub fn twcc(data: &[u8]) {
    if let Ok(feedback) = twcc::Feedback::parse(data) {
        assert_eq!(feedback.reports().count(), usize::from(feedback.count));
    }
    let mut log = twcc::ArrivalLog::default();
    let mut at = 0u64;
    for step in data.chunks_exact(4) {
        at += u64::from(u16::from_be_bytes([step[2], step[3]])) * 16;
        log.record(u16::from_be_bytes([step[0], step[1]]), at);
    }
    let mut out = [0u8; 1100];
    while let Some(len) = log.write(&mut out) {
        let feedback = twcc::Feedback::parse(&out[..len]);
        assert!(
            feedback
                .is_ok_and(|feedback| feedback.reports().count() == usize::from(feedback.count))
        );
    }
    assert!(log.is_empty());
}

/// Foreign bytes never authenticate; what we protect does, once.
pub fn srtp_unprotect(data: &[u8]) {
    for profile in [
        Profile::AeadAes128Gcm,
        Profile::AeadAes256Gcm,
        Profile::Aes128CmSha1_80,
    ] {
        let (key, salt) = ([7u8; 32], [9u8; 14]);
        let (key, salt) = (&key[..profile.key_len()], &salt[..profile.salt_len()]);
        let (Ok(sender), Ok(mut receiver)) = (
            Sender::new(profile, key, salt),
            Receiver::new(profile, key, salt),
        ) else {
            panic!("keys of the right length")
        };
        assert!(receiver.unprotect_rtp(&mut data.to_vec()).is_err());
        assert!(receiver.unprotect_rtcp(&mut data.to_vec()).is_err());
        let Ok(header) = rtp::Header::parse(data) else {
            continue;
        };
        let mut out = vec![0u8; data.len() + 300];
        let (head, payload) = data.split_at(header.len);
        let sealed = sender.protect_rtp(u64::from(header.sequence), head, payload, 0, &mut out);
        let Ok(len) = sealed else {
            panic!("room was enough")
        };
        let mut again = out[..len].to_vec();
        let opened = receiver.unprotect_rtp(&mut out[..len]);
        assert!(opened.is_ok_and(|opened| &out[..opened.len] == data));
        assert!(receiver.unprotect_rtp(&mut again).is_err());
    }
}

pub fn vp8(data: &[u8]) {
    let Ok(descriptor) = vp8::Descriptor::parse(data) else {
        return;
    };
    assert!(descriptor.len <= data.len());
    let mut copy = data.to_vec();
    descriptor.rewrite(&mut copy, 0x1234, 56);
    let again = vp8::Descriptor::parse(&copy);
    assert!(again.is_ok_and(|again| again.len == descriptor.len && again.temporal == descriptor.temporal));
}

pub fn vp9(data: &[u8]) {
    let Ok(descriptor) = vp9::Descriptor::parse(data) else {
        return;
    };
    assert!(descriptor.len <= data.len());
    let mut copy = data.to_vec();
    descriptor.rewrite(&mut copy, 0x1234, 56);
    let again = vp9::Descriptor::parse(&copy);
    assert!(
        again.is_ok_and(
            |again| again.len == descriptor.len && again.structure == descriptor.structure
        )
    );
}

pub fn h264(data: &[u8]) {
    let _ = h264::facts(data);
}

pub fn h265(data: &[u8]) {
    let _ = h265::facts(data);
}

pub fn av1(data: &[u8]) {
    let _ = av1::Aggregation::parse(data);
}

/// The first byte divides the input: a descriptor that may bring a structure, then one that
/// is read against it.
pub fn dd(data: &[u8]) {
    let Some((split, rest)) = data.split_first() else {
        return;
    };
    let (first, second) = rest.split_at(usize::from(*split).min(rest.len()));
    let Ok(parsed) = dd::parse(first, None) else {
        return;
    };
    let Some(structure) = parsed.structure else {
        return;
    };
    for value in [first, second] {
        let Ok(before) = dd::parse(value, Some(&structure)) else {
            continue;
        };
        let mut out = [0u8; 1024];
        let own = before.structure.as_deref().unwrap_or(&structure);
        let mask = own.targets_within(0, 7);
        let Some(len) = dd::write_active_targets(value, &structure, mask, &mut out) else {
            continue;
        };
        let Ok(after) = dd::parse(&out[..len], Some(&structure)) else {
            panic!("own descriptor refused")
        };
        assert_eq!(after.descriptor.active_targets, Some(mask));
        assert_eq!(after.descriptor.dtis, before.descriptor.dtis);
        assert_eq!(after.descriptor.frame_diffs, before.descriptor.frame_diffs);
        assert_eq!(after.structure, before.structure);
    }
}

pub fn red(data: &[u8]) {
    let Ok(blocks) = red::Blocks::parse(data) else {
        return;
    };
    let last = blocks.last();
    assert_eq!(red::primary(data).ok(), last);
}

pub fn sctp(data: &[u8]) {
    let _ = sctp::check(data);
    // A fuzzer does not guess checksums: try again with the right one.
    if data.len() >= 12 {
        let mut copy = data.to_vec();
        let checksum = sctp::checksum_of(&copy);
        copy[8..12].copy_from_slice(&checksum.to_le_bytes());
        let checked = sctp::check(&copy);
        assert!(!matches!(checked, Err(sctp::SctpError::Checksum)));
    }
}

/// What was read is what would be written for it.
pub fn dcep(data: &[u8]) {
    let Some(dcep::Message::Open(open)) = dcep::parse(data) else {
        return;
    };
    assert!(open.label.len() <= dcep::NAME_BOUND && open.protocol.len() <= dcep::NAME_BOUND);
    let again = dcep::parse(&dcep::open(&open));
    assert_eq!(again, Some(dcep::Message::Open(open)));
}

/// The first byte divides a stream into reads; its frames are the same as if it had come whole.
pub fn framing(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else {
        return;
    };
    let whole = frames(stream, stream.len().max(1));
    assert_eq!(frames(stream, usize::from(*size).max(1)), whole);
}

/// Reads of `size` bytes; the frames, and whether the stream went on to its end.
fn frames(stream: &[u8], size: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut kept, mut found) = (Vec::new(), Vec::new());
    for read in stream.chunks(size) {
        kept.extend_from_slice(read);
        let mut at = 0;
        loop {
            match framing::next_frame(&mut kept, &mut at) {
                Ok(Some(frame)) => found.push(frame.to_vec()),
                Ok(None) => break,
                Err(_) => return (found, false),
            }
        }
        kept.drain(..at);
        assert!(kept.len() < framing::PREFIX + framing::MAX_FRAME);
    }
    (found, true)
}
