//! Which network a step gets: what it asks for, and what the default one is.

use std::sync::Arc;

use graph::NetworkMode;
use sandbox::network::cni::{self, Cni, CniError, NetworkList};
use sandbox::{Connector, Network, SandboxError};

use crate::config::StepNetwork;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::session::Session;

impl Engine {
    /// Takes down the networks of steps that were lost with the kiln that ran them; what could not
    /// be.
    #[must_use]
    pub fn sweep_networks(&self) -> Vec<CniError> {
        self.0.sweep_networks()
    }
}

impl Inner {
    /// The sandbox's word for a network, of a process with this host name, if it chose one.
    pub(super) fn network(
        &self,
        session: &Session,
        mode: NetworkMode,
        hostname: Option<&str>,
    ) -> Result<Network, EngineError> {
        let default = session.network.unwrap_or(self.config.build.network);
        match (mode, default) {
            (NetworkMode::None, _) => Ok(Network::None),
            (NetworkMode::Default | NetworkMode::Host, StepNetwork::Host) => Ok(Network::Host),
            (NetworkMode::Host, _) if session.host_network => Ok(Network::Host),
            (NetworkMode::Host, _) => Err(EngineError::HostNetwork),
            (NetworkMode::Default, _) if self.places_mounts()? => {
                Err(SandboxError::NotInChroot("a network of a step's own").into())
            }
            (NetworkMode::Default, StepNetwork::Cni) => {
                Ok(Network::Cni(Arc::new(self.cni(hostname)?)))
            }
            (NetworkMode::Default, isolated) => self.connector(isolated).map(Network::Connected),
        }
    }

    /// The program that connects networks of steps.
    pub(crate) fn connector(&self, network: StepNetwork) -> Result<Connector, EngineError> {
        let kinds = network.connectors();
        let mut found = kinds.iter().filter_map(|kind| kind.find(&self.helper_path));
        found.next().ok_or_else(|| {
            let list = |name: fn(sandbox::ConnectorKind) -> &'static str| {
                let names: Vec<_> = kinds.iter().map(|kind| name(*kind)).collect();
                names.join(" or ")
            };
            EngineError::NoConnector {
                programs: list(sandbox::ConnectorKind::name),
                packages: list(sandbox::ConnectorKind::package),
            }
        })
    }

    /// The network that plugins set up.
    pub(crate) fn cni(&self, hostname: Option<&str>) -> Result<Cni, EngineError> {
        let config = &self.config.build.cni;
        let list = match (&config.config, &config.bridge) {
            (Some(path), _) => NetworkList::read(path).map_err(SandboxError::from)?,
            (None, Some(bridge)) => NetworkList::bridge(bridge, config.subnet()),
            (None, None) => return Err(EngineError::NoCni),
        };
        Ok(Cni {
            list,
            plugins: config.directories(),
            programs: self.helper_path.clone(),
            records: self.store.networks(),
            hostname: hostname.map(str::to_owned),
        })
    }

    pub(crate) fn sweep_networks(&self) -> Vec<CniError> {
        cni::sweep(&self.store.networks(), &self.helper_path)
    }
}
