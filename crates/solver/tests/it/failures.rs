//! What a build leaves behind when it does not come to its end.

use std::error::Error;
use std::time::Duration;

use graph::{Edge, Graph};
use solver::{BuildOptions, Doing, SolveError};
use tokio_util::sync::CancellationToken;

use crate::toy::{Add, ToyError, World, options};

const SECOND: Duration = Duration::from_secs(1);

/// Two long chains that meet in a target.
fn two_chains() -> (Graph, graph::VertexId) {
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let quick = graph.run("quick", &[base]);
    let slow = graph.run("slow", &[base]);
    let after = graph.run("after", &[quick]);
    let target = graph.run("target", &[slow, after]);
    (graph, target)
}

fn recorded(world: &World) -> String {
    let storage = world.solver.storage();
    assert_eq!((storage.locked(), world.solver.in_flight()), (0, 0));
    assert_eq!(world.script(|script| script.running), 0);
    let keys = storage.keys().into_iter();
    let mut names: Vec<_> = keys.map(|key| storage.parts(key).unwrap().name).collect();
    names.sort();
    names.join(", ")
}

fn text(error: &ToyError) -> String {
    let source = error.source().map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_ends_everything_at_once() {
    let world = World::new();
    let (graph, target) = two_chains();
    world.script(|script| {
        script.delays.insert("slow".to_owned(), 60 * SECOND);
        script.delays.insert("after".to_owned(), SECOND);
        script.broken.insert("after".to_owned());
    });
    let start = tokio::time::Instant::now();
    let error = world.build(&graph, &[target]).await.unwrap_err();
    assert_eq!(start.elapsed(), SECOND);
    assert_eq!(text(&error), "cannot run \"after\": after is broken");
    let SolveError::Step { step, doing, .. } = error else {
        panic!("{error:?}");
    };
    let after = graph
        .iter()
        .find(|(_, vertex)| vertex.meta.name == "after")
        .unwrap();
    assert_eq!(
        (step.id, step.digest, doing),
        (after.0, after.1.digest, Doing::Run)
    );
    assert_eq!(
        world.events(),
        "pin base, run base, run quick, run slow, run after, drop slow"
    );
    assert_eq!(recorded(&world), "base, quick");
}

#[tokio::test(start_paused = true)]
async fn what_was_finished_before_a_failure_is_used_after_it() {
    let world = World::new();
    let (graph, target) = two_chains();
    world.script(|script| script.broken.insert("target".to_owned()));
    world.build(&graph, &[target]).await.unwrap_err();
    assert_eq!(recorded(&world), "after, base, quick, slow");
    world.events();
    world.script(|script| script.broken.clear());
    world.build(&graph, &[target]).await.unwrap();
    assert_eq!(world.events(), "pin base, run target");
}

#[tokio::test]
async fn a_source_that_cannot_be_resolved_is_named() {
    let world = World::new();
    let (graph, target) = two_chains();
    world.script(|script| script.broken.insert("pin base".to_owned()));
    let error = world.build(&graph, &[target]).await.unwrap_err();
    assert_eq!(text(&error), "cannot resolve \"base\": base is broken");
    assert_eq!(recorded(&world), "");
}

#[tokio::test]
async fn a_target_must_be_in_the_graph_and_have_the_output() {
    let world = World::new();
    let (graph, target) = two_chains();
    let error = world.build(&Graph::default(), &[target]).await.unwrap_err();
    assert_eq!(text(&error), "vertex 4 is not in the graph");
    let toy = std::sync::Arc::new(world.toy.clone());
    let edge = Edge {
        vertex: target,
        output: 3,
    };
    let solver = &world.solver;
    let error = solver
        .build(toy, graph.into(), &[edge], options())
        .await
        .unwrap_err();
    assert_eq!(
        text(&error),
        "\"target\" has 1 outputs, and number 3 of them is used"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_build_stops_at_once_and_records_nothing_half_done() {
    let world = World::new();
    let (graph, target) = two_chains();
    world.script(|script| script.delays.insert("slow".to_owned(), 60 * SECOND));
    let cancel = CancellationToken::new();
    let cancelled = BuildOptions {
        cancel: cancel.clone(),
        ..options()
    };
    let start = tokio::time::Instant::now();
    let build = world.build_with(&graph, &[target], cancelled);
    let stop = async {
        tokio::time::sleep(SECOND).await;
        cancel.cancel();
    };
    let (result, ()) = futures_util::future::join(build, stop).await;
    assert_eq!(text(&result.unwrap_err()), "the build was cancelled");
    assert_eq!(start.elapsed(), SECOND);
    assert_eq!(recorded(&world), "after, base, quick");
}

#[tokio::test]
async fn a_build_that_is_cancelled_before_it_starts_does_nothing() {
    let world = World::new();
    let (graph, target) = two_chains();
    let cancelled = options();
    cancelled.cancel.cancel();
    let error = world
        .build_with(&graph, &[target], cancelled)
        .await
        .unwrap_err();
    assert!(matches!(error, SolveError::Cancelled));
    assert_eq!(world.events(), "");
}

/// Nothing is left to a runtime: what a build held is free when the drop returns.
#[tokio::test(start_paused = true)]
async fn dropping_a_build_frees_everything_before_the_drop_returns() {
    let world = World::new();
    let (graph, target) = two_chains();
    world.script(|script| script.delays.insert("slow".to_owned(), 60 * SECOND));
    let result = tokio::time::timeout(SECOND, world.build(&graph, &[target])).await;
    assert!(result.is_err());
    assert_eq!(recorded(&world), "after, base, quick");
    assert!(world.events().ends_with("drop slow"));
}
