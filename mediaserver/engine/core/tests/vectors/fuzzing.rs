//! Replays the fuzzing corpora, and every seed cut short and with each byte changed, so that
//! `cargo test` covers the parsers without cargo-fuzz.

use std::path::{Path, PathBuf};

use sotto_engine_core::wire::fuzzing::TARGETS;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target)
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = corpus(target);
    let entries =
        std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn every_target_has_seeds_and_a_binary() {
    for (name, _) in TARGETS {
        assert!(!seeds(name).is_empty(), "{name} has no seed");
        let binary = corpus(name)
            .join("../../fuzz_targets")
            .join(format!("{name}.rs"));
        assert!(binary.exists(), "{binary:?}");
    }
}

#[test]
fn seeds_and_their_damaged_copies_are_survived() {
    for (_, target) in TARGETS {
        target(&[]);
        for (name, _) in TARGETS {
            seeds(name).iter().for_each(|seed| target(seed));
        }
    }
    for (name, target) in TARGETS {
        for seed in seeds(name) {
            (0..seed.len()).for_each(|len| target(&seed[..len]));
            for at in 0..seed.len() {
                for value in [
                    0,
                    0x0F,
                    0x7F,
                    0x80,
                    0xFF,
                    seed[at].wrapping_add(1),
                    seed[at] ^ 0x10,
                ] {
                    let mut copy = seed.clone();
                    copy[at] = value;
                    target(&copy);
                }
            }
        }
    }
}

/// A small deterministic generator: noise of many lengths, and seeds with several bytes changed.
#[test]
fn noise_is_survived() {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        for round in 0..1500 {
            let mut bytes = if round % 2 == 0 {
                (0..next() % 120).map(|_| next() as u8).collect()
            } else {
                seeds[next() as usize % seeds.len()].clone()
            };
            for _ in 0..next() % 6 {
                if !bytes.is_empty() {
                    let at = next() as usize % bytes.len();
                    bytes[at] = next() as u8;
                }
            }
            target(&bytes);
        }
    }
}
