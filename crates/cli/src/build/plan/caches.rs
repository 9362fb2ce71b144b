//! Caches to look in, and caches to write.

use engine::{CacheExport, CacheFrom, CacheMountsTo, CacheTo, LayoutCache};

use super::each;
use crate::args::build::Build;
use crate::environment::Environment;
use crate::error::Error;
use crate::values::cache;

pub(super) fn from(typed: &Build, environment: &Environment) -> Result<Vec<CacheFrom>, Error> {
    let parsed = each(&typed.cache_from, "--cache-from", cache::from)?;
    let absolute = |from| absolute(from, environment);
    Ok(parsed.into_iter().map(absolute).collect())
}

pub(super) fn to(typed: &Build, environment: &Environment) -> Result<Vec<CacheTo>, Error> {
    let parsed = each(&typed.cache_to, "--cache-to", cache::to)?;
    let absolute = |to| match to {
        CacheTo::Inline => CacheTo::Inline,
        CacheTo::Export(export) => CacheTo::Export(CacheExport {
            to: absolute(export.to, environment),
            ..export
        }),
    };
    Ok(parsed.into_iter().map(absolute).collect())
}

pub(super) fn mounts_from(
    typed: &Build,
    environment: &Environment,
) -> Result<Vec<CacheFrom>, Error> {
    let parsed = each(&typed.cache_mounts_from, "--cache-mounts-from", cache::from)?;
    let absolute = |from| absolute(from, environment);
    Ok(parsed.into_iter().map(absolute).collect())
}

pub(super) fn mounts_to(
    typed: &Build,
    environment: &Environment,
) -> Result<Vec<CacheMountsTo>, Error> {
    let parsed = each(
        &typed.cache_mounts_to,
        "--cache-mounts-to",
        cache::mounts_to,
    )?;
    let absolute = |to: CacheMountsTo| CacheMountsTo {
        to: absolute(to.to, environment),
        ..to
    };
    Ok(parsed.into_iter().map(absolute).collect())
}

fn absolute(cache: CacheFrom, environment: &Environment) -> CacheFrom {
    match cache {
        CacheFrom::Layout(layout) => CacheFrom::Layout(LayoutCache {
            path: environment.absolute(&layout.path),
            ..layout
        }),
        CacheFrom::Registry(reference) => CacheFrom::Registry(reference),
    }
}
