//! The bytes are the same for any number of threads and any cut of the input, and read back.

use std::io::Read;

use oci::Digest;

use super::*;

/// Text-like and noise-like parts from a fixed generator, over several blocks.
fn sample(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let word = (state >> 40) as u8;
        if bytes.len() / 70_000 % 2 == 0 {
            bytes.extend_from_slice(format!("line {} of it\n", word % 50).as_bytes());
        } else {
            bytes.push(word);
        }
    }
    bytes.truncate(length);
    bytes
}

fn compress(input: &[u8], format: Compression, threads: usize, cut: usize) -> Vec<u8> {
    let pool = Arc::new(
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap(),
    );
    let mut writer = Compressor::new(Vec::new(), format, None, &pool).unwrap();
    input
        .chunks(cut)
        .for_each(|part| writer.write_all(part).unwrap());
    writer.finish().unwrap()
}

#[test]
fn bytes_depend_on_the_input_alone() {
    let input = sample(5_500_000);
    for format in [Compression::Gzip, Compression::Zstd] {
        let once = compress(&input, format, 1, input.len());
        for (threads, cut) in [(1, 4096), (2, 65_536), (7, 1_000_003), (3, 513)] {
            assert!(
                compress(&input, format, threads, cut) == once,
                "{format:?} {threads} {cut}"
            );
        }
    }
}

#[test]
fn reads_back() {
    for length in [0, 1, 1 << 20, (1 << 20) + 1, 3_000_000] {
        let input = sample(length);
        let mut output = Vec::new();
        let gzip = compress(&input, Compression::Gzip, 2, 100_000);
        flate2::read::MultiGzDecoder::new(&gzip[..])
            .read_to_end(&mut output)
            .unwrap();
        assert!(output == input, "gzip {length}");
        let zstd = compress(&input, Compression::Zstd, 2, 100_000);
        assert!(
            zstd::decode_all(&zstd[..]).unwrap() == input,
            "zstd {length}"
        );
    }
}

/// A change here changes the digests of layers that users have pushed.
#[test]
fn golden_digests() {
    let input = sample(2_500_000);
    let digest = |format| Digest::of(&compress(&input, format, 2, 65_536)).to_string();
    assert_eq!(
        [digest(Compression::Gzip), digest(Compression::Zstd)],
        [
            "sha256:517dddbf6f6e435210d4e2ce20608cf92c591985b572008d17ddce7b6ac8ec50",
            "sha256:12310e8f82d970555508205b1c65f880199889747641044125cd2ee3e07ce2c7",
        ]
    );
}

#[test]
fn refuses_levels_that_do_not_exist() {
    let pool = Arc::new(
        rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap(),
    );
    for (format, level) in [
        (Compression::Gzip, 10),
        (Compression::Gzip, -1),
        (Compression::Zstd, 23),
    ] {
        assert!(Compressor::new(Vec::new(), format, Some(level), &pool).is_err());
    }
}
