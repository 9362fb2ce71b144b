//! A `COPY` or `ADD` on its way to a vertex: one action for each source.
//!
//! Files of a local context belong to root unless `--chown` says otherwise; that is written as an
//! [`Owner`] without user and group, so that files of an archive that `ADD` unpacks can keep
//! theirs. Files of stages and images keep their owner.

use std::borrow::Cow;

use graph::{
    Chmod, Copy, Edge, FileAction, FileActionKind, FileInput, FileOp, Op, Owner, OwnerName,
};

use super::error::LowerError;
use super::foreign::with_slashes;
use super::name::Named;
use super::scope::Scope;
use super::source::Sources;
use super::{git, url};
use crate::instruction::{AddOptions, Transfer};
use crate::path;

/// An instruction on its way to a vertex.
pub(super) struct Transfers<'a> {
    pub(super) transfer: &'a Transfer,
    /// Files become a layer of their own.
    pub(super) link: bool,
    /// What only `ADD` has; none for `COPY`.
    pub(super) add: Option<&'a AddOptions>,
    pub(super) checksum: Cow<'a, str>,
    pub(super) parents: bool,
    /// Where paths are looked for; nothing has no files.
    pub(super) from: Option<Edge>,
    /// They are looked for in the build context.
    pub(super) from_context: bool,
    /// They are files of the client, whose owners mean nothing here.
    pub(super) from_local: bool,
    pub(super) destination: Destination<'a>,
    pub(super) chown: Cow<'a, str>,
    pub(super) chmod: Cow<'a, str>,
    pub(super) mode: Option<Chmod>,
    /// What people are told of the step.
    pub(super) named: Named,
    /// The first input is what is copied onto.
    pub(super) has_base: bool,
    pub(super) inputs: Vec<Edge>,
    pub(super) actions: Vec<FileAction>,
    /// Sources as the history tells them.
    pub(super) told: Vec<Cow<'a, str>>,
}

/// Where files go.
#[derive(Debug, Clone)]
pub(super) struct Destination<'a> {
    /// With variables expanded.
    written: Cow<'a, str>,
    /// Absolute; with a slash at its end when it must be a directory.
    path: String,
}

impl<'a> Destination<'a> {
    pub(super) fn new(scope: &Scope, written: Cow<'a, str>) -> Result<Self, LowerError> {
        let given = with_slashes(&scope.platform, &written)?;
        let path = destination(&scope.directory(), &given);
        Ok(Self { written, path })
    }
}

