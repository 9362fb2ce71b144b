//! What an ordinary user's kiln does first: it becomes root of a user namespace of its own, while it
//! has a single thread. From there on everything is as for root.

use sandbox::rootless::{Account, Mapping};

use crate::environment::Environment;
use crate::error::Error;

/// Enters a user namespace, unless this process is root already.
///
/// # Errors
/// There is none to be had.
pub(crate) fn enter(environment: &Environment) -> Result<(), Error> {
    if environment.is_root {
        return Ok(());
    }
    let account = Account::of_process();
    let mapping = Mapping::of(&account, &environment.program_path());
    mapping.enter(&account).map_err(|error| {
        let text = crate::error::chain(&error);
        Error::new(format!("cannot become root of a user namespace: {text}")).hint(
            "look at the sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone \
                 and kernel.apparmor_restrict_unprivileged_userns, and at docs/rootless.md",
        )
    })
}
