//! Our half of ICE: a user fragment that names the worker, and a password, from the system's
//! generator. Used by `engine.rs`.

use sotto_engine_core::command::TransportId;
use sotto_engine_core::ice::worker_prefix;

use crate::error::EngineError;

type Result<T> = std::result::Result<T, EngineError>;

/// Characters of a local ufrag behind the worker's two (RFC 8445 section 5.3 wants 24 random bits).
const UFRAG_RANDOM: usize = 8;
/// Characters of a local password (128 bits are asked for; this is 142).
const PWD: usize = 24;

/// Our ICE credentials of one transport.
#[derive(Clone, Debug)]
pub struct LocalIce {
    pub transport: TransportId,
    pub ufrag: String,
    pub pwd: String,
    pub worker: u16,
}

pub fn credentials(transport: TransportId, worker: u16) -> Result<LocalIce> {
    let mut ufrag = String::from_utf8_lossy(&worker_prefix(worker)).into_owned();
    ufrag.push_str(&random_text(UFRAG_RANDOM)?);
    Ok(LocalIce {
        transport,
        ufrag,
        pwd: random_text(PWD)?,
        worker,
    })
}

/// Letters and digits from the system's generator, each equally likely.
fn random_text(length: usize) -> Result<String> {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(length);
    let mut random = [0u8; 64];
    while text.len() < length {
        system_random(&mut random)?;
        let usable = random
            .iter()
            .map(|byte| usize::from(byte >> 2))
            .filter(|n| *n < 62);
        text.extend(
            usable
                .take(length - text.len())
                .map(|n| char::from(ALPHABET[n])),
        );
    }
    Ok(text)
}

pub fn system_random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| EngineError::Config(format!("no randomness: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_name_the_worker_and_never_repeat() {
        let (a, b) = (credentials(1, 37).unwrap(), credentials(1, 37).unwrap());
        assert!(a.ufrag.starts_with("11") && a.ufrag.len() == 10 && a.pwd.len() == 24);
        assert!(a.ufrag != b.ufrag && a.pwd != b.pwd);
        assert!(a.pwd.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
