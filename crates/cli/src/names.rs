//! Under which name this program was called. It stands in for other programs by name, so that
//! nothing that calls them has to change.

use std::ffi::OsStr;
use std::path::Path;

/// Whom this program stands in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Nobody: every name that is not one of the others.
    Kiln,
    /// The daemon `buildkitd`.
    Buildkitd,
    /// The daemon `dockerd`.
    Dockerd,
    /// The client `docker`.
    Docker,
    /// The client `buildctl`.
    Buildctl,
    /// The plug-in `docker-buildx` of the client `docker`, which is also called by itself.
    DockerBuildx,
}

impl Name {
    /// Whom the program stands in for when it is called as `program`, a name or a path.
    #[must_use]
    pub fn of(program: &OsStr) -> Self {
        let name = Path::new(program).file_name().and_then(OsStr::to_str);
        match name {
            Some("buildkitd") => Self::Buildkitd,
            Some("dockerd") => Self::Dockerd,
            Some("docker") => Self::Docker,
            Some("buildctl") => Self::Buildctl,
            Some("docker-buildx") => Self::DockerBuildx,
            _ => Self::Kiln,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_component_counts() {
        let called = |program: &str| Name::of(OsStr::new(program));
        assert_eq!(called("/usr/bin/buildkitd"), Name::Buildkitd);
        assert_eq!(called("dockerd"), Name::Dockerd);
        assert_eq!(called("./docker"), Name::Docker);
        assert_eq!(called("/root/bin/buildctl"), Name::Buildctl);
        let plug_in = "/usr/lib/docker/cli-plugins/docker-buildx";
        assert_eq!(called(plug_in), Name::DockerBuildx);
        for other in ["kiln", "docker/kiln", "docker-compose", "", "/"] {
            assert_eq!(called(other), Name::Kiln, "{other}");
        }
    }
}
