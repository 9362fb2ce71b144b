//! `kiln create`: a container that is not started, for `kiln cp`.

use std::path::Path;

use engine::{CreateContainer, MoreSettings, NetworkMode, Resources};
use oci::Reference;

use super::session::Session;
use crate::args::container::{Create, Limits, Settings};
use crate::build::plan::{asked_platform, each, hosts, network, shm_size};
use crate::error::{CliError, Error, USAGE, choice};
use crate::keeper::Keeper;
use crate::values::{ValueError, environment_file, ulimit};

/// Creates a container and prints its ID.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Create) -> Result<(), Error> {
    let keeper = session.keeper()?;
    let more = MoreSettings::default();
    let id = create(
        session,
        &keeper,
        &args.settings,
        &args.image_and_command,
        more,
    )?;
    session.ui.line(&id)
}

/// Creates a container of the first word of `image_and_command`, which is pulled when it is not
/// there; the container's ID.
pub(super) fn create(
    session: &mut Session<'_, '_>,
    keeper: &Keeper,
    settings: &Settings,
    image_and_command: &[String],
    more: MoreSettings,
) -> Result<String, Error> {
    let Some((image, command)) = image_and_command.split_first() else {
        return Err(Error::new("there is no image").exit(USAGE));
    };
    let network = match settings.network.as_deref() {
        Some(name) => network("--network", name)?,
        None => NetworkMode::Default,
    };
    let new = CreateContainer {
        image: image.clone(),
        name: settings.name.clone(),
        command: command.to_vec(),
        entrypoint: settings.entrypoint.as_ref().map(|entrypoint| {
            // An empty one takes the image's away.
            if entrypoint.is_empty() {
                Vec::new()
            } else {
                vec![entrypoint.clone()]
            }
        }),
        env: environment(session, settings)?,
        user: settings.user.clone(),
        working_directory: settings.workdir.clone(),
        hostname: settings.hostname.clone(),
        network,
        extra_hosts: hosts(&settings.add_host)?,
        more: limited(more, &settings.limits)?,
    };
    pull_if_needed(session, keeper, settings, image)?;
    keeper.create_container(new)
}

/// What its processes may take.
fn limited(more: MoreSettings, typed: &Limits) -> Result<MoreSettings, Error> {
    let mut resources = Resources::default();
    for (key, flag, value) in typed.typed() {
        // Docker's words for none.
        if key == "pids" && matches!(value, "0" | "-1") {
            continue;
        }
        let set = resources.set(key, value);
        set.map_err(|source| CliError::Flag {
            flag,
            value: value.to_owned(),
            source: ValueError::Resource(source),
        })?;
    }
    let in_period = typed.kernel.cpu_period.is_some() || typed.kernel.cpu_quota.is_some();
    if typed.cpus.is_some() && in_period {
        let text = "--cpus says the same as --cpu-period and --cpu-quota: they do not go together";
        return Err(Error::new(text));
    }
    let check = resources.check();
    check.map_err(|source| Error::new(source.to_string()))?;
    let kernel = resources.kernel;
    let is_one = |quota: &u64| typed.cpus.is_some() && *quota != u64::MAX;
    let cpus = kernel.cpu_quota.filter(is_one);
    Ok(MoreSettings {
        // A quota is microseconds of a tenth of a second.
        nano_cpus: cpus.unwrap_or_default().saturating_mul(10_000),
        limits: kernel,
        shm_size: shm_size(typed.shm_size.as_deref())?,
        ulimits: each(&typed.ulimit, "--ulimit", ulimit::parse)?,
        ..more
    })
}

fn environment(session: &Session<'_, '_>, settings: &Settings) -> Result<Vec<String>, Error> {
    let mut variables = Vec::new();
    for file in &settings.env_file {
        let path = session.environment.absolute(Path::new(file));
        let text = std::fs::read_to_string(&path).map_err(|source| {
            let action = "open";
            CliError::File {
                action,
                path,
                source,
            }
        })?;
        let of_environment = |name: &str| session.environment.raw(name);
        variables.extend(environment_file::parse(file, &text, of_environment)?);
    }
    for text in &settings.env {
        match text.split_once('=') {
            Some(("", _)) => return Err(ValueError::Env(text.clone()).into()),
            Some(_) => variables.push(text.clone()),
            None => {
                let value = session.environment.raw(text);
                variables.extend(value.map(|value| format!("{text}={value}")));
            }
        }
    }
    Ok(variables)
}

fn pull_if_needed(
    session: &mut Session<'_, '_>,
    keeper: &Keeper,
    settings: &Settings,
    image: &str,
) -> Result<(), Error> {
    let always = match settings.pull.as_deref() {
        Some("always") => true,
        None | Some("missing") => false,
        Some("never") => return Ok(()),
        Some(other) => {
            let expected = "expected always, missing or never";
            return Err(choice("--pull", other, expected));
        }
    };
    match keeper.try_image(image)? {
        Ok(_) if !always => return Ok(()),
        Err(error) if !error.is_missing() => return Err(error.into()),
        Ok(_) | Err(_) => {}
    }
    let reference: Reference = image
        .parse()
        .map_err(|error: oci::ReferenceError| Error::new(error.to_string()))?;
    let reference = reference.with_default_tag();
    if !always && !settings.quiet {
        let familiar = reference.familiar();
        session
            .ui
            .say(&format!("Unable to find image '{familiar}' locally"));
    }
    let platform = asked_platform(settings.platform.as_ref(), session.environment)?;
    session.transfer(settings.quiet, |progress| async move {
        keeper.pull(&reference, platform.as_ref(), progress).await
    })?;
    Ok(())
}
