//! The data channel establishment protocol (RFC 8832): two messages, OPEN and ACK.

const ACK: u8 = 0x02;
const OPEN: u8 = 0x03;
const HEADER: usize = 12;
const UNORDERED: u8 = 0x80;
/// Labels and protocols are names; a longer one is a mistake or an attack.
pub const NAME_BOUND: usize = 1024;

/// How hard a channel tries (RFC 8832 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reliability {
    Reliable,
    /// At most this many retransmissions of a message.
    Retransmits(u32),
    /// Give up this many milliseconds after the first transmission.
    Lifetime(u32),
}

/// A DATA_CHANNEL_OPEN message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub label: String,
    pub protocol: String,
    pub ordered: bool,
    pub reliability: Reliability,
}

/// What a DCEP message says.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    Open(Open),
    Ack,
}

/// Reads one DCEP message; `None` for anything malformed.
pub fn parse(bytes: &[u8]) -> Option<Message> {
    match *bytes.first()? {
        ACK => Some(Message::Ack),
        OPEN => parse_open(bytes).map(Message::Open),
        _ => None,
    }
}

fn parse_open(bytes: &[u8]) -> Option<Open> {
    let header: &[u8; HEADER] = bytes.get(..HEADER)?.try_into().ok()?;
    let parameter = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    let label = usize::from(u16::from_be_bytes([header[8], header[9]]));
    let protocol = usize::from(u16::from_be_bytes([header[10], header[11]]));
    if label > NAME_BOUND || protocol > NAME_BOUND {
        return None;
    }
    let names = bytes.get(HEADER..HEADER + label + protocol)?;
    let reliability = match header[1] & !UNORDERED {
        0x00 => Reliability::Reliable,
        0x01 => Reliability::Retransmits(parameter),
        0x02 => Reliability::Lifetime(parameter),
        _ => return None,
    };
    Some(Open {
        label: std::str::from_utf8(&names[..label]).ok()?.to_owned(),
        protocol: std::str::from_utf8(&names[label..]).ok()?.to_owned(),
        ordered: header[1] & UNORDERED == 0,
        reliability,
    })
}

/// The ACK message.
pub const fn ack() -> [u8; 1] {
    [ACK]
}

/// Writes an OPEN message; names above the bound are cut, since only we choose them.
pub fn open(message: &Open) -> Vec<u8> {
    let (kind, parameter) = match message.reliability {
        Reliability::Reliable => (0x00, 0),
        Reliability::Retransmits(n) => (0x01, n),
        Reliability::Lifetime(ms) => (0x02, ms),
    };
    let label = &message.label.as_bytes()[..message.label.len().min(NAME_BOUND)];
    let protocol = &message.protocol.as_bytes()[..message.protocol.len().min(NAME_BOUND)];
    let mut out = Vec::with_capacity(HEADER + label.len() + protocol.len());
    out.extend([
        OPEN,
        kind | if message.ordered { 0 } else { UNORDERED },
        0,
        0,
    ]);
    out.extend(parameter.to_be_bytes());
    out.extend((label.len() as u16).to_be_bytes());
    out.extend((protocol.len() as u16).to_be_bytes());
    out.extend(label);
    out.extend(protocol);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_message_survives_writing_and_reading() {
        for (ordered, reliability) in [
            (true, Reliability::Reliable),
            (false, Reliability::Retransmits(0)),
            (false, Reliability::Lifetime(500)),
        ] {
            let message = Open {
                label: "_lossy".into(),
                protocol: String::new(),
                ordered,
                reliability,
            };
            assert_eq!(parse(&open(&message)), Some(Message::Open(message)));
        }
        assert_eq!(parse(&ack()), Some(Message::Ack));
    }

    #[test]
    fn a_message_that_lies_about_its_length_is_none() {
        let whole = open(&Open {
            label: "label".into(),
            protocol: "protocol".into(),
            ordered: true,
            reliability: Reliability::Reliable,
        });
        for cut in 0..whole.len() {
            assert_eq!(parse(&whole[..cut]), None);
        }
        let mut long = whole.clone();
        long[8] = 0xff;
        assert_eq!(parse(&long), None);
        let mut kind = whole;
        kind[1] = 0x07;
        assert_eq!(parse(&kind), None);
    }
}
