//! Replays the corpus of the association's target, every seed cut short and with each byte
//! changed, and what the fuzzer would make of it: several changes at once.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of a test, outside of test functions"
)]

use std::path::{Path, PathBuf};

use sotto_engine_data::fuzzing::TARGETS;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target)
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(corpus(target)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let found: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(!found.is_empty(), "{target} has no seed");
    found
}

#[test]
fn every_target_has_a_binary() {
    for (name, _) in TARGETS {
        let binary = corpus(name).join(format!("../../fuzz_targets/{name}.rs"));
        assert!(binary.exists(), "{binary:?}");
    }
}

#[test]
fn seeds_and_their_damaged_copies_are_survived() {
    for (name, target) in TARGETS {
        target(&[]);
        for seed in seeds(name) {
            (0..=seed.len()).for_each(|len| target(&seed[..len]));
            for at in 0..seed.len() {
                for value in [0, 0x7F, 0xFF, seed[at].wrapping_add(1), seed[at] ^ 0x10] {
                    let mut copy = seed.clone();
                    copy[at] = value;
                    target(&copy);
                }
            }
        }
    }
}

#[test]
fn noise_in_seeds_is_survived() {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        for _ in 0..1500 {
            let mut bytes = seeds[next() as usize % seeds.len()].clone();
            if next() % 4 == 0 {
                bytes.extend(seeds[next() as usize % seeds.len()].clone());
            }
            for _ in 0..1 + next() % 6 {
                let at = next() as usize % bytes.len();
                bytes[at] = next() as u8;
            }
            target(&bytes);
        }
    }
}
