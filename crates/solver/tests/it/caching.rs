//! What runs, and what does not, from build to build.

use graph::Graph;

use crate::toy::{Add, World, summary};

/// A base, a stage that builds from local files, and one that takes a file from it.
fn two_stages() -> (Graph, graph::VertexId) {
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let context = graph.local("context");
    let copied = graph.copy("copy", base, context, "/a");
    let built = graph.run("build", &[copied]);
    let shipped = graph.copy("ship", base, built, "/b");
    (graph, shipped)
}

#[tokio::test]
async fn the_first_build_runs_everything_once_and_the_second_nothing() {
    let world = World::new();
    let (graph, target) = two_stages();
    let first = world.build(&graph, &[target]).await.unwrap();
    assert_eq!(
        world.events(),
        "pin base, pin context, run context, sum copy, run base, run copy, run build, sum ship, \
         run ship"
    );
    assert!(!first.targets[0].was_cached);

    let second = world.restart().build(&graph, &[target]).await.unwrap();
    assert_eq!(
        world.events(),
        "pin base, pin context, run context, sum copy"
    );
    assert_eq!(
        summary(&graph, &second),
        "base untouched, context executed, copy untouched, build untouched, ship cached"
    );
    assert_eq!(first.targets[0].output, second.targets[0].output);
    assert_eq!(first.targets[0].cache_key, second.targets[0].cache_key);
}
