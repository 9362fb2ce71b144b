//! `buildkit.file.v0`: steps that copy and make files (`ops.fileOp.CacheMap`).
//!
//! Of a copied path only its last part is in the op: where it is found is the selector of the input.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graph::{
    Chmod, Copy, Edge, FileActionKind, FileInput, FileOp, FileOwner, Mkdir, Mkfile, Owner,
    OwnerName, Remove,
};
use oci::Digest;
use serde::Serialize;

use crate::cache_map::{CacheMap, InputSource, Inputs, Selector, outermost};
use crate::json::{self, is_empty};

/// There is no input, or nothing is kept.
const NONE: i64 = -1;

/// Times are those of the files.
const NO_TIME: i64 = -1;

#[derive(Serialize)]
struct Keyed<'a> {
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "Actions")]
    actions: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    indexes: &'a [[i64; 3]],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Copied<'a> {
    #[serde(skip_serializing_if = "is_empty")]
    src: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    dest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerOption<'a>>,
    #[serde(skip_serializing_if = "is_empty")]
    mode: i64,
    #[serde(skip_serializing_if = "is_empty")]
    follow_symlink: bool,
    #[serde(skip_serializing_if = "is_empty")]
    dir_copy_contents: bool,
    #[serde(skip_serializing_if = "is_empty")]
    attempt_unpack_docker_compatibility: bool,
    #[serde(skip_serializing_if = "is_empty")]
    create_dest_path: bool,
    #[serde(skip_serializing_if = "is_empty")]
    allow_wildcard: bool,
    #[serde(skip_serializing_if = "is_empty")]
    allow_empty_wildcard: bool,
    timestamp: i64,
    #[serde(rename = "include_patterns", skip_serializing_if = "<[_]>::is_empty")]
    include: &'a [String],
    #[serde(rename = "exclude_patterns", skip_serializing_if = "<[_]>::is_empty")]
    exclude: &'a [String],
    #[serde(skip_serializing_if = "is_empty")]
    mode_str: &'a str,
    #[serde(rename = "required_paths", skip_serializing_if = "<[_]>::is_empty")]
    required: &'a [String],
}

#[derive(Serialize)]
struct FileMade<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    mode: u32,
    #[serde(skip_serializing_if = "is_empty")]
    data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerOption<'a>>,
    timestamp: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DirectoryMade<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    mode: u32,
    #[serde(skip_serializing_if = "is_empty")]
    make_parents: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerOption<'a>>,
    timestamp: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Removed<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    allow_not_found: bool,
    #[serde(skip_serializing_if = "is_empty")]
    allow_wildcard: bool,
}

#[derive(Serialize)]
struct OwnerOption<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserOption<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<UserOption<'a>>,
}

#[derive(Serialize)]
struct UserOption<'a> {
    #[serde(rename = "User")]
    user: User<'a>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct User<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    by_name: Option<Named<'a>>,
    #[serde(skip_serializing_if = "is_empty")]
    by_id: u32,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    input: i64,
}

/// What is read of one input.
#[derive(Default)]
struct Reads {
    /// It is changed, so all of it matters.
    whole: bool,
    selectors: Vec<Selector>,
}

pub(crate) fn cache_map(op: &FileOp, edges: &[Edge]) -> Option<CacheMap> {
    if op.actions.iter().any(|action| is_unlike(&action.kind)) {
        return None;
    }
    let mut inputs = Inputs::default();
    let mut places = Vec::with_capacity(op.actions.len());
    for action in &op.actions {
        let mut place = |input: FileInput| match input {
            FileInput::Input(input) => {
                let edge = edges.get(input as usize)?;
                Some(Place::Input(inputs.place(InputSource::Edge(*edge))))
            }
            FileInput::Scratch => Some(Place::Input(NONE)),
            FileInput::Action(action) => Some(Place::Action(i64::from(action))),
        };
        let base = place(action.input)?;
        let from = match &action.kind {
            FileActionKind::Copy(copy) => place(copy.from)?,
            _ => Place::Input(NONE),
        };
        places.push((base, from));
    }
    let count = i64::try_from(inputs.0.len()).ok()?;
    let base_input = first_base(&places);
    let mut reads: Vec<Reads> = (0..inputs.0.len()).map(|_| Reads::default()).collect();
    let mut actions = Vec::with_capacity(places.len());
    let mut indexes = Vec::with_capacity(places.len());
    for (action, (base, from)) in op.actions.iter().zip(&places) {
        if let Place::Input(input) = base
            && let Some(read) = at(&mut reads, *input)
        {
            read.whole = true;
        }
        let json = match &action.kind {
            FileActionKind::Copy(copy) => copied(copy, *from, base_input, &mut reads),
            FileActionKind::Mkfile(file) => oci::to_canonical_json(&file_made(file, base_input)),
            FileActionKind::Mkdir(directory) => {
                oci::to_canonical_json(&directory_made(directory, base_input))
            }
            FileActionKind::Remove(remove) => oci::to_canonical_json(&removed(remove)),
            FileActionKind::Symlink(_) => return None,
        };
        actions.push(STANDARD.encode(json.ok()?));
        indexes.push([
            base.index(count),
            from.index(count),
            action.output.map_or(NONE, i64::from),
        ]);
    }
    finish(&actions, &indexes, inputs, reads)
}

