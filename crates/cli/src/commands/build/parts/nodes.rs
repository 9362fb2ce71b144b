//! Nodes of a builder, and which of them builds for what.

use std::cell::OnceCell;

use client::Client;
use futures_util::future::join_all;
use oci::Platform;

use crate::commands::session::block_on;
use crate::error::Error;
use crate::remote::{self, Builder, Host, Share};

/// A builder of which it is found out once what its nodes build for.
pub(in crate::commands) struct Nodes<'a> {
    pub(super) builder: &'a Builder,
    platforms: OnceCell<Vec<Vec<Platform>>>,
}

impl<'a> Nodes<'a> {
    pub(in crate::commands) const fn new(builder: &'a Builder) -> Self {
        Self {
            builder,
            platforms: OnceCell::new(),
        }
    }

    /// The share of each node that has one.
    pub(super) fn shares(&self, wanted: &[Platform]) -> Result<Vec<Share>, Error> {
        let nodes = &self.builder.nodes;
        if nodes.len() == 1 || wanted.is_empty() {
            return Ok(vec![Share {
                node: 0,
                platforms: wanted.to_vec(),
            }]);
        }
        let said: Vec<&[Platform]> = nodes.iter().map(|node| &node.platforms[..]).collect();
        if let Some(shares) = remote::by_what_is_said(&said, wanted) {
            return Ok(shares);
        }
        if let Some(platforms) = self.platforms.get() {
            return Ok(remote::by_all(platforms, wanted));
        }
        let platforms = self.ask()?;
        let platforms = self.platforms.get_or_init(|| platforms);
        Ok(remote::by_all(platforms, wanted))
    }

    /// Where what builds for `platform` is reached; the first node where none is named.
    pub(in crate::commands) fn host(&self, platform: Option<Platform>) -> Result<&'a Host, Error> {
        let shares = self.shares(platform.as_slice())?;
        let node = shares.first().map_or(0, |share| share.node);
        Ok(&self.builder.nodes[node].host)
    }

    /// What is said of each node, and what it says.
    fn ask(&self) -> Result<Vec<Vec<Platform>>, Error> {
        let each = self.builder.nodes.iter().map(|node| async {
            let failed = |message: String| of_node(&node.name, message);
            let client = Client::connect(&node.host.address, node.host.way).await;
            let client = client.map_err(|error| failed(error.to_string()))?;
            let workers = client.workers().await;
            let workers = workers.map_err(|error| failed(error.message))?;
            let told = workers.iter().flat_map(|worker| &worker.platforms);
            let told = told.map(|told| Platform::new(&told.os, &told.architecture, &told.variant));
            Ok(node.platforms.iter().cloned().chain(told).collect())
        });
        block_on(join_all(each))?.into_iter().collect()
    }
}

fn of_node(node: &str, message: String) -> Error {
    Error::new(message).context(&format!("node {node}"))
}
