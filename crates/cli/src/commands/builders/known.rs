//! Builders that there are: those of buildx's files, those of docker's contexts, and `default`, which
//! is whoever builds when no builder is named.

use std::time::SystemTime;

use crate::args::Global;
use crate::args::builders::Chosen;
use crate::builders::{BuildersError, Group, Node, REMOTE, Store, no_driver, reach};
use crate::clients;
use crate::commands::session::Session;
use crate::environment::Environment;
use crate::error::Error;
use crate::remote::{self, DEFAULT, Host};

/// What a docker builds by.
const DOCKER: &str = "docker";
/// What this process builds by.
const OWN: &str = "kiln";

/// A builder that there is.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) group: Group,
    /// It is a docker's, or this process, and in no file.
    pub(super) is_context: bool,
    /// When it was last built with.
    pub(super) last_activity: Option<SystemTime>,
}

/// Under what a docker's builder is remembered.
pub(super) fn key(global: &Global, environment: &Environment) -> Result<String, Error> {
    match &global.client {
        Some(client) => Ok(client.endpoint.clone()),
        None => clients::docker_key(environment),
    }
}

impl Known {
    /// All, those of files first.
    pub(super) fn all(session: &Session<'_, '_>) -> Result<Vec<Self>, Error> {
        let environment = session.environment;
        let store = Store::of(environment)?;
        let groups = store.groups()?.into_iter();
        let mut all: Vec<Self> = groups.map(|group| Self::stored(group, &store)).collect();
        let contexts = clients::contexts(environment);
        for name in std::iter::once(DEFAULT.to_owned()).chain(contexts) {
            if all.iter().all(|known| known.group.name != name) {
                all.push(Self::context(name, &store, session)?);
            }
        }
        Ok(all)
    }

    /// The one of this name.
    pub(super) fn named(session: &Session<'_, '_>, name: &str) -> Result<Self, Error> {
        let store = Store::of(session.environment)?;
        let found = match store.group(name) {
            Err(BuildersError::Name(_)) => None,
            found => found?,
        };
        if let Some(group) = found {
            return Ok(Self::stored(group, &store));
        }
        let is_context = |known: &String| known == name;
        if name == DEFAULT
            || clients::contexts(session.environment)
                .iter()
                .any(is_context)
        {
            return Self::context(name.to_owned(), &store, session);
        }
        Err(BuildersError::Missing(name.to_owned()).into())
    }

    /// The one that was chosen.
    pub(super) fn current(session: &Session<'_, '_>) -> Result<Self, Error> {
        let environment = session.environment;
        let key = key(&session.global, environment)?;
        let store = Store::of(environment)?;
        if let Some(group) = store.current(&key)? {
            return Ok(Self::stored(group, &store));
        }
        let contexts = clients::contexts(environment);
        let name = match contexts.contains(&key) {
            true => key,
            false => DEFAULT.to_owned(),
        };
        Self::context(name, &store, session)
    }

    /// The one that is typed, in the environment, or chosen.
    pub(super) fn wanted(
        session: &Session<'_, '_>,
        name: Option<&String>,
        chosen: &Chosen,
    ) -> Result<Self, Error> {
        let flag = name.or(chosen.builder.as_ref());
        match remote::name(flag, &session.global, session.environment)? {
            Some(name) => Self::named(session, name),
            None => Self::current(session),
        }
    }

    fn stored(group: Group, store: &Store) -> Self {
        Self {
            last_activity: store.last_activity(&group.name),
            is_context: false,
            group,
        }
    }

    fn context(name: String, store: &Store, session: &Session<'_, '_>) -> Result<Self, Error> {
        let is_own = name == DEFAULT && session.host()?.is_none();
        let driver = if is_own { OWN } else { DOCKER };
        let node = Node {
            name: name.clone(),
            endpoint: name.clone(),
            ..Node::default()
        };
        Ok(Self {
            last_activity: store.last_activity(&name),
            is_context: true,
            group: Group {
                name,
                driver: driver.to_owned(),
                nodes: vec![node],
                dynamic: false,
            },
        })
    }

    /// Where a node of it is reached; none if it is this process.
    pub(super) fn reach(
        &self,
        node: &Node,
        session: &Session<'_, '_>,
    ) -> Result<Option<Host>, Error> {
        let environment = session.environment;
        if !self.is_context {
            let plain = remote::plain(&session.global);
            return reach(&self.group, node, plain, environment).map(Some);
        }
        match node.name.as_str() {
            DEFAULT => session.host(),
            name => {
                let docker = clients::of_context(name, environment)?;
                Host::of(&docker, environment).map(Some)
            }
        }
    }

    /// Refuses what only its driver could do.
    pub(super) fn refuse_other_driver(&self) -> Result<(), Error> {
        let driver = self.group.driver.as_str();
        match self.is_context || driver == REMOTE {
            true => Ok(()),
            false => Err(no_driver(driver)),
        }
    }
}
