//! What runs, and what does not, from build to build.

use std::sync::Arc;

use futures_util::FutureExt;
use graph::{Graph, VertexId};
use solver::{CacheStorage, InputPart, Portion};

use crate::toy::{Add, World, summary};

/// A base, a stage that builds from local files, and one that takes a file from it.
fn two_stages() -> (Graph, VertexId) {
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let context = graph.local("context");
    let copied = graph.copy("copy", base, context, "/a");
    let built = graph.run("build", &[copied]);
    let shipped = graph.copy("ship", base, built, "/b");
    (graph, shipped)
}

/// Builds twice, with a change between, and compares what the second build does and says.
#[track_caller]
fn check(
    (graph, target): (Graph, VertexId),
    change: impl FnOnce(&World),
    events: &str,
    outcome: &str,
) {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    runtime.block_on(async {
        world.build(&graph, &[target]).await.unwrap();
        world.events();
        change(&world);
        let second = world.restart().build(&graph, &[target]).await.unwrap();
        assert_eq!(world.events(), events);
        assert_eq!(summary(&graph, &second), outcome);
        assert_eq!(world.solver.storage().locked(), 0);
    });
}

fn change_source(name: &str) -> impl FnOnce(&World) {
    move |world| {
        world.script(|script| script.sources.insert(name.to_owned(), "changed".to_owned()));
    }
}

#[tokio::test]
async fn the_first_build_runs_everything_once() {
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
    assert_eq!(first.targets[0].output, second.targets[0].output);
    assert_eq!(first.targets[0].cache_key, second.targets[0].cache_key);
    assert!(second.targets[0].was_cached);
}

