//! Copies and locks, whatever the clock says.

use std::fs;
use std::time::{Duration, SystemTime};

use super::{Inner, MAX_AGE, MAX_KEPT, kept, temporary};

const YEARS: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + 2 * YEARS
}

/// A build that has the copy and one that has a copy of its own go on, and the next one looks in a
/// time long after or before.
#[test]
fn copies_in_use_withstand_a_clock_that_jumps() {
    for later in [now() + YEARS, now() - YEARS] {
        let scratch = tempfile::tempdir().unwrap();
        let all = scratch.path();
        let in_use = kept(all, "a", now()).unwrap().unwrap();
        assert!(kept(all, "a", now()).unwrap().is_none());
        let own = temporary(all).unwrap();
        drop(kept(all, "b", later).unwrap());
        assert!(in_use.path.is_dir() && own.path.is_dir(), "{later:?}");
        let path = own.path.clone();
        drop(own);
        assert!(!path.exists());
    }
}

#[test]
fn copies_of_processes_that_died_go_at_once() {
    let scratch = tempfile::tempdir().unwrap();
    let dead: Inner = temporary(scratch.path()).unwrap();
    let path = dead.path.clone();
    // As a death leaves it: unlocked, and there.
    drop(dead);
    fs::create_dir(&path).unwrap();
    fs::write(path.with_extension("lock"), "").unwrap();
    drop(kept(scratch.path(), "a", now()).unwrap());
    assert!(!path.exists());
    assert!(!path.with_extension("lock").exists());
}

/// While the clock was ahead many copies were made. Once it is right again they are neither in the way
/// of new ones nor gone all at once.
#[test]
fn copies_of_a_time_to_come_are_the_first_to_go() {
    let scratch = tempfile::tempdir().unwrap();
    let all = scratch.path();
    for number in 0..MAX_KEPT {
        drop(kept(all, &format!("ahead {number}"), now() + YEARS).unwrap());
    }
    let directories = || {
        let entries = fs::read_dir(all).unwrap().map(Result::unwrap);
        entries
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .count()
    };
    let new = |number| kept(all, &format!("new {number}"), now()).unwrap().unwrap();
    for number in 0..3 {
        fs::write(new(number).path.join("file"), "").unwrap();
    }
    assert_eq!(directories(), MAX_KEPT);
    assert!((0..3).all(|number| new(number).path.join("file").exists()));
    // Of the old ones three were new, and one had to make room.
    let later = now() + MAX_AGE + Duration::from_secs(1);
    drop(kept(all, "other", later).unwrap());
    assert_eq!(directories(), MAX_KEPT - 3);
    assert!((0..3).all(|number| !new(number).path.join("file").exists()));
}
