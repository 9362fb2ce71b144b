//! Copies, makes and removes files, without a process and without a mount: changes are written
//! straight into a layer above what is there.

mod copy;
mod earlier;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use graph::{
    FileAction, FileActionKind, FileInput, FileOp, Mkdir, Mkfile, Owner, OwnerName, Remove,
    Symlink, Timestamp,
};
use snapshot::copy::CopyOwner;
use snapshot::copy::Earlier;
use snapshot::snapshotter::Draft;
use snapshot::{Attributes, NewDirectory, Time, Tree, Upper};
use solver::Step;
use store::LayerId;
use sys::owner;

use super::{InputTree, Looks};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::{Output, Stack};

pub(crate) use copy::{copy_all, copy_contents, exclude, include};

impl Inner {
    /// Does the actions of `op`; one output for each that they name.
    pub(crate) async fn file(
        self: &Arc<Self>,
        step: &Step,
        op: &FileOp,
        inputs: Vec<Output>,
        looks: &Looks,
    ) -> Result<Vec<Output>, EngineError> {
        let looks = looks.of(step, &inputs);
        let inputs = self.trees(step, inputs).await?;
        let (engine, op, step) = (Arc::clone(self), op.clone(), step.clone());
        crate::blocking(move || {
            let mut actions = Actions::new(&engine, inputs);
            if let [look] = &*looks {
                actions.earlier = engine.earlier_copy(&step, &op, look)?;
            }
            actions.run(&op)
        })
        .await?
    }

    /// All inputs on top of one another.
    pub(crate) async fn merge(
        self: &Arc<Self>,
        inputs: Vec<Output>,
    ) -> Result<Output, EngineError> {
        let mut layers = Vec::new();
        for input in inputs {
            let stack = match input {
                Output::Stack(stack) => stack,
                Output::Local(local) => {
                    let engine = Arc::clone(self);
                    let input = InputTree::Local(local);
                    crate::blocking(move || engine.base(&input)).await??.0
                }
            };
            layers.extend_from_slice(stack.layers());
        }
        Ok(Output::Stack(Stack::new(layers)))
    }

    /// What has to be laid over the first input to get the second; all of a single one.
    pub(crate) async fn diff(
        self: &Arc<Self>,
        step: &Step,
        inputs: Vec<Output>,
    ) -> Result<Output, EngineError> {
        if let [Output::Stack(only)] = inputs.as_slice() {
            return Ok(Output::Stack(only.clone()));
        }
        let inputs = self.trees(step, inputs).await?;
        let engine = Arc::clone(self);
        crate::blocking(move || {
            let [lower, upper] = inputs.as_slice() else {
                return Err(EngineError::Solve("a diff has two inputs".to_owned()));
            };
            let stack = match engine.above(lower, upper)? {
                Some(above) => above,
                None => Stack::new([engine.changes(lower, upper)?]),
            };
            Ok(Output::Stack(stack))
        })
        .await?
    }

    /// The layers that `upper` has on top of `lower`; none if it is not built on it. Each is as it
    /// was made, unless it says more than what differs.
    fn above(&self, lower: &InputTree, upper: &InputTree) -> Result<Option<Stack>, EngineError> {
        let (InputTree::Layers { stack: below, .. }, InputTree::Layers { stack, directories }) =
            (lower, upper)
        else {
            return Ok(None);
        };
        let (below, stack) = (below.layers(), stack.layers());
        if !stack.starts_with(below) {
            return Ok(None);
        }
        let mut above = Vec::new();
        for at in below.len()..stack.len() {
            let on = |count: usize| InputTree::Layers {
                stack: Stack::new(&stack[..count]),
                directories: directories[..count].to_vec(),
            };
            let (below, layer) = (&directories[..at], &directories[at]);
            let says_more = snapshot::changes::says_more(layer, below, self.marks)?;
            above.push(match says_more {
                true => self.changes(&on(at), &on(at + 1))?,
                false => stack[at],
            });
        }
        Ok(Some(Stack::new(above)))
    }

    /// A layer of what differs.
    fn changes(&self, lower: &InputTree, upper: &InputTree) -> Result<LayerId, EngineError> {
        let (_, directories) = self.base(lower)?;
        let draft = self.draft(&directories)?;
        let options = snapshot::copy::Options {
            share: true,
            pool: Some(self.pool()?),
            earlier: None,
            limits: self.config.limits.archive(),
        };
        let (lower, upper) = (self.tree(lower)?, self.tree(upper)?);
        snapshot::changes::between(&lower, &upper, draft.upper(), &options)?;
        self.publish(draft.commit())
    }
}

/// Layers that actions are making. An action that goes on from another one changes its layer, unless
/// something else is made of that too.
struct Actions<'a> {
    engine: &'a Inner,
    inputs: Vec<InputTree>,
    /// By action.
    made: Vec<Made>,
    /// What an earlier copy made, if copying is all that is done.
    earlier: Option<Earlier>,
}

