//! What publishers send us: binding of SSRCs, statistics, loss recovery, feedback.

pub mod keyframes;
pub mod nack;
pub mod parse;
pub mod publication;
pub mod reception;
