//! What is told, to whom, and in which order.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join;
use graph::{Graph, VertexId};
use solver::progress::{Recorder, channel};
use solver::{BuildOptions, Progress, ProgressReceiver};
use tokio::time::{sleep, timeout};

use crate::toy::{Add, World, options};

const SECOND: Duration = Duration::from_secs(1);

fn told_to(log_bytes: u32) -> (BuildOptions, ProgressReceiver) {
    let (progress, receiver) = channel(log_bytes);
    (
        BuildOptions {
            progress,
            ..options()
        },
        receiver,
    )
}

/// Everything that was told, by the names of vertices, but for the plan.
fn told(graph: &Graph, receiver: &mut ProgressReceiver) -> String {
    let name = |digest| {
        let mut vertices = graph.iter();
        let found = vertices.find(|(_, vertex)| vertex.digest == digest);
        found.map_or("?", |(_, vertex)| &vertex.meta.name)
    };
    let mut told = String::new();
    while let Some(progress) = receiver.try_recv() {
        let line = match progress {
            Progress::Planned(_) => continue,
            Progress::Started { vertex, .. } => format!("started {}", name(vertex)),
            Progress::Cached { vertex, origin, .. } => {
                format!("cached {} ({origin:?})", name(vertex))
            }
            Progress::Shared { vertex } => format!("shared {}", name(vertex)),
            Progress::Completed { vertex, .. } => format!("completed {}", name(vertex)),
            Progress::Failed { vertex, error, .. } => {
                format!("failed {}: {error}", name(vertex))
            }
            Progress::Cancelled { vertex, .. } => format!("cancelled {}", name(vertex)),
            Progress::Log { bytes, .. } => format!("{:?}", String::from_utf8_lossy(&bytes)),
            Progress::Warning(warning) => warning.message,
            other => format!("{other:?}"),
        };
        writeln!(told, "{line}").unwrap();
    }
    told
}

fn graph() -> (Graph, VertexId) {
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let left = graph.run("left", &[base]);
    let right = graph.run("right", &[base]);
    let target = graph.run("target", &[left, right]);
    (graph, target)
}

#[tokio::test(start_paused = true)]
async fn a_build_tells_what_it_does() {
    let world = World::new();
    let (graph, target) = graph();
    world.script(|script| {
        script.delays.insert("left".to_owned(), SECOND);
        script.delays.insert("right".to_owned(), 2 * SECOND);
        let lines = ["one\n", "two\n"].map(str::to_owned);
        script.output.insert("left".to_owned(), lines.into());
    });
    let (told_to_me, mut receiver) = told_to(1024);
    world
        .build_with(&graph, &[target], told_to_me)
        .await
        .unwrap();
    assert_eq!(
        told(&graph, &mut receiver),
        "started base\ncompleted base\nstarted left\n\"one\\n\"\n\"two\\n\"\nstarted right\n\
         completed left\ncompleted right\nstarted target\ncompleted target\n"
    );

    let (told_to_me, mut receiver) = told_to(1024);
    world
        .build_with(&graph, &[target], told_to_me)
        .await
        .unwrap();
    assert_eq!(
        told(&graph, &mut receiver),
        "cached base (NotNeeded)\ncached left (NotNeeded)\ncached right (NotNeeded)\n\
         cached target (Recorded)\n"
    );
}

