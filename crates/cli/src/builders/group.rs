//! A builder as its file has it, and what may be changed of it.

use std::collections::{BTreeMap, BTreeSet};

use oci::Platform;
use serde::{Deserialize, Deserializer, Serialize};

use super::{BuildersError, name};

/// A builder: nodes under one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Group {
    pub(crate) name: String,
    /// How its nodes are reached.
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) driver: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) nodes: Vec<Node>,
    /// Its driver makes nodes as they are needed.
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) dynamic: bool,
}

/// Where a builder builds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Node {
    pub(crate) name: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) endpoint: String,
    /// What it is to build for, whatever it says itself.
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) platforms: Vec<Platform>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) driver_opts: BTreeMap<String, String>,
    /// What its daemon is started with, by drivers that start one.
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) flags: Vec<String>,
    /// Files of its daemon, base64.
    #[serde(default, deserialize_with = "or_nothing")]
    pub(crate) files: BTreeMap<String, String>,
}

/// What is to become of a node.
#[derive(Debug, Default)]
pub(crate) struct NodeChange {
    /// The node; one that is new gets a name when this is empty.
    pub(crate) name: String,
    pub(crate) endpoint: String,
    pub(crate) platforms: Vec<Platform>,
    /// Driver options, if any were named.
    pub(crate) driver_opts: Option<BTreeMap<String, String>>,
    /// It is a further one.
    pub(crate) appended: bool,
}

impl Group {
    /// Changes a node, or adds one; whether it was there.
    ///
    /// # Errors
    /// It would be another one's double, or was not to be added.
    pub(crate) fn change(&mut self, change: NodeChange) -> Result<bool, BuildersError> {
        self.refuse_dynamic()?;
        let found = self.nodes.iter().position(|node| node.name == change.name);
        let place = match found {
            Some(place) => {
                let node = &mut self.nodes[place];
                node.endpoint = change.endpoint;
                if !change.platforms.is_empty() {
                    node.platforms = change.platforms;
                }
                node.driver_opts = change
                    .driver_opts
                    .unwrap_or_else(|| std::mem::take(&mut node.driver_opts));
                place
            }
            None => self.add(change)?,
        };
        self.separate(place)?;
        Ok(found.is_some())
    }

    fn add(&mut self, change: NodeChange) -> Result<usize, BuildersError> {
        if !change.appended && !self.nodes.is_empty() {
            return Err(BuildersError::NotAppended(change.name));
        }
        let name = match change.name {
            name if name.is_empty() => self.next_name(),
            name => name,
        };
        self.nodes.push(Node {
            name: name::file(&name)?,
            endpoint: change.endpoint,
            platforms: change.platforms,
            driver_opts: change.driver_opts.unwrap_or_default(),
            ..Node::default()
        });
        Ok(self.nodes.len() - 1)
    }

    /// Takes a node out.
    ///
    /// # Errors
    /// There is none of this name, or no other one.
    pub(crate) fn leave(&mut self, name: &str) -> Result<(), BuildersError> {
        self.refuse_dynamic()?;
        let found = self.nodes.iter().position(|node| node.name == name);
        let missing = || BuildersError::NoNode {
            builder: self.name.clone(),
            node: name.to_owned(),
        };
        let place = found.ok_or_else(missing)?;
        if self.nodes.len() == 1 {
            return Err(BuildersError::LastNode);
        }
        self.nodes.remove(place);
        Ok(())
    }

    fn refuse_dynamic(&self) -> Result<(), BuildersError> {
        match self.dynamic {
            true => Err(BuildersError::Dynamic(self.name.clone())),
            false => Ok(()),
        }
    }

    /// No two nodes are one place, and what the node at `place` is for no other is for.
    fn separate(&mut self, place: usize) -> Result<(), BuildersError> {
        let endpoint = self.nodes[place].endpoint.clone();
        let same = self.nodes.iter().filter(|node| node.endpoint == endpoint);
        if same.count() > 1 {
            return Err(BuildersError::Duplicate(endpoint));
        }
        let own = self.nodes[place].platforms.clone();
        for (other, node) in self.nodes.iter_mut().enumerate() {
            if other != place {
                node.platforms.retain(|platform| !own.contains(platform));
            }
        }
        Ok(())
    }

    fn next_name(&self) -> String {
        let taken: BTreeSet<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        // Names of nodes are in small letters.
        let own = self.name.to_lowercase();
        let mut number = 0;
        loop {
            let name = format!("{own}{number}");
            if !taken.contains(name.as_str()) {
                return name;
            }
            number += 1;
        }
    }

    /// Platforms in one way of writing, whoever wrote them.
    pub(super) fn normalise(&mut self) {
        for node in &mut self.nodes {
            for platform in &mut node.platforms {
                *platform = platform.normalised();
            }
        }
    }
}

/// What Go writes of nothing is `null`.
fn or_nothing<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
