//! From what is asked for to the steps that the new process takes.
//!
//! Everything that can be done before there is a process is done here, by ordinary code with
//! ordinary errors: mounts are made detached, mount points are made in the root, texts are turned
//! into what the kernel wants. What is left for the process is a list of system calls. Its order is
//! the order of [`Plan::new`], and matters: each step needs rights that a later one gives up.

mod command;
mod devices;
mod identities;
mod mounts;
mod points;
mod root;
mod usual;

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use rustix::process::{Resource as Kernel, getrlimit};
use sys::capability::{CapabilitySet, CapabilitySets};
use sys::process::{Execute, Masked, Step};
use sys::seccomp::Filter;

pub(crate) use command::candidate;
pub use devices::is_device_path;
pub(crate) use devices::make_all as make_devices;
pub(crate) use identities::Identities;
pub(crate) use mounts::is_ours;
pub(crate) use points::MountPoints;

use crate::cgroup::Hierarchies;
use crate::error::SandboxError;
use crate::seccomp;
use crate::spec::{Limit, Network, Process, Resource, Security, Spec};

/// What is known of the host, once for all processes.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) hierarchies: Hierarchies,
    /// What we have, and can pass on, ourselves.
    pub(crate) capabilities: CapabilitySet,
    /// Whom we, and what we start, can be.
    pub(crate) identities: Identities,
    /// The filter that most processes get, once compiled.
    default_filter: OnceLock<Filter>,
    /// Whether overlays take a directory of a detached mount, once that was tried.
    takes_layers_of_memory: OnceLock<bool>,
}

impl Host {
    pub(crate) fn new(
        hierarchies: Hierarchies,
        capabilities: CapabilitySet,
        identities: Identities,
    ) -> Host {
        Host {
            hierarchies,
            capabilities,
            identities,
            default_filter: OnceLock::new(),
            takes_layers_of_memory: OnceLock::new(),
        }
    }

    fn takes_layers_of_memory(&self, user_xattr: bool) -> bool {
        let takes = || root::takes_layers_of_memory(user_xattr);
        *self.takes_layers_of_memory.get_or_init(takes)
    }

    fn filter(&self, allowed: CapabilitySet) -> Result<Filter, SandboxError> {
        if allowed != CapabilitySet::DOCKER_DEFAULT {
            return Ok(seccomp::filter(allowed)?);
        }
        if let Some(filter) = self.default_filter.get() {
            return Ok(filter.clone());
        }
        let filter = seccomp::filter(allowed)?;
        Ok(self.default_filter.get_or_init(|| filter).clone())
    }
}

/// All that the new process does.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// What each step is, in words.
    pub(crate) labels: Vec<String>,
    pub(crate) execute: Execute,
}

/// Paths of `/proc` and `/sys` that tell of the host or its secrets; as Docker hides them.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Paths that change the host when written to.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Docker's, by way of systemd's: enough for servers, and small where programs close all that they
/// might have.
const OPEN_FILES: Limit = Limit {
    resource: Resource::OpenFiles,
    soft: 1024,
    hard: 524_288,
};

const UMASK: u32 = 0o022;

impl Plan {
    /// Plans one process, with mount points that must be undone when it has ended. `network` is the
    /// one that is connected for it, and `devpts` the instance that its terminal is in, if it has
    /// these.
    pub(crate) fn new(
        spec: &Spec,
        host: &Host,
        network: Option<OwnedFd>,
        devpts: Option<OwnedFd>,
        ask: Option<Step>,
    ) -> Result<(Plan, MountPoints), SandboxError> {
        let execute = command::execute(&spec.process)?;
        let mut steps = Steps::default();
        steps.push("start a session", Step::NewSession);
        if devpts.is_some() {
            steps.push("take the terminal", Step::ControllingTerminal);
        }
        match network {
            Some(network) => steps.push("enter the network", Step::EnterNetwork(network)),
            None if spec.network == Network::Host => {}
            None => steps.push("isolate the network", Step::IsolateNetwork),
        }
        let mount_points = mounts::plan(spec, host, devpts, &mut steps)?;
        if spec.security == Security::Sandbox {
            steps.hide_host()?;
        }
        let hostname = spec.hostname.clone().into_bytes();
        steps.push(
            format!("set the host name {:?}", spec.hostname),
            Step::HostName(hostname),
        );
        let rights = Rights::in_namespaces(&spec.process, spec.security, host).asking(ask);
        steps.become_process(&spec.process, &spec.limits, rights, host)?;
        Ok((steps.with(execute), mount_points))
    }
}

