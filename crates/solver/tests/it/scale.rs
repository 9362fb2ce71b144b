//! Large graphs. The times are printed, and bounded only so loosely that a busy machine passes.

use std::time::{Duration, Instant};

use graph::{Graph, VertexId};

use crate::toy::{Add, World};

/// Stages of twenty steps each, every one with a copy from the context and from the stage before.
fn stages(vertices: usize) -> (Graph, VertexId) {
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let context = graph.local("context");
    let mut previous = base;
    let mut stage = 0;
    while graph.len() < vertices {
        let mut last = graph.copy(&format!("{stage} context"), base, context, "/a");
        last = graph.copy(&format!("{stage} previous"), last, previous, "/b");
        for step in 0..18 {
            last = graph.run(&format!("{stage} step {step}"), &[last]);
        }
        previous = last;
        stage += 1;
    }
    (graph, previous)
}

#[tokio::test]
async fn the_time_of_a_build_that_has_nothing_to_do_is_linear() {
    let mut times = Vec::new();
    for vertices in [2_000, 8_000] {
        let world = World::new();
        let (graph, target) = stages(vertices);
        let start = Instant::now();
        world.build(&graph, &[target]).await.unwrap();
        let first = start.elapsed();
        world.events();
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            let solution = world.build(&graph, &[target]).await.unwrap();
            best = best.min(start.elapsed());
            assert!(solution.targets[0].was_cached);
        }
        assert!(!world.events().contains("run 0"));
        eprintln!("{vertices} vertices: all run {first:?}, nothing to do {best:?}");
        times.push(best);
    }
    assert!(times[1] < 12 * times[0], "{times:?}");
}

#[tokio::test]
async fn a_long_chain_does_not_overflow_the_stack() {
    let mut graph = Graph::default();
    let mut last = graph.keyed("base");
    for step in 0..100_000 {
        last = graph.run(&format!("{step}"), &[last]);
    }
    let world = World::new();
    for what in ["all run", "nothing to do"] {
        let start = Instant::now();
        world.build(&graph, &[last]).await.unwrap();
        eprintln!("chain of 100,000: {what} {:?}", start.elapsed());
    }
    assert_eq!(world.events().matches("run").count(), 100_001);
}
