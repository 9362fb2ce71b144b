//! `kiln serve`: answers clients until it is told to stop.

use std::path::{Path, PathBuf};

use engine::{Config, ServeConfig, TlsConfig};

use super::session::{self, Session};
use crate::args::system::Serve;
use crate::environment::Environment;
use crate::error::{CliError, Error, choice};
use crate::serve::{self, Service};

/// Listens, and answers until a signal.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Serve) -> Result<(), Error> {
    let (global, environment) = (&session.global, session.environment);
    let load = || {
        let mut config = session::config(global, environment)?;
        apply(args, &mut config)?;
        Ok::<Config, Error>(config)
    };
    let mut options = session::engine_options(global, environment)?;
    options.config = load()?;
    let usual = match options.config.serve.hosts.is_empty() {
        true => usual_path(environment)?,
        false => PathBuf::new(),
    };
    let service = Service {
        options,
        usual,
        pid_file: None,
        warnings: Vec::new(),
        load: &load,
    };
    serve::run(service, environment, session.ui)
}

/// Flags are stronger than the file.
fn apply(args: &Serve, config: &mut Config) -> Result<(), Error> {
    let serve: &mut ServeConfig = &mut config.serve;
    if !args.host.is_empty() {
        serve.hosts.clone_from(&args.host);
    }
    serve.group = args.group.clone().or(serve.group.take());
    serve.metrics = args.metrics.clone().or(serve.metrics.take());
    serve.tls = tls(args)?.or(serve.tls.take());
    if let Some(format) = &args.log_format {
        let parsed = format.parse();
        serve.log_format = parsed.map_err(|_| choice("--log-format", format, "text or json"))?;
    }
    if let Some(level) = &args.log_level {
        let known = "debug, info, warn or error";
        serve.log_level = level
            .parse()
            .map_err(|_| choice("--log-level", level, known))?;
    }
    Ok(())
}

fn tls(args: &Serve) -> Result<Option<TlsConfig>, Error> {
    match (&args.tlscacert, &args.tlscert, &args.tlskey) {
        (None, None, None) => Ok(None),
        (Some(ca), Some(certificate), Some(key)) => Ok(Some(TlsConfig {
            ca: ca.clone(),
            certificate: certificate.clone(),
            key: key.clone(),
        })),
        _ => Err(CliError::HalfTls.into()),
    }
}

fn usual_path(environment: &Environment) -> Result<PathBuf, Error> {
    if environment.is_root {
        return Ok(PathBuf::from("/run/kiln/kiln.sock"));
    }
    match environment.os("XDG_RUNTIME_DIR") {
        Some(directory) => Ok(Path::new(directory).join("kiln/kiln.sock")),
        None => Err(Error::new("XDG_RUNTIME_DIR is not set")
            .hint("say where to listen with --host unix://PATH")),
    }
}
