//! `buildctl`: builds with the front end for Dockerfiles, here or through a BuildKit daemon, and what
//! is asked of a daemon: `du`, `prune`, `debug workers`.

mod build;
mod flags;

use std::path::{Path, PathBuf};

use client::{OwnFiles, TlsFiles, Way};

use super::Called;
use crate::args::NamedDaemon;
use crate::args::build::Build;
use crate::environment::Environment;
use crate::error::{Error, USAGE};
use flags::Flags;

/// The socket of a daemon, where none is named.
const USUAL: &str = "/run/buildkit/buildkitd.sock";
/// The version of BuildKit that kiln stands in for.
const BUILDKIT: &str = "v0.26.0";

/// What is asked for, and of whom.
#[derive(Debug)]
pub(crate) struct Call {
    /// What.
    pub(crate) asked: Asked,
    /// The daemon; none where this process does it.
    pub(crate) daemon: Option<NamedDaemon>,
}

/// What `buildctl` may be asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A build, with no result kept if no output is named.
    Build(Box<Build>),
    /// What is kept.
    Du {
        /// Every record in full.
        verbose: bool,
        /// Which records.
        filter: Vec<String>,
    },
    /// To remove what is not needed.
    Prune {
        /// Also what is shared and internal.
        all: bool,
        /// Which records.
        filter: Vec<String>,
        /// What was used more recently than this many nanoseconds ago stays.
        keep_duration: i64,
        /// So many bytes stay.
        max_used: i64,
        /// At least so many bytes stay.
        reserved: i64,
        /// So many bytes of the disk are to be free.
        min_free: i64,
    },
    /// Who runs steps.
    Workers {
        /// Every one in full.
        verbose: bool,
    },
}

const GLOBAL: &[&str] = &[
    "addr",
    "timeout",
    "log-format",
    "tlscacert",
    "tlscert",
    "tlsdir",
    "tlskey",
    "tlsservername",
];
const PRUNE: &[&str] = &[
    "filter",
    "keep-duration",
    "keep-storage",
    "reserved-space",
    "max-used-space",
    "min-free-space",
];

/// What `buildctl …` asks for.
///
/// # Errors
/// It is nothing that kiln has.
pub(super) fn read(environment: &Environment) -> Result<Called, Error> {
    let line = environment.arguments.get(1..).unwrap_or_default();
    let words: Vec<String> = line
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let (mut globals, rest) = Flags::read(&words, GLOBAL, true)?;
    if globals.take_switch("version") || globals.take_switch("v") {
        let own = env!("CARGO_PKG_VERSION");
        let text = format!("buildctl github.com/moby/buildkit {BUILDKIT} kiln-{own}\n");
        return Ok(Called::Print(text));
    }
    let daemon = daemon(&mut globals, environment)?;
    // How long connecting may take, and how messages look that there are none of.
    globals.take("timeout");
    globals.take("log-format");
    globals.take_switch("debug");
    globals.end("buildctl")?;
    let asked = match rest.split_first().map(|(word, rest)| (word.as_str(), rest)) {
        Some(("build" | "b", rest)) => Asked::Build(Box::new(build::read(rest, environment)?)),
        Some(("du", rest)) => du(rest)?,
        Some(("prune", rest)) => prune(rest)?,
        Some(("debug", [word, rest @ ..])) if word == "workers" => workers(rest)?,
        Some((word, _)) => return Err(unknown(word)),
        None => return Err(unknown("no command")),
    };
    Ok(Called::Buildctl(Call { asked, daemon }))
}

fn unknown(word: &str) -> Error {
    Error::new(format!(
        "kiln as buildctl does not provide {word}: it has build, du, prune and debug workers"
    ))
    .exit(USAGE)
}

