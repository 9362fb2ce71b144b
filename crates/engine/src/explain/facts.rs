//! What a key was made of, in words.

mod describe;

use std::collections::BTreeMap;

use graph::Op;
use serde::{Deserialize, Serialize};
use solver::{Checksum, InputPart, KeyParts};

use describe::short_digest;

/// What files a step makes and how; told only where its text says nothing of it.
const ACTION: &str = "what it does";
/// What the shell of a step runs; told likewise.
const SCRIPT: &str = "its script";
/// What it is given to.
const SHELL: &str = "the shell";
/// Where files go; told unless the text says it.
const PLACE: &str = "the destination";

/// Everything that is in the key of one step, each with its value or the beginning of its digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts(BTreeMap<Subject, String>);

/// What a fact is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Subject {
    /// The text of the instruction as it was written.
    Instruction,
    /// A variable of the process or of the instruction, by name; its value is a digest.
    Variable(String),
    /// Something else that is set for it.
    Setting(String),
    /// What is mounted, by target.
    Mount(String),
    /// The bytes of a secret, by its ID; the value is a digest.
    Secret(String),
    /// An input that counts as a whole, by number.
    Input(usize),
    /// What is read of an input, by number.
    Files(usize),
}

/// A fact that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) subject: Subject,
    /// What it was; none when there was none.
    pub(crate) before: Option<String>,
    /// What it is now.
    pub(crate) now: Option<String>,
}

impl Fact {
    /// What happened to something whose value is not told.
    pub(crate) fn change(&self) -> &'static str {
        match (&self.before, &self.now) {
            (None, _) => "is new",
            (Some(_), Some(_)) => "has another value",
            (Some(_), None) => "is gone",
        }
    }

    /// What happened to something whose value can be told.
    pub(crate) fn told(&self, name: &str) -> String {
        match (&self.before, &self.now) {
            (Some(_), Some(_)) if matches!(name, ACTION | SCRIPT) => format!("{name} has changed"),
            (Some(before), Some(now)) => format!("{name} was {before} and is {now}"),
            (None, Some(now)) => format!("{name} is new: {now}"),
            (before, None) => {
                format!(
                    "{name} is gone: it was {}",
                    before.as_deref().unwrap_or("nothing")
                )
            }
        }
    }
}

impl Facts {
    pub(crate) fn of(parts: &KeyParts) -> Self {
        let mut facts = Self::default();
        let instruction = instruction(parts);
        facts.add(Subject::Instruction, instruction.to_owned());
        match &parts.op {
            Op::Exec(exec) => facts.exec(exec, instruction),
            Op::File(file) => {
                facts.file(file);
                for (name, value) in parts.written.iter().flat_map(|written| &written.variables) {
                    facts.add(Subject::Variable(name.clone()), short_digest(value));
                }
            }
            Op::Merge(_) | Op::Diff(_) | Op::Source(_) => {}
        }
        for (number, input) in parts.inputs.iter().enumerate() {
            match input {
                InputPart::Whole { key, output } => {
                    facts.add(Subject::Input(number), format!("{key} {output}"));
                }
                InputPart::Content { checksum, .. } => {
                    facts.add(Subject::Files(number), checksum.to_string());
                }
            }
        }
        facts
    }

    /// As a record keeps them.
    pub(crate) fn write(&self) -> Vec<u8> {
        let list: Vec<(&Subject, &String)> = self.0.iter().collect();
        serde_json::to_vec(&list).unwrap_or_default()
    }

