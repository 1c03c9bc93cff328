//! ICE-lite.

const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// First two characters of every local ufrag of a worker.
pub fn worker_prefix(worker: u16) -> [u8; 2] {
    let n = usize::from(worker) % (36 * 36);
    [BASE36[n / 36], BASE36[n % 36]]
}

/// Worker that owns a local ufrag (the part of USERNAME before the colon), if it is one of ours.
pub fn worker_of(ufrag: &[u8]) -> Option<u16> {
    let digit = |c: u8| BASE36.iter().position(|&b| b == c);
    let (high, low) = (digit(*ufrag.first()?)?, digit(*ufrag.get(1)?)?);
    Some((high * 36 + low) as u16)
}
