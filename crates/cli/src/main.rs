//! The kiln binary: process-wide set-up, then one call.

use std::process::ExitCode;

/// musl's own allocator is slow with threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
