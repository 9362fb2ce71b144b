//! The real binary on real Dockerfiles, as root. What it makes is judged by other tools.
//!
//! Most tests bring their own registry, whose alpine is the host's static busybox. The binary is
//! `KILN_TEST_BINARY`, or the one that cargo built beside these tests.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code: a failure stops the test"
)]

mod builds;
mod cache_mounts;
mod cache_page;
mod caches;
mod caching;
mod carried;
mod case;
mod checks;
mod collection;
mod containers;
mod contexts;
mod crashes;
mod crowd;
mod daemon;
mod devices;
mod errors;
mod examples;
mod explain;
mod exports;
mod git;
mod history;
mod images;
mod kiln;
mod language;
mod life;
mod pages;
mod peers;
mod place;
mod places;
mod reference;
mod registries;
mod repository;
mod secrets;
mod server;
mod ssh;
mod standin;
