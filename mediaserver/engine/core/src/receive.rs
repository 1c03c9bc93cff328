//! From a datagram to facts: demultiplexing, ICE checks, SRTP, binding of SSRCs, loss recovery.
//! What survives goes to `fanout`; everything else is a counted drop. Long because it is
//! one path, read from top to bottom.

use crate::core::Core;
use crate::drops::Drop;
use crate::event::Event;
use crate::ingress::nack::Gap;
use crate::ingress::parse::{CodecState, Origin};
use crate::ingress::publication::{Payload, Publication, Stream};
use crate::ingress::reception::Arrival;
use crate::io::Io;
use crate::packet::Facts;
use crate::path::Path;
use crate::time::{MILLIS, Time};
use crate::transport::Transport;
use crate::wire::demux::{self, PacketKind};
use crate::wire::ext::Values;
use crate::wire::rtp::{self, Header};
use crate::wire::srtp::SrtpError;
use crate::wire::stun::{self, Message};

/// Between two feedback messages of transport-cc.
pub(crate) const FEEDBACK_INTERVAL: u64 = 50 * MILLIS;
/// Requester of keyframes that no subscriber asked for (`KeyframeLimiter`).
const OURSELVES: u64 = 0;

impl Core {
    pub(crate) fn datagram(
        &mut self,
        now: Time,
        path: Path,
        datagram: &mut [u8],
        io: &mut dyn Io,
    ) -> Result<(), Drop> {
        if datagram.len() < 2 {
            return Err(Drop::Empty);
        }
        let kind = demux::classify(datagram);
        match kind {
            PacketKind::Stun => return self.check(now, path, datagram, io),
            PacketKind::Unknown => return Err(Drop::UnknownProtocol),
            _ => {}
        }
        let index = *self.paths.get(&path).ok_or(Drop::UnvalidatedSource)?;
        let transport = &mut self.transports[index];
        if !transport.limit.allow(now) {
            return Err(Drop::OverRate);
        }
        self.counters.packets_in += 1;
        self.counters.bytes_in += datagram.len() as u64;
        transport.traffic.packets_in += 1;
        transport.traffic.bytes_in += datagram.len() as u64;
        match kind {
            PacketKind::Dtls => self.dtls(now, index, path, datagram, io),
            PacketKind::Rtp => self.rtp(now, index, path, datagram, io),
            _ => self.rtcp(now, index, path, datagram, io),
        }
    }

    fn check(
        &mut self,
        now: Time,
        path: Path,
        datagram: &[u8],
        io: &mut dyn Io,
    ) -> Result<(), Drop> {
        self.counters.stun_in += 1;
        let message = Message::parse(datagram).map_err(|_| Drop::StunMalformed)?;
        let (local, _) = message.username_parts().ok_or(Drop::StunUnknownUser)?;
        let index = *self.ufrags.get(local).ok_or(Drop::StunUnknownUser)?;
        let transport = &mut self.transports[index];
        let mut out = [0u8; 256];
        let checked = transport
            .ice
            .check(now, path, &message, datagram.len(), &mut out)?;
        if io.send(path, &out[..checked.reply], checked.reply) {
            self.counters.stun_out += 1;
        }
        if let Some(evicted) = checked.evicted {
            self.paths.remove(&evicted);
        }
        if checked.new_pair {
            // An address that another transport validated before belongs to whoever checks last.
            self.paths.insert(path, index);
        } else if transport.ice.paths().any(|p| p == path) {
            self.paths.insert(path, index);
        }
        if checked.retired
            && let Some(ufrag) = transport.ice.retire_previous()
        {
            self.ufrags.remove(&ufrag);
        }
        let transport = &mut self.transports[index];
        if let Some((path, first)) = checked.selected {
            let transport_id = transport.id;
            io.event(match first {
                true => Event::IceConnected {
                    transport: transport_id,
                    path,
                },
                false => Event::IcePathChanged {
                    transport: transport_id,
                    path,
                },
            });
            self.allocate_soon(index, now);
        }
        self.alive(now, index, path, io);
        Ok(())
    }

    /// Something authenticated came over a validated pair.
    pub(crate) fn alive(&mut self, now: Time, index: u32, path: Path, io: &mut dyn Io) {
        let transport = &mut self.transports[index];
        transport.ice.received(now, path);
        transport.last_receive = Some(now);
        if transport.idle_told != 0 {
            transport.idle_told = 0;
            io.event(Event::TransportActive {
                transport: transport.id,
            });
        }
    }

