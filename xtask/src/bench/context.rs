//! The contexts: files and Dockerfiles, the same for every builder.
//!
//! The last stage is always `last`. Where a build must not find its steps done already, the first
//! of them copies the file `nonce`, which is new in every round.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Result;

use crate::base_images;

/// Steps in the long chain beyond those in the short one.
pub(crate) const CHAIN: u32 = 20;

const SCRATCH: &str = "FROM scratch AS bin\nCOPY busybox /bin/busybox\n";
const TRUE: &str = "RUN [\"/bin/busybox\", \"true\"]\n";

pub(crate) fn five_stages(folder: &Path) -> Result<()> {
    base_images::busybox(&folder.join("busybox"))?;
    let mut text = SCRATCH.to_owned();
    for stage in ["one", "two", "three"] {
        text.push_str(&format!(
            "FROM bin AS {stage}\nWORKDIR /{stage}\nCOPY Dockerfile ./\n"
        ));
        text.push_str(&format!(
            "RUN [\"/bin/busybox\", \"touch\", \"/{stage}/made\"]\n"
        ));
    }
    text.push_str("FROM bin AS last\n");
    for stage in ["one", "two", "three"] {
        text.push_str(&format!("COPY --from={stage} /{stage} /{stage}\n"));
    }
    dockerfile(folder, "Dockerfile", &text)
}

pub(crate) fn chain(folder: &Path) -> Result<()> {
    base_images::busybox(&folder.join("busybox"))?;
    let chain = |steps: u32| {
        let steps = TRUE.repeat(steps as usize);
        format!("{SCRATCH}FROM bin AS last\nCOPY nonce /nonce\n{steps}")
    };
    dockerfile(folder, "Dockerfile.short", &chain(1))?;
    dockerfile(folder, "Dockerfile", &chain(1 + CHAIN))
}

pub(crate) fn long_chain(folder: &Path) -> Result<()> {
    base_images::busybox(&folder.join("busybox"))?;
    let text = format!(
        "{SCRATCH}FROM bin AS last\nCOPY nonce /nonce\n{}",
        TRUE.repeat(32)
    );
    dockerfile(folder, "Dockerfile", &text)
}

/// The argument `NUMBER` tells the builds apart.
pub(crate) fn numbered(folder: &Path) -> Result<()> {
    base_images::busybox(&folder.join("busybox"))?;
    let mut text = format!("{SCRATCH}FROM bin AS last\nCOPY nonce /nonce\nARG NUMBER\n");
    for step in 0..3 {
        text.push_str(&format!(
            "RUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo $NUMBER > /out{step}\"]\n"
        ));
    }
    dockerfile(folder, "Dockerfile", &text)
}

pub(crate) fn parallel_stages(folder: &Path) -> Result<()> {
    base_images::busybox(&folder.join("busybox"))?;
    let mut text = format!("{SCRATCH}FROM bin AS begin\nCOPY nonce /nonce\n");
    let mut copies = String::new();
    for stage in 0..24 {
        text.push_str(&format!(
            "FROM begin AS stage{stage}\n\
             RUN [\"/bin/busybox\", \"sh\", \"-c\", \"sleep 0.2; echo {stage} > /out{stage}\"]\n"
        ));
        copies.push_str(&format!("COPY --from=stage{stage} /out{stage} /\n"));
    }
    text.push_str(&format!("FROM scratch AS last\n{copies}"));
    dockerfile(folder, "Dockerfile", &text)
}

pub(crate) fn many_files(folder: &Path) -> Result<()> {
    context_of(folder, 20_000, 4_000)
}

/// Small files, so that what is done for each counts more than its bytes.
pub(crate) fn small_files(folder: &Path) -> Result<()> {
    context_of(folder, 2_000, 100)
}

fn context_of(folder: &Path, count: usize, size: usize) -> Result<()> {
    files(&folder.join("files"), count, size)?;
    dockerfile(folder, "Dockerfile", "FROM scratch AS last\nCOPY . /all/\n")
}

/// The stage `source` has the files; `last` copies them. The nonce comes after, so that the copy
/// is made in every round and the source is not.
pub(crate) fn copy_between_stages(folder: &Path) -> Result<()> {
    copy_of(folder, 30_000, 2_000)
}

pub(crate) fn copy_of_small_files(folder: &Path) -> Result<()> {
    copy_of(folder, 3_000, 100)
}

fn copy_of(folder: &Path, count: usize, size: usize) -> Result<()> {
    files(&folder.join("files"), count, size)?;
    fs::write(folder.join("nonce"), "")?;
    let text = "FROM scratch AS source\nCOPY files /files\n\
                FROM scratch AS last\nCOPY nonce /nonce\nCOPY --from=source /files /files\n";
    dockerfile(folder, "Dockerfile", text)
}

