//! Builds one outgoing packet from its record: header, extensions by this subscriber's ids, payload
//! from the shared ring with its numbers patched, padding, protection. Sizes first, so that runs
//! can be equalised; bytes second, straight into the arena.

use crate::egress::feed::{Feed, FeedEncoding};
use crate::egress::record::{AGAIN, FILL, MARKER, PROBE, RTX, Record, STRIP_RED};
use crate::egress::redundancy::Older;
use crate::egress::routes::Route;
use crate::egress::subscription::Subscription;
use crate::packet::Facts;
use crate::spec::{Extensions, Kind};
use crate::time::Time;
use crate::wire::codec::dd;
use crate::wire::ext::{self, Form};
use crate::wire::rtp::{Fields, HeaderWriter, RTX_OSN_LEN};
use crate::wire::srtp;

/// What goes onto every packet of a transport at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    pub now: Time,
    /// abs-send-time of `now`.
    pub send_time: [u8; 3],
    /// Transport-wide number, when the packet carries one.
    pub twcc: u16,
}

/// A record with everything looked up, ready to be measured and written.
pub struct Job<'a> {
    pub record: Record,
    pub subscription: &'a Subscription,
    facts: &'a Facts,
    descriptor: &'a [u8],
    payload: &'a [u8],
    older: Option<Older<'a>>,
    route: Route,
    encoding: &'a FeedEncoding,
}

