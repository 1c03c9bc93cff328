//! Who gets what of a transport's estimate: audio is taken off first, then every video gets its
//! lowest layer by priority, then layers rise step by step while they fit. What does not fit at
//! its lowest is paused rather than queued. Pure: `crate::allocate` feeds it and acts on it.

use crate::egress::feed::MAX_SPATIAL;
use crate::egress::layers::Layer;

/// A higher layer must fit with this much to spare; the one that flows may use the whole budget.
const HEADROOM: (u64, u64) = (115, 100);

/// One video that competes.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    pub priority: i32,
    /// Layers with their rates, rising.
    pub choices: Vec<(Layer, u64)>,
    /// Index of the layer that is the target now.
    pub current: Option<usize>,
    /// Going up is not allowed yet: to another picture, or at all.
    pub settling: bool,
    pub draining: bool,
    /// What each picture took at most lately.
    pub peaks: [u64; MAX_SPATIAL],
    /// What flows is not paused yet, although it does not fit.
    pub patient: bool,
    /// Result: index into `choices`.
    pub chosen: Option<usize>,
    /// Result: not even the lowest fits.
    pub short: bool,
}

/// Fills `chosen`. `limited`: the path is known to be full; without that, everybody gets at least
/// the lowest layer, which then shows what the path carries. `measured`: the budget grows with what
/// is sent, so what flows may exceed it until something speaks against that. Answers the bits spent.
pub fn allocate(candidates: &mut [Candidate], budget: u64, limited: bool, measured: bool) -> u64 {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|i| -candidates[*i].priority);
    let mut left = budget;
    let mut spent = 0;
    for index in &order {
        let candidate = &mut candidates[*index];
        candidate.chosen = None;
        let Some((_, rate)) = candidate.choices.first().copied() else {
            continue;
        };
        // What is paused starts again only with room to spare; what flows may exceed an estimate
        // that just fell below what arrives.
        let needed = match candidate.current {
            None if limited => spare(rate),
            None => rate,
            Some(_) => rate - rate / 5,
        };
        candidate.short = limited && needed > left;
        let kept = candidate.patient && candidate.current.is_some();
        if !candidate.short || kept {
            candidate.chosen = Some(0);
            left = left.saturating_sub(rate);
            spent += rate;
        }
    }
    let mut rising = true;
    while rising {
        rising = false;
        for index in &order {
            let candidate = &mut candidates[*index];
            let slack = (measured && !limited).then_some(budget);
            let Some((next, cost)) = step(candidate, left, slack, limited) else {
                continue;
            };
            candidate.chosen = Some(next);
            left = left.saturating_sub(cost);
            spent += cost;
            rising = true;
        }
    }
    spent
}

/// The next layer up that fits, and what it costs more. What flows already may exceed what is left
/// by `slack`, or by a tenth on a path known to be full: rates are uneven, and a layer that comes
/// and goes is worse than a short queue.
fn step(
    candidate: &Candidate,
    left: u64,
    slack: Option<u64>,
    limited: bool,
) -> Option<(usize, u64)> {
    let chosen = candidate.chosen?;
    let rate = candidate.choices[chosen].1;
    for next in chosen + 1..candidate.choices.len() {
        let cost = candidate.choices[next].1.saturating_sub(rate);
        let up = candidate.current.is_none_or(|current| next > current);
        let spatial = |index: usize| candidate.choices[index].0.spatial;
        // More frames of the picture that flows.
        let same = candidate
            .current
            .is_some_and(|current| spatial(current) == spatial(next));
        let held = candidate.draining || (candidate.settling && !same);
        if up && held && candidate.current.is_some() {
            return None;
        }
        let needed = if up && !same {
            let expected = if limited { larger(candidate, next) } else { 0 };
            spare(candidate.choices[next].1.max(expected)) - rate
        } else {
            cost
        };
        let slack = if up {
            0
        } else {
            slack.unwrap_or(candidate.choices[next].1 / 10)
        };
        if needed <= left.saturating_add(slack) {
            return Some((next, cost));
        }
    }
    None
}

/// What a larger picture costs once its encoder has found its rate, at least: a publisher that
/// begins, or that has just made key frames, sends it for little.
fn larger(candidate: &Candidate, index: usize) -> u64 {
    let spatial = candidate.choices[index].0.spatial;
    let below = candidate.choices[..index].iter().rev();
    let below = below.copied().find(|(layer, _)| layer.spatial < spatial);
    let twice = below.map_or(0, |(_, rate)| rate * 2);
    let peak = candidate.peaks.get(usize::from(spatial));
    twice.max(peak.copied().unwrap_or(0))
}

fn spare(rate: u64) -> u64 {
    rate * HEADROOM.0 / HEADROOM.1
}
