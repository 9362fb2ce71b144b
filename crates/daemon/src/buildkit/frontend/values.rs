//! Options whose values have parts.

use std::collections::HashMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{ExtraHost, Resources, Ulimit};
use oci::ImageConfig;
use tonic::Status;

use crate::buildkit::options::Options;
use crate::buildkit::results::CONFIG;

/// Lines of `/etc/hosts`: `add-hosts`, as `name=address,…`.
pub(super) fn hosts(options: &mut Options) -> Result<Vec<ExtraHost>, Status> {
    list(options, "add-hosts", "expected NAME=ADDRESS", |text| {
        let (host, address) = text.split_once('=')?;
        let address: IpAddr = address.parse().ok()?;
        Some(ExtraHost {
            host: host.to_ascii_lowercase(),
            address: address.to_string(),
        })
    })
}

/// Limits of steps: `ulimit`, as `name=soft[:hard],…`.
pub(super) fn ulimits(options: &mut Options) -> Result<Vec<Ulimit>, Status> {
    list(options, "ulimit", "expected NAME=SOFT[:HARD]", |text| {
        let (name, values) = text.split_once('=')?;
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let (soft, hard): (i64, i64) = (soft.parse().ok()?, hard.parse().ok()?);
        let in_order = hard == -1 || (soft != -1 && soft <= hard);
        in_order.then(|| Ulimit {
            name: name.to_owned(),
            soft,
            hard,
        })
    })
}

/// What each step may take: `memory`, `cpuquota` and the like.
pub(super) fn resources(options: &mut Options) -> Result<Resources, Status> {
    let resources = Resources::of_clients(|name| options.one(name));
    resources.map_err(|error| Status::invalid_argument(error.to_string()))
}

/// What is said of an input as an image: `containerimage.config` among its metadata, whose values
/// are Base64.
pub(super) fn input_config(
    options: &Options,
    input: &str,
    json: &str,
) -> Result<Option<Box<ImageConfig>>, Status> {
    let invalid = |why: &str| options.invalid(&format!("input-metadata:{input}"), json, why);
    let metadata: Result<HashMap<String, String>, _> = serde_json::from_str(json);
    let metadata = metadata.map_err(|error| invalid(&error.to_string()))?;
    let Some(config) = metadata.get(CONFIG) else {
        return Ok(None);
    };
    let config = STANDARD.decode(config);
    let config = config.map_err(|error| invalid(&error.to_string()))?;
    let config = serde_json::from_slice(&config);
    config
        .map(Some)
        .map_err(|error| invalid(&error.to_string()))
}

fn list<T>(
    options: &mut Options,
    name: &str,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, Status> {
    let text = options.one(name).unwrap_or_default();
    // BuildKit writes such lists as CSV; none of these values needs its quotes.
    let parts = text.split(',').filter(|part| !part.is_empty());
    let parse = |part: &str| {
        let part = part.trim_matches('"');
        parse(part).ok_or_else(|| options.invalid(name, part, expected))
    };
    parts.map(parse).collect()
}
