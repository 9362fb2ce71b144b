//! Secrets whose bytes count in cache keys. Such a secret is read once, so that a step sees what its
//! key says; what stands for it in the key tells nothing to who has not the store's private key.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Inner;
use crate::error::EngineError;
use crate::request::{BuildRequest, SecretSource};

impl Inner {
    /// The request with those secrets at hand, and what stands for each.
    pub(super) async fn read_keyed_secrets(
        self: &Arc<Self>,
        mut request: BuildRequest,
    ) -> Result<(BuildRequest, BTreeMap<String, [u8; 32]>), EngineError> {
        if !request.secrets.values().any(|secret| secret.keyed) {
            return Ok((request, BTreeMap::new()));
        }
        let engine = Arc::clone(self);
        crate::blocking(move || {
            let key = engine.store.private_key()?;
            let mut digests = BTreeMap::new();
            for (id, offered) in &mut request.secrets {
                if offered.keyed {
                    let secret = offered.source.read()?;
                    digests.insert(id.clone(), key.digest(id, secret.expose()));
                    offered.source = SecretSource::Value(secret);
                }
            }
            Ok((request, digests))
        })
        .await?
    }
}
