//! Which network a step gets: what it asks for, and what the default one is.

use graph::NetworkMode;
use sandbox::{Connector, Network};

use crate::config::StepNetwork;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::session::Session;

impl Inner {
    /// The sandbox's word for a network.
    pub(super) fn network(
        &self,
        session: &Session,
        mode: NetworkMode,
    ) -> Result<Network, EngineError> {
        let default = session.network.unwrap_or(self.config.build.network);
        match (mode, default) {
            (NetworkMode::None, _) => Ok(Network::None),
            (NetworkMode::Default | NetworkMode::Host, StepNetwork::Host) => Ok(Network::Host),
            (NetworkMode::Host, _) if session.host_network => Ok(Network::Host),
            (NetworkMode::Host, _) => Err(EngineError::HostNetwork),
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
}
