//! What a build says, as text that follows one step to its end before it turns to the next.

use std::collections::BTreeMap;

use engine::VertexDigest;
use engine::events::Progress;

/// How much of what steps write may wait to be sent.
pub(super) const LOG_BYTES: u32 = 4 << 20;

/// Turns what happens into text. Steps that run beside the one that is being told of are told of
/// after it.
#[derive(Debug, Default)]
pub(super) struct Narration {
    names: BTreeMap<VertexDigest, String>,
    steps: Vec<Step>,
    out: String,
}

#[derive(Debug)]
struct Step {
    vertex: VertexDigest,
    text: String,
    ended: bool,
}

impl Narration {
    /// Something happened.
    pub(super) fn take(&mut self, event: Progress) {
        match event {
            Progress::Planned(vertices) => {
                let names = vertices.into_iter().map(|v| (v.vertex, v.name));
                self.names.extend(names);
            }
            Progress::Started { vertex, .. } | Progress::Shared { vertex } => self.begin(vertex),
            Progress::Cached { vertex, .. } => {
                self.begin(vertex);
                self.write(vertex, " ---> Using cache\n");
                self.end(vertex);
            }
            Progress::Log { vertex, bytes, .. } => {
                self.write(vertex, &String::from_utf8_lossy(&bytes));
            }
            Progress::Completed { vertex, .. }
            | Progress::Failed { vertex, .. }
            | Progress::Cancelled { vertex, .. } => self.end(vertex),
            Progress::Warning(warning) => {
                let text = format!("[Warning] {}\n", warning.message);
                match warning.vertex {
                    Some(vertex) => self.write(vertex, &text),
                    None => self.out.push_str(&text),
                }
            }
            // Docker's clients expect nothing of the kind; the history has it.
            Progress::Explained { .. } | Progress::Recalled { .. } | Progress::Status { .. } => {}
        }
    }

    /// What can be said by now.
    pub(super) fn say(&mut self) -> String {
        while let Some(first) = self.steps.first_mut() {
            self.out.push_str(&std::mem::take(&mut first.text));
            if !first.ended {
                break;
            }
            self.steps.remove(0);
        }
        std::mem::take(&mut self.out)
    }

    /// What is left when nothing more happens.
    pub(super) fn finish(mut self) -> String {
        for step in &mut self.steps {
            step.ended = true;
        }
        self.say()
    }

    /// Only steps of the Dockerfile are told of.
    fn begin(&mut self, vertex: VertexDigest) {
        let name = self.names.get(&vertex).map(String::as_str);
        let step = name.and_then(|name| name.strip_prefix('[')?.split_once("] "));
        let Some((place, instruction)) = step.filter(|(place, _)| *place != "internal") else {
            return;
        };
        if self
            .steps
            .iter()
            .any(|step| step.vertex == vertex && !step.ended)
        {
            return;
        }
        self.steps.push(Step {
            vertex,
            text: format!("Step {place} : {instruction}\n"),
            ended: false,
        });
    }

    fn write(&mut self, vertex: VertexDigest, text: &str) {
        if let Some(step) = self.open(vertex) {
            step.text.push_str(text);
        }
    }

    fn end(&mut self, vertex: VertexDigest) {
        if let Some(step) = self.open(vertex) {
            step.ended = true;
        }
    }

    fn open(&mut self, vertex: VertexDigest) -> Option<&mut Step> {
        let mut steps = self.steps.iter_mut();
        steps.find(|step| step.vertex == vertex && !step.ended)
    }
}
