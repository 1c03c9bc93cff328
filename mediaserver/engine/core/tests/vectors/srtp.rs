//! SRTP through its public face; vectors that need session keys are beside the transforms.

use sotto_engine_core::wire::srtp::{Profile, Receiver, Sender, SrtpError, estimate_index};

use crate::hex;

const PROFILES: [Profile; 3] = [
    Profile::AeadAes128Gcm,
    Profile::AeadAes256Gcm,
    Profile::Aes128CmSha1_80,
];

fn pair(profile: Profile) -> (Sender, Receiver) {
    let key: Vec<u8> = (1..=profile.key_len() as u8).collect();
    let salt: Vec<u8> = (101..101 + profile.salt_len() as u8).collect();
    (
        Sender::new(profile, &key, &salt).unwrap(),
        Receiver::new(profile, &key, &salt).unwrap(),
    )
}

fn header(index: u64, ssrc: u32) -> Vec<u8> {
    let mut bytes = hex("8060 0000 00000064");
    bytes[2..4].copy_from_slice(&(index as u16).to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes
}

fn protect(sender: &Sender, index: u64, ssrc: u32, payload: &[u8], padding: u8) -> Vec<u8> {
    let mut out = vec![0xEE; 1500];
    let len = sender
        .protect_rtp(index, &header(index, ssrc), payload, padding, &mut out)
        .unwrap();
    out.truncate(len);
    out
}

#[test]
fn packets_come_back_with_their_padding() {
    for profile in PROFILES {
        let (sender, mut receiver) = pair(profile);
        for (index, padding) in [(1u64, 0u8), (2, 1), (3, 255)] {
            let mut packet = protect(&sender, index, 7, b"payload", padding);
            assert_eq!(
                packet.len(),
                12 + 7 + usize::from(padding) + profile.rtp_overhead()
            );
            let got = receiver.unprotect_rtp(&mut packet).unwrap();
            assert_eq!((got.index, got.header.padding), (index, padding > 0));
            assert_eq!(got.header.payload(&packet[..got.len]), Ok(&b"payload"[..]));
        }
    }
}

#[test]
fn in_place_is_the_same() {
    for profile in PROFILES {
        let (sender, _) = pair(profile);
        let expected = protect(&sender, 5, 7, b"payload", 9);
        let mut out = [header(5, 7), b"payload".to_vec(), vec![0x55; 60]].concat();
        let len = sender.protect_rtp_in_place(5, &mut out, 12, 7, 9).unwrap();
        assert_eq!(&out[..len], expected);
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    for profile in PROFILES {
        let (sender, mut receiver) = pair(profile);
        let good = protect(&sender, 1, 7, b"payload", 0);
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 4;
            assert!(
                receiver.unprotect_rtp(&mut bytes).is_err(),
                "{profile:?} byte {at}"
            );
        }
        for len in 0..good.len() {
            let mut bytes = good[..len].to_vec();
            assert!(
                receiver.unprotect_rtp(&mut bytes).is_err(),
                "{profile:?} length {len}"
            );
        }
        // None of them left state behind.
        assert!(receiver.unprotect_rtp(&mut good.clone()).is_ok());
    }
}

#[test]
fn replays_are_refused_within_and_below_the_window() {
    let (sender, mut receiver) = pair(Profile::AeadAes128Gcm);
    let packets: Vec<Vec<u8>> = (0..5000u64)
        .map(|n| protect(&sender, n, 7, b"x", 0))
        .collect();
    for packet in packets.iter().step_by(2) {
        receiver.unprotect_rtp(&mut packet.clone()).unwrap();
    }
    for packet in packets.iter().step_by(2) {
        assert_eq!(
            receiver.unprotect_rtp(&mut packet.clone()).unwrap_err(),
            SrtpError::Replay
        );
    }
    // The highest is 4998: late packets are taken down to 1,023 below it, once.
    for (index, fresh) in [(4997, true), (3975, true), (3973, false), (1, false)] {
        assert_eq!(
            receiver.unprotect_rtp(&mut packets[index].clone()).is_ok(),
            fresh,
            "{index}"
        );
        assert!(receiver.unprotect_rtp(&mut packets[index].clone()).is_err());
    }
}

#[test]
fn the_rollover_counter_follows() {
    for profile in PROFILES {
        let (sender, mut receiver) = pair(profile);
        let mut indices: Vec<u64> = (65_000..66_000).chain([95_999, 125_000, 140_000]).collect();
        indices.swap(536, 537);
        for index in indices {
            let mut packet = protect(&sender, index, 7, b"x", 0);
            assert_eq!(receiver.unprotect_rtp(&mut packet).unwrap().index, index);
        }
    }
}

#[test]
fn index_estimates() {
    for (highest, sequence, expected) in [
        (10, 65_530, 65_530),
        (0x1_0005, 0xFFF0, 0xFFF0),
        (0xFFF0, 5, 0x1_0005),
        (0x2_8000, 0x0000, 0x2_0000),
        (0x2_8001, 0x0000, 0x3_0000),
    ] {
        assert_eq!(
            estimate_index(highest, sequence),
            expected,
            "{highest:x} {sequence:x}"
        );
    }
}

#[test]
fn rtcp_comes_back_once() {
    let compound = hex("80c9 0001 00000007 81ce 0002 00000007 00000009");
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        for _ in 0..3 {
            let mut out = [0u8; 128];
            let len = sender.protect_rtcp(&compound, &mut out).unwrap();
            assert_eq!(len, compound.len() + profile.rtcp_overhead());
            for at in 0..len {
                let mut bytes = out[..len].to_vec();
                bytes[at] ^= 1;
                assert!(
                    receiver.unprotect_rtcp(&mut bytes).is_err(),
                    "{profile:?} byte {at}"
                );
            }
            let mut bytes = out[..len].to_vec();
            let plain = receiver.unprotect_rtcp(&mut bytes).unwrap();
            assert_eq!(&bytes[..plain], compound);
            let again = receiver.unprotect_rtcp(&mut out[..len]);
            assert_eq!(again.unwrap_err(), SrtpError::Replay);
        }
    }
}