/// What an action made.
enum Made {
    /// A layer that another action may go on with.
    Open(Box<Chain>),
    /// A layer that nothing changes any more.
    Layer(InputTree),
    /// What an action that went on from this one has now.
    Passed,
}

/// A layer that is being made.
struct Chain {
    base: Stack,
    directories: Vec<PathBuf>,
    draft: Draft,
}

impl<'a> Actions<'a> {
    fn new(engine: &'a Inner, inputs: Vec<InputTree>) -> Self {
        Self {
            engine,
            inputs,
            made: Vec::new(),
            earlier: None,
        }
    }

    fn run(mut self, op: &FileOp) -> Result<Vec<Output>, EngineError> {
        for (action, shared) in op.actions.iter().zip(shared(op)) {
            let chain = self.chain(action.input)?;
            self.act(chain.draft.upper(), action)?;
            self.made.push(if shared {
                Made::Layer(self.close(chain)?)
            } else {
                Made::Open(Box::new(chain))
            });
        }
        let count = op.actions.iter().filter_map(|action| action.output).max();
        let count = count.map_or(0, |last| last as usize + 1);
        let mut outputs = vec![Output::Stack(Stack::default()); count];
        for (action, made) in op.actions.iter().zip(std::mem::take(&mut self.made)) {
            let slot = action.output.and_then(|at| outputs.get_mut(at as usize));
            let Some(slot) = slot else { continue };
            let tree = match made {
                Made::Open(chain) => self.close(*chain)?,
                Made::Layer(tree) => tree,
                Made::Passed => return Err(lost()),
            };
            if let InputTree::Layers { stack, .. } = tree {
                *slot = Output::Stack(stack);
            }
        }
        Ok(outputs)
    }

    /// The layer that an action on `input` goes on with, or a new one.
    fn chain(&mut self, input: FileInput) -> Result<Chain, EngineError> {
        let (base, directories) = match input {
            FileInput::Scratch => (Stack::default(), Vec::new()),
            FileInput::Input(index) => self.engine.base(self.input(index)?)?,
            FileInput::Action(action) => {
                let made = self.made.get_mut(action as usize).ok_or_else(lost)?;
                match made {
                    Made::Layer(tree) => self.engine.base(tree)?,
                    made => match std::mem::replace(made, Made::Passed) {
                        Made::Open(chain) => return Ok(*chain),
                        _ => return Err(lost()),
                    },
                }
            }
        };
        let draft = self.engine.draft(&directories)?;
        Ok(Chain {
            base,
            directories,
            draft,
        })
    }

    /// The layer, finished, on what is below it.
    fn close(&self, chain: Chain) -> Result<InputTree, EngineError> {
        let layer = self.engine.publish(chain.draft.commit())?;
        let mut directories = chain.directories;
        directories.push(self.engine.layer_directory(layer));
        Ok(InputTree::Layers {
            stack: chain.base.with(layer),
            directories,
        })
    }

    fn input(&self, index: u32) -> Result<&InputTree, EngineError> {
        let missing = || EngineError::Solve(format!("an action names input {index}"));
        self.inputs.get(index as usize).ok_or_else(missing)
    }

    fn act(&self, upper: &Upper, action: &FileAction) -> Result<(), EngineError> {
        match &action.kind {
            FileActionKind::Mkdir(mkdir) => self.mkdir(upper, mkdir),
            FileActionKind::Mkfile(mkfile) => self.mkfile(upper, mkfile),
            FileActionKind::Remove(remove) => remove_files(upper, remove),
            FileActionKind::Symlink(link) => self.symlink(upper, link),
            FileActionKind::Copy(copy) => {
                let owner = self.copy_owner(upper, copy.owner.as_ref())?;
                let tree = match copy.from {
                    FileInput::Scratch => Tree::layers(&[], self.engine.marks)?,
                    FileInput::Input(index) => self.engine.tree(self.input(index)?)?,
                    FileInput::Action(action) => match self.made.get(action as usize) {
                        Some(Made::Open(chain)) => chain.draft.upper().tree()?,
                        Some(Made::Layer(tree)) => self.engine.tree(tree)?,
                        Some(Made::Passed) | None => return Err(lost()),
                    },
                };
                let made = copy::Made {
                    owner,
                    earlier: self.earlier.as_ref(),
                };
                copy::copy(self.engine, &tree, upper, copy, &made)
            }
        }
    }

    fn mkdir(&self, upper: &Upper, mkdir: &Mkdir) -> Result<(), EngineError> {
        let (uid, gid) = self.owner(upper, mkdir.owner.as_ref())?.unwrap_or((0, 0));
        let new = NewDirectory {
            mode: mkdir.mode,
            uid,
            gid,
            modified: mkdir.created.map(time),
        };
        let path = mkdir.path.clone().into();
        Ok(upper.mkdir(&snapshot::Mkdir {
            path,
            new,
            parents: mkdir.parents,
        })?)
    }