    /// Handshakes and SCTP go to Python, at a bounded rate, from validated pairs only.
    fn dtls(
        &mut self,
        now: Time,
        index: u32,
        path: Path,
        datagram: &[u8],
        io: &mut dyn Io,
    ) -> Result<(), Drop> {
        let transport = &mut self.transports[index];
        if !transport.dtls_limit.allow(now) {
            return Err(Drop::DtlsRate);
        }
        io.event(Event::DtlsReceived {
            transport: transport.id,
            data: datagram.to_vec(),
        });
        self.alive(now, index, path, io);
        Ok(())
    }

    fn rtp(
        &mut self,
        now: Time,
        index: u32,
        path: Path,
        datagram: &mut [u8],
        io: &mut dyn Io,
    ) -> Result<(), Drop> {
        let transport = &mut self.transports[index];
        let keys = transport.inbound.as_mut().ok_or(Drop::NoKeys)?;
        let unprotected = keys.unprotect_rtp(datagram).map_err(srtp_drop)?;
        self.alive(now, index, path, io);
        let mut header = unprotected.header;
        let packet = &datagram[..unprotected.len];
        let transport = &mut self.transports[index];
        let values = Values::read(&transport.ids, header.elements(packet));
        self.arrived(now, index, values.transport_cc);
        let payload = header.payload(packet).map_err(|_| Drop::Malformed)?;
        let stream = self.stream(now, index, &header, &values)?;
        let publication = &self.publications[stream.publication];
        match publication
            .payload(header.payload_type)
            .ok_or(Drop::UnknownPayloadType)?
        {
            Payload::Media(codec) => {
                self.media(now, stream, codec, &header, &values, payload, false, io)
            }
            Payload::Rtx(codec) => {
                self.counters.rtx_in += 1;
                let (original, rest) = rtp::split_rtx(payload).ok_or(Drop::RtxEmpty)?;
                if rest.is_empty() {
                    return Err(Drop::Padding);
                }
                header.sequence = original;
                self.media(now, stream, codec, &header, &values, rest, true, io)
            }
        }
    }

    /// Notes a transport-wide number for the feedback to the publisher.
    fn arrived(&mut self, now: Time, index: u32, number: Option<u16>) {
        let Some(number) = number else { return };
        let transport = &mut self.transports[index];
        transport
            .arrivals
            .get_or_insert_default()
            .record(number, now.micros());
        if transport.feedback_due.is_none() {
            transport.feedback_due = Some(now + FEEDBACK_INTERVAL);
            self.schedule(index, now + FEEDBACK_INTERVAL);
        }
    }

    /// The stream that an SSRC belongs to; binds it on its first packets (RFC 8843 section 9.2).
    fn stream(
        &mut self,
        now: Time,
        index: u32,
        header: &Header,
        values: &Values<'_>,
    ) -> Result<Stream, Drop> {
        let transport = &mut self.transports[index];
        if let Some(stream) = transport.streams.get(&header.ssrc) {
            return Ok(*stream);
        }
        let publications = &mut self.publications;
        let found = transport
            .publications
            .iter()
            .copied()
            .find_map(|candidate| {
                matches(&publications[candidate], transport, header, values).map(
                    |(encoding, rtx)| Stream {
                        publication: candidate,
                        encoding,
                        rtx,
                    },
                )
            });
        let stream = found.ok_or(Drop::UnknownSsrc)?;
        let replaced = publications[stream.publication].claim(
            now,
            stream.encoding,
            stream.rtx,
            header.ssrc,
        )?;
        if let Some(old) = replaced {
            transport.streams.remove(&old);
            if let Some(keys) = transport.inbound.as_mut() {
                keys.forget(old);
            }
        }
        transport.streams.insert(header.ssrc, stream);
        Ok(stream)
    }

    #[allow(clippy::too_many_arguments)] // one call chain over a packet's parts, nothing to bundle
    fn media(
        &mut self,
        now: Time,
        stream: Stream,
        codec: u8,
        header: &Header,
        values: &Values<'_>,
        payload: &[u8],
        rtx: bool,
        io: &mut dyn Io,
    ) -> Result<(), Drop> {
        let (seq, hopeless) = self.place(now, stream, codec, header.sequence, rtx)?;
        let publication = &mut self.publications[stream.publication];
        let name = publication
            .codec(codec)
            .ok_or(Drop::UnknownPayloadType)?
            .name;
        let entry = &mut publication.encodings[usize::from(stream.encoding)];
        let (timestamp, marker) = (header.timestamp, header.marker);
        entry
            .reception
            .count(now, timestamp, payload.len(), marker, rtx);
        if publication.muted {
            return Err(Drop::Muted);
        }
        let origin = Origin {
            arrival: now,
            seq,
            codec,
            name,
        };
        let read = understand(&mut entry.state, &origin, header, values, payload);
        let (facts, fresh, payload) = read.unwrap_or_else(|| {
            // What cannot be read is not forwarded, but its number is taken.
            self.drops.add(Drop::Malformed);
            (entry.state.padding(&origin, header), false, &[])
        });
        let structure = if fresh {
            entry.state.structure.clone()
        } else {
            None
        };
        if facts.keyframe && facts.frame_start {
            entry.keyframe_count += 1;
            entry.keyframes.satisfied();
        }
        self.encoding_started(stream, codec, header.ssrc, rtx, io);
        if hopeless {
            self.request_keyframe(now, stream.publication, stream.encoding, OURSELVES, io);
        }
        self.listen(now, stream.publication, facts.audio_level);
        if self.publications[stream.publication].audible {
            let descriptor = values
                .dependency_descriptor
                .filter(|_| facts.descriptor_len > 0);
            let bytes = (descriptor.unwrap_or(&[]), payload);
            self.distribute(now, stream, &facts, bytes, structure, io);
        }
        Ok(())
    }

