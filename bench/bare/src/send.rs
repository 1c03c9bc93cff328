//! What each packet costs at least: its header, its encryption, its share of a `sendmsg`.

use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::options::Options;

const HEADER: usize = 20;
const TAG: usize = 16;

pub struct Sender {
    socket: UdpSocket,
    keys: Vec<LessSafeKey>,
    targets: Vec<libc::sockaddr_in>,
    payloads: Vec<Vec<u8>>,
    arena: Vec<u8>,
    pub sequence: u64,
    gso: bool,
}

impl Sender {
    pub fn new(options: &Options, addresses: &[SocketAddrV4]) -> Result<Self, String> {
        let socket = UdpSocket::bind((options.address, 0)).map_err(|error| error.to_string())?;
        let key = |at: usize| UnboundKey::new(&AES_128_GCM, &[at as u8; 16]).map(LessSafeKey::new);
        let keys = (0..addresses.len())
            .map(key)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())?;
        let target = |address: &SocketAddrV4| libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr {
                s_addr: u32::from(*address.ip()).to_be(),
            },
            sin_zero: [0; 8],
        };
        Ok(Self {
            socket,
            keys,
            targets: addresses.iter().map(target).collect(),
            payloads: (0..64u8).map(|at| vec![at; options.size]).collect(),
            arena: vec![0; 64 * (HEADER + options.size + TAG)],
            sequence: 0,
            gso: options.gso,
        })
    }

    /// Header and GCM of `run` packets into the arena, then one send.
    pub fn send(&mut self, target: usize, run: usize) {
        let segment = HEADER + self.payloads[0].len() + TAG;
        for at in 0..run {
            let sequence = self.sequence + at as u64;
            let payload = &self.payloads[sequence as usize % self.payloads.len()];
            let packet = &mut self.arena[at * segment..(at + 1) * segment];
            packet[..2].copy_from_slice(&[0x90, 96]);
            packet[2..4].copy_from_slice(&(sequence as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(sequence as u32).to_be_bytes());
            packet[8..12].copy_from_slice(&(target as u32).to_be_bytes());
            packet[12..20].copy_from_slice(&[0xBE, 0xDE, 0, 1, 0x31, 0, 0, 0]);
            packet[HEADER..HEADER + payload.len()].copy_from_slice(payload);
            let mut nonce = [0u8; 12];
            nonce[..8].copy_from_slice(&sequence.to_le_bytes());
            let (header, rest) = packet.split_at_mut(HEADER);
            let (text, tag) = rest.split_at_mut(payload.len());
            let nonce = Nonce::assume_unique_for_key(nonce);
            if let Ok(sealed) =
                self.keys[target].seal_in_place_separate_tag(nonce, Aad::from(&*header), text)
            {
                tag.copy_from_slice(sealed.as_ref());
            }
        }
        if self.gso {
            self.send_bytes(target, 0, run * segment, segment);
        } else {
            (0..run).for_each(|at| self.send_bytes(target, at * segment, segment, segment));
        }
    }

    fn send_bytes(&mut self, target: usize, at: usize, len: usize, segment: usize) {
        let mut vector = libc::iovec {
            iov_base: self.arena[at..at + len].as_mut_ptr().cast(),
            iov_len: len,
        };
        let mut control = [0u64; 4];
        // SAFETY: all pointers are to locals and fields that outlive the call; the control
        // buffer is aligned and large enough for one 16-bit message.
        unsafe {
            let mut header: libc::msghdr = std::mem::zeroed();
            header.msg_name = (&raw mut self.targets[target]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
            header.msg_iov = &mut vector;
            header.msg_iovlen = 1;
            if len > segment {
                header.msg_control = control.as_mut_ptr().cast();
                header.msg_controllen = libc::CMSG_SPACE(2) as usize;
                let message = libc::CMSG_FIRSTHDR(&header);
                (*message).cmsg_level = libc::SOL_UDP;
                (*message).cmsg_type = libc::UDP_SEGMENT;
                (*message).cmsg_len = libc::CMSG_LEN(2) as usize;
                libc::CMSG_DATA(message)
                    .cast::<u16>()
                    .write_unaligned(segment as u16);
            }
            libc::sendmsg(self.socket.as_raw_fd(), &header, 0);
        }
    }
}
