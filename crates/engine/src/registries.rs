//! The client for registries as the machine's owner and the client's variables have it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Config;
use crate::error::EngineError;

/// A client that asks registries as `config` says, through the proxies of `variables`.
pub(crate) fn client(
    config: &Config,
    variables: &[(String, String)],
    credentials: Arc<dyn registry::Credentials>,
) -> Result<registry::Client, EngineError> {
    let config = registry_config(config, variables)?;
    Ok(registry::Client::new(config, credentials)?)
}

fn registry_config(
    config: &Config,
    variables: &[(String, String)],
) -> Result<registry::Config, EngineError> {
    let mut wanted = registry::Config {
        proxy: proxy(variables),
        ..registry::Config::default()
    };
    for (domain, host) in &config.registry {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| EngineError::Read {
                path: path.clone(),
                source,
            })
        };
        let authorities = host.ca.iter().map(read).collect::<Result<_, _>>()?;
        let identity = match (&host.certificate, &host.key) {
            (Some(certificate), Some(key)) => Some([read(certificate)?, read(key)?].join(&b'\n')),
            _ => None,
        };
        let identity = identity.map(|pem| String::from_utf8_lossy(&pem).into_owned());
        wanted.hosts.insert(
            domain.clone(),
            registry::HostConfig {
                mirrors: host.mirrors.clone(),
                http: host.http,
                insecure: host.insecure,
                private_redirects: host.private_redirects,
                authorities,
                identity: identity.map(registry::Secret::new),
            },
        );
    }
    Ok(wanted)
}

/// Proxies as the client's variables say.
fn proxy(variables: &[(String, String)]) -> registry::Proxy {
    let value = |name: &str| {
        let mut named = variables
            .iter()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.clone())
    };
    let all = value("ALL_PROXY");
    registry::Proxy {
        http: value("HTTP_PROXY").or_else(|| all.clone()),
        https: value("HTTPS_PROXY").or(all),
        except: value("NO_PROXY"),
    }
}
