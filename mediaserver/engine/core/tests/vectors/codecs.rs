//! Codec payloads: key frames in every packing, layers, renumbering in place.

use sotto_engine_core::wire::Malformed;
use sotto_engine_core::wire::codec::{av1, h264, h265, red, vp8, vp9};

use crate::hex;

#[test]
fn vp8_descriptors() {
    let minimal = vp8::Descriptor::parse(&hex("10 00")).unwrap();
    assert!(minimal.keyframe && minimal.frame_start && minimal.len == 1);
    assert!(!vp8::Descriptor::parse(&hex("10 01")).unwrap().keyframe);
    assert!(!vp8::Descriptor::parse(&hex("00 00")).unwrap().keyframe);
    assert!(!vp8::Descriptor::parse(&hex("11 00")).unwrap().frame_start);
    let full = vp8::Descriptor::parse(&hex("90 f0 9234 07 a5 01 99")).unwrap();
    assert_eq!(
        full.picture_id.map(|id| (id.value, id.wide)),
        Some((0x1234, true))
    );
    assert_eq!(
        (full.tl0_pic_idx, full.temporal, full.key_idx),
        (Some(7), Some(2), Some(5))
    );
    assert!(full.layer_sync && !full.keyframe && full.len == 6);
    let narrow = vp8::Descriptor::parse(&hex("90 80 12 00")).unwrap();
    assert_eq!(
        narrow.picture_id.map(|id| (id.value, id.wide)),
        Some((0x12, false))
    );
}

#[test]
fn vp8_truncations_are_refused() {
    let whole = hex("90 f0 9234 07 a5 01");
    for len in 0..6 {
        assert_eq!(
            vp8::Descriptor::parse(&whole[..len]).unwrap_err(),
            Malformed::Truncated,
            "{len}"
        );
    }
}

#[test]
fn vp8_numbers_are_rewritten_in_their_width() {
    let mut wide = hex("90 f0 9234 07 a5 01 99");
    vp8::Descriptor::parse(&wide)
        .unwrap()
        .rewrite(&mut wide, 0x7FFF, 200);
    assert_eq!(wide, hex("90 f0 ffff c8 a5 01 99"));
    let mut narrow = hex("90 80 12 00");
    vp8::Descriptor::parse(&narrow)
        .unwrap()
        .rewrite(&mut narrow, 0x1FF, 3);
    assert_eq!(narrow, hex("90 80 7f 00"));
    let mut none = hex("10 00");
    vp8::Descriptor::parse(&none)
        .unwrap()
        .rewrite(&mut none, 1, 1);
    assert_eq!(none, hex("10 00"));
}

#[test]
fn vp9_descriptors() {
    // I, L, B, V: wide picture id, layer byte, TL0PICIDX, structure of 2 layers with sizes.
    let bytes = hex("aa 8123 00 05 30 0140 00b4 0280 0168 77");
    let key = vp9::Descriptor::parse(&bytes).unwrap();
    assert!(key.keyframe() && key.len == 14);
    let structure = key.structure.unwrap();
    assert_eq!(structure.spatial_layers, 2);
    assert_eq!(structure.sizes.unwrap()[..2], [(320, 180), (640, 360)]);
    assert_eq!(key.layers.unwrap().tl0_pic_idx, Some(5));
    // I, P, L, F, E: flexible, temporal 2, spatial 1, two references.
    let bytes = hex("f4 8123 53 03 04 77");
    let inter = vp9::Descriptor::parse(&bytes).unwrap();
    assert!(!inter.keyframe() && inter.frame_end && inter.len == 6);
    let layers = inter.layers.unwrap();
    assert_eq!(
        (
            layers.temporal,
            layers.spatial,
            layers.switching_up,
            layers.inter_layer
        ),
        (2, 1, true, true)
    );
    // An upper spatial layer of a key picture is no place to start.
    assert!(
        !vp9::Descriptor::parse(&hex("a8 8123 03 05 77"))
            .unwrap()
            .keyframe()
    );
}

#[test]
fn vp9_faults_and_rewrites() {
    let references = hex("d0 05 03 03 03 00");
    assert_eq!(
        vp9::Descriptor::parse(&references).unwrap_err(),
        Malformed::TooMany
    );
    let structure = hex("02 f0 0140");
    assert_eq!(
        vp9::Descriptor::parse(&structure).unwrap_err(),
        Malformed::Truncated
    );
    // A picture group whose references run past the end.
    assert_eq!(
        vp9::Descriptor::parse(&hex("02 08 02 0c 01")).unwrap_err(),
        Malformed::Truncated
    );
    let mut bytes = hex("aa 8123 00 05 30 0140 00b4 0280 0168 77");
    vp9::Descriptor::parse(&bytes)
        .unwrap()
        .rewrite(&mut bytes, 0x7001, 9);
    assert_eq!(bytes[..5], hex("aa f001 00 09"));
}

