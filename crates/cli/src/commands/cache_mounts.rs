//! `kiln cache mounts …`.

use engine::{CacheMountImport, CacheMountSummary, Engine, EngineError, MountEviction, MountLimit};
use serde_json::{Value, json};

use super::archives;
use super::images::{seconds_since, shown_time};
use super::session::Session;
use crate::args::cache::{Du, Export, Import, Limit, Ls, Mounts, Rm, Show};
use crate::error::{CliError, Error, FAILURE, choice};
use crate::ui::human;
use crate::ui::listing::Listing;
use crate::ui::template::Template;
use crate::values::size;

/// Does what `args` ask for.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Mounts) -> Result<(), Error> {
    match args {
        Mounts::Ls(args) => ls(session, args),
        Mounts::Show(args) => show(session, args),
        Mounts::Du(args) => du(session, args),
        Mounts::Rm(args) => rm(session, args),
        Mounts::Export(args) => export(session, args),
        Mounts::Import(args) => import(session, args),
        Mounts::Limit(args) => limit(session, args),
    }
}

fn ls(session: &mut Session<'_, '_>, args: &Ls) -> Result<(), Error> {
    let mounts = session.engine()?.cache_mounts()?;
    if args.quiet {
        let numbers = mounts.iter().map(|mount| format!("{}\n", mount.instance));
        return session.ui.print(&numbers.collect::<String>());
    }
    let ago = |time| human::duration(seconds_since(time, session.now()));
    let row = |mount: &CacheMountSummary| {
        vec![
            mount.instance.to_string(),
            mount.identity.id.clone(),
            format!("{:04o}", mount.identity.mode),
            format!("{}:{}", mount.identity.uid, mount.identity.gid),
            mount.in_use.to_string(),
            mount.limit.as_ref().map(told_limit).unwrap_or_default(),
            format!("{} ago", ago(mount.created)),
            format!("{} ago", ago(mount.used)),
        ]
    };
    let listing = Listing {
        fields: &[
            ("Instance", "INSTANCE"),
            ("ID", "ID"),
            ("Mode", "MODE"),
            ("Owner", "OWNER"),
            ("InUse", "IN USE"),
            ("Limit", "LIMIT"),
            ("CreatedSince", "CREATED"),
            ("LastUsed", "LAST USED"),
        ],
        shown: vec![
            "Instance", "ID", "Mode", "Owner", "InUse", "Limit", "LastUsed",
        ],
        rows: mounts.iter().map(row).collect(),
    };
    print(session, &listing, args.format.as_deref())
}

fn show(session: &mut Session<'_, '_>, args: &Show) -> Result<(), Error> {
    let template = match args.format.as_deref() {
        None | Some("" | "json") => None,
        Some(text) => Some(Template::parse(text).map_err(CliError::from)?),
    };
    let engine = session.engine()?;
    let mut found = Vec::new();
    for mount in named(&engine, &args.mounts)? {
        found.push(object(&engine, &mount)?);
    }
    let text = match template {
        Some(template) => {
            let lines = found.iter().map(|one| template.render(one));
            let lines: Result<Vec<_>, _> = lines.collect();
            lines.map_err(CliError::from)?.join("\n")
        }
        None if args.format.as_deref() == Some("json") => Value::Array(found).to_string(),
        None => format!("{:#}", Value::Array(found)),
    };
    session.ui.line(&text)
}

fn object(engine: &Engine, mount: &CacheMountSummary) -> Result<Value, Error> {
    let size = engine.cache_mount_size(mount.instance)?;
    Ok(json!({
        "Instance": mount.instance,
        "Id": mount.identity.id,
        "Mode": format!("{:04o}", mount.identity.mode),
        "Uid": mount.identity.uid,
        "Gid": mount.identity.gid,
        "Path": mount.path,
        "InUse": mount.in_use,
        "Created": shown_time(mount.created),
        "LastUsed": shown_time(mount.used),
        "Size": size.bytes,
        "Files": size.files,
        "Limit": mount.limit.as_ref().map(|limit| json!({
            "Size": limit.bytes,
            "Evict": eviction(limit.eviction),
        })),
    }))
}

fn du(session: &mut Session<'_, '_>, args: &Du) -> Result<(), Error> {
    let engine = session.engine()?;
    let mounts = if args.mounts.is_empty() {
        engine.cache_mounts()?
    } else {
        named(&engine, &args.mounts)?
    };
    let mut rows = Vec::new();
    let (mut bytes, mut files) = (0, 0);
    for mount in &mounts {
        let size = engine.cache_mount_size(mount.instance)?;
        bytes += size.bytes;
        files += size.files;
        rows.push(vec![
            mount.instance.to_string(),
            mount.identity.id.clone(),
            human::size(size.bytes),
            size.files.to_string(),
            mount.limit.as_ref().map(told_limit).unwrap_or_default(),
            size.bytes.to_string(),
        ]);
    }
    rows.push(vec![
        "Total".to_owned(),
        String::new(),
        human::size(bytes),
        files.to_string(),
        String::new(),
        bytes.to_string(),
    ]);
    let listing = Listing {
        fields: &[
            ("Instance", "INSTANCE"),
            ("ID", "ID"),
            ("Size", "SIZE"),
            ("Files", "FILES"),
            ("Limit", "LIMIT"),
            ("Bytes", "BYTES"),
        ],
        shown: vec!["Instance", "ID", "Size", "Files", "Limit"],
        rows,
    };
    print(session, &listing, args.format.as_deref())
}