impl Plan {
    /// Plans one process in a root that has everything in its place.
    pub(crate) fn in_chroot(
        spec: &Spec,
        host: &Host,
        enter: Step,
        is_terminal: bool,
        ask: Option<Step>,
    ) -> Result<Plan, SandboxError> {
        let execute = command::execute(&spec.process)?;
        let mut steps = Steps::default();
        steps.push("start a session", Step::NewSession);
        if is_terminal {
            steps.push("take the terminal", Step::ControllingTerminal);
        }
        steps.push("enter the root", enter);
        let rights = Rights::in_chroot(&spec.process, host).asking(ask);
        steps.become_process(&spec.process, &spec.limits, rights, host)?;
        Ok(steps.with(execute))
    }
}

impl Plan {
    /// The same, in control groups from the first step on; they are all that it sees of groups if they
    /// are to be isolated.
    pub(crate) fn begin_with(&mut self, enter: Vec<(String, Step)>, isolated: bool) {
        let (mut labels, mut steps): (Vec<_>, Vec<_>) = enter.into_iter().unzip();
        if isolated && !steps.is_empty() {
            labels.push("isolate the control groups".to_owned());
            steps.push(Step::IsolateGroups);
        }
        self.labels.splice(0..0, labels);
        self.steps.splice(0..0, steps);
    }
}

/// What a process may at most, and what holds it to that.
#[derive(Debug)]
struct Rights {
    security: Security,
    allowed: CapabilitySet,
    filters: bool,
    bounds: bool,
    /// Makes the kernel ask about owners and identities.
    ask: Option<Step>,
}

impl Rights {
    fn asking(self, ask: Option<Step>) -> Rights {
        Rights { ask, ..self }
    }

    fn in_namespaces(process: &Process, security: Security, host: &Host) -> Rights {
        Rights {
            security,
            allowed: process.capabilities.intersection(host.capabilities),
            filters: true,
            bounds: true,
            ask: None,
        }
    }

    /// Without the way out of a chroot. A filter takes the right to mount, or none to be gained; the
    /// one that holds us back holds the process back too.
    fn in_chroot(process: &Process, host: &Host) -> Rights {
        let held = host.capabilities;
        Rights {
            security: Security::Sandbox,
            allowed: process
                .capabilities
                .intersection(held)
                .without("SYS_CHROOT"),
            filters: process.no_new_privileges || held.has("SYS_ADMIN"),
            bounds: held.has("SETPCAP"),
            ask: None,
        }
    }
}

/// What a process is to be beside.
pub(crate) struct Joined {
    pub(crate) pidfd: OwnedFd,
    pub(crate) root: OwnedFd,
    /// Whether it has another network than we have.
    pub(crate) has_network: bool,
}

impl Plan {
    /// Plans a process beside another one.
    pub(crate) fn joining(
        (process, security): (&Process, Security),
        host: &Host,
        joined: Joined,
        terminal: bool,
        ask: Option<Step>,
    ) -> Result<Plan, SandboxError> {
        let execute = command::execute(process)?;
        let mut steps = Steps::default();
        steps.push("start a session", Step::NewSession);
        if terminal {
            steps.push("take the terminal", Step::ControllingTerminal);
        }
        let join = Step::Join {
            process: joined.pidfd,
            root: joined.root,
            network: joined.has_network,
        };
        steps.push("enter the container", join);
        let rights = Rights::in_namespaces(process, security, host).asking(ask);
        steps.become_process(process, &[], rights, host)?;
        Ok(steps.with(execute))
    }
}

/// The steps so far, each with what it is in words.
#[derive(Debug, Default)]
struct Steps {
    list: Vec<Step>,
    labels: Vec<String>,
}

