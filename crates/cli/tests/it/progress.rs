//! Progress as texts: a script of events, and what each renderer makes of it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cli::progress::tty::Size;
use cli::progress::{Plain, RawJson, Summary, Tty};
use engine::VertexDigest;
use engine::events::{LogStream, Origin, PlannedVertex, Progress, Status, Warning};

fn vertex(name: &str) -> VertexDigest {
    VertexDigest(oci::Digest::of(name.as_bytes()))
}

fn at(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + milliseconds)
}

fn planned(names: &[&str]) -> Progress {
    let planned = |name: &&str| PlannedVertex {
        vertex: vertex(name),
        name: (*name).to_owned(),
        inputs: Vec::new(),
    };
    Progress::Planned(names.iter().map(planned).collect())
}

fn started(name: &str, time: u64) -> Progress {
    Progress::Started {
        vertex: vertex(name),
        at: at(time),
    }
}

fn completed(name: &str, time: u64) -> Progress {
    Progress::Completed {
        vertex: vertex(name),
        at: at(time),
    }
}

fn log(name: &str, time: u64, text: &'static str) -> Progress {
    Progress::Log {
        vertex: vertex(name),
        at: at(time),
        stream: LogStream::Stdout,
        bytes: Bytes::from_static(text.as_bytes()),
    }
}

fn status(name: &str, time: u64, current: u64, done: bool) -> Progress {
    let status = Status {
        id: "sha256:0123".to_owned(),
        current,
        total: Some(3_210_000),
        done,
    };
    Progress::Status {
        vertex: vertex(name),
        at: at(time),
        status,
    }
}

const PULL: &str = "[base 1/1] FROM docker.io/library/alpine:latest";
const COPY: &str = "[build 1/3] COPY . .";
const MAKE: &str = "[build 2/3] RUN make";
const TEST: &str = "[test 1/1] RUN make test";

/// Two steps that write at once, one that is cached, and a pull.
fn two_at_once() -> Vec<Progress> {
    vec![
        planned(&[PULL, COPY, MAKE, TEST]),
        started(PULL, 0),
        status(PULL, 10, 0, false),
        status(PULL, 300, 20_000, false),
        status(PULL, 600, 1_600_000, false),
        status(PULL, 900, 3_210_000, true),
        completed(PULL, 1000),
        Progress::Cached {
            vertex: vertex(COPY),
            at: at(1001),
            origin: Origin::Recorded,
        },
        started(MAKE, 1100),
        Progress::Explained {
            vertex: vertex(MAKE),
            reason: "not cached: src/main.c changed".to_owned(),
        },
        started(TEST, 1101),
        log(MAKE, 1200, "cc -o a\n"),
        log(TEST, 1210, "test 1\ntest"),
        log(MAKE, 1300, "cc -o "),
        log(TEST, 1310, " 2\n"),
        log(MAKE, 12_345, "b\n"),
        completed(TEST, 12_400),
        completed(MAKE, 12_500),
    ]
}

fn failing() -> Vec<Progress> {
    let mut script = vec![planned(&[MAKE, TEST]), started(MAKE, 0), started(TEST, 1)];
    for line in [
        "1\n", "2\n", "3\n", "4\n", "5\n", "6\n", "7\n", "8\n", "9\n", "10\n", "11\n",
    ] {
        script.push(log(MAKE, 100, line));
    }
    script.push(log(MAKE, 200, "no end of line"));
    script.push(Progress::Failed {
        vertex: vertex(MAKE),
        at: at(300),
        error: "process \"/bin/sh -c make\" did not complete successfully: exit code: 3".to_owned(),
    });
    script.push(Progress::Cancelled {
        vertex: vertex(TEST),
        at: at(301),
    });
    script.push(Progress::Warning(Warning {
        vertex: None,
        message: "FromAsCasing: 'as' and 'FROM' keywords' casing do not match".to_owned(),
        detail: vec!["The 'as' keyword should match the case of 'FROM'".to_owned()],
        url: Some("https://docs.docker.com/go/dockerfile/rule/from-as-casing/".to_owned()),
        locations: Vec::new(),
    }));
    script
}

fn plain(script: &[Progress]) -> String {
    let mut plain = Plain::default();
    for progress in script {
        plain.update(progress);
    }
    plain.finish(at(60_000));
    plain.take()
}

#[test]
fn lines_of_a_step_stay_together() {
    golden!(plain(&two_at_once()));
}

