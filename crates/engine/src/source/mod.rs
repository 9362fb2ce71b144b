//! Sources that are neither images nor directories of the client's.

mod http;
