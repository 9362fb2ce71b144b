//! The real binary on real Dockerfiles, as root. What it makes is judged by other tools.
//!
//! Most tests bring their own registry, whose alpine is the host's static busybox. The binary is
//! `KILN_TEST_BINARY`, or the one that cargo built beside these tests.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code: a failure stops the test"
)]

mod annotations;
mod as_docker;
mod attestations;
mod bake;
mod builders;
mod buildkit;
mod builds;
mod cache_mounts;
mod cache_page;
mod caches;
mod caching;
mod carried;
mod case;
mod checks;
mod clients;
mod cni;
mod collection;
mod containers;
mod contexts;
mod crashes;
mod crowd;
mod daemon;
mod daemon_life;
mod damage;
mod debug;
mod devices;
mod dockerd;
mod doctor;
mod elsewhere;
mod errors;
mod escapes;
mod examples;
mod explain;
mod exports;
mod fail_points;
mod git;
mod groups;
mod history;
mod hostile;
mod images;
mod imagetools;
mod kiln;
mod language;
mod layers;
mod life;
mod limited;
mod limits;
mod listening;
mod matrix;
mod network;
mod pages;
mod peers;
mod place;
mod places;
mod platforms;
mod power;
mod reference;
mod registries;
mod repository;
mod running;
mod sboms;
mod secrets;
mod server;
mod serving;
mod signals;
mod single;
mod source_policy;
mod ssh;
mod standin;
mod unpacked;
mod unprivileged;
