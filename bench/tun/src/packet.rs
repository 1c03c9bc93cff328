//! IPv4 and UDP headers behind a virtio-net header, as the kernel passes them through a TUN
//! device. Pure; `device` reads and writes. IPv4 without options or fragments is all there is.

use std::net::{Ipv4Addr, SocketAddrV4};

/// `struct virtio_net_hdr` (virtio 1.3 section 5.1.6), little-endian without its merge field.
pub const VNET: usize = 10;
const IP: usize = 20;
const UDP: usize = 8;
pub const HEADERS: usize = VNET + IP + UDP;

const NEEDS_CSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_UDP_L4: u8 = 5;
const PROTOCOL_UDP: u8 = 17;

/// Where a packet's parts are, and the bytes of each datagram in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    /// Offsets of the payload, first and after last.
    pub payload: (usize, usize),
    /// Bytes of each datagram of a run; all of the payload when it is one.
    pub segment: usize,
}

fn word(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

fn address(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
}

/// `None` for everything but whole UDP over IPv4.
pub fn parse(bytes: &[u8]) -> Option<Parsed> {
    let (vnet, ip) = bytes.split_at_checked(VNET)?;
    if ip.len() < IP + UDP || ip[0] != 0x45 || ip[9] != PROTOCOL_UDP || word(ip, 6) & 0x3FFF != 0 {
        return None;
    }
    // The lengths of a run's headers count the whole run.
    let end = VNET + word(ip, 2).min(ip.len());
    let payload = (HEADERS, end.max(HEADERS));
    let whole = payload.1 - payload.0;
    let segment = match vnet[1] {
        GSO_NONE => whole,
        GSO_UDP_L4 => usize::from(u16::from_le_bytes([vnet[4], vnet[5]])),
        _ => return None,
    };
    Some(Parsed {
        from: SocketAddrV4::new(address(ip, 12), word(ip, IP) as u16),
        to: SocketAddrV4::new(address(ip, 16), word(ip, IP + 2) as u16),
        payload,
        segment: segment.max(1),
    })
}

/// RFC 1071, not yet inverted.
fn sum(bytes: &[u8], start: u32) -> u16 {
    let mut total = start;
    for pair in bytes.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while total > 0xFFFF {
        total = (total & 0xFFFF) + (total >> 16);
    }
    total as u16
}

/// Headers of one datagram. Its checksum is left to the receiving kernel as a network card with
/// checksum offload leaves it: the field holds the pseudo-header's sum, the flag says so.
pub fn headers(from: SocketAddrV4, to: SocketAddrV4, len: usize) -> [u8; HEADERS] {
    let mut out = [0u8; HEADERS];
    out[0] = NEEDS_CSUM;
    out[6..8].copy_from_slice(&(IP as u16).to_le_bytes());
    out[8..10].copy_from_slice(&6u16.to_le_bytes());
    let ip = &mut out[VNET..];
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&((IP + UDP + len) as u16).to_be_bytes());
    // Do not fragment; 64 hops.
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = PROTOCOL_UDP;
    ip[12..16].copy_from_slice(&from.ip().octets());
    ip[16..20].copy_from_slice(&to.ip().octets());
    let checksum = !sum(&ip[..IP], 0);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let datagram = (UDP + len) as u16;
    ip[20..22].copy_from_slice(&from.port().to_be_bytes());
    ip[22..24].copy_from_slice(&to.port().to_be_bytes());
    ip[24..26].copy_from_slice(&datagram.to_be_bytes());
    let pseudo = sum(&ip[12..20], u32::from(PROTOCOL_UDP) + u32::from(datagram));
    ip[26..28].copy_from_slice(&pseudo.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 99, 0, 2), 20_000);
    const TO: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 99, 0, 1), 18_882);

    fn packet(payload: &[u8]) -> Vec<u8> {
        [&headers(FROM, TO, payload.len())[..], payload].concat()
    }

    #[test]
    fn what_is_written_can_be_read() {
        let found = parse(&packet(&[7; 100])).unwrap();
        assert_eq!((found.from, found.to), (FROM, TO));
        assert_eq!((found.payload, found.segment), ((38, 138), 100));
    }

    #[test]
    fn a_run_keeps_the_length_of_its_datagrams() {
        let mut run = packet(&[7; 250]);
        run[1] = GSO_UDP_L4;
        run[4..6].copy_from_slice(&100u16.to_le_bytes());
        assert_eq!(parse(&run).unwrap().segment, 100);
    }

    #[test]
    fn checksums_verify() {
        let bytes = packet(&[0xAB; 33]);
        let ip = &bytes[VNET..];
        assert_eq!(sum(&ip[..IP], 0), 0xFFFF);
        // What the kernel completes: the sum from csum_start on, over the pseudo-header's.
        let datagram = u32::from(PROTOCOL_UDP) + 41;
        let mut whole = ip[IP..].to_vec();
        let completed = !sum(&whole, 0);
        whole[6..8].copy_from_slice(&completed.to_be_bytes());
        let pseudo = sum(&ip[12..20], datagram);
        assert_eq!(sum(&whole, u32::from(pseudo)), 0xFFFF);
    }

    #[test]
    fn anything_else_is_passed_over() {
        let good = packet(&[1; 20]);
        assert_eq!(parse(&good[..30]), None);
        for (at, value) in [(VNET, 0x60), (VNET + 9, 6), (VNET + 6, 0x20), (1, 1)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(parse(&bad), None, "byte {at}");
        }
        let mut short = good;
        short[VNET + 3] = 3;
        assert_eq!(parse(&short).unwrap().payload, (38, 38));
    }
}
