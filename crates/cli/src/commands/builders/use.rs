//! `kiln builder use`.

use super::Session;
use super::known::key;
use crate::args::builders::Use;
use crate::builders::{BuildersError, Store};
use crate::clients;
use crate::error::Error;
use crate::remote::{self, DEFAULT};

/// Chooses a builder.
pub(super) fn run(session: &Session<'_, '_>, args: &Use) -> Result<(), Error> {
    let (global, environment) = (&session.global, session.environment);
    let flag = args.name.as_ref().or(args.chosen.builder.as_ref());
    let name = remote::name(flag, global, environment)?.unwrap_or_default();
    let key = key(global, environment)?;
    let store = Store::of(environment)?;
    let missing = |why: String| Error::new(format!("failed to find instance {name:?}: {why}"));
    match store.group(name) {
        Ok(Some(_)) => {
            let how = (args.global, args.default);
            return Ok(store.change()?.choose(&key, name, how)?);
        }
        Ok(None) => {}
        Err(error @ BuildersError::Name(_)) => return Err(missing(error.to_string())),
        Err(error) => return Err(error.into()),
    }
    let contexts = clients::contexts(environment);
    if name == DEFAULT && contexts.contains(&key) {
        let message = "run `docker context use default` to switch to default context";
        return Err(Error::new(message));
    }
    if name == DEFAULT || name == key {
        return Ok(store.change()?.choose(&key, "", (false, false))?);
    }
    if contexts.iter().any(|context| context == name) {
        return Err(Error::new(format!(
            "run `docker context use {name}` to switch to context {name}"
        )));
    }
    Err(missing("no such builder".to_owned()))
}
