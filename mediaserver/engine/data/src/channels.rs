//! One association and its channels: opens, accepts, sends, receives, within bounds.
//!
//! States: waiting for the peer's INIT -> up -> gone. The peer always initiates (every WebRTC stack
//! does as ICE controlling side, and we are ICE-lite), so nothing is sent before its INIT.
//! Long because a channel's life (opened by either side, its queue, its end) is bound to the streams
//! of the one association.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, DatagramEvent, Endpoint, EndpointConfig, Error, Payload,
    PayloadProtocolIdentifier as Ppi, ReliabilityType, ServerConfig, StreamEvent, TransportConfig,
};
use sotto_engine_core::wire::dcep::{self, Message, Open, Reliability};
use sotto_engine_core::wire::sctp;

/// The association has no address of its own inside DTLS; the library wants one.
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);
/// A DCEP OPEN, with the longest names accepted, fits.
const DCEP_BOUND: usize = 12 + 2 * dcep::NAME_BOUND;
/// Stream ids that a peer may use; a stream costs memory before its OPEN is read.
const STREAM_BOUND: u16 = 1024;
/// Bounds what one application that never reads its events can make us keep.
const EVENT_BOUND: usize = 4096;

/// Bounds of one association, in bytes unless said.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    pub max_message: u32,
    pub receive_buffer: u32,
    /// What may wait for a peer that does not drain, all channels together.
    pub send_buffer: usize,
    /// Channels open at once, theirs and ours.
    pub channels: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message: 256 * 1024,
            receive_buffer: 1024 * 1024,
            send_buffer: 4 * 1024 * 1024,
            channels: 16,
        }
    }
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Connected,
    /// A channel is usable: opened by the peer, or ours (`ours`) and acknowledged.
    Opened {
        stream: u16,
        open: Open,
        ours: bool,
    },
    Received {
        stream: u16,
        data: Bytes,
        binary: bool,
    },
    Closed {
        stream: u16,
    },
    /// The association is over; nothing comes after.
    Lost {
        reason: String,
    },
}

/// Why a message was not sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SendError {
    #[error("the peer does not drain its channel")]
    Full,
    #[error("message larger than the peer or the configuration allows")]
    TooLarge,
    #[error("no such channel")]
    Closed,
}

struct Channel {
    open: Open,
    ours: bool,
    up: bool,
}

/// An SCTP association with its data channels. Owned by one participant's target.
pub struct Channels {
    config: Config,
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    connected: bool,
    channels: HashMap<u16, Channel>,
    waiting: Vec<(u16, Open)>,
    next_stream: u16,
    events: VecDeque<Event>,
    refused: u64,
}

impl Channels {
    /// `dtls_server` decides the parity of the streams that we open (RFC 8832 section 6).
    pub fn new(config: Config, dtls_server: bool) -> Self {
        let transport = TransportConfig::default()
            .with_max_receive_buffer_size(config.receive_buffer)
            .with_max_receive_message_size(config.max_message)
            .with_max_send_message_size(config.max_message)
            .with_max_num_inbound_streams(STREAM_BOUND)
            .with_max_num_outbound_streams(STREAM_BOUND)
            // RFC 4960's 1 s and 3 s are for the open internet of 2007; a lost data message in a
            // call should be there again within a few round trips.
            .with_rto_initial_ms(1000)
            .with_rto_min_ms(200)
            .with_rto_max_ms(5000)
            .with_max_data_retransmits(None);
        let mut server = ServerConfig::new();
        server.transport = Arc::new(transport);
        Self {
            config,
            endpoint: Endpoint::new(Arc::new(EndpointConfig::new()), Some(Arc::new(server))),
            association: None,
            connected: false,
            channels: HashMap::new(),
            waiting: Vec::new(),
            next_stream: u16::from(dtls_server),
            events: VecDeque::new(),
            refused: 0,
        }
    }