impl Steps {
    fn push(&mut self, label: impl Into<String>, step: Step) {
        self.list.push(step);
        self.labels.push(label.into());
    }

    fn with(self, execute: Execute) -> Plan {
        Plan {
            steps: self.list,
            labels: self.labels,
            execute,
        }
    }

    /// What is the process's own, once it is where it is to be.
    fn become_process(
        &mut self,
        process: &Process,
        limits: &[Limit],
        rights: Rights,
        host: &Host,
    ) -> Result<(), SandboxError> {
        self.limits(limits);
        self.push("set the umask", Step::Umask(UMASK));
        let cwd = text("working directory", &process.cwd)?;
        self.push(format!("chdir to {:?}", process.cwd), Step::Directory(cwd));
        self.give_up_rights(process, host, rights)
    }

    fn hide_host(&mut self) -> Result<(), SandboxError> {
        for path in MASKED {
            let masked = Masked {
                path: text("path", path)?,
            };
            self.push(format!("mask {path}"), Step::Mask(masked));
        }
        for path in READ_ONLY {
            self.push(
                format!("make {path} read-only"),
                Step::ReadOnly(text("path", path)?),
            );
        }
        Ok(())
    }

    fn limits(&mut self, asked: &[Limit]) {
        let mut limits = asked.to_vec();
        if !asked
            .iter()
            .any(|limit| limit.resource == Resource::OpenFiles)
        {
            // The default is a wish: without the right to raise a limit ours must do.
            let most = getrlimit(Kernel::Nofile).maximum.unwrap_or(u64::MAX);
            let Limit {
                resource,
                soft,
                hard,
            } = OPEN_FILES;
            limits.push(Limit {
                resource,
                soft: soft.min(most),
                hard: hard.min(most),
            });
        }
        for Limit {
            resource,
            soft,
            hard,
        } in limits
        {
            let label = format!("limit {resource:?} to {soft}, at most {hard}");
            self.push(
                label,
                Step::Limit {
                    resource: resource as u32,
                    soft,
                    hard,
                },
            );
        }
    }

    /// The filter needs a right that is given up after it, and itself allows giving it up.
    fn give_up_rights(
        &mut self,
        process: &Process,
        host: &Host,
        rights: Rights,
    ) -> Result<(), SandboxError> {
        if process.no_new_privileges {
            self.push("forbid new privileges", Step::NoNewPrivileges);
        }
        let (bounding, sets, ambient) = match rights.security {
            Security::Sandbox => {
                let allowed = rights.allowed;
                if rights.filters {
                    let filter = host.filter(allowed)?;
                    self.push("load the system call filter", Step::Seccomp(filter));
                }
                (allowed, sandboxed(process, allowed), CapabilitySet::EMPTY)
            }
            Security::Insecure => {
                let all = host.capabilities;
                let sets = CapabilitySets {
                    effective: all,
                    permitted: all,
                    inheritable: all,
                };
                (all, sets, all)
            }
        };
        if let Some(ask) = rights.ask {
            self.push("have owners and identities answered for", ask);
        }
        if rights.bounds {
            self.push("limit the capabilities", Step::BoundingSet(bounding));
        }
        let user = &process.user;
        let identity = Step::Identity {
            ids: Identities::ids(user),
            groups: host.identities.groups(user),
            capabilities: sets,
            ambient,
        };
        self.push(format!("become user {}:{}", user.uid, user.gid), identity);
        Ok(())
    }
}

/// Only root has capabilities; others get them by executing a file that gives some.
fn sandboxed(process: &Process, allowed: CapabilitySet) -> CapabilitySets {
    if process.user.uid != 0 {
        return CapabilitySets::default();
    }
    CapabilitySets {
        effective: allowed,
        permitted: allowed,
        inheritable: CapabilitySet::EMPTY,
    }
}

/// A text as the kernel wants it.
fn text(what: &'static str, text: &str) -> Result<CString, SandboxError> {
    CString::new(text).map_err(|_| SandboxError::NulByte {
        what,
        text: text.to_owned(),
    })
}