/// No Dockerfile has such an action, so that its form there is not known here.
fn is_unlike(action: &FileActionKind) -> bool {
    match action {
        FileActionKind::Copy(copy) => copy.created.is_some() || !copy.include.is_empty(),
        FileActionKind::Mkfile(file) => file.created.is_some(),
        FileActionKind::Mkdir(directory) => directory.created.is_some(),
        FileActionKind::Remove(_) => false,
        FileActionKind::Symlink(_) => true,
    }
}

/// The directory that a cache mount with an owner starts with.
pub(crate) fn cache_directory(
    below: Option<Edge>,
    mode: u32,
    owner: FileOwner,
) -> Option<CacheMap> {
    let mut inputs = Inputs::default();
    let base = below.map_or(NONE, |edge| inputs.place(InputSource::Edge(edge)));
    let id = |id| {
        let by_name = None;
        Some(UserOption {
            user: User { by_name, by_id: id },
        })
    };
    let made = DirectoryMade {
        path: "/cache",
        mode,
        make_parents: false,
        owner: Some(OwnerOption {
            user: id(owner.uid),
            group: id(owner.gid),
        }),
        timestamp: NO_TIME,
    };
    let action = STANDARD.encode(oci::to_canonical_json(&made).ok()?);
    finish(&[action], &[[base, NONE, 0]], inputs, Vec::new())
}

/// Where the input of an action is.
#[derive(Debug, Clone, Copy)]
enum Place {
    Input(i64),
    Action(i64),
}

impl Place {
    const fn index(self, inputs: i64) -> i64 {
        match self {
            Self::Input(input) => input,
            Self::Action(action) => inputs + action,
        }
    }
}

/// Owners are looked up in what the first action changes.
fn first_base(places: &[(Place, Place)]) -> i64 {
    match places.first() {
        Some((Place::Input(input), _)) => *input,
        _ => NONE,
    }
}

fn at(reads: &mut [Reads], input: i64) -> Option<&mut Reads> {
    reads.get_mut(usize::try_from(input).ok()?)
}

fn finish(
    actions: &[String],
    indexes: &[[i64; 3]],
    mut inputs: Inputs,
    reads: Vec<Reads>,
) -> Option<CacheMap> {
    let keyed = Keyed {
        kind: "buildkit.file.v0",
        actions,
        indexes: if are_usual(indexes) { &[] } else { indexes },
    };
    for (place, read) in (0..).zip(reads) {
        if read.whole || read.selectors.is_empty() {
            continue;
        }
        let mut paths: Vec<&str> = read.selectors.iter().map(|s| s.path.as_str()).collect();
        paths.sort_unstable_by(|a, b| b.cmp(a));
        let selector = Digest::of(paths.join("\0").as_bytes());
        let input = inputs.get(place)?;
        input.selector = Some(selector);
        input.content = Some(merged(read.selectors));
    }
    Some(CacheMap {
        digest: json::digest(&keyed)?,
        inputs: inputs.0,
    })
}

/// Actions one after the other, on the first input, from the second, have always been known without
/// their indexes.
fn are_usual(indexes: &[[i64; 3]]) -> bool {
    let last = indexes.len().wrapping_sub(1);
    let length = i64::try_from(indexes.len()).unwrap_or(i64::MAX);
    let is_usual = |(place, [base, from, output]): (usize, &[i64; 3])| {
        let expected = match i64::try_from(place) {
            Ok(0) | Err(_) => 0,
            Ok(place) => length + place - 1,
        };
        *base == expected
            && matches!(from, -1 | 1)
            && *output == if place == last { 0 } else { NONE }
    };
    !indexes.is_empty() && indexes.iter().enumerate().all(is_usual)
}

