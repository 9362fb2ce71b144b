//! Any bytes as what clients of the Docker Engine API and users of registries send: a container to create, a version, credentials, names of images.

#![cfg_attr(not(test), no_main)]

use api::docker::{ApiVersion, CreateContainer};
use libfuzzer_sys::fuzz_target;
use registry::docker_config::DockerConfig;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(asked) = serde_json::from_slice::<CreateContainer>(bytes) {
        let _ = asked.check();
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = ApiVersion::parse(text);
    let _ = DockerConfig::parse(text);
    if let Ok(reference) = text.parse::<oci::Reference>() {
        let again: oci::Reference = reference.to_string().parse().unwrap();
        assert_eq!(again, reference);
    }
});
