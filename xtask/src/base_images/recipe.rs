//! The stand-ins: what each is called, what it is really made of, and its configuration.

use std::path::Path;

use anyhow::Result;

use super::{alpine, node, unpacked};

/// How to make a stand-in.
#[derive(Debug)]
pub(super) struct Recipe {
    /// The repository within `library/`; also names the recipe here and in the cache.
    pub(super) name: &'static str,
    pub(super) tags: &'static [&'static str],
    /// What it is really made of, for people.
    pub(super) what: &'static str,
    /// The recipe whose layers stand beneath this one's.
    pub(super) base: Option<&'static str>,
    pub(super) config: Config,
    /// Fills the empty folder with the layer's files.
    pub(super) fill: fn(&Path) -> Result<()>,
    /// Raised when `fill` makes something else than before.
    pub(super) revision: u32,
}

/// The part of the image's configuration that differs between stand-ins.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) environment: &'static [&'static str],
    pub(super) entrypoint: &'static [&'static str],
    pub(super) command: &'static [&'static str],
    pub(super) directory: &'static str,
    pub(super) ports: &'static [&'static str],
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const SHELL: Config = Config {
    environment: &[PATH],
    entrypoint: &[],
    command: &["/bin/sh"],
    directory: "",
    ports: &[],
};

/// All stand-ins; each stands after the one beneath it.
pub(super) const RECIPES: &[Recipe] = &[
    Recipe {
        name: "alpine",
        tags: &["latest", "3", "3.19"],
        what: "Debian's static busybox with a small stand-in for apk",
        base: None,
        config: SHELL,
        fill: alpine::fill,
        revision: 1,
    },
    Recipe {
        name: "busybox",
        tags: &["latest", "1"],
        what: "Debian's static busybox",
        base: None,
        config: SHELL,
        fill: alpine::fill_busybox,
        revision: 1,
    },
    Recipe {
        name: "debian",
        tags: &["bookworm-slim", "bookworm", "latest"],
        what: "Debian bookworm's essential packages and apt, without documentation",
        base: None,
        config: Config {
            command: &["bash"],
            ..SHELL
        },
        fill: unpacked::fill_debian,
        revision: 1,
    },
    Recipe {
        name: "golang",
        tags: &["1.16", "1.7.3", "1.19", "latest"],
        what: "Go 1.19 of Debian bookworm, with golang.org/x/net, building without modules",
        base: None,
        config: Config {
            environment: &[
                "PATH=/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "GOPATH=/go:/usr/share/gocode",
                "GO111MODULE=off",
            ],
            command: &["/bin/sh"],
            directory: "/go",
            ..SHELL
        },
        fill: unpacked::fill_golang,
        revision: 1,
    },
    Recipe {
        name: "node",
        tags: &["14-alpine", "14", "lts-alpine"],
        what: "Node 14 and yarn of npm, glibc of Debian bookworm, over the alpine stand-in",
        base: Some("alpine"),
        config: Config {
            environment: &[
                PATH,
                "NODE_VERSION=14.21.3",
                "NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt",
            ],
            command: &["node"],
            ..SHELL
        },
        fill: node::fill,
        revision: 1,
    },
    Recipe {
        name: "nginx",
        tags: &["latest", "1"],
        what: "nginx of Debian bookworm",
        base: None,
        config: Config {
            command: &["nginx", "-g", "daemon off;"],
            ports: &["80/tcp"],
            ..SHELL
        },
        fill: unpacked::fill_nginx,
        revision: 1,
    },
];

impl Recipe {
    /// What all of the image depends on.
    pub(super) fn identity(&self) -> String {
        let Self {
            name,
            tags,
            what,
            base,
            config,
            fill: _,
            revision,
        } = self;
        let beneath = RECIPES.iter().find(|other| Some(other.name) == *base);
        let beneath = beneath.map(Self::identity);
        format!("{name} {tags:?} {what:?} {config:?} {revision} {beneath:?}\n")
    }
}
