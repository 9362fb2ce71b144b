//! Work that goes on when the command has ended: the one place that starts kiln anew.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Starts a collection by policy on the store at `root`, which nobody waits for. It has no terminal
/// and no stream of ours, so whoever reads our output sees its end when we end.
///
/// # Errors
/// It cannot be started.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts kiln anew"
)]
pub(crate) fn collect(root: &Path, config: Option<&Path>) -> std::io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("kiln").arg("--root").arg(root);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    command
        .args(["store", "gc", "--background"])
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}

/// Lets everything else on the machine go first.
pub(crate) fn yield_to_others() {
    // What the kernel refuses only makes us a little less polite.
    let _ = rustix::process::nice(19);
}
