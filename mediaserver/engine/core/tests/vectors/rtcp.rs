//! RTCP: what we write reads back, and lengths that lie end the compound.

use sotto_engine_core::wire::Malformed;
use sotto_engine_core::wire::rtcp::{
    Compound, ExtendedBlock, Packet, Packets, ReceptionReport, SenderInfo,
};

use crate::hex;

fn read(bytes: &[u8]) -> Vec<Packet<'_>> {
    Packets::new(bytes).map(|packet| packet.unwrap()).collect()
}

#[test]
fn reports_read_back() {
    let info = SenderInfo {
        ntp: 0x0102_0304_0506_0708,
        rtp: 9,
        packets: 10,
        octets: 11,
    };
    let report = ReceptionReport {
        ssrc: 7,
        fraction_lost: 200,
        cumulative_lost: -3,
        highest_sequence: 70_000,
        jitter: 5,
        last_sr: 6,
        delay_since_last_sr: 8,
    };
    let mut out = [0u8; 256];
    let mut compound = Compound::new(&mut out);
    assert!(compound.sender_report(1, &info, &[report]));
    assert!(compound.receiver_report(2, &[report, report]));
    assert!(compound.source_description(1, "c"));
    assert!(compound.bye(1));
    let len = compound.finish();
    let packets = read(&out[..len]);
    let [
        Packet::SenderReport {
            ssrc: 1,
            info: read_info,
            reports,
        },
        Packet::ReceiverReport {
            ssrc: 2,
            reports: two,
        },
        Packet::SourceDescription { chunks: 1 },
        Packet::Bye { ssrcs },
    ] = &packets[..]
    else {
        panic!("{packets:?}")
    };
    assert_eq!(*read_info, info);
    assert_eq!(reports.clone().collect::<Vec<_>>(), [report]);
    assert_eq!(two.clone().count(), 2);
    assert_eq!(ssrcs.clone().collect::<Vec<_>>(), [1]);
}

#[test]
fn feedback_reads_back() {
    let mut out = [0u8; 256];
    let mut compound = Compound::new(&mut out);
    assert!(compound.pli(1, 2));
    assert!(compound.fir(1, 2, 3));
    assert!(compound.remb(1, 2_500_000, &[4, 5]));
    assert!(compound.delay_since_last(1, 2, 3, 4));
    let len = compound.finish();
    let packets = read(&out[..len]);
    let [
        Packet::Pli {
            sender: 1,
            media: 2,
        },
        Packet::Fir { sender: 1, entries },
        Packet::Remb {
            sender: 1,
            bitrate,
            ssrcs,
        },
        Packet::ExtendedReport { ssrc: 1, blocks },
    ] = &packets[..]
    else {
        panic!("{packets:?}")
    };
    assert_eq!(entries.clone().collect::<Vec<_>>(), [(2, 3)]);
    assert!((2_499_900..=2_500_000).contains(bitrate), "{bitrate}");
    assert_eq!(ssrcs.clone().collect::<Vec<_>>(), [4, 5]);
    let expected = ExtendedBlock::DelaySinceLast {
        ssrc: 2,
        last_rr: 3,
        delay: 4,
    };
    assert_eq!(blocks.clone().collect::<Vec<_>>(), [expected]);
}

#[test]
fn nacks_share_masks_and_wrap() {
    let lost = [10u16, 11, 26, 27, 65_535, 0, 15];
    let mut out = [0u8; 64];
    let mut compound = Compound::new(&mut out);
    assert!(compound.nack(1, 2, lost));
    assert!(compound.nack(1, 2, []));
    let len = compound.finish();
    assert_eq!(len, 12 + 3 * 4);
    let packets = read(&out[..len]);
    let [
        Packet::Nack {
            sender: 1,
            media: 2,
            lost: read,
        },
    ] = &packets[..]
    else {
        panic!("{packets:?}")
    };
    assert_eq!(read.clone().into_iter().collect::<Vec<_>>(), lost);
}

#[test]
fn what_does_not_fit_is_left_out_whole() {
    let mut out = [0u8; 20];
    let mut compound = Compound::new(&mut out);
    assert!(compound.pli(1, 2));
    assert!(!compound.pli(3, 4));
    assert!(compound.bye(9));
    let len = compound.finish();
    assert_eq!((len, read(&out[..len]).len()), (20, 2));
}

#[test]
fn remb_rates_survive_any_exponent() {
    for rate in [0u64, 1, 0x3FFFF, 0x40000, 1 << 40, u64::MAX] {
        let mut out = [0u8; 64];
        let mut compound = Compound::new(&mut out);
        compound.remb(1, rate, &[]);
        let len = compound.finish();
        let packets = read(&out[..len]);
        let [Packet::Remb { bitrate, .. }] = &packets[..] else {
            panic!("{packets:?}")
        };
        assert!(
            *bitrate <= rate && *bitrate >= rate - (rate >> 17),
            "{rate} {bitrate}"
        );
    }
    // An exponent that shifts the mantissa out is an unlimited rate, not a small one.
    let huge = hex("8fce 0004 00000001 00000000 52454d42 00ffffff");
    let packets = read(&huge);
    assert!(matches!(
        packets[..],
        [Packet::Remb {
            bitrate: u64::MAX,
            ..
        }]
    ));
}

#[test]
fn lengths_that_lie_end_the_compound() {
    for (text, expected) in [
        ("80c8 0001 00000001", Malformed::Truncated),
        ("82c9 0007 00000001", Malformed::Length),
        ("81cb 0000", Malformed::Length),
        ("01c9 0001 00000001", Malformed::Version),
        ("81", Malformed::Truncated),
        ("a0c9 0001 00000000", Malformed::Padding),
        ("a0c9 0001 00000005", Malformed::Padding),
        ("81cd 0001 00000001", Malformed::Truncated),
        (
            "8fce 0004 00000001 00000000 52454d42 02000001",
            Malformed::Length,
        ),
    ] {
        let bytes = hex(text);
        let packets: Vec<_> = Packets::new(&bytes).collect();
        assert_eq!(packets.len(), 1, "{text}");
        assert_eq!(packets[0].as_ref().unwrap_err(), &expected, "{text}");
    }
}

#[test]
fn unknown_types_are_passed_over() {
    let bytes = hex("81cc 0002 00000001 6e616d65  80d0 0000  81ce 0002 00000001 00000002");
    let packets = read(&bytes);
    assert!(matches!(
        packets[..],
        [
            Packet::Other {
                packet_type: 204,
                count: 1
            },
            Packet::Other {
                packet_type: 208,
                ..
            },
            Packet::Pli {
                sender: 1,
                media: 2
            }
        ]
    ));
}
