//! What clients and the daemon say to one another. Values only: no socket, no engine.

pub mod docker;
