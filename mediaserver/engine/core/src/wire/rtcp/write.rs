//! Writes one RTCP compound packet. What does not fit is left out whole and answered `false`;
//! what was written before stays valid.

use super::{BYE, PSFB, RR, RTPFB, SDES, SR, XR};
use crate::wire::bytes::Cursor;

/// Sender information of an SR: NTP time (UQ32.32) and the RTP time of the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    pub ntp: u64,
    pub rtp: u32,
    pub packets: u32,
    pub octets: u32,
}

/// A report block (RFC 3550 section 6.4.1). Times in units of 1/65536 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceptionReport {
    pub ssrc: u32,
    pub fraction_lost: u8,
    /// Clamped to 24 bits when written.
    pub cumulative_lost: i32,
    pub highest_sequence: u32,
    pub jitter: u32,
    pub last_sr: u32,
    pub delay_since_last_sr: u32,
}

/// At most this many report blocks in one packet: the count has five bits.
const MAX_REPORTS: usize = 31;

pub struct Compound<'b>(Cursor<'b>);

impl<'b> Compound<'b> {
    pub fn new(out: &'b mut [u8]) -> Self {
        Self(Cursor::new(out))
    }

    pub fn is_empty(&self) -> bool {
        self.0.position() == 0
    }

    pub fn len(&self) -> usize {
        self.0.position()
    }

    /// Length of the compound packet.
    pub fn finish(self) -> usize {
        self.0.position()
    }

    pub fn sender_report(
        &mut self,
        ssrc: u32,
        info: &SenderInfo,
        reports: &[ReceptionReport],
    ) -> bool {
        self.packet(SR, reports.len().min(MAX_REPORTS) as u8, |out| {
            out.put_u32(ssrc);
            out.put_u64(info.ntp);
            out.put_u32(info.rtp);
            out.put_u32(info.packets);
            out.put_u32(info.octets);
            put_reports(out, reports);
        })
    }

    /// Only the first 31 reports are written; call again for more.
    pub fn receiver_report(&mut self, ssrc: u32, reports: &[ReceptionReport]) -> bool {
        self.packet(RR, reports.len().min(MAX_REPORTS) as u8, |out| {
            out.put_u32(ssrc);
            put_reports(out, reports);
        })
    }

    /// An SDES with the CNAME of one source.
    pub fn source_description(&mut self, ssrc: u32, cname: &str) -> bool {
        let cname = cname.as_bytes();
        let cname = &cname[..cname.len().min(255)];
        self.packet(SDES, 1, |out| {
            out.put_u32(ssrc);
            out.put(&[1, cname.len() as u8]);
            out.put(cname);
            out.put_u8(0);
        })
    }

    pub fn bye(&mut self, ssrc: u32) -> bool {
        self.packet(BYE, 1, |out| out.put_u32(ssrc))
    }

    pub fn pli(&mut self, sender: u32, media: u32) -> bool {
        self.packet(PSFB, 1, |out| {
            out.put_u32(sender);
            out.put_u32(media);
        })
    }

    /// `command` grows by one for each new request (RFC 5104 section 4.3.1.2).
    pub fn fir(&mut self, sender: u32, media: u32, command: u8) -> bool {
        self.packet(PSFB, 4, |out| {
            out.put_u32(sender);
            out.put_u32(0);
            out.put_u32(media);
            out.put(&[command, 0, 0, 0]);
        })
    }

    pub fn remb(&mut self, sender: u32, bitrate: u64, ssrcs: &[u32]) -> bool {
        let ssrcs = &ssrcs[..ssrcs.len().min(255)];
        let exponent = (64 - bitrate.leading_zeros()).saturating_sub(18);
        let mantissa = (bitrate >> exponent) as u32;
        self.packet(PSFB, 15, |out| {
            out.put_u32(sender);
            out.put_u32(0);
            out.put(b"REMB");
            out.put_u32(((ssrcs.len() as u32) << 24) | (exponent << 18) | mantissa);
            ssrcs.iter().for_each(|ssrc| out.put_u32(*ssrc));
        })
    }

    /// Lost sequence numbers, ascending (modulo 2^16); those within 16 of another share four
    /// bytes. Writes nothing for an empty list.
    pub fn nack(&mut self, sender: u32, media: u32, lost: impl IntoIterator<Item = u16>) -> bool {
        let mut lost = lost.into_iter().peekable();
        if lost.peek().is_none() {
            return true;
        }
        self.packet(RTPFB, 1, |out| {
            out.put_u32(sender);
            out.put_u32(media);
            while let Some(base) = lost.next() {
                let mut mask = 0u16;
                while let Some(bit) = lost
                    .peek()
                    .map(|next| next.wrapping_sub(base).wrapping_sub(1))
                    .filter(|bit| *bit < 16)
                {
                    mask |= 1 << bit;
                    lost.next();
                }
                out.put_u16(base);
                out.put_u16(mask);
            }
        })
    }

    /// `feedback` comes from `twcc::ArrivalLog::write`.
    pub fn transport_cc(&mut self, sender: u32, media: u32, feedback: &[u8]) -> bool {
        self.packet(RTPFB, 15, |out| {
            out.put_u32(sender);
            out.put_u32(media);
            out.put(feedback);
        })
    }

    /// Answers a receiver reference time (RFC 3611 section 4.5).
    pub fn delay_since_last(&mut self, sender: u32, ssrc: u32, last_rr: u32, delay: u32) -> bool {
        self.packet(XR, 0, |out| {
            out.put_u32(sender);
            out.put(&[5, 0, 0, 3]);
            out.put_u32(ssrc);
            out.put_u32(last_rr);
            out.put_u32(delay);
        })
    }

    fn packet(&mut self, packet_type: u8, count: u8, body: impl FnOnce(&mut Cursor<'b>)) -> bool {
        let start = self.0.position();
        self.0.put(&[0x80 | count, packet_type, 0, 0]);
        body(&mut self.0);
        self.0.zeros_to_multiple_of_4();
        if self.0.is_full() {
            self.0.rewind(start);
            return false;
        }
        let words = (self.0.position() - start) / 4 - 1;
        self.0.patch(start + 2, &(words as u16).to_be_bytes());
        true
    }
}

fn put_reports(out: &mut Cursor<'_>, reports: &[ReceptionReport]) {
    for report in reports.iter().take(MAX_REPORTS) {
        out.put_u32(report.ssrc);
        out.put_u8(report.fraction_lost);
        out.put_u24(report.cumulative_lost.clamp(-0x80_0000, 0x7F_FFFF) as u32);
        out.put_u32(report.highest_sequence);
        out.put_u32(report.jitter);
        out.put_u32(report.last_sr);
        out.put_u32(report.delay_since_last_sr);
    }
}
