//! What is told of a build elsewhere, and how much of it is kept.

use super::*;

fn vertex(name: &str, started: bool, completed: bool) -> Vertex {
    let at = |is: bool, seconds| is.then_some(Timestamp { seconds, nanos: 0 });
    Vertex {
        digest: Digest::of(name.as_bytes()).to_string(),
        name: name.to_owned(),
        started: at(started, 1),
        completed: at(completed, 2),
        ..Vertex::default()
    }
}

fn told(narrator: &mut Narrator, vertexes: Vec<Vertex>) -> Vec<String> {
    let told = StatusResponse {
        vertexes,
        ..StatusResponse::default()
    };
    let events = narrator.events(told).into_iter();
    let shown = events.map(|event| match event {
        Progress::Planned(planned) => {
            let names: Vec<String> = planned.into_iter().map(|one| one.name).collect();
            format!("planned {}", names.join(" "))
        }
        Progress::Started { .. } => "started".to_owned(),
        Progress::Cached { .. } => "cached".to_owned(),
        Progress::Completed { .. } => "completed".to_owned(),
        Progress::Failed { error, .. } => format!("failed: {error}"),
        Progress::Cancelled { .. } => "cancelled".to_owned(),
        other => format!("{other:?}"),
    });
    shown.collect()
}

#[test]
fn nothing_is_said_twice() {
    let mut narrator = Narrator::default();
    let both = vec![vertex("a", false, false), vertex("b", false, false)];
    assert_eq!(told(&mut narrator, both), ["planned a b"]);
    let a = || vertex("a", true, false);
    assert_eq!(told(&mut narrator, vec![a()]), ["started"]);
    assert_eq!(told(&mut narrator, vec![a()]), [""; 0]);
    let ended = || vertex("a", true, true);
    assert_eq!(told(&mut narrator, vec![ended()]), ["completed"]);
    assert_eq!(told(&mut narrator, vec![ended()]), [""; 0]);
    // Both at once, and one that runs again.
    assert_eq!(
        told(&mut narrator, vec![vertex("b", true, true), a()]),
        ["started", "started", "completed"]
    );
    let run = |completed| vertex("d", true, completed);
    assert_eq!(
        told(&mut narrator, vec![run(true), run(false)]),
        ["planned d", "started", "completed", "started"]
    );
    let cached = Vertex {
        cached: true,
        ..vertex("c", true, true)
    };
    assert_eq!(told(&mut narrator, vec![cached]), ["planned c", "cached"]);
    for (error, shown) in [("no", "failed: no"), ("context canceled", "cancelled")] {
        let ended = Vertex {
            error: error.to_owned(),
            ..vertex(error, true, true)
        };
        let planned = format!("planned {error}");
        let expected = [planned.as_str(), "started", shown];
        assert_eq!(told(&mut narrator, vec![ended]), expected);
    }
}

#[test]
fn what_is_kept_of_a_build_is_bounded() {
    let mut narrator = Narrator::default();
    let name = |number: usize| format!("{number}{}", "x".repeat(1 << 20));
    let planned = |narrator: &mut Narrator, number| {
        told(narrator, vec![vertex(&name(number), true, true)]).len()
    };
    let mut events = (0..70).map(|number| planned(&mut narrator, number));
    assert!(events.by_ref().take(60).all(|events| events == 3));
    assert_eq!(events.last(), Some(0));
    // What is known goes on.
    let again = vec![vertex(&name(0), true, false)];
    assert_eq!(told(&mut narrator, again), ["started"]);
    let status = |id: usize| StatusResponse {
        statuses: vec![VertexStatus {
            vertex: vertex(&name(0), true, false).digest,
            id: format!("{id}{}", "x".repeat(1 << 20)),
            ..VertexStatus::default()
        }],
        ..StatusResponse::default()
    };
    assert_eq!(narrator.events(status(0)).len(), 0);
    let mut narrator = Narrator::default();
    let mut events = (0..70).map(|id| narrator.events(status(id)).len());
    assert!(events.by_ref().take(60).all(|events| events == 1));
    assert_eq!(events.last(), Some(0));
    assert_eq!(narrator.events(status(1)).len(), 1);
}

#[test]
fn a_terminal_obeys_nothing_that_is_told() {
    let mut narrator = Narrator::default();
    let hostile = Vertex {
        error: "e\u{1b}[2J".to_owned(),
        ..vertex("a\u{1b}[2J\nb", true, true)
    };
    let shown = told(&mut narrator, vec![hostile]);
    assert_eq!(
        shown,
        ["planned a [2J b", "started", "failed: e\u{fffd}[2J"]
    );
}