impl Transfers<'_> {
    /// Only one file from elsewhere can have a checksum.
    pub(super) fn check_checksum(&self, sources: &[Cow<'_, str>]) -> Result<(), LowerError> {
        if self.checksum.is_empty() {
            return Ok(());
        }
        match sources {
            [source] if url::is_http(source) || git::parse(source)?.is_some() => Ok(()),
            [_] => Err(LowerError::ChecksumKind),
            _ => Err(LowerError::ChecksumSources),
        }
    }

    /// Says where paths are looked for.
    pub(super) fn set_from(&mut self, from: Option<Edge>, sources: &Sources) {
        self.from = from;
        self.from_local = from.is_none_or(|edge| sources.is_local(edge));
    }

    /// Adds a path or pattern in the context, a stage or an image.
    pub(super) fn push_path(&mut self, written: &str) {
        let parts = self.parents.then(|| written.split_once("/./")).flatten();
        let source = match parts {
            Some((parent, rest)) => {
                let parent = path::absolute("/", parent);
                let rest = path::absolute("/", rest);
                format!("{}/.{rest}", parent.trim_end_matches('/'))
            }
            None => path::absolute("/", written),
        };
        let plain = self.plain(source);
        let copy = Copy {
            owner: plain.owner.or(self.from_local.then_some(Owner {
                user: None,
                group: None,
            })),
            follow_links: true,
            directory_contents: true,
            wildcard: graph::has_wildcards(&plain.source) || plain.source.contains('\\'),
            allow_empty_wildcard: true,
            unpack: self.add.is_some_and(|add| add.unpack.unwrap_or(true)),
            parents: self.parents,
            ..plain
        };
        self.push(self.from, copy);
    }

    /// Adds all of a git repository.
    pub(super) fn push_repository(&mut self, repository: Edge) {
        let copy = Copy {
            directory_contents: true,
            ..self.plain("/".to_owned())
        };
        self.push(Some(repository), copy);
    }

    /// Adds the one file that another vertex made.
    pub(super) fn push_file(&mut self, edge: Edge, path: String, unpack: bool) {
        let copy = Copy {
            unpack,
            ..self.plain(path)
        };
        self.push(Some(edge), copy);
    }

    /// As the history of the image tells it.
    pub(super) fn history(&self) -> String {
        let keyword = if self.add.is_some() { "ADD" } else { "COPY" };
        let words = self.told.iter().map(|told| told.len() + 1).sum::<usize>();
        let flags = self.chown.len() + self.chmod.len();
        let mut text = String::with_capacity(words + flags + self.destination.written.len() + 64);
        text.push_str(keyword);
        if self.parents {
            text.push_str(" --parents");
        }
        for (flag, value) in [(" --chown=", &self.chown), (" --chmod=", &self.chmod)] {
            if !value.is_empty() {
                text.extend([flag, value]);
            }
        }
        for told in &self.told {
            text.extend([" ", told]);
        }
        text.extend([" ", &self.destination.written, " # buildkit"]);
        text
    }

    /// The op and its inputs.
    pub(super) fn into_op(mut self) -> (Op, Vec<Edge>) {
        if let Some(last) = self.actions.last_mut() {
            last.output = Some(0);
        }
        let op = Op::File(FileOp {
            actions: self.actions,
        });
        (op, self.inputs)
    }

    fn plain(&self, source: String) -> Copy {
        let destination = self.destination.path.clone();
        Copy {
            owner: (!self.chown.is_empty()).then(|| owner(&self.chown)),
            mode: self.mode.clone(),
            exclude: self.transfer.exclude.clone(),
            ..Copy::plain(FileInput::Scratch, source, destination)
        }
    }

    fn push(&mut self, from: Option<Edge>, copy: Copy) {
        let from = from.map_or(FileInput::Scratch, |edge| self.input(edge));
        let input = match (self.actions.len().checked_sub(1), self.has_base) {
            (Some(last), _) => FileInput::Action(index(last)),
            (None, true) => FileInput::Input(0),
            (None, false) => FileInput::Scratch,
        };
        self.actions.push(FileAction {
            input,
            kind: FileActionKind::Copy(Copy { from, ..copy }),
            output: None,
        });
    }

    /// The same input serves for several actions, but never for what is copied onto as well.
    fn input(&mut self, edge: Edge) -> FileInput {
        let own = usize::from(self.has_base);
        let known = self
            .inputs
            .iter()
            .skip(own)
            .position(|input| *input == edge);
        FileInput::Input(index(match known {
            Some(place) => place + own,
            None => {
                self.inputs.push(edge);
                self.inputs.len() - 1
            }
        }))
    }
}

/// Absolute; with a slash at its end when it must be a directory.
fn destination(directory: &str, written: &str) -> String {
    let must_be_directory = matches!(written, "" | "." | "..")
        || ["/", "/.", "/.."].iter().any(|end| written.ends_with(end));
    let mut path = path::absolute(directory, written);
    if must_be_directory && path != "/" {
        path.push('/');
    }
    path
}

/// A Dockerfile is not long enough to name more sources than fit.
pub(super) fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// `user`, `user:group`, by name or number; `root` needs no looking up.
pub(super) fn owner(text: &str) -> Owner {
    let name = |text: &str| match text {
        "root" => OwnerName::Id(0),
        _ => match text.parse::<u32>() {
            Ok(id) if i32::try_from(id).is_ok() => OwnerName::Id(id),
            _ => OwnerName::Name(text.to_owned()),
        },
    };
    match text.split_once(':') {
        Some((user, group)) => Owner {
            user: Some(name(user)),
            group: Some(name(group)),
        },
        None => Owner {
            user: Some(name(text)),
            group: None,
        },
    }
}

/// Permission bits as `chmod` takes them; none for an empty text.
pub(super) fn parse_mode(text: &str) -> Result<Option<Chmod>, LowerError> {
    const ALL_BITS: u32 = 0o7777;
    if text.is_empty() {
        return Ok(None);
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return match u32::from_str_radix(text, 8) {
            Ok(bits) if bits <= ALL_BITS => Ok(Some(Chmod::Octal(bits))),
            _ => Err(LowerError::Octal(text.to_owned())),
        };
    }
    if text.split(',').all(is_mode_clause) {
        Ok(Some(Chmod::Symbolic(text.to_owned())))
    } else {
        Err(LowerError::Mode(text.to_owned()))
    }
}

/// Whose bits, then one or more of an operator and what it does.
fn is_mode_clause(clause: &str) -> bool {
    let changes = clause.trim_start_matches(['a', 'u', 'g', 'o']);
    changes.starts_with(['+', '-', '='])
        && changes.chars().all(|c| {
            matches!(
                c,
                '+' | '-' | '=' | 'r' | 's' | 't' | 'w' | 'X' | 'x' | 'u' | 'g' | 'o'
            )
        })
}

#[cfg(test)]
mod tests;
