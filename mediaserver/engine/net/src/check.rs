//! Bounds of what Python hands over, checked before a worker sees it. Python negotiates from
//! strangers' SDP, so nothing here is taken on trust.

use sotto_engine_core::spec::{Codec, PublicationSpec, SrtpProfile, SubscriptionSpec};

use crate::engine::SrtpKeys;
use crate::error::EngineError;

type Result<T> = std::result::Result<T, EngineError>;

/// More payload types than any browser offers in one m-section.
const MAX_CODECS: usize = 64;
/// Three simulcast layers, and room for publishers that name a few more.
const MAX_ENCODINGS: usize = 8;
/// Longest mid or rid that a one-byte header extension carries (RFC 8285 section 4.2).
const MAX_ID: usize = 16;
/// Largest DTLS datagram sent: a full flight's record, below any path's limit with UDP.
const MAX_DTLS: usize = 4_096;

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(EngineError::Argument(text.into()))
}

/// RFC 8839 section 5.4: ice-chars, 4 to 256 and 22 to 256 of them.
pub fn remote_ice(ufrag: &str, pwd: &str) -> Result<()> {
    let ice = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
    };
    // Some agents put more into a ufrag than the grammar has; the colon alone would confuse us.
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    if !(4..=256).contains(&ufrag.len()) || !plain(ufrag) {
        return refuse("the remote ice-ufrag is malformed");
    }
    if !(22..=256).contains(&pwd.len()) || !(ice(pwd) || plain(pwd)) {
        return refuse("the remote ice-pwd is malformed");
    }
    Ok(())
}

/// Key and salt lengths: RFC 7714 section 12, RFC 3711 section 8.2.
pub fn srtp(keys: &SrtpKeys) -> Result<()> {
    let (key, salt) = match keys.profile {
        SrtpProfile::AeadAes128Gcm => (16, 12),
        SrtpProfile::AeadAes256Gcm => (32, 12),
        SrtpProfile::Aes128CmSha1_80 => (16, 14),
    };
    let right = [&keys.local_key, &keys.remote_key]
        .iter()
        .all(|k| k.len() == key)
        && [&keys.local_salt, &keys.remote_salt]
            .iter()
            .all(|s| s.len() == salt);
    if right {
        Ok(())
    } else {
        refuse("SRTP key or salt has the wrong length")
    }
}

pub fn dtls(bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() || bytes.len() > MAX_DTLS {
        return refuse("a DTLS datagram is empty or too long");
    }
    Ok(())
}

fn codecs(codecs: &[Codec]) -> Result<()> {
    if codecs.is_empty() || codecs.len() > MAX_CODECS {
        return refuse(format!("1 to {MAX_CODECS} codecs are needed"));
    }
    for codec in codecs {
        let rtx = codec.rtx_payload_type.unwrap_or(0);
        if codec.payload_type > 127 || rtx > 127 || codec.clock_rate == 0 {
            return refuse("a payload type or clock rate is out of range");
        }
    }
    Ok(())
}

fn short(name: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.len() > MAX_ID || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return refuse(format!(
            "{name} must be 1 to {MAX_ID} visible ASCII characters"
        ));
    }
    Ok(())
}

pub fn publication(spec: &PublicationSpec) -> Result<()> {
    short("mid", &spec.mid)?;
    codecs(&spec.codecs)?;
    if spec.encodings.is_empty() || spec.encodings.len() > MAX_ENCODINGS {
        return refuse(format!("1 to {MAX_ENCODINGS} encodings are needed"));
    }
    for encoding in &spec.encodings {
        encoding
            .rid
            .as_ref()
            .map_or(Ok(()), |rid| short("rid", rid))?;
        if encoding.quality > 2 {
            return refuse("quality must be 0, 1 or 2");
        }
    }
    Ok(())
}

pub fn subscription(spec: &SubscriptionSpec) -> Result<()> {
    short("mid", &spec.mid)?;
    if spec.ssrc == 0 || spec.rtx_ssrc == Some(spec.ssrc) {
        return refuse("ssrc must not be 0 and rtx_ssrc must differ from it");
    }
    codecs(&spec.codecs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_real_clients_pass_and_nonsense_does_not() {
        let pwd = "asd88fgpdd777uzjYhagZg";
        assert!(remote_ice("8hhY", pwd).is_ok());
        assert!(remote_ice("abc", pwd).is_err());
        assert!(remote_ice("a:bcd", pwd).is_err());
        assert!(remote_ice("abcd\r\n", pwd).is_err());
        assert!(remote_ice("abcd", "short").is_err());
        assert!(remote_ice("abcd", &"x".repeat(257)).is_err());
    }

    #[test]
    fn key_lengths_follow_the_profile() {
        let keys = |profile, key: usize, salt: usize| SrtpKeys {
            profile,
            local_key: vec![0; key],
            local_salt: vec![0; salt],
            remote_key: vec![0; key],
            remote_salt: vec![0; salt],
        };
        assert!(srtp(&keys(SrtpProfile::AeadAes128Gcm, 16, 12)).is_ok());
        assert!(srtp(&keys(SrtpProfile::AeadAes256Gcm, 32, 12)).is_ok());
        assert!(srtp(&keys(SrtpProfile::Aes128CmSha1_80, 16, 14)).is_ok());
        assert!(srtp(&keys(SrtpProfile::AeadAes256Gcm, 16, 12)).is_err());
        assert!(srtp(&keys(SrtpProfile::Aes128CmSha1_80, 16, 12)).is_err());
    }
}
