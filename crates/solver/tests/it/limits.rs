//! How many steps run at a time, and which of them first.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use graph::Graph;
use solver::BuildOptions;
use tokio::sync::Semaphore;

use crate::toy::{Add, World, options};

const SECOND: Duration = Duration::from_secs(1);

fn jobs(jobs: usize) -> BuildOptions {
    BuildOptions {
        jobs: NonZeroUsize::new(jobs).unwrap(),
        ..options()
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_run_as_are_allowed_and_no_more() {
    for (allowed, seconds) in [(1, 24), (2, 12), (5, 5), (24, 1), (100, 1)] {
        let world = World::new();
        let mut graph = Graph::default();
        let base = graph.keyed("base");
        let stages: Vec<_> = (0..24)
            .map(|number| {
                let name = format!("stage {number}");
                world.script(|script| script.delays.insert(name.clone(), SECOND));
                graph.run(&name, &[base])
            })
            .collect();
        let target = graph.run("target", &stages);
        let start = tokio::time::Instant::now();
        world
            .build_with(&graph, &[target], jobs(allowed))
            .await
            .unwrap();
        assert_eq!(start.elapsed(), seconds * SECOND, "{allowed} at a time");
        let most = world.script(|script| script.most_running);
        assert_eq!(most, allowed.min(24));
    }
}

/// One long chain and many short ones: the whole takes as long as the long one.
#[tokio::test(start_paused = true)]
async fn the_longest_chain_goes_first() {
    let world = World::new();
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let slow = |world: &World, graph: &mut Graph, name: String, input| {
        world.script(|script| script.delays.insert(name.clone(), SECOND));
        graph.run(&name, &[input])
    };
    // The short ones come first in the graph, so that order alone would start with them.
    let mut ends: Vec<_> = (0..8)
        .map(|number| slow(&world, &mut graph, format!("short {number}"), base))
        .collect();
    let long = (0..8).fold(base, |input, number| {
        slow(&world, &mut graph, format!("long {number}"), input)
    });
    ends.push(long);
    let target = graph.run("target", &ends);
    let start = tokio::time::Instant::now();
    world.build_with(&graph, &[target], jobs(2)).await.unwrap();
    assert_eq!(start.elapsed(), 8 * SECOND);
}

/// A step that waits for its inputs takes no turn from those.
#[tokio::test(start_paused = true)]
async fn one_job_is_enough_for_any_graph() {
    let world = World::new();
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let context = graph.local("context");
    let copied = graph.copy("copied", base, context, "/a");
    let left = graph.run("left", &[copied]);
    let right = graph.run("right", &[copied]);
    let from = graph.copy("from", left, right, "/b");
    let target = graph.merge("merge", &[from, right, context]);
    world.build_with(&graph, &[target], jobs(1)).await.unwrap();
    assert_eq!(world.script(|script| script.most_running), 1);
}

/// What builds have in common is asked for last, and given back when the step has ended.
#[tokio::test(start_paused = true)]
async fn builds_share_the_room_that_there_is() {
    let world = World::new();
    world.script(|script| script.room = Some(Arc::new(Semaphore::new(2))));
    let graphs = ["one", "two", "three"].map(|build| {
        let mut graph = Graph::default();
        let stages = [1, 2].map(|number| {
            let name = format!("{build} {number}");
            world.script(|script| script.delays.insert(name.clone(), SECOND));
            graph.run(&name, &[])
        });
        let target = graph.run(&format!("{build} target"), &stages);
        (graph, target)
    });
    let start = tokio::time::Instant::now();
    let builds = graphs
        .iter()
        .map(|(graph, target)| world.build_with(graph, std::slice::from_ref(target), jobs(8)));
    for built in futures_util::future::join_all(builds).await {
        built.unwrap();
    }
    assert_eq!(start.elapsed(), 3 * SECOND);
    assert_eq!(world.script(|script| script.most_running), 2);
}
