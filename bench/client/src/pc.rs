//! One peer connection: a link, a minimal ICE agent with one candidate pair, DTLS, SRTP keys.
//! RTP and RTCP go past it to `participant`; it answers STUN and DTLS itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};
use sotto_engine_core::wire::srtp::{Profile, Receiver, Sender};
use sotto_engine_core::wire::stun::{self, IntegrityKey, Message, Role};

use crate::cert::Certificate;
use crate::link::Link;
use crate::sctp::Sctp;
use crate::sdp::Remote;

const CHECK_FAST_US: u64 = 50_000;
const CHECK_SLOW_US: u64 = 2_000_000;
const TIE_BREAKER: u64 = 0x5eed_0f1c_e000_0001;
const PRIORITY: u32 = 0x6e00_01ff;

pub struct Pc {
    pub link: Link,
    pub ufrag: String,
    pub pwd: String,
    /// Version of our description, one more for each.
    pub version: u64,
    pub srtp: Option<Box<(Sender, Receiver)>>,
    pub profile: Option<Profile>,
    pub sctp: Option<Sctp>,
    /// User messages that SCTP gave, for `participant` to take.
    pub messages: Vec<Vec<u8>>,
    remote: Remote,
    connected: bool,
    controlling: bool,
    pub ice_done: bool,
    /// DTLS gave up; its errors are final.
    pub failed: bool,
    next_check_us: u64,
    dtls: Option<Box<Dtls>>,
    dtls_at: Option<Instant>,
    certificate: Arc<Certificate>,
    transaction: u64,
}

impl Pc {
    /// `offerer`: we send the first offer, and so control ICE.
    pub fn new(certificate: &Arc<Certificate>, link: Link, number: u64, offerer: bool) -> Self {
        Self {
            link,
            ufrag: format!("bn{number:06}"),
            pwd: format!("benchpassword{number:011}"),
            version: 0,
            srtp: None,
            profile: None,
            sctp: None,
            messages: Vec::new(),
            remote: Remote::default(),
            connected: false,
            controlling: offerer,
            ice_done: false,
            failed: false,
            next_check_us: 0,
            dtls: None,
            dtls_at: None,
            certificate: certificate.clone(),
            transaction: number << 32,
        }
    }

    pub fn set_remote(&mut self, remote: Remote) {
        let candidates = remote.candidates.clone();
        self.controlling |= remote.lite;
        self.remote = remote;
        candidates
            .into_iter()
            .for_each(|candidate| self.add_candidate(candidate));
    }

    pub fn add_candidate(&mut self, candidate: SocketAddr) {
        if !self.connected && self.link.connect(candidate) {
            self.connected = true;
            self.next_check_us = 0;
        }
    }

    pub fn send(&self, bytes: &[u8]) {
        self.link.send(bytes);
    }

    /// ICE checks, DTLS and SCTP timers; call each few milliseconds.
    pub fn tick(&mut self, now_us: u64, now: Instant) {
        if self.connected && !self.remote.pwd.is_empty() && now_us >= self.next_check_us {
            self.next_check_us = now_us
                + if self.ice_done {
                    CHECK_SLOW_US
                } else {
                    CHECK_FAST_US
                };
            self.check();
        }
        if self.dtls_at.is_some_and(|at| at <= now) {
            self.dtls_at = None;
            if let Some(dtls) = &mut self.dtls {
                self.failed |= dtls.handle_timeout(now).is_err();
            }
            self.drain_dtls(now);
        }
        if self.sctp.as_mut().is_some_and(|sctp| sctp.tick(now)) {
            self.flush_sctp(now);
        }
    }

    pub fn on_stun(&mut self, bytes: &[u8], now: Instant) {
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        match message.class {
            stun::Class::Request => {
                let mut out = [0u8; 128];
                let key = IntegrityKey::new(self.pwd.as_bytes());
                let Some(peer) = self.link.peer() else {
                    return;
                };
                if let Some(len) = stun::write_success(&mut out, &message.transaction, peer, &key) {
                    self.send(&out[..len]);
                }
            }
            stun::Class::Success => {
                self.ice_done = true;
                self.start_dtls(now);
            }
            _ => {}
        }
    }

