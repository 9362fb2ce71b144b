//! `cargo xtask`: the project's own chores, in one place and in Rust.
//!
//! Every command is one module. Processes are started through [`command`] only, the environment
//! is read in [`environment`] only, and everything a person sees goes through [`ui`].

mod base_images;
mod bench;
mod binary;
mod command;
mod demo;
mod environment;
mod footprint;
mod fuzz;
mod instructions;
mod kernels;
mod packages;
mod paths;
mod peers;
mod registry;
mod release;
mod server;
mod suite;
mod tidy;
mod ui;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Check what the compiler cannot: layers, sizes, headers, safety comments
    Tidy,
    /// Run every test, the end-to-end ones included
    Test(suite::Wishes),
    /// Build and run the href-counter example, both ways
    Demo {
        /// The kiln binary, instead of building it
        #[arg(long, value_name = "PATH")]
        binary: Option<PathBuf>,
    },
    /// Measure kiln beside other builders
    Bench(bench::Wishes),
    /// Count the instructions of the hot paths and compare them with their budgets
    Instructions(instructions::Wishes),
    /// Compare the size of the binary, and a daemon's start and idle memory, with their budgets
    Footprint(footprint::Wishes),
    /// Build in machines with other kernels, and compare the images with those built here
    Kernels(kernels::Wishes),
    /// Make the stand-ins for Docker Hub's base images
    BaseImages {
        /// Only these, by name
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        only: Vec<String>,
        /// Serve them on loopback until standard input ends
        #[arg(long)]
        serve: bool,
    },
    /// Look for inputs that make the language's readers fail
    Fuzz(fuzz::Wishes),
    /// Build the binary of a release, whose bytes depend on the sources alone, and list what it is made of
    Release(release::Wishes),
    /// Unpack today's builders and clients of other projects
    Peers(peers::Wishes),
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::failure(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<()> {
    match chore {
        Chore::Tidy => tidy::run(),
        Chore::Test(wishes) => suite::run(&wishes),
        Chore::Demo { binary } => demo::run(binary.as_deref()),
        Chore::Bench(wishes) => bench::run(&wishes),
        Chore::Instructions(wishes) => instructions::run(&wishes),
        Chore::Footprint(wishes) => footprint::run(&wishes),
        Chore::Kernels(wishes) => kernels::run(&wishes),
        Chore::BaseImages { only, serve } => base_images::run(&only, serve),
        Chore::Fuzz(wishes) => fuzz::run(&wishes),
        Chore::Release(wishes) => release::run(&wishes),
        Chore::Peers(wishes) => peers::run(wishes),
    }
}
