//! What subscribers get: choice of layer, continuous numbering, queues, runs, retransmissions.

pub mod feed;
pub mod history;
pub mod layers;
pub mod pacer;
pub mod packetize;
pub mod record;
pub mod redundancy;
pub mod rewrite;
pub mod ring;
pub mod routes;
pub mod subscription;
