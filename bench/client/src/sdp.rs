//! Just enough SDP: reads the sections of an offer or answer, writes the answer of a receiver
//! and the offer of a sender. Lenient, because it is the servers that are under test.

use std::net::{IpAddr, SocketAddr};

pub const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
pub const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
pub const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const DEPENDENCY: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

#[derive(Clone, Debug, Default)]
pub struct Section {
    pub kind: String,
    pub protocol: String,
    pub port: u16,
    pub formats: String,
    pub lines: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Description {
    pub session: Vec<String>,
    pub sections: Vec<Section>,
}

/// ICE and DTLS parameters of the other side.
#[derive(Clone, Debug, Default)]
pub struct Remote {
    pub ufrag: String,
    pub pwd: String,
    pub setup: String,
    pub lite: bool,
    pub candidates: Vec<SocketAddr>,
}

impl Section {
    pub fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.lines
            .iter()
            .filter_map(move |line| line.strip_prefix(name)?.strip_prefix(':'))
    }

    pub fn mid(&self) -> &str {
        self.value("mid").unwrap_or("0")
    }

    pub fn has(&self, flag: &str) -> bool {
        self.lines.iter().any(|line| line == flag)
    }

    pub fn extension(&self, uri: &str) -> Option<u8> {
        self.values("extmap").find_map(|value| {
            let (id, name) = value.split_once(' ')?;
            (name.split(' ').next()? == uri)
                .then(|| id.split('/').next()?.parse().ok())
                .flatten()
        })
    }

    pub fn is_media(&self) -> bool {
        self.kind == "audio" || self.kind == "video"
    }
}

impl Description {
    pub fn parse(text: &str) -> Self {
        let mut description = Self::default();
        for line in text.lines().map(str::trim_end) {
            if let Some(media) = line.strip_prefix("m=") {
                let mut words = media.splitn(4, ' ');
                let mut word = || words.next().unwrap_or_default().to_owned();
                let (kind, port, protocol, formats) = (word(), word(), word(), word());
                let port = port.parse().unwrap_or(9);
                description.sections.push(Section {
                    kind,
                    protocol,
                    port,
                    formats,
                    lines: Vec::new(),
                });
            } else if let Some(attribute) = line.strip_prefix("a=") {
                match description.sections.last_mut() {
                    Some(section) => section.lines.push(attribute.to_owned()),
                    None => description.session.push(attribute.to_owned()),
                }
            }
        }
        description
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        let of = |lines: &'_ Vec<String>| {
            lines.iter().position(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(':'))
            })
        };
        let lines = self
            .sections
            .iter()
            .map(|section| &section.lines)
            .chain([&self.session]);
        lines
            .filter_map(|lines| of(lines).map(|at| &lines[at][name.len() + 1..]))
            .next()
    }

    pub fn remote(&self) -> Remote {
        let candidates = self
            .sections
            .iter()
            .flat_map(|section| section.values("candidate"))
            .filter_map(candidate);
        Remote {
            ufrag: self.attribute("ice-ufrag").unwrap_or_default().to_owned(),
            pwd: self.attribute("ice-pwd").unwrap_or_default().to_owned(),
            setup: self.attribute("setup").unwrap_or_default().to_owned(),
            lite: self.session.iter().any(|line| line == "ice-lite"),
            candidates: candidates.collect(),
        }
    }
}

/// The address of a UDP host candidate on IPv4, from `candidate:...` with or without prefix.
pub fn candidate(text: &str) -> Option<SocketAddr> {
    let words: Vec<&str> = text.trim_start_matches("candidate:").split(' ').collect();
    let udp = words.get(2)?.eq_ignore_ascii_case("udp") && *words.get(1)? == "1";
    let ip: IpAddr = words.get(4)?.parse().ok()?;
    (udp && ip.is_ipv4()).then_some(SocketAddr::new(ip, words.get(5)?.parse().ok()?))
}

/// Our side of one peer connection.
pub struct Local<'a> {
    pub ufrag: &'a str,
    pub pwd: &'a str,
    pub fingerprint: &'a str,
    pub address: SocketAddr,
    pub version: u64,
}

