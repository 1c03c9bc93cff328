//! ICE-lite agent of one transport (RFC 8445 sections 2.5 and 7.3): answers checks, never sends one.
//! It decides which pairs are valid and which is selected; `transport` moves packets over them.
//! States: no pair, valid pairs, a selected pair. The selected pair moves only on an authenticated
//! check that nominates (USE-CANDIDATE, or libwebrtc's NOMINATION), never on media.

use std::net::SocketAddr;

use crate::drops::Drop;
use crate::path::{Path, Proto};
use crate::time::{MILLIS, SECONDS, Time};
use crate::wire::stun::{self, Class, IntegrityKey, Message, Role};

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

/// A client has a handful of pairs; NAT rebinding adds one each time. The oldest goes first.
const MAX_PAIRS: usize = 16;
/// A pair without packets is forgotten (consent of RFC 7675 section 5.1 lasts as long).
const PAIR_LIFETIME: u64 = 30 * SECONDS;
/// When the selected pair has been silent this long, any nominated pair takes over at once.
const SILENT: u64 = SECONDS;
/// When the selected pair was not nominated again for this long, the client has moved on.
const NOMINATION_STALE: u64 = 1_500 * MILLIS;
/// Remote ufrags remembered: the current one, and those before a restart whose checks are in flight.
const MAX_REMOTES: usize = 4;

struct Credentials {
    ufrag: Box<[u8]>,
    key: IntegrityKey,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    path: Path,
    priority: u32,
    nomination: u32,
    generation: u32,
    nominated: Option<Time>,
    last_receive: Time,
}

pub struct Ice {
    current: Credentials,
    previous: Option<Credentials>,
    generation: u32,
    remotes: Vec<Box<[u8]>>,
    pairs: Vec<Pair>,
    selected: Option<Path>,
    selected_generation: u32,
}

/// What a check led to. `reply` bytes of `Scratch` go back to where the check came from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checked {
    pub reply: usize,
    pub new_pair: bool,
    /// A pair forgotten to make room.
    pub evicted: Option<Path>,
    /// The selected pair is another one now; true in `.1` when it is the first.
    pub selected: Option<(Path, bool)>,
    /// The credentials before a restart are void now.
    pub retired: bool,
}

impl Ice {
    pub fn new(ufrag: &str, pwd: &str) -> Ice {
        Ice {
            current: credentials(ufrag, pwd),
            previous: None,
            generation: 0,
            remotes: Vec::new(),
            pairs: Vec::new(),
            selected: None,
            selected_generation: 0,
        }
    }

    pub fn set_remote(&mut self, ufrag: &str) {
        if self
            .remotes
            .iter()
            .any(|known| **known == *ufrag.as_bytes())
        {
            return;
        }
        if self.remotes.len() == MAX_REMOTES {
            self.remotes.remove(0);
        }
        self.remotes.push(ufrag.as_bytes().into());
    }

    /// RFC 8445 section 9. Answers a ufrag that is void now, when two restarts overlap.
    pub fn restart(&mut self, ufrag: &str, pwd: &str) -> Option<Box<[u8]>> {
        let old = std::mem::replace(&mut self.current, credentials(ufrag, pwd));
        self.generation += 1;
        self.previous.replace(old).map(|c| c.ufrag)
    }

