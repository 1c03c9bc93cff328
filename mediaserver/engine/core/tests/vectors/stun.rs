//! RFC 5769 sections 2.1 to 2.4, and what a hostile sender may try.

use std::net::SocketAddr;

use sotto_engine_core::wire::stun::{
    self, BadIntegrity, Class, IntegrityKey, Message, Request, Role,
};
use sotto_engine_core::wire::{Malformed, PacketKind, classify};

use crate::hex;

const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae
    802200105354554e207465737420636c69656e74
    002400046e0001ff 80290008932ff9b151263b36
    000600096576746a3a68367659202020
    000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
    80280004e57a3bcf";
const RESPONSE_V4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae
    8022000b7465737420766563746f7220
    002000080001a147e112a643
    000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7
    80280004c07d4c96";
const RESPONSE_V6: &str = "010100482112a442b7e7a701bc34d686fa87dfae
    8022000b7465737420766563746f7220
    002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9
    00080014a382954e4be67bf11784c97c8292c275bfe3ed41
    80280004c8fb0b4c";
const LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e
    00060012e3839ee38388e383aae38383e382afe382b90000
    0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341
    0014000b6578616d706c652e6f726700
    00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";

#[test]
fn rfc5769_2_1_request() {
    let bytes = hex(REQUEST);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.class, Class::Request);
    assert_eq!(message.method, stun::METHOD_BINDING);
    assert_eq!(message.username_parts(), Some((&b"evtj"[..], &b"h6vY"[..])));
    assert_eq!(message.priority, Some(0x6e00_01ff));
    assert_eq!(message.role, Some(Role::Controlled(0x932f_f9b1_5126_3b36)));
    assert!(message.fingerprint);
    assert_eq!(
        message.check_integrity(&IntegrityKey::new(PASSWORD)),
        Ok(())
    );
    assert_eq!(
        message.check_integrity(&IntegrityKey::new(b"other")),
        Err(BadIntegrity)
    );
}

#[test]
fn rfc5769_2_2_and_2_3_responses() {
    for (text, address) in [
        (RESPONSE_V4, "192.0.2.1:32853"),
        (RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
    ] {
        let bytes = hex(text);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.class, Class::Success);
        assert_eq!(message.mapped, Some(address.parse().unwrap()));
        assert_eq!(
            message.check_integrity(&IntegrityKey::new(PASSWORD)),
            Ok(())
        );
    }
}

#[test]
fn rfc5769_2_4_long_term_request() {
    let bytes = hex(LONG_TERM);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.username.map(<[u8]>::len), Some(18));
    // MD5 of username, realm and password, as the RFC gives them.
    let key = hex(LONG_TERM_KEY);
    assert_eq!(message.check_integrity(&IntegrityKey::new(&key)), Ok(()));
    assert!(!message.fingerprint);
}

const LONG_TERM_KEY: &str = "e8ca7ad59d5eb0518e312911d2dab2a9";

#[test]
fn what_we_write_is_what_we_read() {
    let key = IntegrityKey::new(b"0123456789abcdef0123456789abcdef");
    let transaction = *b"abcdefghijkl";
    let mut out = [0u8; 256];
    let request = Request {
        transaction,
        username: "them:us",
        priority: 77,
        role: Role::Controlling(9),
        use_candidate: true,
    };
    let len = stun::write_request(&mut out, &request, &key).unwrap();
    let message = Message::parse(&out[..len]).unwrap();
    assert_eq!(message.username, Some(&b"them:us"[..]));
    assert!(message.use_candidate && message.fingerprint);
    assert_eq!(message.role, Some(Role::Controlling(9)));
    assert_eq!(message.check_integrity(&key), Ok(()));
    for address in ["10.1.2.3:4567", "[fe80::1:2]:1"] {
        let address: SocketAddr = address.parse().unwrap();
        let len = stun::write_success(&mut out, &transaction, address, &key).unwrap();
        let message = Message::parse(&out[..len]).unwrap();
        assert_eq!(message.mapped, Some(address));
        assert_eq!(message.check_integrity(&key), Ok(()));
    }
    let len = stun::write_error(&mut out, &transaction, 420, Some(0x7777), None).unwrap();
    let message = Message::parse(&out[..len]).unwrap();
    assert_eq!(
        (message.class, message.error_code),
        (Class::Error, Some(420))
    );
}

#[test]
fn a_small_buffer_gets_nothing() {
    let key = IntegrityKey::new(b"k");
    let address: SocketAddr = "[::1]:9".parse().unwrap();
    let needed = stun::write_success(&mut [0; 256], &[0; 12], address, &key).unwrap();
    for len in 0..needed {
        assert_eq!(
            stun::write_success(&mut vec![0; len], &[0; 12], address, &key),
            None
        );
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let good = hex(REQUEST);
    let key = IntegrityKey::new(PASSWORD);
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        let noticed = match Message::parse(&bytes) {
            Err(_) => true,
            Ok(message) => !message.fingerprint || message.check_integrity(&key).is_err(),
        };
        assert!(noticed, "byte {at}");
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let mut overrun = hex(REQUEST);
    overrun[22] = 0xFF;
    assert_eq!(Message::parse(&overrun).unwrap_err(), Malformed::Length);
    let mut fingerprint = hex(REQUEST);
    *fingerprint.last_mut().unwrap() ^= 1;
    assert_eq!(
        Message::parse(&fingerprint).unwrap_err(),
        Malformed::Checksum
    );
}

#[test]
fn attributes_behind_the_integrity_are_ignored() {
    let key = IntegrityKey::new(b"k");
    let mut out = [0u8; 256];
    let mut writer = stun::Writer::new(&mut out, Class::Request, &[1; 12]);
    writer.attribute(0x0024, &5u32.to_be_bytes());
    writer.integrity(&key);
    writer.attribute(0x0025, &[]);
    let len = writer.fingerprint().unwrap();
    let message = Message::parse(&out[..len]).unwrap();
    assert!(!message.use_candidate);
    assert_eq!(message.check_integrity(&key), Ok(()));
}

#[test]
fn unknown_required_attributes_are_named() {
    let mut out = [0u8; 256];
    let mut writer = stun::Writer::new(&mut out, Class::Request, &[1; 12]);
    writer.attribute(0x7F01, &[1, 2, 3]);
    writer.attribute(0xFF01, &[1]);
    let len = writer.finish().unwrap();
    assert_eq!(
        Message::parse(&out[..len]).unwrap().unknown_required,
        Some(0x7F01)
    );
}

#[test]
fn first_bytes_are_told_apart() {
    assert_eq!(classify(&[]), PacketKind::Unknown);
    assert_eq!(classify(&hex(REQUEST)), PacketKind::Stun);
    for first in 0..=255u8 {
        assert_eq!(classify(&[first]), PacketKind::Unknown);
        let mut datagram = [0u8; 40];
        datagram[0] = first;
        let expected = match first {
            20..=63 => PacketKind::Dtls,
            128..=191 => PacketKind::Rtp,
            _ => PacketKind::Unknown,
        };
        assert_eq!(classify(&datagram), expected, "{first}");
        datagram[1] = 200;
        let expected = if expected == PacketKind::Rtp {
            PacketKind::Rtcp
        } else {
            expected
        };
        assert_eq!(classify(&datagram), expected, "{first}");
    }
}
