//! Builds that run at the same time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use graph::{Graph, VertexId};
use tokio::time::{Instant, sleep, timeout};

use crate::toy::{Add, Toy, World, options};

const SECOND: Duration = Duration::from_secs(1);

/// A step of ten seconds and one that follows.
fn slow_step(world: &World) -> (Graph, VertexId) {
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let slow = graph.run("slow", &[base]);
    let target = graph.run("target", &[slow]);
    world.script(|script| script.delays.insert("slow".to_owned(), 10 * SECOND));
    (graph, target)
}

/// The second build starts when the first is in the middle of the slow step.
async fn later<T>(build: impl Future<Output = T>) -> T {
    sleep(5 * SECOND).await;
    build.await
}

#[tokio::test(start_paused = true)]
async fn builds_share_what_they_have_in_common() {
    let world = World::new();
    let (mut graph, target) = slow_step(&world);
    let first = graph.clone();
    let other = graph.run("other", &[target]);
    let start = Instant::now();
    let (one, two) = join(
        world.build(&first, &[target]),
        later(world.build(&graph, &[other, target])),
    )
    .await;
    assert_eq!(start.elapsed(), 10 * SECOND);
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.targets[0], two.targets[1]);
    assert_eq!(
        world.events(),
        "pin base, run base, run slow, pin base, run target, run other"
    );
    assert_eq!(world.solver.storage().locked(), 0);
}

#[tokio::test(start_paused = true)]
async fn shared_work_goes_on_while_one_build_wants_it() {
    let world = World::new();
    let (graph, target) = slow_step(&world);
    let start = Instant::now();
    let (one, two) = join(
        timeout(7 * SECOND, world.build(&graph, &[target])),
        later(world.build(&graph, &[target])),
    )
    .await;
    assert!(one.is_err() && two.is_ok());
    assert_eq!(start.elapsed(), 10 * SECOND);
    let runs = world.events();
    assert_eq!(runs.matches("run slow").count(), 1, "{runs}");
}

#[tokio::test(start_paused = true)]
async fn shared_work_is_dropped_when_nobody_wants_it() {
    let world = World::new();
    let (graph, target) = slow_step(&world);
    let (one, two) = join(
        timeout(7 * SECOND, world.build(&graph, &[target])),
        later(timeout(SECOND, world.build(&graph, &[target]))),
    )
    .await;
    assert!(one.is_err() && two.is_err());
    assert!(world.events().ends_with("drop slow"));
    assert_eq!(world.script(|script| script.running), 0);
    assert_eq!(world.solver.storage().locked(), 0);
    assert_eq!(world.solver.storage().keys().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_too() {
    let world = World::new();
    let (graph, target) = slow_step(&world);
    world.script(|script| script.broken.insert("slow".to_owned()));
    let (one, two) = join(
        world.build(&graph, &[target]),
        later(world.build(&graph, &[target])),
    )
    .await;
    for result in [one, two] {
        assert_eq!(result.unwrap_err().to_string(), "cannot run \"slow\"");
    }
    let runs = world.events();
    assert_eq!(runs.matches("run slow").count(), 1, "{runs}");
    // The next build does not get the old failure.
    world.script(|script| script.broken.clear());
    world.build(&graph, &[target]).await.unwrap();
}

/// What a build that has left started with its own secrets and files may fail for the lack of
/// them; that is not the failure of those who have stayed.
#[tokio::test(start_paused = true)]
async fn a_failure_of_a_build_that_has_left_is_tried_again() {
    let world = World::new();
    let (graph, target) = slow_step(&world);
    world.script(|script| script.broken.insert("slow".to_owned()));
    let own = Toy::default();
    let edge = [target.into()];
    let start = Instant::now();
    let stays = later(world.solver.build(
        Arc::new(own.clone()),
        Arc::new(graph.clone()),
        &edge,
        options(),
    ));
    let leaves = timeout(7 * SECOND, world.build(&graph, &[target]));
    let (one, two) = join(leaves, stays).await;
    assert!(one.is_err() && two.is_ok());
    assert_eq!(start.elapsed(), 10 * SECOND);
    assert_eq!(
        own.script(|script| script.events.join(", ")),
        "pin base, run slow, done slow, run target, done target"
    );
}

/// A build that must run a step does not take one that might have been found.
#[tokio::test(start_paused = true)]
async fn who_ignores_the_cache_shares_only_with_those_who_do() {
    let world = World::new();
    let (usual, target) = slow_step(&world);
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let slow = graph.fresh("slow", &[base]);
    let fresh_target = graph.run("target", &[slow]);
    let start = Instant::now();
    let (one, (two, three)) = join(
        world.build(&usual, &[target]),
        later(join(
            world.build(&graph, &[fresh_target]),
            world.build(&graph, &[fresh_target]),
        )),
    )
    .await;
    assert_eq!(
        one.unwrap().targets[0].output,
        two.unwrap().targets[0].output
    );
    assert!(three.is_ok());
    // One after the other, since both have one key and so one lock.
    assert_eq!(start.elapsed(), 20 * SECOND);
    let runs = world.events();
    assert_eq!(runs.matches("run slow").count(), 2, "{runs}");
}

/// Two solvers over one storage are as two processes: the lock keeps one waiting, and then the
/// record is there.
#[tokio::test(start_paused = true)]
async fn processes_share_through_the_lock_and_the_record() {
    let world = World::new();
    let (graph, target) = slow_step(&world);
    let other = world.restart();
    let (one, two) = join(
        world.build(&graph, &[target]),
        later(other.build(&graph, &[target])),
    )
    .await;
    assert!(one.is_ok());
    let slow = &two.unwrap().vertices[1];
    assert!(matches!(slow.how, solver::How::Cached(_)));
    let runs = world.events();
    assert_eq!(runs.matches("run slow").count(), 1, "{runs}");
}

/// Each build may give a shared step its turn.
#[tokio::test(start_paused = true)]
async fn a_build_with_a_free_turn_does_not_wait_in_anothers_queue() {
    let world = World::new();
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let long = graph.run("long", &[base]);
    let next = graph.run("next", &[long]);
    let shared = graph.run("shared", &[base]);
    world.script(|script| {
        for (name, seconds) in [("long", 60), ("next", 60), ("shared", 1)] {
            script.delays.insert(name.to_owned(), seconds * SECOND);
        }
    });
    let one_job = solver::BuildOptions {
        jobs: std::num::NonZeroUsize::MIN,
        ..options()
    };
    let start = Instant::now();
    let slow = world.build_with(&graph, &[next, shared], one_job);
    let quick = async {
        let result = later(world.build(&graph, &[shared])).await;
        (result, start.elapsed())
    };
    let (slow, (quick, elapsed)) = join(slow, quick).await;
    assert!(slow.is_ok() && quick.is_ok());
    assert_eq!(elapsed, 6 * SECOND);
    assert_eq!(start.elapsed(), 120 * SECOND);
}
