//! The TUN device itself: opened, told what it offloads, read and written.

use std::fs::{File, OpenOptions};
use std::io::{IoSlice, Read, Write};
use std::net::SocketAddrV4;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use crate::packet::{headers, parse};

/// linux/if_tun.h.
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
const IFF_TUN: i16 = 0x0001;
const IFF_NO_PI: i16 = 0x1000;
const IFF_VNET_HDR: i16 = 0x4000;
const TUN_F_CSUM: libc::c_ulong = 0x01;
/// UDP segmentation for IPv4 and IPv6: the kernel (6.2 and later) takes both or none.
const TUN_F_USO: libc::c_ulong = 0x20 | 0x40;

/// The longest run with its headers, and some.
const LONGEST: usize = 66_000;

/// An attached device. Reads and writes never block.
pub struct Tun {
    file: File,
    name: String,
}

/// Datagrams that left the server in one send.
pub struct Run<'a> {
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    /// Bytes of each, the last may be shorter.
    pub segment: usize,
    pub data: &'a mut [u8],
}

#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: i16,
    rest: [u8; 22],
}

impl Tun {
    /// Attaches to a device that exists. `segments`: a run arrives whole, as on a card with UDP
    /// segmentation offload; otherwise the kernel cuts it for the sender.
    pub fn open(name: &str, segments: bool) -> Result<Self, String> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .map_err(|error| format!("/dev/net/tun: {error}"))?;
        let mut request = Request {
            name: [0; libc::IFNAMSIZ],
            flags: IFF_TUN | IFF_NO_PI | IFF_VNET_HDR,
            rest: [0; 22],
        };
        let len = name.len().min(libc::IFNAMSIZ - 1);
        request.name[..len].copy_from_slice(&name.as_bytes()[..len]);
        // SAFETY: the kernel reads and writes a struct ifreq, which `request` is as large as.
        let attached = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &mut request) };
        if attached < 0 {
            return Err(format!("{name}: {}", std::io::Error::last_os_error()));
        }
        let offload = TUN_F_CSUM | if segments { TUN_F_USO } else { 0 };
        // SAFETY: the argument is a number.
        if unsafe { libc::ioctl(file.as_raw_fd(), TUNSETOFFLOAD, offload) } < 0 {
            let error = std::io::Error::last_os_error();
            return Err(format!("{name}: no such offload: {error}"));
        }
        Ok(Self {
            file,
            name: name.to_owned(),
        })
    }

    pub fn buffer() -> Vec<u8> {
        vec![0; LONGEST]
    }

    /// The next run, `None` when there is none now. Everything but UDP is passed over.
    pub fn read<'a>(&self, buffer: &'a mut [u8]) -> Option<Run<'a>> {
        loop {
            let len = (&self.file).read(buffer).ok()?;
            if let Some(found) = parse(&buffer[..len]) {
                return Some(Run {
                    from: found.from,
                    to: found.to,
                    segment: found.segment,
                    data: &mut buffer[found.payload.0..found.payload.1],
                });
            }
        }
    }

    /// Writes one datagram. One that the kernel does not take is a loss like any other.
    pub fn write(&self, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        let head = headers(from, to, payload.len());
        let _ = (&self.file).write_vectored(&[IoSlice::new(&head), IoSlice::new(payload)]);
    }

    /// Packets that the device could not keep for us since it was made.
    pub fn dropped(&self) -> u64 {
        let text = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
        let found = text.lines().find_map(|line| {
            let (name, counts) = line.split_once(':')?;
            // Eight counts received, then bytes, packets, errors and drops sent.
            (name.trim() == self.name).then(|| counts.split_whitespace().nth(11)?.parse().ok())?
        });
        found.unwrap_or(0)
    }
}