#[test]
fn h264_key_frames_in_every_packing() {
    for (text, key) in [
        ("67 42", true),
        ("65 88", true),
        ("41 9a", false),
        ("78 0002 6742 0001 68", true),
        ("78 0001 41 0002 6588", true),
        ("78 0001 41 0009 65", false),
        ("78 0000 65", false),
        ("7c 85 00", true),
        ("7c 05 00", false),
        ("7c 81 00", false),
        ("7d 85 0001 00", true),
        ("79 0001 0001 65", true),
        ("7a 0001 0001 00 0000 65", true),
        ("", false),
        ("7c", false),
        ("78 00", false),
    ] {
        assert_eq!(h264::facts(&hex(text)).keyframe(), key, "{text}");
    }
    assert!(h264::facts(&hex("78 0002 6742 0001 65")).idr);
}

#[test]
fn h265_key_frames_in_every_packing() {
    for (text, key, temporal) in [
        ("4001 0c", true, 0),
        ("2601 af", true, 0),
        ("0203 d0", false, 2),
        ("6001 0002 4401 0003 2601af", true, 0),
        ("6001 0002 0201", false, 0),
        ("6001 0000 2601", false, 0),
        ("6201 93 af", true, 0),
        ("6201 13 af", false, 0),
        ("62", false, 0),
        ("0200", false, 0),
    ] {
        let facts = h265::facts(&hex(text));
        assert_eq!(
            (facts.keyframe(), facts.temporal),
            (key, temporal),
            "{text}"
        );
    }
}

#[test]
fn av1_aggregation_headers() {
    let parse = |text: &str| av1::Aggregation::parse(&hex(text));
    assert!(parse("18 0a0b").unwrap().keyframe());
    assert!(parse("10 0a0b").unwrap().keyframe());
    assert!(!parse("10 32 00").unwrap().keyframe());
    assert!(parse("20 02 0a0b 32").unwrap().sequence_header);
    assert!(!parse("90 0a0b").unwrap().sequence_header);
    assert_eq!(parse("98 0a"), Err(Malformed::Value));
    assert_eq!(parse("00 ffffffffffffffffff"), Err(Malformed::Length));
    assert_eq!(parse(""), Err(Malformed::Truncated));
    assert_eq!(parse("10"), Err(Malformed::Truncated));
}

#[test]
fn red_blocks_and_their_primary() {
    // Two redundant blocks (3 and 2 bytes, 960 and 480 earlier), then the primary.
    let bytes = hex("ef 0f0003 ef 078002 6f 010203 0405 aabbcc");
    let blocks: Vec<_> = red::Blocks::parse(&bytes).unwrap().collect();
    let read: Vec<_> = blocks
        .iter()
        .map(|b| (b.payload_type, b.timestamp_offset, b.data.len()))
        .collect();
    assert_eq!(read, [(111, 960, 3), (111, 480, 2), (111, 0, 3)]);
    let primary = red::primary(&bytes).unwrap();
    assert_eq!(
        (primary.payload_type, primary.data),
        (111, &[0xaa, 0xbb, 0xcc][..])
    );
    assert_eq!(red::primary(&hex("6f aabb")).unwrap().data, [0xaa, 0xbb]);
    assert_eq!(red::primary(&hex("6f")).unwrap().data, []);
}

#[test]
fn red_takes_older_blocks_before_its_own() {
    let bytes = hex("ef 0f0002 6f 0405 aabbcc");
    let older = [(1920, &[1u8, 2, 3][..]), (1440, &[9][..])].map(|(offset, data)| red::Block {
        payload_type: 111,
        timestamp_offset: offset,
        data,
    });
    let mut out = [0u8; 64];
    let len = red::prepend(&bytes, &older, &mut out).unwrap();
    assert_eq!(
        out[..len],
        hex("ef 1e0003 ef 168001 ef 0f0002 6f 010203 09 0405 aabbcc")
    );
    let read: Vec<_> = red::Blocks::parse(&out[..len]).unwrap().collect();
    assert_eq!(read[..2], older);
    assert_eq!(read[3].data, [0xaa, 0xbb, 0xcc]);
    assert_eq!(red::prepend(&bytes, &older, &mut out[..len - 1]), None);
}

#[test]
fn red_lengths_that_lie_are_refused() {
    assert_eq!(
        red::primary(&hex("ef 0f0005 6f 0102")).unwrap_err(),
        Malformed::Length
    );
    assert_eq!(
        red::primary(&hex("ef 0f00")).unwrap_err(),
        Malformed::Truncated
    );
    assert_eq!(red::primary(&[]).unwrap_err(), Malformed::Truncated);
    let many = [hex("ef 0f0000").repeat(9), hex("6f")].concat();
    assert_eq!(red::primary(&many).unwrap_err(), Malformed::TooMany);
}
