//! Datagrams in a stream, each after its length in 16 bits (RFC 4571 section 2): ICE over TCP.

use super::Malformed;

/// Larger frames are no datagram of WebRTC: DTLS, STUN and SRTP stay near 1,500 bytes.
pub const MAX_FRAME: usize = 4_096;
pub const PREFIX: usize = 2;

/// The frame that starts at `at`, moving `at` behind it; `None` when it is not whole yet.
pub fn next_frame<'a>(
    bytes: &'a mut [u8],
    at: &mut usize,
) -> Result<Option<&'a mut [u8]>, Malformed> {
    loop {
        let rest = &bytes[*at..];
        if rest.len() < PREFIX {
            return Ok(None);
        }
        let size = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        if size > MAX_FRAME {
            return Err(Malformed::Length);
        }
        if rest.len() < PREFIX + size {
            return Ok(None);
        }
        let start = *at + PREFIX;
        *at = start + size;
        // A null packet is ignored.
        if size > 0 {
            return Ok(Some(&mut bytes[start..start + size]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_wherever_the_stream_is_cut() {
        let mut stream = Vec::new();
        for size in [1usize, 0, 700, MAX_FRAME, 3] {
            stream.extend_from_slice(&(size as u16).to_be_bytes());
            stream.extend(std::iter::repeat_n(size as u8, size));
        }
        for piece in [1usize, 2, 3, 100, 5000, 9000] {
            let (mut kept, mut sizes) = (Vec::new(), Vec::new());
            for part in stream.chunks(piece) {
                kept.extend_from_slice(part);
                let mut at = 0;
                while let Some(frame) = next_frame(&mut kept, &mut at).unwrap() {
                    sizes.push(frame.len());
                }
                kept.drain(..at);
                assert!(kept.len() < PREFIX + MAX_FRAME);
            }
            assert_eq!(sizes, [1, 700, MAX_FRAME, 3]);
        }
    }

    #[test]
    fn an_oversized_frame_ends_the_connection_before_it_is_stored() {
        let mut bytes = 0xFFFFu16.to_be_bytes();
        assert_eq!(next_frame(&mut bytes, &mut 0), Err(Malformed::Length));
    }
}
