//! Codec payload formats, as far as forwarding needs them: where frames start, which layer a
//! packet belongs to, what must be renumbered after a switch. Nothing is decoded.

pub mod av1;
pub mod dd;
pub mod h264;
pub mod h265;
pub mod red;
pub mod vp8;
pub mod vp9;