impl Local<'_> {
    fn head(&self, mids: &[String]) -> String {
        format!(
            "v=0\r\no=- 7414 {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=msid-semantic: WMS *\r\n",
            self.version,
            mids.join(" ")
        )
    }

    fn transport(&self, setup: &str) -> String {
        format!(
            "c=IN IP4 127.0.0.1\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:{setup}\r\n\
             a=candidate:1 1 udp 2122260223 {} {} typ host\r\na=end-of-candidates\r\n",
            self.ufrag,
            self.pwd,
            self.fingerprint,
            self.address.ip(),
            self.address.port()
        )
    }

    /// Accepts everything that `offer` sends, as a receiver.
    pub fn answer(&self, offer: &Description) -> String {
        let live = |section: &&Section| section.port != 0 || section.has("bundle-only");
        let mids: Vec<String> = offer
            .sections
            .iter()
            .filter(live)
            .map(|s| s.mid().to_owned())
            .collect();
        let mut text = self.head(&mids);
        for section in &offer.sections {
            let port = if live(&section) { 9 } else { 0 };
            text += &format!(
                "m={} {port} {} {}\r\n",
                section.kind, section.protocol, section.formats
            );
            text += &self.transport("active");
            text += &format!("a=mid:{}\r\n", section.mid());
            if section.is_media() {
                text += &answer_media(section);
            } else {
                text += "a=sctp-port:5000\r\na=max-message-size:262144\r\n";
            }
        }
        text
    }

    /// Offers `sections`; their mids are their positions.
    pub fn offer(&self, sections: &[Offered]) -> String {
        let mids: Vec<String> = (0..sections.len()).map(|mid| mid.to_string()).collect();
        let mut text = self.head(&mids);
        for (mid, section) in sections.iter().enumerate() {
            let formats = match section.kind {
                Kind::Audio => "audio 9 UDP/TLS/RTP/SAVPF 111",
                Kind::Video => "video 9 UDP/TLS/RTP/SAVPF 96 97",
                Kind::Data => "application 9 UDP/DTLS/SCTP webrtc-datachannel",
            };
            text += &format!(
                "m={formats}\r\n{}a=mid:{mid}\r\n",
                self.transport("actpass")
            );
            text += &match section.kind {
                Kind::Data => "a=sctp-port:5000\r\na=max-message-size:262144\r\n".to_owned(),
                _ => offer_media(section),
            };
        }
        text
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Audio,
    Video,
    Data,
}

/// A section that we offer: data, a track to send, or (`None`) room to receive one.
#[derive(Clone, Debug)]
pub struct Offered {
    pub kind: Kind,
    pub send: Option<(String, u32)>,
}

fn known(uri: &str) -> bool {
    [
        MID,
        AUDIO_LEVEL,
        ABS_SEND_TIME,
        TRANSPORT_CC,
        DEPENDENCY,
        PLAYOUT_DELAY,
    ]
    .contains(&uri)
}

fn answer_media(section: &Section) -> String {
    let sends = section.has("sendrecv") || section.has("sendonly");
    let direction = if sends { "recvonly" } else { "inactive" };
    let mut text = format!("a={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n");
    for line in &section.lines {
        let kept = ["rtpmap:", "fmtp:", "rtcp-fb:"]
            .iter()
            .any(|name| line.starts_with(name));
        let extension = line
            .strip_prefix("extmap:")
            .and_then(|value| value.split(' ').nth(1))
            .is_some_and(known);
        if kept || extension {
            text += &format!("a={line}\r\n");
        }
    }
    text
}

fn offer_media(section: &Offered) -> String {
    let mut text = String::from("a=rtcp-mux\r\na=rtcp-rsize\r\n");
    text +=
        &format!("a=extmap:4 {MID}\r\na=extmap:3 {TRANSPORT_CC}\r\na=extmap:2 {ABS_SEND_TIME}\r\n");
    text += match section.kind {
        Kind::Audio => {
            "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtcp-fb:111 transport-cc\r\n\
             a=rtcp-fb:111 nack\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
        }
        _ => {
            "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 ccm fir\r\n\
             a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
        }
    };
    match &section.send {
        Some((track, ssrc)) => {
            text += &format!(
                "a=sendonly\r\na=msid:bench {track}\r\na=ssrc:{ssrc} cname:bench\r\na=ssrc:{ssrc} msid:bench {track}\r\n"
            );
        }
        None => text += "a=recvonly\r\n",
    }
    text
}
