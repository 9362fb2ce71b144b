//! About the daemon.

use std::fs;
use std::sync::Arc;

use api::docker::{Info, Version};
use bytes::Bytes;
use engine::ContainerState;
use hyper::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use super::Daemon;
use crate::answer::{Answer, Refusal, found, plain, typed};

/// `/_ping`. Version 2 of the builder is BuildKit, which clients use if they can.
pub(super) fn ping(method: &Method) -> Answer {
    let body = if method == Method::HEAD { "" } else { "OK" };
    let mut answer = plain(StatusCode::OK, Bytes::from_static(body.as_bytes()));
    typed(&mut answer, "text/plain; charset=utf-8");
    let headers = answer.headers_mut();
    headers.insert(
        HeaderName::from_static("builder-version"),
        HeaderValue::from_static("2"),
    );
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store"),
    );
    answer
}

impl Daemon {
    pub(super) fn version(&self) -> Answer {
        found(&Version::new(self.identity.version, &kernel()))
    }

    pub(super) async fn info(self: &Arc<Self>) -> Result<Answer, Refusal> {
        let identity = self.identity.clone();
        self.with(move |engine| {
            let containers = engine.containers()?;
            let running = |state| state == ContainerState::Running;
            let running = containers.iter().filter(|c| running(c.state)).count();
            let platform = oci::Platform::host();
            Ok(found(&Info {
                id: identity.root.display().to_string(),
                containers: containers.len(),
                containers_running: running,
                containers_paused: 0,
                containers_stopped: containers.len() - running,
                images: engine.images()?.len(),
                driver: "overlay".to_owned(),
                docker_root_dir: identity.root.display().to_string(),
                name: kernel_word("hostname"),
                server_version: api::docker::STANDS_FOR.to_owned(),
                kernel_version: kernel(),
                operating_system: "kiln".to_owned(),
                os_type: platform.os,
                architecture: platform.architecture,
                processors: std::thread::available_parallelism().map_or(1, usize::from),
                mem_total: memory(),
                index_server_address: "https://index.docker.io/v1/".to_owned(),
            }))
        })
        .await
    }
}

/// The kernel's release.
fn kernel() -> String {
    kernel_word("osrelease")
}

fn kernel_word(name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    text.unwrap_or_default().trim().to_owned()
}

/// Bytes of memory; 0 where it cannot be told.
fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
