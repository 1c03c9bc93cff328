//! LiveKit access tokens (HS256) and URL-safe base64.

use ring::hmac;
use serde_json::json;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub fn base64url(bytes: &[u8], padding: bool) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for part in bytes.chunks(3) {
        let mut word = [0u8; 4];
        word[1..=part.len()].copy_from_slice(part);
        let word = u32::from_be_bytes(word);
        for at in 0..4 {
            match at <= part.len() {
                true => text.push(ALPHABET[(word >> (18 - 6 * at)) as usize & 63] as char),
                false if padding => text.push('='),
                false => {}
            }
        }
    }
    text
}

/// A join token that is valid for six hours.
pub fn make(key: &str, secret: &str, room: &str, identity: &str) -> String {
    let now = crate::sys::wall_us() / 1_000_000;
    let claims = json!({
        "iss": key, "sub": identity, "nbf": now - 60, "exp": now + 21_600, "name": identity,
        "video": {"room": room, "roomJoin": true, "canPublish": true, "canSubscribe": true, "canPublishData": true},
    });
    let head = base64url(br#"{"alg":"HS256","typ":"JWT"}"#, false);
    let text = format!("{head}.{}", base64url(claims.to_string().as_bytes(), false));
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        text.as_bytes(),
    );
    format!("{text}.{}", base64url(tag.as_ref(), false))
}
