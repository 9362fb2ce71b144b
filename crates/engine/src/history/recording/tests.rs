//! Records of builds whose log cannot be written.

use std::path::Path;

use bytes::Bytes;
use graph::VertexDigest;
use solver::progress::LogStream;

use super::*;
use crate::history::BuildStatus;
use crate::{Config, Engine, EngineOptions, SystemClock};

fn engine(root: &Path) -> Engine {
    Engine::open(EngineOptions {
        root: root.to_owned(),
        config: Config::default(),
        docker_config: None,
        helper_path: Vec::new(),
        fetch_variables: Vec::new(),
        clock: Arc::new(SystemClock),
    })
    .unwrap()
}

fn log() -> Progress {
    Progress::Log {
        vertex: VertexDigest(oci::Digest::of(b"a")),
        at: SystemTime::UNIX_EPOCH,
        stream: LogStream::Stdout,
        bytes: Bytes::from_static(b"line\n"),
    }
}

#[test]
fn what_failed_to_be_written_hides_no_end() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path());
    let about = About {
        name: "app".to_owned(),
        ..About::default()
    };
    let recording = Recording::begin(&engine.0, about).unwrap();
    recording.note(&log());
    {
        let mut state = recording.state();
        state.log.as_ref().unwrap().append(b"{\"out\":[0,").unwrap();
        state.failed = Some("disk full".to_owned());
    }
    recording.note(&log());
    assert_eq!(recording.end(Outcome::completed(std::iter::empty())), None);
    let build = engine.history().unwrap().remove(0).past;
    assert_eq!(build.about.name, "app");
    assert_eq!(build.status, BuildStatus::Completed);
    assert_eq!(build.log_error.as_deref(), Some("disk full"));
}

#[test]
fn what_has_no_file_does_not_fill_memory() {
    let directory = tempfile::tempdir().unwrap();
    let engine = engine(directory.path());
    let recording = Recording::begin(&engine.0, About::default()).unwrap();
    std::fs::remove_dir(directory.path().join("logs")).unwrap();
    let length = || recording.state().unwritten.len();
    recording.note(&log());
    assert!(recording.state().failed.is_some());
    let before = length();
    (0..9).for_each(|_| recording.note(&log()));
    assert_eq!(length(), before);
    std::fs::create_dir(directory.path().join("logs")).unwrap();
    assert_eq!(recording.end(Outcome::cancelled()), None);
    let build = engine.history().unwrap().remove(0).past;
    assert_eq!(build.status, BuildStatus::Cancelled);
    assert!(build.log_error.is_some());
}