/// Of plain paths only the outermost; patterns stay.
fn merged(selectors: Vec<Selector>) -> Vec<Selector> {
    let plain = |follow| {
        let paths: Vec<&str> = selectors
            .iter()
            .filter(|s| !s.is_filtered() && s.follow_links == follow)
            .map(|s| s.path.as_str())
            .collect();
        outermost(&paths).into_iter().map(move |path| Selector {
            path,
            follow_links: follow,
            ..Selector::default()
        })
    };
    let mut merged: Vec<Selector> = plain(false).chain(plain(true)).collect();
    merged.extend(selectors.iter().filter(|s| s.is_filtered()).cloned());
    merged.sort_by(|a, b| a.path.cmp(&b.path));
    merged
}

fn copied(
    copy: &Copy,
    from: Place,
    base: i64,
    reads: &mut [Reads],
) -> Result<Vec<u8>, serde_json::Error> {
    let parents = copy.parents.then(|| Parents::of(&copy.source));
    let path = parents
        .as_ref()
        .map_or(copy.source.as_str(), |p| p.path.as_str());
    let include: Vec<String> = parents.iter().map(|p| p.pattern.clone()).collect();
    let required: Vec<String> = parents.iter().filter_map(Parents::required).collect();
    let mut src = path;
    if let Place::Input(input) = from
        && let Some(read) = at(reads, input)
    {
        read.selectors.push(Selector {
            path: path.to_owned(),
            wildcard: copy.allow_empty_wildcard && graph::has_wildcards(path),
            follow_links: copy.follow_links,
            include: include.clone(),
            exclude: copy.exclude.clone(),
        });
        src = match path.rsplit_once('/') {
            Some((_, name)) if !name.is_empty() => name,
            _ => path,
        };
    }
    let (mode, mode_str) = match &copy.mode {
        None => (-1, ""),
        Some(Chmod::Octal(bits)) => (i64::from(*bits), ""),
        Some(Chmod::Symbolic(text)) => (0, text.as_str()),
    };
    oci::to_canonical_json(&Copied {
        src,
        dest: &copy.destination,
        owner: owner(copy.owner.as_ref(), base),
        mode,
        follow_symlink: copy.follow_links,
        dir_copy_contents: copy.directory_contents && copy.allow_empty_wildcard,
        attempt_unpack_docker_compatibility: copy.unpack,
        create_dest_path: copy.create_destination,
        // Every path may be a pattern there, whether it is one or not.
        allow_wildcard: copy.allow_empty_wildcard,
        allow_empty_wildcard: copy.allow_empty_wildcard,
        timestamp: NO_TIME,
        include: &include,
        exclude: &copy.exclude,
        mode_str,
        required: &required,
    })
}

/// The path of a copy with `--parents`: where it starts, and what is kept below that.
struct Parents {
    path: String,
    pattern: String,
}

impl Parents {
    fn of(source: &str) -> Self {
        let (path, pattern) = source.split_once("/./").unwrap_or(("/", source));
        Self {
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            pattern: pattern.trim_start_matches('/').to_owned(),
        }
    }

    /// What must be there, when it is no pattern.
    fn required(&self) -> Option<String> {
        if graph::has_wildcards(&self.path) || graph::has_wildcards(&self.pattern) {
            return None;
        }
        Some(format!(
            "{}/{}",
            self.path.trim_end_matches('/'),
            self.pattern
        ))
    }
}

fn file_made(file: &Mkfile, base: i64) -> FileMade<'_> {
    FileMade {
        path: &file.path,
        mode: file.mode,
        data: STANDARD.encode(&file.data),
        owner: owner(file.owner.as_ref(), base),
        timestamp: NO_TIME,
    }
}

fn directory_made(directory: &Mkdir, base: i64) -> DirectoryMade<'_> {
    DirectoryMade {
        path: &directory.path,
        mode: directory.mode,
        make_parents: directory.parents,
        owner: owner(directory.owner.as_ref(), base),
        timestamp: NO_TIME,
    }
}

fn removed(remove: &Remove) -> Removed<'_> {
    Removed {
        path: &remove.path,
        allow_not_found: remove.allow_missing,
        allow_wildcard: remove.wildcard,
    }
}

/// An owner without a name is what BuildKit does without being told.
fn owner(owner: Option<&Owner>, base: i64) -> Option<OwnerOption<'_>> {
    let owner = owner.filter(|owner| owner.user.is_some() || owner.group.is_some())?;
    Some(OwnerOption {
        user: owner.user.as_ref().map(|name| user(name, base)),
        group: owner.group.as_ref().map(|name| user(name, base)),
    })
}

fn user(name: &OwnerName, base: i64) -> UserOption<'_> {
    let user = match name {
        OwnerName::Id(id) => User {
            by_id: *id,
            by_name: None,
        },
        OwnerName::Name(name) => User {
            by_id: 0,
            by_name: Some(Named { name, input: base }),
        },
    };
    UserOption { user }
}
