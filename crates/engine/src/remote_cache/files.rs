//! Files of a client's directory as BuildKit sees them: as root's, without what the ignore file excludes.

use std::path::{Path, PathBuf};

use buildkit::Selector;
use buildkit::content::{Contents, FileKind, Files, Meta};
use oci::{Digest, Hasher};
use snapshot::{Dir, Entry, Found, Kind, Stat, Tree, Xattr};

use crate::error::EngineError;

/// What is read at a time.
const BUFFER: usize = 256 << 10;

/// The digests of what `selectors` name. None if a file changed after `since`, in nanoseconds since 1970:
/// then nobody knows what a step of the build saw.
pub(super) fn digests(
    tree: &Tree,
    selectors: &[Selector],
    since: i64,
) -> Result<Vec<Digest>, EngineError> {
    let tree = tree.clone().owned_by(0, 0);
    let mut listing = Listing {
        files: Files::new(None),
        since,
        changed: false,
    };
    let mut resolved = Vec::with_capacity(selectors.len());
    for selector in selectors {
        resolved.push(match selector.is_filtered() {
            true => {
                listing.below(tree.root())?;
                selector.clone()
            }
            false => listing.path(&tree, selector)?,
        });
    }
    let contents = TreeContents { tree: &tree };
    let digests = buildkit::content::digests(&listing.files, &resolved, &contents);
    match digests {
        _ if listing.changed => Ok(Vec::new()),
        Ok(digests) => Ok(digests),
        Err(buildkit::content::ContentError::Read(error)) => Err(error),
        // The step says what is missing.
        Err(_) => Ok(Vec::new()),
    }
}

/// Files in the making.
struct Listing {
    files: Files,
    since: i64,
    changed: bool,
}

impl Listing {
    /// Adds what is at one path and below; the same selector without links.
    fn path(&mut self, tree: &Tree, selector: &Selector) -> Result<Selector, EngineError> {
        let found = tree.lookup(Path::new(&selector.path), selector.follow_links)?;
        let path = shown(&found.path);
        match &found.found {
            Found::Directory => {
                if path != "/" {
                    let stat = found.dir.own_stat()?;
                    self.add(&path, &stat, String::new(), found.dir.own_xattrs()?);
                }
                self.below(&found.dir)?;
            }
            Found::File(entry, _) => self.file(&found.dir, entry)?,
            Found::Missing(_) | Found::NotDirectory(_) => {}
        }
        Ok(Selector {
            path,
            follow_links: false,
            ..Selector::default()
        })
    }

    fn below(&mut self, dir: &Dir) -> Result<(), EngineError> {
        for entry in dir.entries()? {
            if entry.kind == Kind::Directory {
                let inner = dir.enter(&entry)?;
                let stat = inner.own_stat()?;
                self.add(
                    &shown(inner.path()),
                    &stat,
                    String::new(),
                    inner.own_xattrs()?,
                );
                self.below(&inner)?;
            } else {
                self.file(dir, &entry)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, dir: &Dir, entry: &Entry) -> Result<(), EngineError> {
        let stat = dir.stat(entry)?;
        let target = match stat.kind {
            Kind::Symlink => dir.read_link(entry)?.to_string_lossy().into_owned(),
            _ => String::new(),
        };
        let path = shown(&dir.path().join(&entry.name));
        self.add(&path, &stat, target, dir.xattrs(entry)?);
        Ok(())
    }

    fn add(&mut self, path: &str, stat: &Stat, target: String, xattrs: Vec<Xattr>) {
        self.changed |= stat.changed.as_nanos() > self.since;
        let meta = Meta {
            kind: match stat.kind {
                Kind::File | Kind::Socket => FileKind::Regular,
                Kind::Directory => FileKind::Directory,
                Kind::Symlink => FileKind::Symlink(target),
                Kind::Character => FileKind::Character,
                Kind::Block => FileKind::Block,
                Kind::Fifo => FileKind::Fifo,
            },
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            size: stat.size,
            device: (stat.node.major, stat.node.minor),
            attributes: xattrs.into_iter().map(|x| (x.name, x.value)).collect(),
        };
        self.files.add(path, meta);
    }
}

/// As BuildKit has it; names that are no text do not occur in the caches that it shares.
fn shown(path: &Path) -> String {
    let path = path.to_string_lossy();
    format!("/{}", path.trim_start_matches('/'))
}

struct TreeContents<'a> {
    tree: &'a Tree,
}

impl Contents for TreeContents<'_> {
    type Error = EngineError;

    fn feed(&self, path: &str, hasher: &mut Hasher) -> Result<(), EngineError> {
        use std::io::Read as _;
        let found = self.tree.lookup(Path::new(path), false)?;
        let Found::File(entry, _) = &found.found else {
            return Err(EngineError::Checksum(
                snapshot::checksum::ChecksumError::Changed(PathBuf::from(path)),
            ));
        };
        let mut file = found.dir.open(entry)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = file.read(&mut buffer).map_err(|source| EngineError::Read {
                path: PathBuf::from(path),
                source,
            })?;
            match read {
                0 => return Ok(()),
                read => hasher.update(&buffer[..read]),
            }
        }
    }

    fn matches(&self, patterns: &[String], path: &str) -> Result<bool, EngineError> {
        Ok(dockerfile::ignore::Patterns::new(patterns.iter())?.excludes(path))
    }
}