pub(crate) fn large_file(folder: &Path) -> Result<()> {
    file_of(folder, 512 << 20)
}

pub(crate) fn small_file(folder: &Path) -> Result<()> {
    file_of(folder, 4 << 20)
}

fn file_of(folder: &Path, size: usize) -> Result<()> {
    prose(&folder.join("large"), size, 7)?;
    let text = "FROM scratch AS last\nCOPY large /large\n";
    dockerfile(folder, "Dockerfile", text)
}

/// Twelve layers.
pub(crate) fn large_image(folder: &Path) -> Result<()> {
    twelve_layers(folder, "Dockerfile")
}

/// `Dockerfile.image` is what `Dockerfile` stands on, by the name in the argument `IMAGE`.
pub(crate) fn on_large_image(folder: &Path) -> Result<()> {
    twelve_layers(folder, "Dockerfile.image")?;
    let text = format!("ARG IMAGE\nFROM $IMAGE AS last\n{TRUE}");
    dockerfile(folder, "Dockerfile", &text)
}

/// 500 MB in all, with the programs.
fn twelve_layers(folder: &Path, name: &str) -> Result<()> {
    base_images::busybox(&folder.join("busybox"))?;
    let mut text = "FROM scratch AS last\nCOPY busybox /bin/busybox\n".to_owned();
    for layer in 1..12 {
        prose(&folder.join(format!("part{layer}")), 45_000_000, layer)?;
        text.push_str(&format!("COPY part{layer} /parts/{layer}\n"));
    }
    dockerfile(folder, name, &text)
}

pub(crate) fn many_instructions(folder: &Path) -> Result<()> {
    instructions_of(folder, 100)
}

pub(crate) fn four_times_many_instructions(folder: &Path) -> Result<()> {
    instructions_of(folder, 400)
}

/// Twenty to a stage.
fn instructions_of(folder: &Path, stages: usize) -> Result<()> {
    let mut text = String::new();
    for stage in 1..stages {
        text.push_str(&format!(
            "FROM scratch AS stage{stage}\nCOPY Dockerfile /out{stage}\n"
        ));
        for instruction in 0..17 {
            text.push_str(&format!("ENV V{instruction}={stage}\n"));
        }
    }
    text.push_str("FROM scratch AS last\n");
    for stage in 1..stages {
        text.push_str(&format!("COPY --from=stage{stage} /out{stage} /\n"));
    }
    dockerfile(folder, "Dockerfile", &text)
}

/// For builds that are to find everything done.
#[expect(
    clippy::unnecessary_wraps,
    reason = "one of several changes, of which others can fail"
)]
pub(crate) fn unchanged(_: &Path, _: usize) -> Result<()> {
    Ok(())
}

pub(crate) fn new_nonce(folder: &Path, round: usize) -> Result<()> {
    Ok(fs::write(folder.join("nonce"), format!("{round}\n"))?)
}

pub(crate) fn one_file(folder: &Path, round: usize) -> Result<()> {
    Ok(fs::write(
        folder.join("files/7/7"),
        format!("changed in round {round}\n"),
    )?)
}

/// `count` files of `size` bytes, a hundred to a folder, each different.
fn files(folder: &Path, count: usize, size: usize) -> Result<()> {
    let mut random = Random::new(count as u64);
    let mut content = vec![0; size];
    for number in 0..count {
        let place = folder.join((number / 100).to_string());
        if number % 100 == 0 {
            fs::create_dir_all(&place)?;
        }
        for byte in content.iter_mut().step_by(16) {
            *byte = random.byte();
        }
        fs::write(place.join((number % 100).to_string()), &content)?;
    }
    Ok(())
}

/// A file that compresses about as well as programs do, to a good third: words of a vocabulary, of
/// which some are frequent, each followed by a few bytes that are new.
fn prose(path: &Path, size: usize, seed: u64) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, fs::File::create(path)?);
    let mut random = Random::new(seed);
    let words: Vec<Vec<u8>> = (0..2048)
        .map(|_| (0..4 + random.below(20)).map(|_| random.byte()).collect())
        .collect();
    let mut written = 0;
    while written < size {
        // The product of three numbers below the whole prefers the small.
        let rank = random.below(words.len()) * random.below(words.len()) / words.len();
        let word = &words[rank * random.below(words.len()) / words.len()];
        let operands = [random.byte(), 0, random.byte()];
        let count = random.below(operands.len());
        file.write_all(word)?;
        file.write_all(&operands[..count])?;
        written += word.len() + count;
    }
    Ok(file.flush()?)
}

fn dockerfile(folder: &Path, name: &str, text: &str) -> Result<()> {
    Ok(fs::write(folder.join(name), text)?)
}

/// The same numbers every time (xorshift).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }
}