    /// Packets and messages that were refused so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes one packet from DTLS. What is malformed or of no association is counted and goes no
    /// further; so does an INIT of another association than the first.
    pub fn receive(&mut self, now: Instant, packet: &[u8]) -> bool {
        if sctp::check(packet).is_err() {
            self.refused += 1;
            return false;
        }
        let data = Bytes::copy_from_slice(packet);
        match self.endpoint.handle(now, PEER, None, None, data) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                // One alone: of each further INIT the endpoint would keep an entry for ever.
                self.endpoint.reject_new_associations();
                self.association = Some((handle, association));
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, association)) = &mut self.association {
                    association.handle_event(event);
                }
            }
            None => {
                self.refused += 1;
                return false;
            }
        }
        self.advance();
        true
    }

    /// What its endpoint remembers of every association that it made.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> String {
        let said = format!("{:?}", self.endpoint);
        let from = said.find("association_ids_initial").unwrap_or_default();
        said[from..]
            .split(", config")
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// Announces a channel to the peer; it is usable when `Event::Opened` comes.
    pub fn open(&mut self, open: Open) -> Option<u16> {
        if self.channels.len() + self.waiting.len() >= self.config.channels {
            return None;
        }
        let stream = self.next_stream;
        self.next_stream = self.next_stream.checked_add(2)?;
        self.waiting.push((stream, open));
        self.advance();
        Some(stream)
    }

    /// Queues one message. Nothing is queued when an error is returned.
    pub fn send(&mut self, stream: u16, data: &[u8], binary: bool) -> Result<(), SendError> {
        if data.len() > self.config.max_message as usize {
            return Err(SendError::TooLarge);
        }
        if !self.channels.get(&stream).is_some_and(|channel| channel.up) {
            return Err(SendError::Closed);
        }
        if self.buffered() + data.len() > self.config.send_buffer {
            return Err(SendError::Full);
        }
        // RFC 8831 section 6.6: an empty message is one zero byte under a protocol id of its own.
        let (ppi, data) = match (data.is_empty(), binary) {
            (false, true) => (Ppi::Binary, data),
            (false, false) => (Ppi::String, data),
            (true, true) => (Ppi::BinaryEmpty, &[0][..]),
            (true, false) => (Ppi::StringEmpty, &[0][..]),
        };
        self.write(stream, data, ppi)
    }

    /// Bytes queued and not yet acknowledged, all channels together.
    pub fn buffered(&mut self) -> usize {
        let Some((_, association)) = &mut self.association else {
            return 0;
        };
        let streams: Vec<u16> = self.channels.keys().copied().collect();
        streams
            .into_iter()
            .filter_map(|stream| association.stream(stream).ok()?.buffered_amount().ok())
            .sum()
    }

    /// The next packet for DTLS, or `None`.
    pub fn transmit(&mut self, now: Instant) -> Option<Vec<Bytes>> {
        let next = self.endpoint.poll_transmit().or_else(|| {
            self.association
                .as_mut()
                .and_then(|(_, association)| association.poll_transmit(now))
        })?;
        match next.payload {
            Payload::RawEncode(packets) => Some(packets),
            Payload::PartialDecode(_) => Some(Vec::new()),
        }
    }

    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When `timer` wants to be called.
    pub fn next_timer(&self) -> Option<Instant> {
        self.association
            .as_ref()
            .and_then(|(_, association)| association.poll_timeout())
    }

    pub fn timer(&mut self, now: Instant) {
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
        self.advance();
    }

    /// Ends the association: an ABORT is queued for `transmit`.
    pub fn close(&mut self) {
        if let Some((_, association)) = &mut self.association {
            let _ = association.close();
        }
    }

    fn advance(&mut self) {
        while let Some(event) = self.association.as_mut().and_then(|(_, a)| a.poll()) {
            self.on_event(event);
        }
        if let Some((handle, association)) = &mut self.association {
            while let Some(event) = association.poll_endpoint_event() {
                if let Some(back) = self.endpoint.handle_event(*handle, event) {
                    association.handle_event(back);
                }
            }
        }
        if self.connected {
            for (stream, open) in std::mem::take(&mut self.waiting) {
                self.announce(stream, open);
            }
        }
    }

    fn on_event(&mut self, event: sctp_proto::Event) {
        match event {
            sctp_proto::Event::Connected => {
                self.connected = true;
                self.push(Event::Connected);
            }
            sctp_proto::Event::HandshakeFailed { reason }
            | sctp_proto::Event::AssociationLost { reason } => {
                self.connected = false;
                self.channels.clear();
                self.push(Event::Lost {
                    reason: reason.to_string(),
                });
            }
            sctp_proto::Event::Stream(StreamEvent::Readable { id }) => self.read(id),
            sctp_proto::Event::Stream(StreamEvent::Finished { id }) => self.finished(id),
            _ => {}
        }
    }

    fn finished(&mut self, stream: u16) {
        if self.channels.remove(&stream).is_some() {
            self.push(Event::Closed { stream });
        }
    }

    fn announce(&mut self, stream: u16, open: Open) {
        let Some((_, association)) = &mut self.association else {
            return;
        };
        let opened = association.open_stream(stream, Ppi::Binary).is_ok();
        let message = dcep::open(&open);
        if opened && self.write(stream, &message, Ppi::Dcep).is_ok() {
            self.shape(stream, &open);
            self.channels.insert(
                stream,
                Channel {
                    open,
                    ours: true,
                    up: false,
                },
            );
        } else {
            self.push(Event::Closed { stream });
        }
    }

    fn read(&mut self, stream: u16) {
        loop {
            let Some((_, association)) = &mut self.association else {
                return;
            };
            let Ok(mut readable) = association.stream(stream) else {
                return;
            };
            let Ok(Some(chunks)) = readable.read_sctp() else {
                return;
            };
            let mut data = vec![0; chunks.len()];
            if chunks.read(&mut data).is_err() {
                self.refused += 1;
                continue;
            }
            self.on_message(stream, chunks.ppi, data);
        }
    }

    fn on_message(&mut self, stream: u16, ppi: Ppi, data: Vec<u8>) {
        let binary = matches!(ppi, Ppi::Binary | Ppi::BinaryEmpty);
        match ppi {
            Ppi::Dcep if data.len() <= DCEP_BOUND => self.on_dcep(stream, &data),
            Ppi::Binary | Ppi::String | Ppi::BinaryEmpty | Ppi::StringEmpty => {
                let empty = matches!(ppi, Ppi::BinaryEmpty | Ppi::StringEmpty);
                // The peer may send before our ACK reached it, never before its own OPEN.
                if self.channels.contains_key(&stream) {
                    let data = if empty {
                        Bytes::new()
                    } else {
                        Bytes::from(data)
                    };
                    self.push(Event::Received {
                        stream,
                        data,
                        binary,
                    });
                } else {
                    self.refused += 1;
                }
            }
            _ => self.refused += 1,
        }
    }

    fn on_dcep(&mut self, stream: u16, data: &[u8]) {
        match dcep::parse(data) {
            Some(Message::Open(open)) => self.on_open(stream, open),
            Some(Message::Ack) => {
                let Some(channel) = self.channels.get_mut(&stream).filter(|c| c.ours && !c.up)
                else {
                    self.refused += 1;
                    return;
                };
                channel.up = true;
                let open = channel.open.clone();
                self.push(Event::Opened {
                    stream,
                    open,
                    ours: true,
                });
            }
            None => self.refused += 1,
        }
    }

    fn on_open(&mut self, stream: u16, open: Open) {
        if self.channels.contains_key(&stream) || self.channels.len() >= self.config.channels {
            self.refused += 1;
            if let Some((_, association)) = &mut self.association
                && let Ok(mut refused) = association.stream(stream)
            {
                let _ = refused.close();
            }
            return;
        }
        self.shape(stream, &open);
        self.channels.insert(
            stream,
            Channel {
                open: open.clone(),
                ours: false,
                up: true,
            },
        );
        if self.write(stream, &dcep::ack(), Ppi::Dcep).is_err() {
            self.refused += 1;
        }
        self.push(Event::Opened {
            stream,
            open,
            ours: false,
        });
    }

    /// Our sending half behaves as the channel was announced (RFC 8832 section 5.1).
    fn shape(&mut self, stream: u16, open: &Open) {
        let (kind, value) = match open.reliability {
            Reliability::Reliable => (ReliabilityType::Reliable, 0),
            Reliability::Retransmits(n) => (ReliabilityType::Rexmit, n),
            Reliability::Lifetime(ms) => (ReliabilityType::Timed, ms),
        };
        if let Some((_, association)) = &mut self.association
            && let Ok(mut writable) = association.stream(stream)
        {
            let _ = writable.set_reliability_params(!open.ordered, kind, value);
        }
    }

    fn write(&mut self, stream: u16, data: &[u8], ppi: Ppi) -> Result<(), SendError> {
        let Some((_, association)) = &mut self.association else {
            return Err(SendError::Closed);
        };
        let mut writable = association.stream(stream).map_err(|_| SendError::Closed)?;
        match writable.write_with_ppi(data, ppi) {
            Ok(_) => Ok(()),
            Err(Error::ErrOutboundPacketTooLarge) => Err(SendError::TooLarge),
            Err(_) => Err(SendError::Closed),
        }
    }

    fn push(&mut self, event: Event) {
        if self.events.len() < EVENT_BOUND {
            self.events.push_back(event);
        } else {
            self.refused += 1;
        }
    }
}
