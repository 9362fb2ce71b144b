//! What an ordinary user's kiln does first: it becomes root of a user namespace of its own, while it
//! has a single thread. From there on everything is as for root.

use sandbox::rootless::{Account, EnterError, Lack, Mapping};

use crate::environment::Environment;
use crate::error::Error;

/// Enters a user namespace, unless this process is root already; what lacks for there to be users
/// other than root.
///
/// # Errors
/// There is none to be had.
pub(crate) fn enter(environment: &Environment) -> Result<Vec<Lack>, Error> {
    if environment.is_root {
        return Ok(Vec::new());
    }
    let account = Account::of_process();
    let mapping = Mapping::of(&account, &environment.program_path());
    mapping.enter(&account).map_err(|error| {
        let text = crate::error::chain(&error);
        Error::new(format!("cannot become root of a user namespace: {text}")).hint(hint(&error))
    })?;
    Ok(match mapping {
        Mapping::Subordinate(_) => Vec::new(),
        Mapping::Single(lacks) => lacks,
    })
}

const fn hint(error: &EnterError) -> &'static str {
    match error {
        EnterError::Helper(_) => {
            "newuidmap and newgidmap must be set-user-ID root or have the capabilities cap_setuid \
             and cap_setgid, also where containers drop some; see docs/rootless.md"
        }
        EnterError::Threads | EnterError::Call { .. } => {
            "look at the sysctls user.max_user_namespaces, kernel.unprivileged_userns_clone \
             and kernel.apparmor_restrict_unprivileged_userns, and at docs/rootless.md"
        }
    }
}
