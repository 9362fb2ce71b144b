//! Progress of several builds as that of one: each step under the name of its target, and one that
//! several of them wait for once.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use engine::VertexDigest;
use engine::events::{Progress, ProgressReceiver, ProgressSender};
use oci::Digest;

/// What was told of by any of the builds.
#[derive(Debug, Default)]
pub(super) struct Told {
    planned: Mutex<BTreeSet<VertexDigest>>,
    ended: Mutex<BTreeSet<VertexDigest>>,
}

/// What one of the builds tells.
pub(super) struct Named<'a> {
    name: Option<&'a str>,
    told: &'a Told,
    /// Work beside the steps, which each build does by itself.
    tasks: BTreeSet<VertexDigest>,
    /// Steps that another build runs, and tells of.
    shared: BTreeSet<VertexDigest>,
}

impl<'a> Named<'a> {
    /// Of the target `name`; none when it is the only one.
    pub(super) const fn new(name: Option<&'a str>, told: &'a Told) -> Self {
        Self {
            name,
            told,
            tasks: BTreeSet::new(),
            shared: BTreeSet::new(),
        }
    }

    /// Passes on what is told, until there is no more.
    pub(super) async fn pass(mut self, mut from: ProgressReceiver, to: ProgressSender) {
        while let Some(event) = from.recv().await {
            if let Some(event) = self.event(event) {
                to.send_bounded(event).await;
            }
        }
    }

    fn event(&mut self, mut event: Progress) -> Option<Progress> {
        let Some(name) = self.name else {
            return Some(event);
        };
        match &mut event {
            Progress::Planned(vertices) => {
                let mut planned = lock(&self.told.planned);
                vertices.retain_mut(|vertex| {
                    let plain = VertexDigest(Digest::of(vertex.name.as_bytes()));
                    vertex.name = prefixed(name, &vertex.name);
                    if vertex.inputs.is_empty() && vertex.vertex == plain {
                        self.tasks.insert(plain);
                        vertex.vertex = own(name, plain);
                        return true;
                    }
                    planned.insert(vertex.vertex)
                });
                return (!vertices.is_empty()).then_some(event);
            }
            Progress::Shared { vertex } => {
                self.shared.insert(*vertex);
                return None;
            }
            Progress::Warning(warning) => {
                warning.message = format!("{name}: {}", warning.message);
                return Some(event);
            }
            _ => {}
        }
        let is_end = matches!(
            event,
            Progress::Cached { .. } | Progress::Completed { .. } | Progress::Failed { .. }
        );
        let is_cached = matches!(event, Progress::Cached { .. });
        let vertex = event.vertex_mut()?;
        if self.tasks.contains(vertex) {
            *vertex = own(name, *vertex);
            return Some(event);
        }
        let is_told =
            self.shared.contains(vertex) || is_cached && lock(&self.told.ended).contains(vertex);
        if is_end {
            lock(&self.told.ended).insert(*vertex);
        }
        (!is_told).then_some(event)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is told of `task` for one target.
pub(in crate::commands) fn own(name: &str, VertexDigest(task): VertexDigest) -> VertexDigest {
    VertexDigest(Digest::of(format!("{name} {task}").as_bytes()))
}

/// `[name 1/2] step`, or `[name] work`.
pub(in crate::commands) fn prefixed(name: &str, step: &str) -> String {
    match step.strip_prefix('[') {
        Some(rest) => format!("[{name} {rest}"),
        None => format!("[{name}] {step}"),
    }
}

#[cfg(test)]
mod tests {
    use engine::events::PlannedVertex;

    use super::*;

    fn planned(name: &str, vertex: VertexDigest) -> Progress {
        Progress::Planned(vec![PlannedVertex {
            vertex,
            name: name.to_owned(),
            inputs: Vec::new(),
        }])
    }

    #[test]
    fn a_step_of_two_targets_is_told_of_once() {
        let told = Told::default();
        let (mut a, mut b) = (Named::new(Some("a"), &told), Named::new(Some("b"), &told));
        let step = VertexDigest(Digest::of(b"step"));
        let at = std::time::SystemTime::UNIX_EPOCH;
        let shown = a.event(planned("[1/2] RUN x", step));
        assert_eq!(shown, Some(planned("[a 1/2] RUN x", step)));
        assert_eq!(b.event(planned("[1/2] RUN x", step)), None);
        assert_eq!(b.event(Progress::Shared { vertex: step }), None);
        let done = Progress::Completed { vertex: step, at };
        assert_eq!(b.event(done.clone()), None);
        assert_eq!(a.event(done.clone()), Some(done));
        let task = VertexDigest(Digest::of(b"exporting"));
        let of = |named: &mut Named<'_>| match named.event(planned("exporting", task)) {
            Some(Progress::Planned(vertices)) => vertices[0].clone(),
            other => panic!("{other:?}"),
        };
        let (of_a, of_b) = (of(&mut a), of(&mut b));
        assert_eq!(
            (of_a.name.as_str(), of_b.name.as_str()),
            ("[a] exporting", "[b] exporting")
        );
        assert_ne!(of_a.vertex, of_b.vertex);
    }
}