/// The daemon that is named, or the usual one if it is there.
fn daemon(globals: &mut Flags, environment: &Environment) -> Result<Option<NamedDaemon>, Error> {
    let of_variable = environment.text("BUILDKIT_HOST")?.map(str::to_owned);
    let address = match globals.take("addr").or(of_variable) {
        Some(address) => address,
        None if Path::new(USUAL).exists() => format!("unix://{USUAL}"),
        None => return Ok(None),
    };
    let tls = certificates(globals, environment)?;
    let server = globals.take("tlsservername");
    if server.is_some() && tls.is_none() {
        let text = "--tlsservername is about certificates: add --tlscacert, --tlscert and --tlskey";
        return Err(Error::new(text).exit(USAGE));
    }
    Ok(Some(NamedDaemon {
        address,
        tls,
        server,
        way: Way::Straight,
    }))
}

/// The certificates that are named, one by one or by their directory.
fn certificates(globals: &mut Flags, environment: &Environment) -> Result<Option<TlsFiles>, Error> {
    let directory = globals.take("tlsdir").map(PathBuf::from);
    let names = [
        ("tlscacert", "ca.pem"),
        ("tlscert", "cert.pem"),
        ("tlskey", "key.pem"),
    ];
    let files = names.map(|(flag, name)| {
        let typed = globals.take(flag).map(PathBuf::from);
        let path = typed.or_else(|| Some(directory.as_ref()?.join(name)));
        path.map(|path| environment.absolute(&path))
    });
    match files {
        [Some(authority), Some(certificate), Some(key)] => Ok(Some(TlsFiles {
            authority,
            own: Some(OwnFiles { certificate, key }),
        })),
        [None, None, None] => Ok(None),
        _ => Err(Error::new("--tlscacert, --tlscert and --tlskey go together").exit(USAGE)),
    }
}

fn du(words: &[String]) -> Result<Asked, Error> {
    let (mut flags, rest) = Flags::read(words, &["filter"], false)?;
    let asked = Asked::Du {
        verbose: flags.take_switch("verbose") || flags.take_switch("v"),
        filter: flags.all("filter"),
    };
    flags.end("buildctl du")?;
    nothing_more(&rest)?;
    Ok(asked)
}

fn prune(words: &[String]) -> Result<Asked, Error> {
    let (mut flags, rest) = Flags::read(words, PRUNE, false)?;
    let keep = flags.take("keep-duration").unwrap_or_default();
    let keep_duration = match keep.as_str() {
        "" | "0" => 0,
        text => engine::parse_duration(text)
            .and_then(|keep| i64::try_from(keep.as_nanos()).ok())
            .ok_or_else(|| Error::new(format!("invalid --keep-duration {text:?}")).exit(USAGE))?,
    };
    let older_name = megabytes(&mut flags, "keep-storage")?;
    let asked = Asked::Prune {
        all: flags.take_switch("all"),
        filter: flags.all("filter"),
        keep_duration,
        max_used: megabytes(&mut flags, "max-used-space")?,
        reserved: older_name.max(megabytes(&mut flags, "reserved-space")?),
        min_free: megabytes(&mut flags, "min-free-space")?,
    };
    // What is removed is listed in any case.
    flags.take_switch("verbose");
    flags.take_switch("v");
    flags.end("buildctl prune")?;
    nothing_more(&rest)?;
    Ok(asked)
}

fn megabytes(flags: &mut Flags, name: &str) -> Result<i64, Error> {
    let Some(text) = flags.take(name) else {
        return Ok(0);
    };
    let number = text.parse::<f64>().ok().filter(|number| *number >= 0.0);
    let number =
        number.ok_or_else(|| Error::new(format!("invalid --{name} {text:?}")).exit(USAGE))?;
    Ok((number * 1e6) as i64)
}

fn workers(words: &[String]) -> Result<Asked, Error> {
    let (mut flags, rest) = Flags::read(words, &[], false)?;
    let verbose = flags.take_switch("verbose") || flags.take_switch("v");
    flags.end("buildctl debug workers")?;
    nothing_more(&rest)?;
    Ok(Asked::Workers { verbose })
}

fn nothing_more(rest: &[String]) -> Result<(), Error> {
    match rest.first() {
        Some(word) => Err(Error::new(format!("unexpected argument {word:?}")).exit(USAGE)),
        None => Ok(()),
    }
}