    /// Extended number of a packet, and whether so many are missing that only a keyframe helps.
    fn place(
        &mut self,
        now: Time,
        stream: Stream,
        codec: u8,
        sequence: u16,
        rtx: bool,
    ) -> Result<(u64, bool), Drop> {
        let publication = &mut self.publications[stream.publication];
        let nack = publication.codec(codec).is_some_and(|c| c.nack);
        let transport = publication.transport;
        let entry = &mut publication.encodings[usize::from(stream.encoding)];
        if rtx && !entry.reception.started {
            return Err(Drop::TooOld);
        }
        match entry.reception.place(sequence) {
            Arrival::Newest { seq, previous } if nack => {
                let gap = entry.nack.advanced(now, previous, seq);
                if gap == Gap::Opened {
                    self.transports[transport].nack_pending = true;
                    self.schedule(transport, now + 5 * MILLIS);
                }
                Ok((seq, gap == Gap::Hopeless))
            }
            Arrival::Newest { seq, .. } => Ok((seq, false)),
            Arrival::Late { seq } => {
                entry.nack.filled(now, seq);
                Ok((seq, false))
            }
            Arrival::Duplicate => Err(Drop::Duplicate),
            Arrival::TooOld => Err(Drop::TooOld),
        }
    }

    fn encoding_started(
        &mut self,
        stream: Stream,
        codec: u8,
        ssrc: u32,
        rtx: bool,
        io: &mut dyn Io,
    ) {
        let publication = &mut self.publications[stream.publication];
        let entry = &mut publication.encodings[usize::from(stream.encoding)];
        if rtx || entry.codec == Some(codec) {
            return;
        }
        entry.codec = Some(codec);
        let quality = entry.spec.quality;
        if let Some(codec) = publication.codec(codec).map(|c| c.name) {
            io.event(Event::EncodingStarted {
                publication: publication.id,
                quality,
                ssrc,
                codec,
            });
        }
    }
}

/// Facts of a payload (of padding, when it is empty), and whether they brought a structure.
fn understand<'a>(
    state: &mut CodecState,
    origin: &Origin,
    header: &Header,
    values: &Values<'_>,
    payload: &'a [u8],
) -> Option<(Facts, bool, &'a [u8])> {
    if payload.is_empty() {
        return Some((state.padding(origin, header), false, payload));
    }
    let (facts, fresh) = state.read(origin, header, values, payload).ok()?;
    Some((facts, fresh, payload))
}

/// Whether a packet of an unknown SSRC belongs to this publication, and as what.
fn matches(
    publication: &Publication,
    transport: &Transport,
    header: &Header,
    values: &Values<'_>,
) -> Option<(u8, bool)> {
    let payload = publication.payload(header.payload_type)?;
    let rtx = matches!(payload, Payload::Rtx(_));
    match values.mid {
        Some(mid) if mid != publication.spec.mid => None,
        Some(_) => publication.encoding_for(values.rid, values.rrid, rtx),
        // Without a mid, a payload type decides only where it names one section alone.
        None if transport.publications.len() == 1
            || transport.ids.get(crate::wire::ext::Kind::Mid).is_none() =>
        {
            publication.encoding_for(values.rid, values.rrid, rtx)
        }
        None => None,
    }
}

pub(crate) fn srtp_drop(error: SrtpError) -> Drop {
    match error {
        SrtpError::Replay => Drop::Replay,
        SrtpError::TooManyStreams => Drop::Limit,
        SrtpError::Malformed(_) | SrtpError::Short => Drop::Malformed,
        _ => Drop::AuthFail,
    }
}

/// A reply is written into this; success with an IPv6 address takes 76 bytes.
const _: () = assert!(stun::MAX_MESSAGE >= 256);