#[test]
fn streams_are_bounded_and_can_be_forgotten() {
    let (sender, mut receiver) = pair(Profile::AeadAes128Gcm);
    for ssrc in 0..1024 {
        receiver
            .unprotect_rtp(&mut protect(&sender, 1, ssrc, b"x", 0))
            .unwrap();
    }
    let mut extra = protect(&sender, 1, 5000, b"x", 0);
    assert_eq!(
        receiver.unprotect_rtp(&mut extra).unwrap_err(),
        SrtpError::TooManyStreams
    );
    receiver.forget(3);
    receiver
        .unprotect_rtp(&mut protect(&sender, 1, 5000, b"x", 0))
        .unwrap();
    for ssrc in [0, 1023, 5000] {
        let again = receiver.unprotect_rtp(&mut protect(&sender, 1, ssrc, b"x", 0));
        assert_eq!(again.unwrap_err(), SrtpError::Replay, "{ssrc}");
    }
}

#[test]
fn keys_of_a_wrong_length_and_small_buffers_are_refused() {
    assert!(Sender::new(Profile::AeadAes256Gcm, &[0; 16], &[0; 12]).is_err());
    assert!(Receiver::new(Profile::AeadAes128Gcm, &[0; 16], &[0; 14]).is_err());
    let (mut sender, _) = pair(Profile::AeadAes128Gcm);
    let head = header(1, 7);
    assert!(
        sender
            .protect_rtp(1, &head, b"xyz", 0, &mut [0; 30])
            .is_err()
    );
    assert!(
        sender
            .protect_rtp(1, &head[..8], b"xyz", 0, &mut [0; 300])
            .is_err()
    );
    assert!(
        sender
            .protect_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 1], &mut [0; 27])
            .is_err()
    );
    assert!(
        sender
            .protect_rtcp(&[0x80, 201, 0, 1], &mut [0; 100])
            .is_err()
    );
}