/// Removes them. One that cannot be removed does not keep the others.
fn rm(session: &mut Session<'_, '_>, args: &Rm) -> Result<(), Error> {
    let engine = session.engine()?;
    let mut failed = false;
    let mut names: Vec<String> = args.mounts.clone();
    if args.all {
        let all = engine.cache_mounts()?;
        names = all.iter().map(|mount| mount.instance.to_string()).collect();
    }
    for name in &names {
        let removed = engine.find_cache_mounts(name).and_then(|found| {
            found
                .iter()
                .try_for_each(|mount| engine.remove_cache_mount(mount))
        });
        match removed {
            Ok(()) => session.ui.line(name)?,
            Err(EngineError::NoSuchCacheMount(_)) if args.force => {}
            Err(error) => {
                failed = true;
                session.ui.error(&error.into());
            }
        }
    }
    if failed {
        return Err(Error::silent(FAILURE));
    }
    Ok(())
}

/// Of several instances the one that was used last.
fn export(session: &mut Session<'_, '_>, args: &Export) -> Result<(), Error> {
    let engine = session.engine()?;
    let found = engine.find_cache_mounts(&args.mount)?;
    let identities = found
        .iter()
        .any(|mount| mount.identity != found[0].identity);
    if identities {
        let texts: Vec<String> = found
            .iter()
            .map(|mount| format!("{} ({})", mount.instance, mount.identity))
            .collect();
        return Err(Error::new(format!(
            "cache mount {} has instances for several modes or owners: {}",
            args.mount,
            texts.join(", ")
        ))
        .hint("name the instance by its number"));
    }
    let latest = found.iter().max_by_key(|mount| mount.used);
    let Some(latest) = latest else { return Ok(()) };
    let output = args.output.as_deref();
    archives::write(session, output, "export cache mount", |output| {
        Ok(engine.export_cache_mount(latest, std::io::BufWriter::new(output))?)
    })
}

fn import(session: &mut Session<'_, '_>, args: &Import) -> Result<(), Error> {
    let mode = match &args.mode {
        None => None,
        Some(text) => {
            let mode = u32::from_str_radix(text, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777);
            Some(mode.ok_or_else(|| choice("--mode", text, "an octal number"))?)
        }
    };
    let input = archives::read(session, args.input.as_deref(), "import")?;
    let import = CacheMountImport {
        id: args.id.clone(),
        mode,
        uid: args.uid,
        gid: args.gid,
        replace: args.replace,
    };
    let identity = session.engine()?.import_cache_mount(input, &import)?;
    session
        .ui
        .line(&format!("Imported cache mount: {identity}"))
}

fn limit(session: &mut Session<'_, '_>, args: &Limit) -> Result<(), Error> {
    let engine = session.engine()?;
    let evict = match args.evict.as_str() {
        "whole" => MountEviction::Whole,
        "files" => MountEviction::Files,
        other => return Err(choice("--evict", other, "whole or files")),
    };
    let limit = match (&args.id, &args.size, args.unset) {
        (None, _, false) => return limits(session, &engine, args.format.as_deref()),
        (Some(id), None, true) => {
            engine.limit_cache_mounts(id, None)?;
            return session.ui.line(id);
        }
        (Some(_), Some(text), false) => size::bytes(text)?,
        (None, _, true) => return Err(Error::new("--unset needs the id of a cache mount")),
        (Some(_), Some(_), true) => return Err(Error::new("--unset takes no size")),
        (Some(id), None, false) => {
            return Err(
                Error::new(format!("the limit of cache mount {id} needs a size"))
                    .hint("--unset takes it away"),
            );
        }
    };
    let id = args.id.as_deref().unwrap_or_default();
    let removed = engine.limit_cache_mounts(id, Some((limit, evict)))?;
    session.ui.line(id)?;
    let freed: u64 = removed.iter().map(|removed| removed.bytes).sum();
    if freed > 0 {
        let freed = human::size(freed);
        session
            .ui
            .line(&format!("Total reclaimed space: {freed}"))?;
    }
    Ok(())
}

fn limits(
    session: &mut Session<'_, '_>,
    engine: &Engine,
    format: Option<&str>,
) -> Result<(), Error> {
    let row = |limit: &MountLimit| {
        let evict = eviction(limit.eviction).to_owned();
        vec![limit.mount.clone(), human::size(limit.bytes), evict]
    };
    let listing = Listing {
        fields: &[("ID", "ID"), ("Limit", "LIMIT"), ("Evict", "EVICT")],
        shown: vec!["ID", "Limit", "Evict"],
        rows: engine.cache_mount_limits()?.iter().map(row).collect(),
    };
    print(session, &listing, format)
}

fn named(engine: &Engine, names: &[String]) -> Result<Vec<CacheMountSummary>, Error> {
    let mut mounts: Vec<CacheMountSummary> = Vec::new();
    for name in names {
        for mount in engine.find_cache_mounts(name)? {
            if !mounts.iter().any(|known| known.instance == mount.instance) {
                mounts.push(mount);
            }
        }
    }
    Ok(mounts)
}

fn print(
    session: &mut Session<'_, '_>,
    listing: &Listing,
    format: Option<&str>,
) -> Result<(), Error> {
    let text = listing.render(format).map_err(CliError::from)?;
    session.ui.print(&text)
}

fn told_limit(limit: &MountLimit) -> String {
    format!(
        "{} ({})",
        human::size(limit.bytes),
        eviction(limit.eviction)
    )
}

const fn eviction(eviction: MountEviction) -> &'static str {
    match eviction {
        MountEviction::Whole => "whole",
        MountEviction::Files => "files",
    }
}
