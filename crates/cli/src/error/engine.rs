//! The engine's errors, dressed: an excerpt of the Dockerfile where one is to blame, a hint where
//! there is something to do.

pub(crate) use engine::chain;
use engine::{Dockerfile, EngineError, Location, Severity, Source, Span};
use sandbox::SandboxError;
use sandbox::network::cni::CniError;

use super::{Error, INTERRUPTED};

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        let hint = hint(&error);
        let dressed = match &error {
            EngineError::Step { step } => Self::new(chain(&*step.error)),
            EngineError::Cancelled => Self::new("canceled").exit(INTERRUPTED),
            _ => Self::new(chain(&error)),
        };
        match hint {
            Some(hint) => dressed.hint(hint),
            None => dressed,
        }
    }
}

/// What ended the build of `dockerfile`, with its lines that are to blame.
#[must_use]
pub fn of_build(error: EngineError, dockerfile: &Dockerfile) -> Error {
    let source = Source {
        name: dockerfile.name.clone(),
        text: dockerfile.text.clone(),
    };
    let dressed = match &error {
        EngineError::Dockerfile(diagnostics) => {
            let mut excerpt = String::new();
            // What is only a warning is shown, but is never what the build failed of.
            let (errors, warnings): (Vec<_>, Vec<_>) = diagnostics
                .iter()
                .partition(|diagnostic| diagnostic.severity == Severity::Error);
            let Some((last, others)) = errors.split_last() else {
                return error.into();
            };
            for other in warnings.iter().chain(others) {
                excerpt.push_str(&other.render(&source));
                excerpt.push('\n');
            }
            excerpt.push_str(&last.excerpt(&source).unwrap_or_default());
            let mut dressed = Error::new(last.message.clone());
            dressed.excerpt = excerpt;
            dressed.hints.extend(last.help.clone());
            dressed
        }
        EngineError::Step { step } => {
            let spans: Vec<Span> = step.locations.iter().map(span).collect();
            let excerpt = source.excerpt(&spans).unwrap_or_default();
            let mut dressed = Error::from(error);
            dressed.excerpt = excerpt;
            dressed
        }
        _ => Error::from(error),
    };
    dressed.context("failed to build: failed to solve")
}

fn span(location: &Location) -> Span {
    Span::lines(location.first_line, location.last_line)
}

/// What there is to do about it.
pub(crate) fn hint(error: &EngineError) -> Option<String> {
    if let Some(key) = engine::limit_key(error) {
        return Some(format!("if it is meant to, set limits.{key} in kiln.toml"));
    }
    match error {
        EngineError::Step { step } => hint(&step.error),
        EngineError::MissingSecret(id) => Some(format!("offer it with --secret id={id},src=FILE")),
        EngineError::MissingAgent(id) => Some(format!("offer it with --ssh {id}")),
        EngineError::NoBuild(_) | EngineError::SeveralBuilds(_) => {
            Some("`kiln history ls` lists them; ^0 is the latest, ^1 the one before it".to_owned())
        }
        EngineError::BuildRuns(_) => Some("interrupt its kiln first".to_owned()),
        EngineError::ContainerRuns(_) => Some("--force ends it first".to_owned()),
        EngineError::CacheMountExists(_) => {
            Some("--replace puts the archive in its place".to_owned())
        }
        EngineError::NoSuchCacheMount(_) => {
            Some("`kiln cache mounts ls` shows those that there are".to_owned())
        }
        EngineError::CacheExport { .. } => {
            Some("ignore-error=true lets the build succeed without it".to_owned())
        }
        EngineError::Sandbox(SandboxError::NotInChroot(_)) => Some(
            "let kiln make user namespaces, or give it SYS_ADMIN; see docs/rootless.md".to_owned(),
        ),
        EngineError::Sandbox(SandboxError::DeadDevices(_)) => {
            Some("put the store (--root or KILN_ROOT) on a file system without nodev".to_owned())
        }
        EngineError::Sandbox(SandboxError::Tun(_)) => {
            Some("as root: modprobe tun && chmod 0666 /dev/net/tun".to_owned())
        }
        EngineError::Sandbox(SandboxError::Cni(CniError::NotRoot)) => {
            Some("run kiln as root, or take the network sandbox".to_owned())
        }
        EngineError::Sandbox(SandboxError::Cni(CniError::Missing { .. })) => Some(
            "install the plugins (Debian: containernetworking-plugins), or name their directory \
             in plugins of [build.cni]"
                .to_owned(),
        ),
        EngineError::NoCni => Some("set config or bridge of [build.cni] in kiln.toml".to_owned()),
        EngineError::HostNetwork => {
            Some("--allow network.host grants it to steps that ask for it".to_owned())
        }
        EngineError::Insecure => {
            Some("--allow security.insecure grants it to steps that ask for it".to_owned())
        }
        EngineError::NoConnector { packages, .. } => {
            Some(format!("install the package {packages}"))
        }
        EngineError::OtherOwners { .. } => {
            Some("choose another with --root or KILN_ROOT, or remove it".to_owned())
        }
        EngineError::ImageInUse { .. } => Some("--force removes it all the same".to_owned()),
        _ => None,
    }
}
