//! Copies of file ops.

use bollard_buildkit_proto::pb;
use graph::{Chmod, Copy, FileInput, Owner};

use crate::error::Problem;
use crate::file::time;
use crate::path;

const ALL_BITS: i32 = 0o7777;

/// The copy; files of the client, and of nothing, are root's unless something else is said.
pub(crate) fn convert(
    copy: &pb::FileActionCopy,
    from: FileInput,
    owner: Option<Owner>,
    is_local: bool,
) -> Result<Copy, Problem> {
    if copy.always_replace_existing_dest_paths {
        return Err(Problem::unsupported(
            "alwaysReplaceExistingDestPaths of a copy",
            "remove what is in the way first",
        ));
    }
    let chosen = Chosen::of(copy)?;
    let client = Owner {
        user: None,
        group: None,
    };
    Ok(Copy {
        from,
        owner: owner.or(is_local.then_some(client)),
        wildcard: copy.allow_wildcard && path::is_pattern(&chosen.source),
        source: chosen.source,
        destination: path::clean_destination(&copy.dest),
        mode: mode(copy)?,
        follow_links: copy.follow_symlink,
        directory_contents: copy.dir_copy_contents,
        allow_empty_wildcard: copy.allow_empty_wildcard,
        create_destination: copy.create_dest_path,
        unpack: copy.attempt_unpack_docker_compatibility,
        parents: chosen.parents,
        include: chosen.include,
        exclude: copy.exclude_patterns.clone(),
        created: time(copy.timestamp),
    })
}

/// Which files are copied.
struct Chosen {
    source: String,
    /// One pattern, whose directories are kept; it is part of `source`.
    parents: bool,
    include: Vec<String>,
}

impl Chosen {
    fn of(copy: &pb::FileActionCopy) -> Result<Self, Problem> {
        let source = path::clean(&copy.src);
        if let Some(parents) = Self::parents(copy, &source) {
            return Ok(parents);
        }
        if !copy.required_paths.is_empty() {
            return Err(Problem::unsupported(
                "required_paths of a copy that are not its one include pattern",
                "copy them by their names",
            ));
        }
        Ok(Self {
            source,
            parents: false,
            include: copy.include_patterns.clone(),
        })
    }

    /// What `COPY --parents` comes to: one pattern below a directory, which must be there when it
    /// has no wildcards.
    fn parents(copy: &pb::FileActionCopy, source: &str) -> Option<Self> {
        let [pattern] = copy.include_patterns.as_slice() else {
            return None;
        };
        let is_exact = !graph::has_wildcards(source) && !graph::has_wildcards(pattern);
        let whole = path::clean(&format!("{source}/{pattern}"));
        let is_required = match copy.required_paths.as_slice() {
            [] => !is_exact,
            [required] => is_exact && path::clean(required) == whole,
            _ => false,
        };
        if !copy.dir_copy_contents || !copy.follow_symlink || !is_required {
            return None;
        }
        let pattern = path::clean(pattern);
        Some(Self {
            source: match source {
                "/" => pattern,
                source => format!("{source}/.{pattern}"),
            },
            parents: true,
            include: Vec::new(),
        })
    }
}

fn mode(copy: &pb::FileActionCopy) -> Result<Option<Chmod>, Problem> {
    match (copy.mode_str.as_str(), copy.mode) {
        ("", -1) => Ok(None),
        ("", mode) if (0..=ALL_BITS).contains(&mode) => {
            Ok(Some(Chmod::Octal(mode.cast_unsigned())))
        }
        ("", mode) => Err(Problem::Invalid(format!("mode {mode:o} of a copy"))),
        (text, _) if text.starts_with(|c: char| c.is_ascii_digit()) => {
            match i32::from_str_radix(text, 8) {
                Ok(bits) if bits <= ALL_BITS => Ok(Some(Chmod::Octal(bits.cast_unsigned()))),
                _ => Err(Problem::value("modeStr", text, "no permission bits")),
            }
        }
        (text, _) => Ok(Some(Chmod::Symbolic(text.to_owned()))),
    }
}
