//! Sockets and worker threads around the core.
