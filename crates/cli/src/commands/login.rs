//! `kiln login` and `logout`, which are docker's business.

use crate::error::Error;

/// Says what to do instead.
pub(super) fn refuse(command: &str) -> Error {
    Error::new(format!("kiln has no command `{command}`")).hint(
        "kiln reads docker's credentials: use `docker login`, or write \
         $DOCKER_CONFIG/config.json (~/.docker/config.json)",
    )
}
