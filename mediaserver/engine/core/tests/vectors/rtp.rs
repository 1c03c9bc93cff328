//! RTP headers and RFC 8285 element shapes.

use sotto_engine_core::wire::Malformed;
use sotto_engine_core::wire::ext::{self, AudioLevel, Form, Ids, Kind, PlayoutDelay, Values};
use sotto_engine_core::wire::rtp::{self, Fields, Header, HeaderWriter};

use crate::hex;

const FIXED: &str = "80e0 1234 00000064 0000abcd";

fn elements(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let header = Header::parse(bytes).unwrap();
    header
        .elements(bytes)
        .map(|e| e.unwrap())
        .map(|e| (e.id, e.value.to_vec()))
        .collect()
}

#[test]
fn a_fixed_header() {
    let mut bytes = hex(FIXED);
    bytes.extend([1, 2, 3]);
    let header = Header::parse(&bytes).unwrap();
    assert!(header.marker);
    assert_eq!((header.payload_type, header.sequence), (96, 0x1234));
    assert_eq!(
        (header.timestamp, header.ssrc, header.len),
        (100, 0xabcd, 12)
    );
    assert_eq!(header.payload(&bytes), Ok(&[1, 2, 3][..]));
    assert!(elements(&bytes).is_empty());
}

#[test]
fn one_byte_elements_with_padding_and_stop() {
    // RFC 8285 section 4.2: element, padding byte, element; then id 15 ends the block.
    let bytes = hex("90e0 1234 00000064 0000abcd bede 0003 10aa 00 21bbcc f0 11 22 33 44 55");
    assert_eq!(elements(&bytes), [(1, vec![0xaa]), (2, vec![0xbb, 0xcc])]);
    assert_eq!(Header::parse(&bytes).unwrap().len, 28);
}

#[test]
fn two_byte_elements_may_be_empty() {
    let bytes = hex("90e0 1234 00000064 0000abcd 1000 0002 0100 00 0203aabbcc 00");
    assert_eq!(elements(&bytes), [(1, vec![]), (2, vec![0xaa, 0xbb, 0xcc])]);
}

#[test]
fn an_element_that_overruns_ends_the_walk() {
    let bytes = hex("90e0 1234 00000064 0000abcd bede 0001 1faa bbcc");
    let header = Header::parse(&bytes).unwrap();
    let read: Vec<_> = header.elements(&bytes).collect();
    assert_eq!(read, [Err(Malformed::Length)]);
}

#[test]
fn other_profiles_have_no_elements() {
    let bytes = hex("90e0 1234 00000064 0000abcd abcd 0001 10aabbcc 77");
    let header = Header::parse(&bytes).unwrap();
    assert_eq!((header.extension, header.len), (None, 20));
    assert_eq!(header.payload(&bytes), Ok(&[0x77][..]));
}

#[test]
fn counts_past_the_end_are_refused() {
    assert_eq!(
        Header::parse(&hex("8fe0 1234 00000064 0000abcd 0000")),
        Err(Malformed::Length)
    );
    let long = hex("90e0 1234 00000064 0000abcd bede 0009 10aa");
    assert_eq!(Header::parse(&long), Err(Malformed::Length));
    assert_eq!(
        Header::parse(&hex("40e0 1234 00000064 0000abcd")),
        Err(Malformed::Version)
    );
    assert_eq!(Header::parse(&hex("80e0 1234")), Err(Malformed::Truncated));
}

#[test]
fn padding_of_zero_or_beyond_the_payload_is_refused() {
    let head = hex("a0e0 1234 00000064 0000abcd");
    for (tail, expected) in [
        (vec![9, 9, 2], Ok(&[9u8][..])),
        (vec![0, 0, 3], Ok(&[][..])),
        (vec![9, 9, 0], Err(Malformed::Padding)),
        (vec![9, 9, 4], Err(Malformed::Padding)),
        (vec![], Err(Malformed::Padding)),
    ] {
        let bytes = [head.clone(), tail].concat();
        assert_eq!(Header::parse(&bytes).unwrap().payload(&bytes), expected);
    }
}

#[test]
fn a_written_header_reads_back() {
    let fields = Fields {
        marker: true,
        payload_type: 111,
        sequence: 65535,
        timestamp: 7,
        ssrc: 0xdead,
    };
    for form in [Form::OneByte, Form::TwoByte] {
        let mut out = [0u8; 64];
        let mut writer = HeaderWriter::new(&mut out, &fields, form);
        assert_eq!(
            writer.element(1, b"mid0"),
            Some(if form == Form::OneByte { 17 } else { 18 })
        );
        assert!(writer.element(3, &[0x12, 0x34]).is_some());
        assert_eq!(writer.element(15, &[1]).is_some(), form == Form::TwoByte);
        let len = writer.finish().unwrap();
        assert_eq!(len % 4, 0);
        let header = Header::parse(&out[..len]).unwrap();
        assert_eq!(
            (header.len, header.sequence, header.marker),
            (len, 65535, true)
        );
        let mut ids = Ids::default();
        ids.set(Kind::Mid, 1);
        ids.set(Kind::TransportCc, 3);
        let values = Values::read(&ids, header.elements(&out[..len]));
        assert_eq!(
            (values.mid, values.transport_cc),
            (Some("mid0"), Some(0x1234))
        );
    }
}

#[test]
fn a_header_without_elements_has_no_block() {
    let fields = Fields {
        marker: false,
        payload_type: 0,
        sequence: 1,
        timestamp: 2,
        ssrc: 3,
    };
    let mut out = [0u8; 12];
    assert_eq!(
        HeaderWriter::new(&mut out, &fields, Form::OneByte).finish(),
        Some(12)
    );
    assert_eq!(out[0], 0x80);
    assert_eq!(
        HeaderWriter::new(&mut [0; 11], &fields, Form::OneByte).finish(),
        None
    );
}

#[test]
fn typed_values() {
    assert_eq!(
        AudioLevel::read(&[0x9e]),
        Ok(AudioLevel {
            voice: true,
            level: 30
        })
    );
    assert_eq!(
        AudioLevel {
            voice: true,
            level: 30
        }
        .bytes(),
        [0x9e]
    );
    let delay = PlayoutDelay { min: 1, max: 0xABC };
    assert_eq!(PlayoutDelay::read(&delay.bytes()), Ok(delay));
    assert_eq!(ext::abs_send_time(1_000_000), [4, 0, 0]);
    assert_eq!(ext::abs_send_time(64_500_000), [2, 0, 0]);
    for kind in Kind::ALL {
        assert_eq!(Kind::from_name(kind.name()), Some(kind));
    }
}

#[test]
fn values_of_a_wrong_shape_are_skipped() {
    let bytes = hex("90e0 1234 00000064 0000abcd bede 0002 10aa 210102 000000");
    let mut ids = Ids::default();
    ids.set(Kind::TransportCc, 1);
    ids.set(Kind::Rid, 2);
    let header = Header::parse(&bytes).unwrap();
    let values = Values::read(&ids, header.elements(&bytes));
    assert_eq!((values.transport_cc, values.rid), (None, None));
}

#[test]
fn rtx_payloads() {
    assert_eq!(rtp::split_rtx(&[]), None);
    assert_eq!(rtp::split_rtx(&[1]), None);
    assert_eq!(rtp::split_rtx(&[1, 2]), Some((0x0102, &[][..])));
    assert_eq!(rtp::split_rtx(&[1, 2, 3]), Some((0x0102, &[3][..])));
}
