//! Codec payload formats
