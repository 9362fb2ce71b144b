//! How long a large Dockerfile takes. Run alone: `cargo test --release -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use crate::large::{large, lower};

fn fastest(text: &str) -> Duration {
    let once = || {
        let start = Instant::now();
        let lowered = lower(text);
        let taken = start.elapsed();
        assert!(lowered.graph.iter().count() > 0);
        taken
    };
    (0..20).map(|_| once()).min().unwrap()
}

#[test]
#[ignore = "measures time: needs an optimised build and a quiet machine"]
#[expect(clippy::print_stdout, reason = "the times are what it is run for")]
fn time_is_linear() {
    let times: Vec<(usize, Duration)> = [500, 2_000, 8_000]
        .into_iter()
        .map(|instructions| (instructions, fastest(&large(instructions))))
        .collect();
    println!("{times:?}");
    let (small, middle, huge) = (times[0].1, times[1].1, times[2].1);
    assert!(middle < Duration::from_millis(5), "{times:?}");
    assert!(huge < small * 16 * 2, "{times:?}");
}