#[tokio::test(start_paused = true)]
async fn the_plan_comes_first_and_names_everything() {
    let world = World::new();
    let (graph, target) = graph();
    let (told_to_me, mut receiver) = told_to(1);
    world
        .build_with(&graph, &[target], told_to_me)
        .await
        .unwrap();
    let Some(Progress::Planned(planned)) = receiver.recv().await else {
        panic!("no plan");
    };
    let names: Vec<_> = planned
        .iter()
        .map(|v| (v.name.as_str(), v.inputs.len()))
        .collect();
    assert_eq!(
        names,
        [("base", 0), ("left", 1), ("right", 1), ("target", 2)]
    );
    while receiver.recv().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_failure_says_why_and_what_was_cancelled_for_it() {
    let world = World::new();
    let (graph, target) = graph();
    world.script(|script| {
        script.broken.insert("left".to_owned());
        script.delays.insert("left".to_owned(), SECOND);
        script.delays.insert("right".to_owned(), 2 * SECOND);
    });
    let (told_to_me, mut receiver) = told_to(1024);
    world
        .build_with(&graph, &[target], told_to_me)
        .await
        .unwrap_err();
    assert_eq!(
        told(&graph, &mut receiver),
        "started base\ncompleted base\nstarted left\nstarted right\nfailed left: left is broken\n\
         cancelled right\n"
    );
    world.script(|script| script.broken.insert("pin base".to_owned()));
    let (told_to_me, mut receiver) = told_to(1024);
    world
        .build_with(&graph, &[target], told_to_me)
        .await
        .unwrap_err();
    assert_eq!(told(&graph, &mut receiver), "failed base: base is broken\n");
}

/// A step that writes 8 chunks of 16 bytes and then takes ten seconds.
fn writer(world: &World) -> (Graph, VertexId) {
    let mut graph = Graph::default();
    let target = graph.run("writer", &[]);
    world.script(|script| {
        let chunks = (0..8).map(|n| format!("chunk {n} of eight"));
        script.output.insert("writer".to_owned(), chunks.collect());
        script.delays.insert("writer".to_owned(), 10 * SECOND);
    });
    (graph, target)
}

fn chunks(told: &str) -> usize {
    told.matches("of eight").count()
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_its_only_reader_and_nothing_is_lost() {
    let world = World::new();
    let (graph, target) = writer(&world);
    let (told_to_me, mut receiver) = told_to(40);
    let build = world.build_with(&graph, &[target], told_to_me);
    let mut build = std::pin::pin!(build);
    assert!(timeout(60 * SECOND, &mut build).await.is_err());
    let first = told(&graph, &mut receiver);
    assert_eq!(chunks(&first), 2, "{first}");
    let mut all = first;
    while timeout(60 * SECOND, &mut build).await.is_err() {
        all += &told(&graph, &mut receiver);
    }
    all += &told(&graph, &mut receiver);
    assert_eq!(chunks(&all), 8, "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_has_gone_holds_up_nobody() {
    let world = World::new();
    let (graph, target) = writer(&world);
    let (told_to_me, receiver) = told_to(40);
    let build = world.build_with(&graph, &[target], told_to_me);
    let leave = async {
        sleep(SECOND).await;
        drop(receiver);
    };
    let (result, ()) = join(build, leave).await;
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_joins_a_running_step_is_told_what_it_said() {
    let world = World::new();
    let (graph, target) = writer(&world);
    let (first, mut first_receiver) = told_to(1024);
    let (second, mut second_receiver) = told_to(1);
    let join_later = async {
        sleep(5 * SECOND).await;
        world.build_with(&graph, &[target], second).await
    };
    let (one, two) = join(world.build_with(&graph, &[target], first), join_later).await;
    assert!(one.is_ok() && two.is_ok());
    let first = told(&graph, &mut first_receiver);
    assert_eq!(chunks(&first), 8);
    let second = told(&graph, &mut second_receiver);
    assert!(second.contains("shared writer\n"), "{second}");
    assert_eq!(first, second.replace("shared writer\n", ""));
}

/// What its recorder took note of, by the names of its cases.
#[derive(Default)]
struct Notes(Mutex<Vec<Progress>>);

impl Recorder for Notes {
    fn record(&self, progress: &Progress) {
        self.0.lock().unwrap().push(progress.clone());
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorder_hears_everything_in_order_though_the_reader_misses_some() {
    let world = World::new();
    let (graph, target) = writer(&world);
    let (mut stuck, mut stuck_receiver) = told_to(40);
    let (quick, _quick_receiver) = told_to(1024);
    let notes = Arc::new(Notes::default());
    stuck.progress = stuck.progress.recorded(notes.clone());
    let join_later = async {
        sleep(5 * SECOND).await;
        world.build_with(&graph, &[target], quick).await
    };
    let (one, two) = join(world.build_with(&graph, &[target], stuck), join_later).await;
    assert!(one.is_ok() && two.is_ok());
    assert!(chunks(&told(&graph, &mut stuck_receiver)) < 8);
    let (told_again, mut receiver) = told_to(1024);
    for progress in notes.0.lock().unwrap().drain(..) {
        told_again.progress.send(progress);
    }
    let heard = told(&graph, &mut receiver);
    let expected: Vec<String> = (0..8).map(|n| format!("\"chunk {n} of eight\"")).collect();
    let lines: Vec<&str> = heard
        .lines()
        .filter(|line| line.contains("chunk"))
        .collect();
    assert_eq!(lines, expected);
    assert!(heard.starts_with("started writer\n") && heard.ends_with("completed writer\n"));
}

/// A client that reads nothing cannot hold up another's build; it learns that it missed
/// something when it reads again.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_misses_output_when_a_faster_one_shares_the_step() {
    let world = World::new();
    let (graph, target) = writer(&world);
    let (stuck, mut stuck_receiver) = told_to(40);
    let (quick, mut quick_receiver) = told_to(1024);
    let slow = world.build_with(&graph, &[target], stuck);
    let mut slow = std::pin::pin!(slow);
    let join_later = async {
        sleep(5 * SECOND).await;
        world.build_with(&graph, &[target], quick).await
    };
    let start = tokio::time::Instant::now();
    let (one, two) = join(&mut slow, join_later).await;
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(start.elapsed(), 15 * SECOND);
    assert_eq!(chunks(&told(&graph, &mut quick_receiver)), 8);
    let stuck = told(&graph, &mut stuck_receiver);
    assert_eq!(chunks(&stuck), 2, "{stuck}");
}
