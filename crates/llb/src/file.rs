//! Ops that copy, make and remove files.

use std::collections::BTreeSet;

use bollard_buildkit_proto::pb;
use graph::{
    Edge, FileAction, FileActionKind, FileInput, FileOp, Mkdir, Mkfile, Op, Owner, OwnerName,
    Remove, Symlink, Timestamp,
};
use pb::file_action::Action;
use pb::user_opt::User;

use crate::copy;
use crate::error::Problem;
use crate::frame::Outputs;
use crate::load::{Converted, Given};
use crate::path;

pub(crate) fn convert(op: &pb::FileOp, given: &Given<'_>) -> Result<Converted, Problem> {
    if op.actions.is_empty() {
        return Err(Problem::Invalid("file op with no actions".to_owned()));
    }
    let mut conversion = Conversion {
        given,
        inputs: Vec::new(),
        base: None,
        actions: Vec::with_capacity(op.actions.len()),
        outputs: BTreeSet::new(),
    };
    for action in &op.actions {
        conversion.add(action)?;
    }
    conversion.finish(op)
}

/// The actions of an op, as far as they are converted.
pub(crate) struct Conversion<'a> {
    given: &'a Given<'a>,
    inputs: Vec<Edge>,
    /// The input that the first action changes.
    base: Option<usize>,
    actions: Vec<FileAction>,
    outputs: BTreeSet<u32>,
}

impl Conversion<'_> {
    fn add(&mut self, action: &pb::FileAction) -> Result<(), Problem> {
        let kind = action.action.as_ref();
        let kind = kind.ok_or_else(|| Problem::Invalid("file action of no kind".to_owned()))?;
        let input = self.input("input of a file action", action.input, true)?;
        if !matches!(kind, Action::Copy(_)) && action.secondary_input != -1 {
            return Err(Problem::Index {
                what: "secondary input of a file action",
                index: action.secondary_input,
            });
        }
        let kind = match kind {
            Action::Copy(copy) => {
                let (from, is_local) = self.source_input(action.secondary_input)?;
                let owner = owner(copy.owner.as_ref(), action.input)?;
                FileActionKind::Copy(copy::convert(copy, from, owner, is_local)?)
            }
            Action::Mkfile(file) => FileActionKind::Mkfile(Mkfile {
                path: path::clean(&file.path),
                data: file.data.clone(),
                mode: bits(file.mode),
                owner: owner(file.owner.as_ref(), action.input)?,
                created: time(file.timestamp),
            }),
            Action::Mkdir(directory) => FileActionKind::Mkdir(Mkdir {
                path: path::clean(&directory.path),
                mode: bits(directory.mode),
                parents: directory.make_parents,
                owner: owner(directory.owner.as_ref(), action.input)?,
                created: time(directory.timestamp),
            }),
            Action::Symlink(link) => FileActionKind::Symlink(Symlink {
                path: path::clean(&link.newpath),
                target: link.oldpath.clone(),
                owner: owner(link.owner.as_ref(), action.input)?,
                created: time(link.timestamp),
            }),
            Action::Rm(rm) => FileActionKind::Remove(Remove {
                path: path::clean(&rm.path),
                allow_missing: rm.allow_not_found,
                wildcard: rm.allow_wildcard && path::is_pattern(&rm.path),
            }),
        };
        let output = self.output(action.output)?;
        self.actions.push(FileAction {
            input,
            kind,
            output,
        });
        Ok(())
    }

    /// What a copy reads, and whether that is files of the client.
    fn source_input(&mut self, index: i64) -> Result<(FileInput, bool), Problem> {
        let input = self.input("secondary input of a file action", index, false)?;
        let edge = match input {
            FileInput::Input(place) => self.inputs.get(place as usize),
            FileInput::Action(_) => return Ok((input, false)),
            FileInput::Scratch => None,
        };
        let vertex = edge.and_then(|edge| self.given.graph.get(edge.vertex));
        let is_local =
            vertex.is_none_or(|vertex| matches!(&vertex.op, Op::Source(graph::SourceOp::Local(_))));
        Ok((input, is_local))
    }

    /// An input of the op, or what an earlier action made; those come after the inputs.
    fn input(
        &mut self,
        what: &'static str,
        index: i64,
        is_base: bool,
    ) -> Result<FileInput, Problem> {
        let count = i64::try_from(self.given.inputs.len()).unwrap_or(i64::MAX);
        if index < count {
            return Ok(match self.given.input(what, index)? {
                Some(edge) => FileInput::Input(self.add_input(edge, is_base)),
                None => FileInput::Scratch,
            });
        }
        let action = usize::try_from(index - count).ok();
        let action = action.filter(|action| *action < self.actions.len());
        let action = action.and_then(|action| u32::try_from(action).ok());
        action
            .map(FileInput::Action)
            .ok_or(Problem::Index { what, index })
    }

    /// The same input serves for several actions, but what is changed has one of its own.
    fn add_input(&mut self, edge: Edge, is_base: bool) -> u32 {
        let known = if is_base {
            None
        } else {
            let mut inputs = self.inputs.iter().enumerate();
            inputs
                .find(|(place, input)| **input == edge && Some(*place) != self.base)
                .map(|(place, _)| place)
        };
        let place = known.unwrap_or_else(|| {
            self.inputs.push(edge);
            self.inputs.len() - 1
        });
        if is_base && self.base.is_none() {
            self.base = Some(place);
        }
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    fn output(&mut self, output: i64) -> Result<Option<u32>, Problem> {
        if output == -1 {
            return Ok(None);
        }
        let index = Problem::Index {
            what: "output of a file action",
            index: output,
        };
        let Ok(output) = u32::try_from(output) else {
            return Err(index);
        };
        if !self.outputs.insert(output) {
            return Err(index);
        }
        Ok(Some(output))
    }

    fn finish(mut self, op: &pb::FileOp) -> Result<Converted, Problem> {
        if self.outputs.is_empty() {
            return Err(Problem::Invalid("file op with no outputs".to_owned()));
        }
        for (expected, output) in (0u32..).zip(&self.outputs) {
            if expected != *output {
                return Err(Problem::Index {
                    what: "output of a file action",
                    index: i64::from(*output),
                });
            }
        }
        for (index, input) in (0i64..).zip(self.given.inputs) {
            let names =
                |action: &pb::FileAction| action.input == index || action.secondary_input == index;
            if !op.actions.iter().any(names) {
                self.inputs.extend(input);
            }
        }
        Ok(Converted {
            op: Op::File(FileOp {
                actions: self.actions,
            }),
            inputs: self.inputs,
            outputs: self.outputs.into_iter().collect(),
            unchanged: Outputs::new(),
        })
    }
}