#[test]
fn a_silent_step_gives_way_to_one_that_has_something_to_say() {
    let mut text = Plain::default();
    for progress in [
        planned(&[MAKE, TEST]),
        started(MAKE, 0),
        started(TEST, 0),
        log(MAKE, 10, "first\nand a half"),
        log(TEST, 20, "waits\n"),
    ] {
        text.update(&progress);
    }
    text.tick(at(4000));
    let before = text.take();
    text.tick(at(5100));
    text.update(&log(MAKE, 5200, "!\nlast\n"));
    text.update(&log(TEST, 5300, "goes on\n"));
    text.update(&completed(MAKE, 5400));
    text.update(&completed(TEST, 5500));
    golden!(format!("{before}--- five seconds later\n{}", text.take()));
}

#[test]
fn a_failure_and_its_last_lines() {
    let script = failing();
    let mut summary = Summary::default();
    script.iter().for_each(|progress| summary.update(progress));
    golden!(format!(
        "{}{}{}{}",
        plain(&script),
        summary.failures(),
        summary.warnings(false),
        summary.warnings(true),
    ));
}

#[test]
fn json_lines() {
    let mut json = RawJson::default();
    two_at_once()
        .iter()
        .chain(&failing())
        .for_each(|progress| json.update(progress));
    golden!(json.take());
}

/// What the screen holds after each drawing, with escape sequences played.
#[derive(Default)]
struct Screen {
    rows: Vec<String>,
    row: usize,
}

impl Screen {
    fn play(&mut self, text: &str) {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(sequence) = rest.strip_prefix("\x1b[") {
                let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                let (number, letter) = (&sequence[..end], &sequence[end..=end]);
                match letter {
                    "A" => self.row -= number.parse::<usize>().unwrap(),
                    "J" => self.rows.truncate(self.row),
                    "K" | "l" | "h" | "m" => {}
                    other => panic!("unexpected sequence {other}"),
                }
                rest = &sequence[end + 1..];
                continue;
            }
            match first {
                '\r' => self.current().clear(),
                '\n' => {
                    self.row += 1;
                    self.current().clear();
                }
                other => self.current().push(other),
            }
            rest = &rest[first.len_utf8()..];
        }
    }

    fn current(&mut self) -> &mut String {
        while self.rows.len() <= self.row {
            self.rows.push(String::new());
        }
        &mut self.rows[self.row]
    }
}

#[test]
fn in_place() {
    let size = Size {
        width: 60,
        height: 12,
    };
    let mut tty = Tty::new(true, at(0));
    let (mut screen, mut shown) = (Screen::default(), String::new());
    let mut look = |screen: &mut Screen, title: &str, text: &str| {
        screen.play(text);
        shown.push_str(&format!("--- {title}\n{}\n", screen.rows.join("\n")));
    };
    let script = two_at_once();
    script[..5].iter().for_each(|progress| tty.update(progress));
    look(&mut screen, "0.6 s", &tty.draw(at(600), size));
    script[5..16]
        .iter()
        .for_each(|progress| tty.update(progress));
    assert_eq!(tty.draw(at(640), size), "", "drawn too soon");
    look(&mut screen, "12.4 s", &tty.draw(at(12_400), size));
    let small = Size {
        width: 30,
        height: 6,
    };
    look(
        &mut screen,
        "a small terminal",
        &tty.draw(at(12_450), small),
    );
    script[16..]
        .iter()
        .for_each(|progress| tty.update(progress));
    look(&mut screen, "the end", &tty.finish(at(12_600), size));
    golden!(shown);
}

#[test]
fn colours_and_the_cursor() {
    let size = Size {
        width: 40,
        height: 12,
    };
    let mut tty = Tty::new(true, at(0));
    failing().iter().for_each(|progress| tty.update(progress));
    let coloured = [tty.draw(at(400), size), tty.finish(at(500), size)].concat();
    let mut tty = Tty::new(false, at(0));
    failing().iter().for_each(|progress| tty.update(progress));
    let plain = tty.finish(at(500), size);
    golden!(format!("{coloured}\n{plain}").replace('\x1b', "ESC"));
}

/// Somebody sets the clock back by a year: nobody waits for a year to see what happens.
#[test]
fn displays_withstand_a_clock_that_goes_back() {
    let back = |milliseconds: u64| at(milliseconds) - Duration::from_secs(365 * 24 * 3600);
    let size = Size {
        width: 60,
        height: 12,
    };
    let mut tty = Tty::new(true, at(0));
    tty.update(&planned(&[MAKE]));
    assert_ne!(tty.draw(at(600), size), "");
    assert_ne!(tty.draw(back(0), size), "");
    assert_eq!(tty.draw(back(40), size), "", "drawn too soon");
    assert_ne!(tty.draw(back(60), size), "");
    let mut text = Plain::default();
    for progress in [
        planned(&[MAKE, TEST]),
        started(MAKE, 0),
        started(TEST, 0),
        log(MAKE, 10, "first\nand a half"),
        log(TEST, 20, "waits\n"),
    ] {
        text.update(&progress);
    }
    text.take();
    text.tick(back(0));
    assert!(text.take().contains("waits"));
}
