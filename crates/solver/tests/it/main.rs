//! The solver with toy ops that count their runs and take as long as they are told, on a clock
//! that stands still unless everybody waits.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests; clippy knows only the tests themselves"
)]

mod caching;
mod failures;
mod interleaved;
mod limits;
mod progress;
mod properties;
mod scale;
mod sharing;
mod toy;