/// Permission bits of what is made.
fn bits(mode: i32) -> u32 {
    mode.cast_unsigned() & 0o777
}

/// -1 stands for no time.
pub(crate) const fn time(timestamp: i64) -> Option<Timestamp> {
    match timestamp {
        -1 => None,
        nanoseconds => Some(Timestamp(nanoseconds)),
    }
}

/// Names are looked up in what is changed.
fn owner(owner: Option<&pb::ChownOpt>, changed: i64) -> Result<Option<Owner>, Problem> {
    let Some(owner) = owner else {
        return Ok(None);
    };
    let user = name(owner.user.as_ref(), changed)?;
    let group = name(owner.group.as_ref(), changed)?;
    if user.is_none() && group.is_none() {
        return Ok(Some(Owner {
            user: Some(OwnerName::Id(0)),
            group: Some(OwnerName::Id(0)),
        }));
    }
    Ok(Some(Owner { user, group }))
}

fn name(user: Option<&pb::UserOpt>, changed: i64) -> Result<Option<OwnerName>, Problem> {
    match user.and_then(|user| user.user.as_ref()) {
        None => Ok(None),
        Some(User::ById(id)) => Ok(Some(OwnerName::Id(*id))),
        Some(User::ByName(named)) if named.name == "root" => Ok(Some(OwnerName::Id(0))),
        Some(User::ByName(named)) if named.input < 0 => Err(Problem::Index {
            what: "user",
            index: named.input,
        }),
        Some(User::ByName(named)) if named.input != changed => Err(Problem::unsupported(
            format!(
                "an owner {:?} from another file system than the changed one",
                named.name
            ),
            "give the owner by number",
        )),
        Some(User::ByName(named)) => Ok(Some(OwnerName::Name(named.name.clone()))),
    }
}
