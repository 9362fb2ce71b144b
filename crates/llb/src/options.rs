//! What a definition is loaded for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use graph::{Device, Edge, Graph, PullPolicy};
use oci::{Platform, Reference};

use crate::source::layout::Layout;

type Lookup = dyn Fn(&str, bool) -> Result<Vec<Device>, String> + Send + Sync;

/// What a definition is loaded for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Of ops that name none; this machine's when none.
    pub platform: Option<Platform>,
    /// When registries are asked about images whose op does not say.
    pub pull: PullPolicy,
    /// Processes may have all rights (`security.insecure`).
    pub allow_insecure: bool,
    /// Processes may use the host's network (`network.host`).
    pub allow_host_network: bool,
    /// The client's session, which sources may name.
    pub session: Option<String>,
    /// The machine's devices.
    pub devices: Option<DeviceLookup>,
    /// What stands for the bytes of secrets that results depend on, by name.
    pub secret_digests: BTreeMap<String, [u8; 32]>,
    /// Results that sources name, by all of their identifiers.
    pub results: BTreeMap<String, Arc<KnownResult>>,
    /// Somebody decides about each source before it is looked at.
    pub ask_sources: bool,
    /// Images in stores of the client's, by the names that they were brought in under.
    pub layouts: BTreeMap<Layout, Reference>,
}

/// A result of another build: the steps that it was planned from.
#[derive(Debug, Clone, Default)]
pub struct KnownResult {
    /// The steps.
    pub graph: Graph,
    /// The file system; none when it is empty.
    pub root: Option<Edge>,
    /// What must be made beside it.
    pub required: Vec<Edge>,
}

/// Finds devices by a name, and says whether a step may have them; nothing found is an error unless
/// the device is optional.
#[derive(Clone)]
pub struct DeviceLookup(Arc<Lookup>);

impl DeviceLookup {
    /// A look-up by name; the second argument says that the device is optional.
    pub fn new(
        lookup: impl Fn(&str, bool) -> Result<Vec<Device>, String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(lookup))
    }

    pub(crate) fn find(&self, name: &str, optional: bool) -> Result<Vec<Device>, String> {
        (self.0)(name, optional)
    }
}

impl fmt::Debug for DeviceLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceLookup(…)")
    }
}
