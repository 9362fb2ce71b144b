//! What a key was made of, in words.

use std::collections::BTreeMap;

use graph::{ExecOp, Mount, MountSource, Op};
use serde::{Deserialize, Serialize};
use solver::{Checksum, InputPart, KeyParts};

/// What an instruction does; told only where its text says nothing of it.
const ACTION: &str = "what it does";

/// Everything that is in the key of one step, each with its value or the beginning of its digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts(BTreeMap<Subject, String>);

/// What a fact is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Subject {
    /// The text of the instruction.
    Instruction,
    /// A variable of the process, by name.
    Variable(String),
    /// Something else that is set for it.
    Setting(String),
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
    /// What happened to it.
    pub(crate) fn change(&self) -> &'static str {
        match (&self.before, &self.now) {
            (None, _) => "is new",
            (Some(_), Some(_)) => "has another value",
            (Some(_), None) => "is gone",
        }
    }
}

impl Facts {
    pub(crate) fn of(parts: &KeyParts) -> Self {
        let mut facts = Self::default();
        let (_, instruction) = split(&parts.name);
        facts.add(Subject::Instruction, instruction.to_owned());
        match &parts.op {
            Op::Exec(exec) => facts.exec(exec),
            Op::File(file) => {
                let mut hasher = graph::ContentHasher::new("fact");
                graph::ContentHash::feed(file, &mut hasher);
                facts.set(ACTION, &hasher.finish().hex());
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

    /// What is not as in `earlier`.
    pub(crate) fn differences(&self, earlier: &Self) -> Vec<Fact> {
        let mut subjects: Vec<&Subject> = self.0.keys().chain(earlier.0.keys()).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let differs = |subject: &&Subject| self.0.get(subject) != earlier.0.get(subject);
        if differs(&&Subject::Instruction) {
            subjects.retain(|subject| *subject != &Subject::Setting(ACTION.to_owned()));
        }
        subjects
            .into_iter()
            .filter(differs)
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

    fn set(&mut self, name: &str, value: &str) {
        self.add(Subject::Setting(name.to_owned()), value.to_owned());
    }

    fn exec(&mut self, exec: &ExecOp) {
        for entry in exec.process.env.iter() {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            self.add(Subject::Variable(name.to_owned()), short_digest(value));
        }
        self.set(ACTION, &short_digest(&exec.process.args.join("\0")));
        self.set("the working directory", &exec.process.cwd);
        self.set("the user", &exec.process.user);
        self.set("the network", &format!("{:?}", exec.network));
        self.set("the security mode", &format!("{:?}", exec.security));
        self.set(
            "the host name",
            exec.hostname.as_deref().unwrap_or_default(),
        );
        self.set(
            "the list of extra hosts",
            &format!("{:?}", exec.extra_hosts),
        );
        for device in &exec.devices {
            let digest = device.digest.hex();
            self.set(&format!("device {}", device.name), &digest);
        }
        for mount in exec.mounts.iter().filter(|mount| mount.target != "/") {
            self.set(&format!("mount {}", mount.target), &described(mount));
        }
    }
}

/// The checksum that a fact about files has as its value.
pub(super) fn checksum(value: &str) -> Option<Checksum> {
    let digest = oci::Digest::from_hex(value).ok()?;
    Some(Checksum(*digest.as_bytes()))
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

fn described(mount: &Mount) -> String {
    let access = if mount.read_only {
        "read-only"
    } else {
        "writable"
    };
    match &mount.source {
        MountSource::Bind { selector, .. } => format!("bind {selector} {access}"),
        other => format!("{} {access}", short_digest(&format!("{other:?}"))),
    }
}

/// Enough to see that two values differ, too little to find out what they are by trying.
fn short_digest(value: &str) -> String {
    let mut hasher = graph::ContentHasher::new("fact");
    hasher.bytes(value.as_bytes());
    hasher.finish().hex().chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(list: &[(Subject, &str)]) -> Facts {
        let list = list.iter();
        Facts(
            list.map(|(subject, value)| (subject.clone(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn names_fall_apart_into_stage_and_instruction() {
        for (name, stage, instruction) in [
            ("[build 2/5] RUN make", "build", "RUN make"),
            ("[2/5] RUN make", "", "RUN make"),
            ("RUN [x] y", "", "RUN [x] y"),
        ] {
            assert_eq!(split(name), (stage, instruction));
        }
    }

    #[test]
    fn differences_are_what_is_new_gone_or_other() {
        let variable = |name: &str| Subject::Variable(name.to_owned());
        let before = facts(&[
            (Subject::Instruction, "RUN a"),
            (variable("GONE"), "1"),
            (variable("SAME"), "1"),
            (variable("OTHER"), "1"),
            (Subject::Input(0), "k"),
        ]);
        let after = facts(&[
            (Subject::Instruction, "RUN a"),
            (variable("NEW"), "1"),
            (variable("SAME"), "1"),
            (variable("OTHER"), "2"),
            (Subject::Input(0), "l"),
        ]);
        let told: Vec<(Subject, &str)> = after
            .differences(&before)
            .into_iter()
            .map(|fact| (fact.subject.clone(), fact.change()))
            .collect();
        let expected = [
            (variable("GONE"), "is gone"),
            (variable("NEW"), "is new"),
            (variable("OTHER"), "has another value"),
            (Subject::Input(0), "has another value"),
        ];
        assert_eq!(told, expected);
        assert_eq!(Facts::read(&after.write()), Some(after));
        assert_eq!(Facts::read(b"RUN a"), None);
    }
}