/// What another storage knows is asked for only once one's own does not, and then nothing is made that
/// leads to it.
#[tokio::test]
async fn what_is_known_elsewhere_is_not_made() {
    let there = World::new();
    let (graph, target) = two_stages();
    let made = there.build(&graph, &[target]).await.unwrap();
    let here = World::new();
    here.script(|script| script.elsewhere = Some(Arc::clone(there.solver.storage())));
    let found = here.build(&graph, &[target]).await.unwrap();
    assert_eq!(
        here.events(),
        "pin base, pin context, run context, sum copy, guess ship, recall ship"
    );
    assert_eq!(found.targets[0].output, made.targets[0].output);
    assert!(found.targets[0].was_cached);
    assert_eq!(here.solver.storage().locked(), 0);
    // What leads to the key of contents is told.
    let told = |solution: &solver::Solution<_>| {
        let vertices = solution.vertices.iter();
        vertices.map(|v| v.definition.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(told(&found), [false, false, false, false, true]);

    // What changed since is made; what it leads to is still found, since it is the same.
    here.script(|script| {
        script
            .sources
            .insert("build".to_owned(), "changed".to_owned())
    });
    change_source("context/a")(&here);
    here.build(&graph, &[target]).await.unwrap();
    assert_eq!(
        here.events(),
        "pin base, pin context, run context, sum copy, guess ship, recall build, recall copy, \
         recall base, run copy, run build, sum ship, recall ship"
    );
}

#[test]
fn the_second_build_only_looks() {
    check(
        two_stages(),
        |_| (),
        "pin base, pin context, run context, sum copy",
        "base untouched, context executed, copy untouched, build untouched, ship cached",
    );
}

#[test]
fn a_file_that_nobody_reads_changes_nothing() {
    check(
        two_stages(),
        change_source("context/b"),
        "pin base, pin context, run context, sum copy",
        "base untouched, context executed, copy untouched, build untouched, ship cached",
    );
}

#[test]
fn a_change_stops_where_the_content_is_the_same_again() {
    check(
        two_stages(),
        change_source("context/a"),
        "pin base, pin context, run context, sum copy, run copy, run build, sum ship",
        "base cached, context executed, copy executed, build executed, ship cached",
    );
}

#[test]
fn a_new_base_changes_everything() {
    check(
        two_stages(),
        change_source("base/a"),
        "pin base, pin context, run context, sum copy, run base, run copy, run build, sum ship, \
         run ship",
        "base executed, context executed, copy executed, build executed, ship executed",
    );
}

#[test]
fn a_lost_record_is_made_again_and_no_other() {
    let lose_target = |world: &World| {
        let storage = world.solver.storage();
        let lost = |key: &_| storage.parts(*key).unwrap().name == "ship";
        let key = storage.keys().into_iter().find(lost).unwrap();
        assert!(storage.remove(key));
    };
    check(
        two_stages(),
        lose_target,
        "pin base, pin context, run context, sum copy, sum ship, run ship",
        "base cached, context executed, copy untouched, build cached, ship executed",
    );
}

#[test]
fn an_input_without_a_key_enters_by_all_of_its_content() {
    let merged = || {
        let mut graph = Graph::default();
        let base = graph.keyed("base");
        let context = graph.local("context");
        let target = graph.merge("merge", &[base, context]);
        (graph, target)
    };
    check(
        merged(),
        |_| (),
        "pin base, pin context, run context, sum merge",
        "base untouched, context executed, merge cached",
    );
    check(
        merged(),
        change_source("context/b"),
        "pin base, pin context, run context, sum merge, run merge",
        "base cached, context executed, merge executed",
    );
}

#[test]
fn a_source_without_a_key_is_made_for_each_build() {
    let mut graph = Graph::default();
    let target = graph.local("context");
    check(
        (graph, target),
        |_| (),
        "pin context, run context",
        "context executed",
    );
}

/// What ignores the cache runs, and what depends on all of it; what reads a file of it looks.
#[test]
fn ignoring_the_cache_goes_as_far_as_it_must() {
    let graph = || {
        let mut graph = Graph::default();
        let base = graph.keyed("base");
        let fresh = graph.fresh("fresh", &[base]);
        let next = graph.run("next", &[fresh]);
        let aside = graph.run("aside", &[base]);
        let copy = graph.copy("copy", aside, next, "/b");
        let target = graph.run("target", &[copy]);
        (graph, target)
    };
    check(
        graph(),
        |_| (),
        "pin base, run fresh, run next, sum copy",
        "base cached, fresh executed, next executed, aside untouched, copy untouched, target \
         cached",
    );
    check(
        graph(),
        change_source("base/a"),
        "pin base, run base, run fresh, run next, sum copy, run aside, run copy, run target",
        "base executed, fresh executed, next executed, aside executed, copy executed, target \
         executed",
    );
}

#[tokio::test]
async fn equal_content_is_used_once_in_a_build_even_if_it_ignores_the_cache() {
    let world = World::new();
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let (one, two) = (graph.local("one"), graph.local("two"));
    world.script(|script| {
        for name in ["one/a", "two/a"] {
            script.sources.insert(name.to_owned(), String::new());
        }
        script.same = true;
    });
    // Both copies are of the same op and the same content, and so of one key.
    let first = graph.copy("copy", base, one, "/a");
    let second = graph.copy("copy", base, two, "/a");
    let solution = world.build(&graph, &[first, second]).await.unwrap();
    assert_eq!(solution.targets[0].cache_key, solution.targets[1].cache_key);
    let runs = world.events();
    assert_eq!(runs.matches("run copy").count(), 1, "{runs}");
}

/// A step that makes something else each time: the key of what was copied from it is the key of
/// what is there now, not of what was there when the alias was noted.
#[tokio::test]
async fn an_alias_is_no_proof_of_content() {
    let world = World::new();
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let moody = graph.run("moody", &[base]);
    let copy = graph.copy("copy", base, moody, "/a");
    let target = graph.run("target", &[copy]);
    world.script(|script| script.restless.insert("moody".to_owned()));
    let first = world.build(&graph, &[target]).await.unwrap();

    let storage = world.solver.storage();
    let by_name = |name: &str| {
        let is = |key: &_| storage.parts(*key).unwrap().name == name;
        storage.keys().into_iter().filter(is).collect::<Vec<_>>()
    };
    let (old_copy, old_target) = (by_name("copy"), by_name("target"));
    for name in ["moody", "copy", "target"] {
        assert!(storage.remove(by_name(name)[0]));
    }
    let second = world.build(&graph, &[target]).await.unwrap();
    assert_ne!(first.targets[0].output, second.targets[0].output);
    assert_ne!(first.targets[0].cache_key, second.targets[0].cache_key);
    // What is recorded under the new keys was made from the new content, and only that.
    assert_ne!(by_name("copy"), old_copy);
    assert_ne!(by_name("target"), old_target);
    assert_eq!(storage.keys().len(), 4);
    // And the next build goes straight there.
    world.events();
    let third = world.build(&graph, &[target]).await.unwrap();
    assert_eq!(world.events(), "pin base");
    assert_eq!(
        third.targets,
        [solver::Solved {
            was_cached: true,
            ..second.targets[0].clone()
        }]
    );
}

/// When inputs turn out as an older build had them, its record is found before anything runs.
#[tokio::test]
async fn a_settled_key_may_have_a_record() {
    let world = World::new();
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let moody = graph.run("moody", &[base]);
    let copy = graph.copy("copy", base, moody, "/a");
    let target = graph.run("target", &[copy]);
    let storage = world.solver.storage();
    // Takes away what was recorded of all but the base.
    let take = || {
        let mut taken = Vec::new();
        for key in storage.keys() {
            let parts = storage.parts(key).unwrap();
            if parts.name != "base" {
                let outputs = storage.load(key).now_or_never();
                taken.push((key, outputs.unwrap().unwrap().unwrap(), parts));
                storage.remove(key);
            }
        }
        taken
    };
    let mood = |mood: &str| {
        world.script(|script| script.sources.insert("moody".to_owned(), mood.to_owned()))
    };
    let first = world.build(&graph, &[target]).await.unwrap();
    let old = take();
    mood("changed");
    world.build(&graph, &[target]).await.unwrap();
    take();
    mood("");
    for (key, outputs, parts) in old {
        if parts.name != "moody" {
            storage.save(key, &outputs, &parts).await.unwrap();
        }
    }
    world.events();
    let last = world.build(&graph, &[target]).await.unwrap();
    assert_eq!(world.events(), "pin base, run moody, sum copy");
    assert_eq!(first.targets[0].output, last.targets[0].output);
    assert_eq!(first.targets[0].cache_key, last.targets[0].cache_key);
}

#[tokio::test]
async fn a_record_says_what_its_key_was_made_of() {
    let world = World::new();
    let (graph, target) = two_stages();
    let solution = world.build(&graph, &[target]).await.unwrap();
    let storage = world.solver.storage();
    let key = solution.targets[0].cache_key.unwrap();
    let parts = storage.parts(key).unwrap();
    let vertex = graph.get(target).unwrap();
    assert_eq!((parts.name.as_str(), &parts.op), ("ship", &vertex.op));
    let base = solution.vertices[0].cache_key.unwrap();
    assert_eq!(
        parts.inputs[0],
        InputPart::Whole {
            key: base,
            output: 0
        }
    );
    let InputPart::Content {
        portion: Portion::Paths(paths),
        ..
    } = &parts.inputs[1]
    else {
        panic!("{parts:?}");
    };
    assert_eq!(paths.paths[0].path, "/b");
    let source = storage.parts(base).unwrap();
    assert_eq!((source.name.as_str(), source.inputs.len()), ("base", 0));
}

#[tokio::test]
async fn one_content_is_looked_at_once_for_all_who_read_it() {
    let world = World::new();
    let mut graph = Graph::default();
    let base = graph.keyed("base");
    let context = graph.local("context");
    let targets: Vec<_> = ["one", "two", "three"]
        .map(|name| graph.copy(name, base, context, "/a"))
        .into();
    world.build(&graph, &targets).await.unwrap();
    assert_eq!(world.events().matches("sum").count(), 1);
}

#[tokio::test]
async fn nothing_is_asked_of_what_no_target_reaches() {
    let world = World::new();
    let mut graph = Graph::default();
    let other = graph.keyed("other");
    let target = graph.keyed("target");
    graph.run("unused", &[other, target]);
    let solution = world.build(&graph, &[target]).await.unwrap();
    assert_eq!(summary(&graph, &solution), "target executed");
    assert_eq!(world.events(), "pin target, run target");
    let nothing = world.build(&graph, &[]).await.unwrap();
    assert!(nothing.targets.is_empty() && nothing.vertices.is_empty());
}
