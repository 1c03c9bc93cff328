//! The first frame that a decoder could show: a key frame of which every packet came.

use sotto_engine_core::wire::rtp::Header;

use crate::source::{Part, part};

#[derive(Default)]
pub struct FirstFrame {
    pub at_us: Option<u64>,
    /// Time stamp and first sequence number of the newest key frame.
    begun: Option<(u32, u16)>,
    came: u32,
    last: Option<u16>,
}

impl FirstFrame {
    /// A decrypted packet, each of them once.
    pub fn on_packet(&mut self, header: &Header, payload: &[u8], now_us: u64) {
        match part(payload) {
            Some(Part::Audio) => self.at_us = Some(now_us),
            Some(Part::Video { first, keyframe }) => {
                if first && keyframe {
                    self.begun = Some((header.timestamp, header.sequence));
                    (self.came, self.last) = (0, None);
                }
                let Some((timestamp, start)) = self.begun else {
                    return;
                };
                if timestamp != header.timestamp {
                    return;
                }
                self.came += 1;
                self.last = self.last.or(header.marker.then_some(header.sequence));
                let whole = self
                    .last
                    .map(|last| u32::from(last.wrapping_sub(start)) + 1);
                if whole == Some(self.came) {
                    self.at_us = Some(now_us);
                }
            }
            None => {}
        }
    }
}
