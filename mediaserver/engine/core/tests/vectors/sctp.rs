//! The guard before SCTP: well-formed packets pass, every malformed shape is named.

use sotto_engine_core::wire::sctp::{SctpError, check, checksum_of};

use crate::hex;

fn packet(tag: u32, chunks: &str) -> Vec<u8> {
    let mut bytes = hex("1388 1388");
    bytes.extend(tag.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(hex(chunks));
    let checksum = checksum_of(&bytes);
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

const INIT: &str = "01000020 0000abcd 00020000 ffffffff 00000001 c0000004 80080006 82c00000";

#[test]
fn crc32c_check_value() {
    // The catalogue's check value of CRC-32C, over "123456789", with the zeroed field's bytes
    // cut out: eight bytes, no field, nothing after.
    assert_eq!(checksum_of(b"12345678"), {
        let mut crc = !0u32;
        for byte in b"12345678\0\0\0\0" {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    (crc >> 1) ^ 0x82F6_3B78
                } else {
                    crc >> 1
                };
            }
        }
        !crc
    });
}

#[test]
fn well_formed_packets_pass() {
    let init = check(&packet(0, INIT)).unwrap();
    assert_eq!(
        (init.source_port, init.chunks, init.initiate_tag),
        (5000, 1, Some(0xabcd))
    );
    let data = "00030013 00000001 00000001 00000032 616263 00 03000014 00000001 00010000 0001 0000 00020003";
    let facts = check(&packet(9, data)).unwrap();
    assert_eq!(
        (facts.chunks, facts.data_bytes, facts.verification_tag),
        (2, 3, 9)
    );
    for good in [
        "04000010 0001 000c 0102030405060708",
        "0e000004",
        "0a000008 01020304",
        "0b000004",
        "07000008 00000001",
        "c0000010 00000001 00010002 00030004",
        "82000018 000d0012 00000001 00000002 00000003 0001 0000",
        "06000004",
    ] {
        assert!(check(&packet(9, good)).is_ok(), "{good}");
    }
}

#[test]
fn malformed_packets_are_named() {
    for (chunks, expected) in [
        ("", SctpError::Empty),
        ("04000003 00", SctpError::ChunkLength),
        ("04000000", SctpError::ChunkLength),
        ("040000ff", SctpError::ChunkLength),
        ("0400", SctpError::ChunkLength),
        ("04000008 00010000", SctpError::ParameterLength),
        ("04000008 00010009", SctpError::ParameterLength),
        ("00030010 00000001 00000001 00000032", SctpError::ChunkShort),
        (
            "03000010 00000001 00010000 0005 0000",
            SctpError::ChunkLength,
        ),
        ("07000004", SctpError::ChunkLength),
        ("0100000c 0000abcd 00020000", SctpError::ChunkShort),
        ("8200000c 000d0008 00000001", SctpError::ParameterLength),
        ("82000008 000d0000", SctpError::ParameterLength),
        ("c0000006 00000001", SctpError::ChunkShort),
    ] {
        let tag = if chunks.starts_with("01") { 0 } else { 9 };
        assert_eq!(
            check(&packet(tag, chunks)).unwrap_err(),
            expected,
            "{chunks}"
        );
    }
}

#[test]
fn init_rules() {
    let zero_parameter = INIT.replace("c0000004", "c0000000");
    assert_eq!(
        check(&packet(0, &zero_parameter)).unwrap_err(),
        SctpError::ParameterLength
    );
    assert_eq!(check(&packet(5, INIT)).unwrap_err(), SctpError::Bundled);
    let bundled = format!("{INIT} 0b000004");
    assert_eq!(check(&packet(0, &bundled)).unwrap_err(), SctpError::Bundled);
    for (from, to) in [
        ("0000abcd", "00000000"),
        ("00020000", "00000100"),
        ("ffffffff", "0000ffff"),
    ] {
        assert_eq!(
            check(&packet(0, &INIT.replace(from, to))).unwrap_err(),
            SctpError::Init
        );
    }
}

#[test]
fn a_wrong_checksum_and_long_packets_are_refused() {
    let mut bytes = packet(0, INIT);
    bytes[20] ^= 1;
    assert_eq!(check(&bytes).unwrap_err(), SctpError::Checksum);
    assert_eq!(check(&[0; 4000]).unwrap_err(), SctpError::TooLong);
    let many = "0b000004".repeat(300);
    assert_eq!(
        check(&packet(9, &many)).unwrap_err(),
        SctpError::TooManyChunks
    );
    for len in 0..12 {
        assert!(check(&bytes[..len]).is_err());
    }
}