    pub fn on_dtls(&mut self, bytes: &[u8], now: Instant) {
        self.start_dtls(now);
        if let Some(dtls) = &mut self.dtls {
            self.failed |= dtls.handle_packet(bytes).is_err();
        }
        self.drain_dtls(now);
    }

    /// Sends what SCTP has to say, through DTLS, whose queue of outgoing records is short: each
    /// packet leaves before the next is made.
    pub fn flush_sctp(&mut self, now: Instant) {
        loop {
            let (Some(sctp), Some(dtls)) = (&mut self.sctp, &mut self.dtls) else {
                return;
            };
            let Some(packet) = sctp.poll(now) else { break };
            if dtls.send_application_data(&packet).is_err() {
                self.failed = true;
            }
            self.poll_dtls();
        }
        if let Some(sctp) = &mut self.sctp {
            sctp.take_messages(&mut self.messages);
        }
        self.poll_dtls();
    }

    fn check(&mut self) {
        self.transaction += 1;
        let mut transaction = [0u8; 12];
        transaction[4..].copy_from_slice(&self.transaction.to_be_bytes());
        let username = format!("{}:{}", self.remote.ufrag, self.ufrag);
        let role = if self.controlling {
            Role::Controlling(TIE_BREAKER)
        } else {
            Role::Controlled(TIE_BREAKER)
        };
        let request = stun::Request {
            transaction,
            username: &username,
            priority: PRIORITY,
            role,
            use_candidate: self.controlling,
        };
        let key = IntegrityKey::new(self.remote.pwd.as_bytes());
        let mut out = [0u8; 256];
        if let Some(len) = stun::write_request(&mut out, &request, &key) {
            self.send(&out[..len]);
        }
    }

    fn start_dtls(&mut self, now: Instant) {
        if self.dtls.is_some() {
            return;
        }
        let certificate = DtlsCertificate {
            certificate: self.certificate.der.clone(),
            private_key: self.certificate.key.clone(),
        };
        let mut dtls = Dtls::new_12(Arc::new(dimpl::Config::default()), certificate, now);
        // We answer `active` and offer `actpass`: the server's answer decides.
        dtls.set_active(self.is_dtls_client());
        self.dtls = Some(Box::new(dtls));
        if let Some(dtls) = &mut self.dtls {
            let _ = dtls.handle_timeout(now);
        }
        self.drain_dtls(now);
    }

    fn is_dtls_client(&self) -> bool {
        self.remote.setup != "active"
    }

    fn drain_dtls(&mut self, now: Instant) {
        self.poll_dtls();
        self.flush_sctp(now);
    }

    fn poll_dtls(&mut self) {
        let Some(mut dtls) = self.dtls.take() else {
            return;
        };
        let mut buffer = vec![0u8; 4096];
        loop {
            match dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => self.send(packet),
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::Timeout(at) => {
                    self.dtls_at = Some(at);
                    break;
                }
                Output::KeyingMaterial(keys, profile) => self.set_keys(&keys, profile),
                Output::ApplicationData(data) => {
                    if let Some(sctp) = &mut self.sctp {
                        sctp.input(data);
                    }
                }
                Output::CloseNotify => break,
                _ => {}
            }
        }
        self.dtls = Some(dtls);
    }

    /// RFC 5764 section 4.2: client key, server key, client salt, server salt.
    fn set_keys(&mut self, keys: &[u8], profile: SrtpProfile) {
        let profile = match profile {
            SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
            SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
            _ => Profile::Aes128CmSha1_80,
        };
        let (key, salt) = (profile.key_len(), profile.salt_len());
        if keys.len() < 2 * (key + salt) {
            return;
        }
        let client = (&keys[..key], &keys[2 * key..2 * key + salt]);
        let server = (&keys[key..2 * key], &keys[2 * key + salt..2 * (key + salt)]);
        let (local, remote) = if self.is_dtls_client() {
            (client, server)
        } else {
            (server, client)
        };
        let pair = (
            Sender::new(profile, local.0, local.1),
            Receiver::new(profile, remote.0, remote.1),
        );
        if let (Ok(sender), Ok(receiver)) = pair {
            self.srtp = Some(Box::new((sender, receiver)));
            self.profile = Some(profile);
            self.sctp = Some(Sctp::new(self.is_dtls_client()));
        }
    }
}
