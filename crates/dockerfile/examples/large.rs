//! Parses and lowers a Dockerfile of 2,000 instructions, as often as the argument says, for
//! measurements: instructions under callgrind, or the time.

#![expect(clippy::unwrap_used, reason = "a measurement that fails shall stop")]

#[path = "../tests/it/large.rs"]
mod large;

/// What kiln itself allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const INSTRUCTIONS: usize = 2_000;

fn main() {
    let times = std::env::args()
        .nth(1)
        .map_or(1, |times| times.parse().unwrap());
    let text = large::large(INSTRUCTIONS);
    for _ in 0..times {
        let lowered = large::lower(&text);
        assert!(lowered.graph.iter().count() > INSTRUCTIONS / 2);
        std::hint::black_box(lowered);
    }
}
