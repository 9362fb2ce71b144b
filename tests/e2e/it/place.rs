//! Where the binary runs: where the tests do, or, when those are root's, elsewhere.

use std::path::Path;
use std::process::Command;

use testkit::Needs;
pub(crate) use testkit::{Place, skip};

use crate::kiln::{command, variable};

/// Whether the tests themselves run as an ordinary user who has nobody else.
pub(crate) fn is_single() -> bool {
    variable("KILN_TEST_PLACE").is_some_and(|name| name == Path::new(Place::Single.name()))
}

/// Whether the tests themselves run where nothing may be mounted: `KILN_TEST_PLACE` says where.
pub(crate) fn is_in_container() -> bool {
    variable("KILN_TEST_PLACE").is_some_and(|name| name == Path::new(Place::Container.name()))
}

/// The binary in a place, for arguments to be added; `scratch` is where files can be put.
pub(crate) fn binary_in(place: Place, binary: &Path, scratch: &Path) -> Command {
    let (shared, beside) = (scratch.parent().unwrap(), binary.parent().unwrap());
    let needs = match place {
        Place::Root => return command(binary),
        Place::Container => Needs {
            readable: &[beside],
            writable: &[shared],
        },
        _ => Needs::default(),
    };
    let words = place.words(&scratch.join("place"), needs);
    let mut wrapped = command(&words[0]);
    wrapped.args(&words[1..]).arg(binary);
    wrapped
}