    fn mkfile(&self, upper: &Upper, mkfile: &Mkfile) -> Result<(), EngineError> {
        let (uid, gid) = self.owner(upper, mkfile.owner.as_ref())?.unwrap_or((0, 0));
        Ok(upper.mkfile(&snapshot::Mkfile {
            path: mkfile.path.clone().into(),
            data: mkfile.data.clone(),
            mode: mkfile.mode,
            uid,
            gid,
            modified: mkfile.created.map(time),
        })?)
    }

    fn symlink(&self, upper: &Upper, link: &Symlink) -> Result<(), EngineError> {
        let (uid, gid) = self.owner(upper, link.owner.as_ref())?.unwrap_or((0, 0));
        Ok(upper.symlink(&snapshot::Symlink {
            path: link.path.clone().into(),
            target: link.target.clone().into(),
            uid,
            gid,
            modified: link.created.map(time),
        })?)
    }

    /// Whose files a copy makes. An owner that is given and says nothing stands for a client's.
    fn copy_owner(&self, upper: &Upper, owner: Option<&Owner>) -> Result<CopyOwner, EngineError> {
        let is_client = owner.is_some_and(|owner| owner.user.is_none() && owner.group.is_none());
        if is_client {
            return Ok(CopyOwner::Client);
        }
        let numbers = self.owner(upper, owner)?;
        Ok(numbers.map_or(CopyOwner::Source, |(uid, gid)| CopyOwner::Fixed(uid, gid)))
    }

    /// Numbers of an owner, looked up in the changed file system when it is given by name.
    fn owner(
        &self,
        upper: &Upper,
        owner: Option<&Owner>,
    ) -> Result<Option<(u32, u32)>, EngineError> {
        let Some(owner) = owner else { return Ok(None) };
        let text = |name: &Option<OwnerName>| match name {
            None => String::new(),
            Some(OwnerName::Id(id)) => id.to_string(),
            Some(OwnerName::Name(name)) => name.clone(),
        };
        if let (Some(OwnerName::Id(user)), Some(OwnerName::Id(group))) = (&owner.user, &owner.group)
        {
            return Ok(Some((*user, *group)));
        }
        let user = text(&owner.user);
        let name = match text(&owner.group) {
            group if group.is_empty() => user.clone(),
            group => format!("{user}:{group}"),
        };
        let found = super::find_user(&upper.tree()?, &name)?;
        // A number alone is user and group, as Docker has it.
        let gid = match (&owner.user, &owner.group) {
            (Some(OwnerName::Id(user)), None) => *user,
            _ => found.gid,
        };
        Ok(Some((found.uid, gid)))
    }
}

/// By action, whether it has a layer of its own, since of what it made an action goes on and something
/// else is made as well.
fn shared(op: &FileOp) -> Vec<bool> {
    let mut shared = vec![false; op.actions.len()];
    let mut continued = shared.clone();
    for action in &op.actions {
        if let FileActionKind::Copy(copy) = &action.kind
            && let FileInput::Action(from) = copy.from
            && let Some(is_shared) = shared.get_mut(from as usize)
        {
            *is_shared |= continued[from as usize] || action.input == copy.from;
        }
        if let FileInput::Action(base) = action.input
            && let Some(is_shared) = shared.get_mut(base as usize)
        {
            let base = base as usize;
            *is_shared |= continued[base] || op.actions[base].output.is_some();
            continued[base] = true;
        }
    }
    shared
}

/// An action names one that is not there, or whose layer is not its own any more.
fn lost() -> EngineError {
    EngineError::Solve("a file action names what is not there".to_owned())
}

fn time(time: Timestamp) -> Time {
    let nanos = time.0.rem_euclid(1_000_000_000);
    Time {
        seconds: time.0.div_euclid(1_000_000_000),
        nanos: u32::try_from(nanos).unwrap_or_default(),
    }
}

/// Sees to it that there is a directory at `path`, following links inside the file system.
pub(crate) fn make_directory(upper: &Upper, path: &Path) -> Result<(), EngineError> {
    let (path, new) = (path.to_owned(), NewDirectory::default());
    Ok(upper.mkdir(&snapshot::Mkdir {
        path,
        new,
        parents: true,
    })?)
}

fn remove_files(upper: &Upper, remove: &Remove) -> Result<(), EngineError> {
    Ok(upper.remove(&snapshot::Remove {
        path: remove.path.clone().into(),
        allow_missing: remove.allow_missing,
        wildcard: remove.wildcard,
    })?)
}

/// Owner, mode and time of a file that was just written.
pub(crate) fn set_file_attributes(file: &File, attributes: &Attributes) -> Result<(), EngineError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| EngineError::Write { source };
    let (uid, gid) = (attributes.uid, attributes.gid);
    owner::give(file, owner::Owner { uid, gid }).map_err(failed)?;
    file.set_permissions(std::fs::Permissions::from_mode(attributes.mode))
        .map_err(failed)?;
    match attributes.modified {
        Some(time) => file
            .set_modified(crate::clock::from_epoch(time.seconds))
            .map_err(failed),
        None => Ok(()),
    }
}