    /// Reads what [`Facts::write`] wrote; none if another version wrote it.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let list: Vec<(Subject, String)> = serde_json::from_slice(bytes).ok()?;
        Some(Self(list.into_iter().collect()))
    }

    /// What is not as in `earlier`, without what only follows from something else that is not.
    pub(crate) fn differences(&self, earlier: &Self) -> Vec<Fact> {
        let mut subjects: Vec<&Subject> = self.0.keys().chain(earlier.0.keys()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects.retain(|subject| self.0.get(subject) != earlier.0.get(subject));
        // A step that needs no shell has another text than one that does.
        let shell = Subject::Setting(SHELL.to_owned());
        if self.0.contains_key(&shell) != earlier.0.contains_key(&shell) {
            subjects.retain(|subject| **subject != shell);
        }
        // What another mount shows is not compared with what was there.
        let is_bind = |facts: &Self, subject: &Subject| {
            facts
                .0
                .get(subject)
                .is_some_and(|value| value.starts_with(describe::BIND))
        };
        let binds = |subject: &&Subject| {
            matches!(subject, Subject::Mount(_))
                && (is_bind(self, subject) || is_bind(earlier, subject))
        };
        if subjects.iter().any(binds) {
            subjects.retain(|subject| !matches!(subject, Subject::Files(_)));
        }
        drop_consequences(&mut subjects);
        subjects
            .into_iter()
            .map(|subject| Fact {
                subject: subject.clone(),
                before: earlier.0.get(subject).cloned(),
                now: self.0.get(subject).cloned(),
            })
            .collect()
    }

    /// Whether both do the same, with whatever they read.
    pub(crate) fn does_what(&self, other: &Self) -> bool {
        let action = Subject::Setting(ACTION.to_owned());
        self.0.get(&action) == other.0.get(&action)
    }

    /// The checksum of the files that were read, if they are of one input.
    pub(crate) fn files(&self) -> Option<Checksum> {
        let mut files = self.0.iter().filter_map(|(subject, value)| match subject {
            Subject::Files(_) => checksum(value),
            _ => None,
        });
        match (files.next(), files.next()) {
            (only, None) => only,
            _ => None,
        }
    }

    fn add(&mut self, subject: Subject, value: String) {
        self.0.insert(subject, value);
    }

    fn set(&mut self, name: &str, value: String) {
        self.add(Subject::Setting(name.to_owned()), value);
    }
}

/// Another text says that something else is done; flags in it say what else is set; and a variable
/// in it says both.
fn drop_consequences(subjects: &mut Vec<&Subject>) {
    let is_action = |subject: &Subject| matches!(subject, Subject::Setting(name) if name == ACTION || name == SCRIPT);
    let is_cause = |subject: &Subject| {
        let of_step = matches!(
            subject,
            Subject::Variable(_) | Subject::Setting(_) | Subject::Mount(_) | Subject::Secret(_)
        );
        of_step && !is_action(subject)
    };
    let text = subjects.contains(&&Subject::Instruction);
    let action = subjects.iter().any(|subject| is_action(subject));
    let cause = subjects.iter().any(|subject| is_cause(subject));
    // Where it looks is no longer the same, so that nobody knows what would be there.
    if subjects
        .iter()
        .any(|subject| matches!(subject, Subject::Setting(name) if name == ACTION))
    {
        subjects.retain(|subject| !matches!(subject, Subject::Files(_)));
    }
    if text && action {
        let of_text = |name: &str| matches!(name, ACTION | SCRIPT | PLACE);
        subjects.retain(|subject| !matches!(subject, Subject::Setting(name) if of_text(name)));
    } else if text && cause {
        subjects.retain(|subject| **subject != Subject::Instruction);
    } else if action && cause {
        subjects.retain(|subject| !matches!(subject, Subject::Setting(name) if name == ACTION));
    }
    // The place is in the value of a variable, if one changed.
    if subjects
        .iter()
        .any(|subject| matches!(subject, Subject::Variable(_)))
    {
        let place = Subject::Setting(PLACE.to_owned());
        subjects.retain(|subject| **subject != place);
    }
}

/// The checksum that a fact about files has as its value.
pub(super) fn checksum(value: &str) -> Option<Checksum> {
    let digest = oci::Digest::from_hex(value).ok()?;
    Some(Checksum(*digest.as_bytes()))
}

/// The text of the instruction as it was written.
pub(super) fn instruction(parts: &KeyParts) -> &str {
    match &parts.written {
        Some(written) => &written.text,
        None => split(&parts.name).1,
    }
}

/// The stage and the instruction in a vertex's name, `[stage 2/5] RUN make`.
pub(super) fn split(name: &str) -> (&str, &str) {
    let Some((label, instruction)) = name
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    else {
        return ("", name);
    };
    let stage = label.rsplit_once(' ').map_or("", |(stage, _)| stage);
    (stage, instruction)
}

#[cfg(test)]
mod tests;
