//! Control groups that hold a process, and all that it starts, to what it may take.
//!
//! What always holds: a process is in its group before it runs anything; a group is locked as long as
//! we live, and when a [`Group`] is dropped, no process is in it and it is gone. Of those that we were
//! killed over, nothing runs either, since processes end with us; the next that makes a group in the
//! same place finds them without their lock and removes them.

mod find;
mod part;
mod settings;
mod unified;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use sys::process::Step;

use crate::error::SandboxError;
use crate::spec::GroupLimits;

use find::Hierarchy;
use part::Part;
use settings::Controller;
pub use settings::Version as GroupVersion;

/// Which limit a process has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// Something of it was killed, since it needed more memory than it may have.
    Memory,
    /// It was refused a further process.
    Processes,
}

/// What the kernel can limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Means {
    /// Its name for that.
    pub name: &'static str,
    /// Control groups of which version limit it here, or why it cannot be limited and what would
    /// allow it.
    pub held: Result<GroupVersion, String>,
}

/// Makes groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Where we are ourselves, found out once.
    found: OnceLock<Vec<Hierarchy>>,
    /// Where what others left has been removed.
    swept: Mutex<BTreeSet<PathBuf>>,
}

/// A group in each hierarchy that has to do with a limit.
#[derive(Debug)]
pub(crate) struct Group(Vec<Part>);

impl Groups {
    /// A group with these limits; none if there are none.
    pub(crate) fn make(&self, limits: &GroupLimits) -> Result<Option<Group>, SandboxError> {
        let all = Controller::ALL.into_iter();
        let wanted = all.filter_map(|one| Some((one, limits.first_of(one)?)));
        let wanted: Vec<(Controller, &'static str)> = wanted.collect();
        let Some((_, first)) = wanted.first() else {
            return Ok(None);
        };
        let refuse = |limit| move |why| SandboxError::NoMeans { limit, why };
        let controllers: Vec<Controller> = wanted.iter().map(|(one, _)| *one).collect();
        let hierarchies = self.hierarchies().map_err(refuse(first))?;
        let parents = find::parents(hierarchies, &controllers).map_err(|(controller, why)| {
            let limit = limits.first_of(controller).unwrap_or(first);
            SandboxError::NoMeans { limit, why }
        })?;
        let mut parts: Vec<Part> = Vec::new();
        for ((controller, parent), (_, limit)) in parents.iter().zip(&wanted) {
            let index = match parts.iter().position(|part| part.is_in(parent)) {
                Some(index) => index,
                None => {
                    self.sweep(&parent.path);
                    parts.push(Part::make(parent).map_err(refuse(limit))?);
                    parts.len() - 1
                }
            };
            if let Some(part) = parts.get_mut(index) {
                part.limit(*controller, limits)?;
            }
        }
        Ok(Some(Group(parts)))
    }

    /// Whether a group with these limits could be made.
    pub(crate) fn can_hold(&self, limits: &GroupLimits) -> Result<(), SandboxError> {
        for controller in Controller::ALL {
            let Some(limit) = limits.first_of(controller) else {
                continue;
            };
            let looked = self.hierarchies();
            let looked = looked.and_then(|hierarchies| find::look(hierarchies, controller));
            looked.map_err(|why| SandboxError::NoMeans { limit, why })?;
        }
        Ok(())
    }

    /// What can be limited here, and what not.
    pub(crate) fn means(&self) -> Vec<Means> {
        let look = |controller: Controller| {
            let hierarchies = self.hierarchies()?;
            find::look(hierarchies, controller)
        };
        let all = Controller::ALL.iter();
        all.map(|controller| Means {
            name: controller.name(),
            held: look(*controller),
        })
        .collect()
    }

    fn hierarchies(&self) -> Result<&[Hierarchy], String> {
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let found = find::of_host().map_err(|error| format!("read /proc/self/cgroup: {error}"))?;
        Ok(self.found.get_or_init(|| found))
    }

    /// Once in each place, and before anything is made there.
    fn sweep(&self, parent: &std::path::Path) {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.insert(parent.to_owned()) {
            part::sweep(parent);
        }
    }
}

impl Group {
    /// What a process does to come into it.
    pub(crate) fn steps(&self) -> Result<Vec<(String, Step)>, SandboxError> {
        enter(self.places())
    }

    /// The directories, by which further processes come into it.
    pub(crate) fn places(&self) -> impl Iterator<Item = &std::path::Path> {
        self.0.iter().map(Part::path)
    }

    /// Which of the limits has been met so far.
    pub(crate) fn exceeded(&self) -> Option<Exceeded> {
        self.0.iter().find_map(Part::exceeded)
    }
}

/// What a process does to come into the groups in these directories.
pub(crate) fn enter<'a>(
    places: impl Iterator<Item = &'a std::path::Path>,
) -> Result<Vec<(String, Step)>, SandboxError> {
    places
        .map(|path| {
            let label = format!("enter the control group {}", path.display());
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(path.join(part::PROCESSES));
            match file {
                Ok(file) => Ok((label, Step::EnterGroup(OwnedFd::from(file)))),
                Err(source) => Err(SandboxError::Setup {
                    what: label,
                    source,
                }),
            }
        })
        .collect()
}