    pub fn local_ufrags(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&*self.current.ufrag).chain(self.previous.as_ref().map(|c| &*c.ufrag))
    }

    pub fn previous_ufrag(&self) -> Option<&[u8]> {
        self.previous.as_ref().map(|c| &*c.ufrag)
    }

    pub fn selected(&self) -> Option<Path> {
        self.selected
    }

    pub fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.pairs.iter().map(|p| p.path)
    }

    /// Something came over a valid pair.
    pub fn received(&mut self, now: Time, path: Path) {
        if let Some(pair) = self.pairs.iter_mut().find(|p| p.path == path) {
            pair.last_receive = now;
        }
    }

    /// Handles a binding request whose USERNAME led here. Nothing is answered to a request that
    /// does not authenticate: an answer would be a reflector for whoever forges its source.
    pub fn check(
        &mut self,
        now: Time,
        path: Path,
        message: &Message<'_>,
        request_len: usize,
        out: &mut [u8],
    ) -> Result<Checked, Drop> {
        if message.class != Class::Request || message.method != stun::METHOD_BINDING {
            return Err(Drop::StunMalformed);
        }
        let (local, remote) = message.username_parts().ok_or(Drop::StunUnknownUser)?;
        let (generation, key) = self.key_for(local).ok_or(Drop::StunUnknownUser)?;
        message
            .check_integrity(&key)
            .map_err(|_| Drop::StunIntegrity)?;
        if !self.remotes.is_empty() && !self.remotes.iter().any(|known| **known == *remote) {
            return Err(Drop::StunUnknownUser);
        }
        if let Some(refusal) = refuse(message, &key, out) {
            let reply = refusal
                .filter(|len| *len <= request_len)
                .ok_or(Drop::StunRole)?;
            return Ok(Checked {
                reply,
                ..Checked::default()
            });
        }
        let from = SocketAddr::new(path.remote.ip().to_canonical(), path.remote.port());
        let reply = stun::write_success(out, &message.transaction, from, &key)
            .filter(|len| *len <= request_len)
            .ok_or(Drop::StunMalformed)?;
        let mut checked = Checked {
            reply,
            ..Checked::default()
        };
        self.validate(now, path, generation, message, &mut checked);
        Ok(checked)
    }

    fn key_for(&self, local: &[u8]) -> Option<(u32, IntegrityKey)> {
        if *self.current.ufrag == *local {
            return Some((self.generation, self.current.key.clone()));
        }
        let previous = self.previous.as_ref().filter(|c| *c.ufrag == *local)?;
        Some((self.generation.wrapping_sub(1), previous.key.clone()))
    }

    fn validate(
        &mut self,
        now: Time,
        path: Path,
        generation: u32,
        message: &Message<'_>,
        checked: &mut Checked,
    ) {
        let index = match self.pairs.iter().position(|p| p.path == path) {
            Some(index) => index,
            None => {
                checked.new_pair = true;
                checked.evicted = self.make_room();
                let nothing = Pair {
                    path,
                    priority: 0,
                    nomination: 0,
                    generation,
                    nominated: None,
                    last_receive: now,
                };
                self.pairs.push(nothing);
                self.pairs.len() - 1
            }
        };
        let pair = &mut self.pairs[index];
        pair.last_receive = now;
        pair.generation = pair.generation.max(generation);
        pair.priority = message.priority.unwrap_or(0);
        if message.use_candidate || message.nomination.is_some() {
            pair.nomination = message.nomination.unwrap_or(0);
            let candidate = *pair;
            if self.should_select(now, &candidate) {
                self.select(&candidate, checked);
            }
            self.pairs[index].nominated = Some(now);
        }
    }

    fn make_room(&mut self) -> Option<Path> {
        if self.pairs.len() < MAX_PAIRS {
            return None;
        }
        let oldest = (0..self.pairs.len())
            .filter(|i| Some(self.pairs[*i].path) != self.selected)
            .min_by_key(|i| self.pairs[*i].last_receive)?;
        Some(self.pairs.swap_remove(oldest).path)
    }

    /// With aggressive nomination every pair is nominated, so the better one stays; a client that
    /// moves stops nominating the old pair, or everything on it.
    fn should_select(&self, now: Time, candidate: &Pair) -> bool {
        let selected = self
            .selected
            .and_then(|path| self.pairs.iter().find(|p| p.path == path));
        let Some(selected) = selected else {
            return true;
        };
        if selected.path == candidate.path {
            return candidate.generation > self.selected_generation;
        }
        if candidate.generation != self.selected_generation {
            return candidate.generation > self.selected_generation;
        }
        candidate.nomination > selected.nomination
            || candidate.priority >= selected.priority
            || now.since(selected.last_receive) > SILENT
            || selected
                .nominated
                .is_none_or(|at| now.since(at) > NOMINATION_STALE)
    }

    fn select(&mut self, pair: &Pair, checked: &mut Checked) {
        let first = self.selected.is_none();
        if self.selected != Some(pair.path) {
            checked.selected = Some((pair.path, first));
        }
        self.selected = Some(pair.path);
        self.selected_generation = pair.generation;
        if pair.generation == self.generation && self.previous.is_some() {
            checked.retired = true;
        }
    }

    /// Forgets the credentials from before a restart; the caller frees the ufrag.
    pub fn retire_previous(&mut self) -> Option<Box<[u8]>> {
        self.previous.take().map(|c| c.ufrag)
    }

    /// A connection closed. Answers the pair that takes over when it was the selected one.
    pub fn path_closed(&mut self, path: Path) -> Option<Option<Path>> {
        self.pairs.retain(|p| p.path != path);
        if self.selected != Some(path) {
            return None;
        }
        self.selected = self
            .pairs
            .iter()
            .filter(|p| p.nominated.is_some())
            .max_by_key(|p| (p.generation, p.last_receive))
            .map(|p| p.path);
        Some(self.selected)
    }

    /// Forgets pairs that were silent for long; the selected one stays until it is replaced.
    pub fn expire(&mut self, now: Time, mut gone: impl FnMut(Path)) {
        let selected = self.selected;
        self.pairs.retain(|p| {
            let keep = Some(p.path) == selected
                || p.path.proto == Proto::Tcp
                || now.since(p.last_receive) < PAIR_LIFETIME;
            if !keep {
                gone(p.path);
            }
            keep
        });
    }
}

fn credentials(ufrag: &str, pwd: &str) -> Credentials {
    Credentials {
        ufrag: ufrag.as_bytes().into(),
        key: IntegrityKey::new(pwd.as_bytes()),
    }
}

/// 487 for a peer that also wants to be controlled (a lite agent cannot change sides), 420 for
/// attributes that we would have to understand.
fn refuse(message: &Message<'_>, key: &IntegrityKey, out: &mut [u8]) -> Option<Option<usize>> {
    if matches!(message.role, Some(Role::Controlled(_))) {
        return Some(stun::write_error(
            out,
            &message.transaction,
            487,
            None,
            Some(key),
        ));
    }
    let unknown = message.unknown_required?;
    Some(stun::write_error(
        out,
        &message.transaction,
        420,
        Some(unknown),
        Some(key),
    ))
}
