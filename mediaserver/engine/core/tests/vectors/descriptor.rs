//! Dependency descriptors: a structure like libwebrtc's L2T2, frames against it, new masks.

use sotto_engine_core::wire::Malformed;
use sotto_engine_core::wire::codec::dd::{self, Dti, Mandatory, Structure};

/// Bits from text: spaces are free, so that fields can be told apart.
fn bits(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| matches!(b, b'0' | b'1'))
        .map(|b| b - b'0')
        .collect();
    digits
        .chunks(8)
        .map(|byte| {
            byte.iter()
                .enumerate()
                .fold(0, |acc, (at, bit)| acc | (bit << (7 - at)))
        })
        .collect()
}

/// Two spatial layers, one temporal: templates (s0, s0 inter, s1), targets 0 = s0, 1 = s1, one chain.
fn structure_bits() -> String {
    [
        "000100 00001",          // template id offset 4, two decode targets
        "00 10 11",              // same layer, next spatial, end: three templates
        "10 10  11 11  00 10",   // indications: switch switch, required required, absent switch
        "0  1 0001 0  1 0000 0", // references: none, 2 back, 1 back
        "10",                    // ns(3) = 1 chain
        "",                      // ns(1) takes no bits for each target
        "0000  0010  0001",      // chain distances
        "1 0000000100111111 0000000010110011 0000001001111111 0000000101100111",
    ]
    .concat()
}

fn key_descriptor() -> Vec<u8> {
    bits(&format!(
        "1 1 000100 0000000000000111 1 0 0 0 0 {}",
        structure_bits()
    ))
}

fn structure() -> Structure {
    *dd::parse(&key_descriptor(), None)
        .unwrap()
        .structure
        .unwrap()
}

#[test]
fn a_key_frame_brings_its_structure() {
    let parsed = dd::parse(&key_descriptor(), None).unwrap();
    let structure = parsed.structure.unwrap();
    assert_eq!(
        (
            structure.targets,
            structure.chains,
            structure.templates.len()
        ),
        (2, 1, 3)
    );
    assert_eq!(
        (structure.size(0), structure.size(1)),
        (Some((320, 180)), Some((640, 360)))
    );
    assert_eq!(structure.target_layers[..2], [(0, 0), (1, 0)]);
    assert_eq!(structure.targets_within(0, 0), 0b01);
    assert_eq!(structure.targets_within(1, 0), 0b11);
    let frame = parsed.descriptor;
    assert_eq!(
        (
            frame.mandatory.frame_number,
            frame.spatial,
            frame.active_targets
        ),
        (7, 0, Some(0b11))
    );
    assert_eq!(frame.dtis[..2], [Dti::Switch, Dti::Switch]);
    assert!(frame.frame_diffs.as_slice().is_empty());
}

#[test]
fn later_frames_read_against_it() {
    let known = structure();
    let frame = dd::parse(&bits("1 1 000110 0000000000001001"), Some(&known))
        .unwrap()
        .descriptor;
    assert_eq!(
        (frame.spatial, frame.mandatory.frame_number, frame.size),
        (1, 9, Some((640, 360)))
    );
    assert_eq!(
        (frame.dtis[0], frame.dtis[1]),
        (Dti::NotPresent, Dti::Switch)
    );
    assert_eq!(
        (frame.frame_diffs.as_slice(), frame.chain_diffs[0]),
        (&[1u16][..], 1)
    );
    assert_eq!(frame.active_targets, None);
    let custom =
        "1 1 000101 0000000000001010 0 1 1 1 1  01  01 11  01 0011 10 00000001 00  00000110";
    let frame = dd::parse(&bits(custom), Some(&known)).unwrap().descriptor;
    assert_eq!(frame.active_targets, Some(0b01));
    assert_eq!(frame.dtis[..2], [Dti::Discardable, Dti::Required]);
    assert_eq!(
        (frame.frame_diffs.as_slice(), frame.chain_diffs[0]),
        (&[4u16, 2][..], 6)
    );
}

#[test]
fn without_the_structure_only_the_first_three_bytes_are_read() {
    let value = bits("1 0 000110 0000000000001001");
    assert_eq!(
        dd::parse(&value, None).unwrap_err(),
        Malformed::MissingState
    );
    let mandatory = Mandatory::parse(&value).unwrap();
    assert!(mandatory.start_of_frame && !mandatory.end_of_frame && !mandatory.has_structure);
    assert_eq!((mandatory.template_id, mandatory.frame_number), (6, 9));
    assert!(Mandatory::parse(&key_descriptor()).unwrap().has_structure);
    let foreign = bits("1 1 000001 0000000000001001");
    assert_eq!(
        dd::parse(&foreign, Some(&structure())).unwrap_err(),
        Malformed::MissingState
    );
}

#[test]
fn frame_numbers_are_rewritten_in_place() {
    let mut value = key_descriptor();
    dd::rewrite_frame_number(&mut value, 0xBEEF);
    let parsed = dd::parse(&value, None).unwrap();
    assert_eq!(parsed.descriptor.mandatory.frame_number, 0xBEEF);
    assert_eq!(*parsed.structure.unwrap(), structure());
}

#[test]
fn a_new_mask_changes_nothing_else() {
    let known = structure();
    let custom =
        "1 1 000101 0000000000001010 0 1 1 1 1  01  01 11  01 0011 10 00000001 00  00000110";
    for value in [
        key_descriptor(),
        bits("1 1 000110 0000000000001001"),
        bits(custom),
    ] {
        let before = dd::parse(&value, Some(&known)).unwrap();
        let mut out = [0xFFu8; 64];
        let len = dd::write_active_targets(&value, &known, 0b01, &mut out).unwrap();
        let after = dd::parse(&out[..len], Some(&known)).unwrap();
        assert_eq!(after.descriptor.active_targets, Some(0b01));
        assert_eq!(after.structure, before.structure);
        assert_eq!(after.descriptor.dtis, before.descriptor.dtis);
        assert_eq!(after.descriptor.frame_diffs, before.descriptor.frame_diffs);
        assert_eq!(after.descriptor.chain_diffs, before.descriptor.chain_diffs);
        assert_eq!(
            dd::write_active_targets(&value, &known, 1, &mut out[..3]),
            None
        );
    }
}

#[test]
fn truncated_and_endless_structures_are_refused() {
    let whole = key_descriptor();
    for len in 0..whole.len() {
        assert!(dd::parse(&whole[..len], None).is_err(), "{len}");
    }
    let templates = "00".repeat(70);
    let endless = bits(&format!(
        "1 1 000100 0000000000000111 1 0 0 0 0 000100 00001 {templates}"
    ));
    assert_eq!(dd::parse(&endless, None).unwrap_err(), Malformed::TooMany);
}
