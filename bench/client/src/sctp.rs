//! One SCTP association with the data channels of LiveKit on it. It waits a moment for the
//! server to open the association, as Pion does, and opens it itself otherwise.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event,
    Payload, PayloadProtocolIdentifier, ServerConfig, StreamEvent,
};

const WAIT: Duration = Duration::from_millis(300);
/// More than this unsent on a channel: the sender waits.
const HIGH_WATER: usize = 1 << 20;

pub struct Sctp {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    remote: SocketAddr,
    started: Option<Instant>,
    connected: bool,
    first_stream: u16,
    opened: bool,
    incoming: Vec<Bytes>,
    outgoing: VecDeque<Bytes>,
    messages: Vec<Vec<u8>>,
}

impl Sctp {
    /// Stream ids are even for the DTLS client (RFC 8832 section 6).
    pub fn new(dtls_client: bool) -> Self {
        let server = Arc::new(ServerConfig::default());
        Self {
            endpoint: Endpoint::new(Arc::new(EndpointConfig::default()), Some(server)),
            association: None,
            remote: SocketAddr::from(([127, 0, 0, 1], 5000)),
            started: None,
            connected: false,
            first_stream: u16::from(!dtls_client),
            opened: false,
            incoming: Vec::new(),
            outgoing: VecDeque::new(),
            messages: Vec::new(),
        }
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    pub fn input(&mut self, packet: &[u8]) {
        self.incoming.push(Bytes::copy_from_slice(packet));
    }

    pub fn take_messages(&mut self, into: &mut Vec<Vec<u8>>) {
        into.append(&mut self.messages);
    }

    /// Whether there may be something to send.
    pub fn tick(&mut self, now: Instant) -> bool {
        let started = *self.started.get_or_insert(now);
        if self.association.is_none() && now - started > WAIT {
            self.association = self
                .endpoint
                .connect(ClientConfig::default(), self.remote)
                .ok();
            return true;
        }
        let Some((_, association)) = &mut self.association else {
            return false;
        };
        if association.poll_timeout().is_some_and(|at| at <= now) {
            association.handle_timeout(now);
            return true;
        }
        false
    }

    /// The next packet for DTLS.
    pub fn poll(&mut self, now: Instant) -> Option<Bytes> {
        if self.outgoing.is_empty() {
            self.advance(now);
        }
        self.outgoing.pop_front()
    }

    /// Takes what came and collects what there is to send; one transmit holds several packets.
    fn advance(&mut self, now: Instant) {
        for packet in std::mem::take(&mut self.incoming) {
            self.handle(packet, now);
        }
        if let Some((handle, association)) = &mut self.association {
            while let Some(event) = association.poll_endpoint_event() {
                if let Some(event) = self.endpoint.handle_event(*handle, event) {
                    association.handle_event(event);
                }
            }
        }
        self.read_events();
        let next = self.endpoint.poll_transmit();
        let next = next.or_else(|| self.association.as_mut()?.1.poll_transmit(now));
        if let Some(Payload::RawEncode(packets)) = next.map(|transmit| transmit.payload) {
            self.outgoing.extend(packets);
        }
    }

    /// Opens `_reliable` (first id) and `_lossy` (the next) by DCEP (RFC 8832).
    pub fn open_channels(&mut self) {
        let Some((_, association)) = self
            .association
            .as_mut()
            .filter(|_| self.connected && !self.opened)
        else {
            return;
        };
        self.opened = true;
        for (offset, label, kind, retransmits) in
            [(0u16, "_reliable", 0x00u8, 0u32), (2, "_lossy", 0x81, 0)]
        {
            let mut open = vec![3, kind, 0, 0];
            open.extend(retransmits.to_be_bytes());
            open.extend((label.len() as u16).to_be_bytes());
            open.extend([0, 0]);
            open.extend(label.bytes());
            let id = self.first_stream + offset;
            if let Ok(mut stream) = association.open_stream(id, PayloadProtocolIdentifier::Binary) {
                let _ = stream.write_with_ppi(&open, PayloadProtocolIdentifier::Dcep);
            }
        }
    }

    /// False: the channel is not open or full.
    pub fn send(&mut self, lossy: bool, message: &[u8]) -> bool {
        let id = self.first_stream + if lossy { 2 } else { 0 };
        let Some((_, association)) = self.association.as_mut().filter(|_| self.opened) else {
            return false;
        };
        let Ok(mut stream) = association.stream(id) else {
            return false;
        };
        if stream.buffered_amount().unwrap_or(0) > HIGH_WATER {
            return false;
        }
        stream
            .write_with_ppi(message, PayloadProtocolIdentifier::Binary)
            .is_ok()
    }

    fn handle(&mut self, packet: Bytes, now: Instant) {
        match self.endpoint.handle(now, self.remote, None, None, packet) {
            Some((handle, DatagramEvent::NewAssociation(association)))
                if self.association.is_none() =>
            {
                self.association = Some((handle, association));
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, association)) = &mut self.association {
                    association.handle_event(event);
                }
            }
            _ => {}
        }
    }

    fn read_events(&mut self) {
        let Some((_, association)) = &mut self.association else {
            return;
        };
        while let Some(event) = association.poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::Stream(StreamEvent::Readable { id }) => {
                    let Ok(mut stream) = association.stream(id) else {
                        continue;
                    };
                    while let Ok(Some(chunks)) = stream.read_sctp() {
                        let ppi = chunks.ppi;
                        let mut message = vec![0u8; chunks.len()];
                        let _ = chunks.read(&mut message);
                        match ppi {
                            PayloadProtocolIdentifier::Dcep if message.first() == Some(&3) => {
                                let _ =
                                    stream.write_with_ppi(&[2], PayloadProtocolIdentifier::Dcep);
                            }
                            PayloadProtocolIdentifier::Dcep => {}
                            _ => self.messages.push(message),
                        }
                    }
                }
                _ => {}
            }
        }
    }
}