impl<'a> Job<'a> {
    /// `None`: the ring has moved on, or the codec is not negotiated any more.
    pub fn find(
        record: &Record,
        subscription: &'a Subscription,
        feed: &'a Feed,
    ) -> Option<Job<'a>> {
        let encoding = feed.encodings.get(usize::from(record.encoding))?;
        let (facts, bytes) = encoding.ring.get(record.source)?;
        let route = (*subscription.routes.get(usize::from(record.codec))?)?;
        let (descriptor, mut payload) =
            bytes.split_at_checked(usize::from(facts.descriptor_len))?;
        if record.has(STRIP_RED) {
            payload = payload.get(usize::from(facts.red_primary)..)?;
        }
        if record.has(FILL) {
            payload = &[];
        }
        if record.has(RTX)
            && (route.rtx_payload_type.is_none() || subscription.spec.rtx_ssrc.is_none())
        {
            return None;
        }
        let added = record.added();
        let older = match added {
            0 => None,
            _ => Older::find(&encoding.ring, facts, payload, added),
        };
        Some(Job {
            record: *record,
            subscription,
            facts,
            descriptor,
            payload,
            older,
            route,
            encoding,
        })
    }

    /// Whether it carries a transport-wide number (and so counts for the estimate).
    pub fn has_twcc(&self) -> bool {
        self.subscription.spec.extensions.transport_cc.is_some() && !self.subscription.identical
    }

    /// A packet whose bytes must come out the same each time cannot be padded to fit a run;
    /// a retransmission is the packet as it was.
    pub fn can_pad(&self) -> bool {
        !self.record.has(RTX | AGAIN | FILL) && !self.subscription.identical
    }

    pub fn is_audio(&self) -> bool {
        self.subscription.kind == Kind::Audio
    }

    /// Length of header and payload, without padding and tag.
    pub fn plain_len(&self) -> usize {
        let mut len = 12 + self.body_len() + self.fill_len();
        if self.names_original() {
            len += RTX_OSN_LEN;
        }
        len + self.extensions_len()
    }

    fn body_len(&self) -> usize {
        self.payload.len() + self.older.map_or(0, |older| older.size())
    }

    /// A fill is one byte of padding, the shortest packet that says "nothing"; as a probe it is
    /// the longest.
    fn fill_len(&self) -> usize {
        match (self.record.has(FILL), self.record.has(PROBE)) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 255,
        }
    }

    /// Padding alone repeats no packet, so it names none.
    fn names_original(&self) -> bool {
        self.record.has(RTX) && !self.record.has(FILL)
    }

    fn extensions_len(&self) -> usize {
        let mut total = 0;
        let head = if self.form() == Form::TwoByte { 2 } else { 1 };
        self.each_extension(
            &Stamp {
                now: Time::ZERO,
                send_time: [0; 3],
                twcc: 0,
            },
            |_, value| {
                total += head + value.len();
            },
        );
        if total == 0 {
            0
        } else {
            4 + total.next_multiple_of(4)
        }
    }

    /// Two-byte elements only where an id or a length asks for them (RFC 8285 section 4.3).
    fn form(&self) -> Form {
        let ids = &self.subscription.spec.extensions;
        let long = self.descriptor.len() + 4 > 16 && ids.dependency_descriptor.is_some();
        let high = [
            ids.mid,
            ids.transport_cc,
            ids.abs_send_time,
            ids.audio_level,
            ids.dependency_descriptor,
        ];
        let high = high.iter().flatten().any(|id| *id > 14);
        if long || high {
            Form::TwoByte
        } else {
            Form::OneByte
        }
    }

    /// Calls `write` with id and value of each extension of this packet.
    fn each_extension(&self, stamp: &Stamp, mut write: impl FnMut(u8, &[u8])) {
        let ids: &Extensions = &self.subscription.spec.extensions;
        let identical = self.subscription.identical;
        if let Some(id) = ids
            .mid
            .filter(|_| identical || !self.subscription.confirmed)
        {
            write(id, self.subscription.spec.mid.as_bytes());
        }
        if !identical {
            if let Some(id) = ids.transport_cc {
                write(id, &stamp.twcc.to_be_bytes());
            }
            if let Some(id) = ids.abs_send_time {
                write(id, &stamp.send_time);
            }
        }
        if self.record.has(FILL) {
            return;
        }
        if let (Some(id), Some(level)) = (ids.audio_level, self.facts.audio_level) {
            write(id, &[level]);
        }
        if let (Some(id), Some(orientation)) = (ids.orientation, self.facts.orientation) {
            write(id, &[orientation]);
        }
        if let (Some(id), Some(delay)) = (ids.playout_delay, self.facts.playout_delay) {
            write(id, &delay);
        }
        if let (Some(id), Some(ntp)) = (ids.abs_capture_time, self.facts.abs_capture_time) {
            write(id, &ntp.to_be_bytes());
        }
        if let Some(id) = ids
            .dependency_descriptor
            .filter(|_| !self.descriptor.is_empty())
        {
            self.write_descriptor(|value| write(id, value));
        }
    }

    /// The descriptor with this subscription's frame number and, where it limits the layers, with
    /// the decode targets that still come.
    fn write_descriptor(&self, write: impl FnOnce(&[u8])) {
        let mut out = [0u8; 255];
        let limited = self.active_targets().and_then(|(structure, mask)| {
            dd::write_active_targets(self.descriptor, structure, mask, &mut out)
        });
        let len = match limited {
            Some(len) => len,
            None => {
                out[..self.descriptor.len()].copy_from_slice(self.descriptor);
                self.descriptor.len()
            }
        };
        dd::rewrite_frame_number(&mut out[..len], self.record.frame);
        write(&out[..len]);
    }

    /// Written where a receiver learns the structure: at key frames of a stream that is thinned.
    fn active_targets(&self) -> Option<(&dd::Structure, u32)> {
        let structure = self.encoding.structure.as_deref()?;
        if !self.facts.keyframe {
            return None;
        }
        let layer = self.subscription.selector.current()?;
        let svc = self.subscription.selector.mode == crate::egress::layers::Mode::Svc;
        let spatial = if svc {
            layer.spatial
        } else {
            structure.max_spatial()
        };
        let mask = structure.targets_within(spatial, layer.temporal);
        (mask != 0 && mask != structure.all_targets()).then_some((structure, mask))
    }

    /// Writes the protected packet; answers its length.
    pub fn write(
        &self,
        stamp: &Stamp,
        rtx_seq: u64,
        padding: u8,
        keys: &srtp::Sender,
        out: &mut [u8],
    ) -> Result<usize, srtp::SrtpError> {
        let rtx = self.record.has(RTX);
        let spec = &self.subscription.spec;
        let index = if rtx { rtx_seq } else { self.record.seq };
        let fields = Fields {
            marker: self.record.has(MARKER),
            payload_type: match (rtx, self.route.rtx_payload_type) {
                (true, Some(payload_type)) => payload_type,
                _ if self.record.has(STRIP_RED) => {
                    self.route.opus.unwrap_or(self.route.payload_type)
                }
                _ => self.route.payload_type,
            },
            sequence: index as u16,
            timestamp: self.record.timestamp,
            ssrc: if rtx {
                spec.rtx_ssrc.unwrap_or(spec.ssrc)
            } else {
                spec.ssrc
            },
        };
        let mut writer = HeaderWriter::new(out, &fields, self.form());
        self.each_extension(stamp, |id, value| {
            writer.element(id, value);
        });
        let header_len = writer.finish().ok_or(srtp::SrtpError::Short)?;
        let padding = if self.record.has(FILL) {
            self.fill_len() as u8
        } else {
            padding
        };
        self.fill(index, header_len, padding, keys, out)
    }

    /// Behind a header that is there already.
    fn fill(
        &self,
        index: u64,
        header_len: usize,
        padding: u8,
        keys: &srtp::Sender,
        out: &mut [u8],
    ) -> Result<usize, srtp::SrtpError> {
        let mut at = header_len;
        let rtx = self.names_original();
        let osn = if rtx { RTX_OSN_LEN } else { 0 };
        let len = self.body_len();
        let needed = at + osn + len + usize::from(padding) + keys.profile().rtp_overhead();
        if out.len() < needed {
            return Err(srtp::SrtpError::Short);
        }
        if rtx {
            out[at..at + RTX_OSN_LEN].copy_from_slice(&(self.record.seq as u16).to_be_bytes());
            at += RTX_OSN_LEN;
        }
        let body = &mut out[at..at + len];
        match &self.older {
            None => body.copy_from_slice(self.payload),
            Some(older) => {
                let written = older.write(self.payload, body);
                debug_assert_eq!(written, Some(len));
            }
        }
        self.patch(body);
        keys.protect_rtp_in_place(index, out, header_len, osn + len, padding)
    }

    /// Picture id and TL0PICIDX, in the width that the publisher chose.
    fn patch(&self, body: &mut [u8]) {
        let picture = &self.facts.picture;
        let at = usize::from(picture.id_at);
        if at != 0 {
            if picture.long && at + 1 < body.len() {
                body[at] = 0x80 | (self.record.picture >> 8) as u8;
                body[at + 1] = self.record.picture as u8;
            } else if !picture.long && at < body.len() {
                body[at] = (self.record.picture & 0x7F) as u8;
            }
        }
        let at = usize::from(picture.tl0_at);
        if at != 0 && at < body.len() {
            body[at] = self.record.tl0;
        }
    }
}

/// abs-send-time of an instant of the engine's clock.
pub fn stamp(now: Time) -> Stamp {
    Stamp {
        now,
        send_time: ext::abs_send_time(now.micros()),
        twcc: 0,
    }
}
