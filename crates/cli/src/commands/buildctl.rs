//! What `buildctl` asks for: of a daemon over BuildKit's API, or of this process where none is named.

use client::Client;
use client::messages::{DiskUsageRequest, PruneRequest, Timestamp, UsageRecord, WorkerRecord};

use super::elsewhere::{ago, ask_builder, bytes, sum};
use super::session::Session;
use crate::args::builders::Chosen;
use crate::args::prune::{Bounds, BuilderPrune, Care};
use crate::args::system::{Builder, Du};
use crate::args::{Arguments, Command, Global};
use crate::clients::buildctl::{Asked, Call};
use crate::environment::Environment;
use crate::error::Error;
use crate::remote::{DEFAULT, Host};
use crate::ui::{Ui, human, table};

/// Does what was asked for.
///
/// # Errors
/// It could not be done.
pub(crate) fn buildctl(
    call: Call,
    environment: &Environment,
    ui: &mut Ui<'_>,
) -> Result<u8, Error> {
    let Call { asked, daemon } = call;
    let global = Global {
        daemon,
        ..Global::default()
    };
    let host = match (&asked, &global.daemon) {
        (Asked::Build(_), _) | (_, None) => None,
        (_, Some(named)) => Some(Host::of(named, environment)?),
    };
    if let Some(host) = host {
        let mut session = Session::new(global, environment, ui);
        return elsewhere(&mut session, asked, &host).map(|()| 0);
    }
    let mut command = here(asked)?;
    if let Command::Build(build) = &mut command {
        build.builder = builder().builder;
    }
    super::run(Arguments { global, command }, environment, ui)
}

/// Buildctl has no builders under names, and none that was chosen.
fn builder() -> Chosen {
    Chosen {
        builder: Some(DEFAULT.to_owned()),
    }
}

/// The command of kiln's that does the same in this process.
fn here(asked: Asked) -> Result<Command, Error> {
    Ok(match asked {
        Asked::Build(build) => Command::Build(build),
        Asked::Du { verbose, filter } if filter.is_empty() => Command::Du(Du {
            chosen: builder(),
            format: None,
            verbose,
        }),
        Asked::Du { .. } => return Err(needs_daemon("--filter of buildctl du")),
        Asked::Workers { .. } => return Err(needs_daemon("buildctl debug workers")),
        Asked::Prune {
            all,
            mut filter,
            keep_duration,
            max_used,
            reserved,
            min_free,
        } => {
            if keep_duration > 0 {
                filter.push(format!("until={}s", keep_duration / 1_000_000_000));
            }
            let bytes = |bytes: i64| (bytes > 0).then(|| bytes.to_string());
            Command::Builder(Builder::Prune(BuilderPrune {
                chosen: builder(),
                all,
                filter,
                care: Care {
                    force: true,
                    dry_run: false,
                },
                bounds: Bounds {
                    reserved_space: bytes(reserved),
                    keep_storage: None,
                    max_used_space: bytes(max_used),
                    min_free_space: bytes(min_free),
                },
                verbose: true,
            }))
        }
    })
}

fn needs_daemon(what: &str) -> Error {
    Error::new(format!("{what} is asked of a daemon")).hint("name it with --addr unix://PATH")
}

fn elsewhere(session: &mut Session<'_, '_>, asked: Asked, host: &Host) -> Result<(), Error> {
    let text = match asked {
        // It was taken care of.
        Asked::Build(_) => String::new(),
        Asked::Du { verbose, filter } => {
            let request = DiskUsageRequest {
                filter,
                age_limit: 0,
            };
            let ask = async move |client: Client| client.disk_usage(request).await;
            let records = ask_builder(host, ask)?;
            let text = records_text(session, &records, verbose);
            format!("{text}{}", sums(&records))
        }
        Asked::Prune {
            all,
            filter,
            keep_duration,
            max_used,
            reserved,
            min_free,
        } => {
            let request = PruneRequest {
                filter,
                all,
                keep_duration,
                reserved_space: reserved,
                max_used_space: max_used,
                min_free_space: min_free,
            };
            let ask = async move |client: Client| client.prune(request).await;
            let gone = ask_builder(host, ask)?;
            let total = sum(gone.iter());
            let text = records_text(session, &gone, false);
            format!("{text}Total:\t{}\n", human::size(total))
        }
        Asked::Workers { verbose } => {
            let ask = async move |client: Client| client.workers().await;
            workers(&ask_builder(host, ask)?, verbose)
        }
    };
    session.ui.print(&text)
}

fn records_text(session: &Session<'_, '_>, records: &[UsageRecord], verbose: bool) -> String {
    let ago = |at: &Option<Timestamp>| at.as_ref().map(|at| ago(session, at)).unwrap_or_default();
    if verbose {
        let one = |record: &UsageRecord| {
            format!(
                "ID:\t{}\nMutable:\t{}\nReclaimable:\t{}\nShared:\t{}\nSize:\t{}\nDescription:\t{}\n\
                 Usage count:\t{}\nLast used:\t{}\nType:\t{}\n",
                record.id,
                record.mutable,
                !record.in_use,
                record.shared,
                human::size(bytes(record.size)),
                record.description,
                record.usage_count,
                ago(&record.last_used_at),
                record.record_type,
            )
        };
        let all = records
            .iter()
            .map(|record| table::align(&one(record)) + "\n");
        return all.collect();
    }
    let mut text = "ID\tRECLAIMABLE\tSIZE\tLAST ACCESSED\n".to_owned();
    for record in records {
        let star = if record.mutable { "*" } else { "" };
        text.push_str(&format!(
            "{}{star}\t{}\t{}\t{}\n",
            record.id,
            !record.in_use,
            human::size(bytes(record.size)),
            ago(&record.last_used_at)
        ));
    }
    table::align(&text)
}

fn sums(records: &[UsageRecord]) -> String {
    let sum = |counts: fn(&UsageRecord) -> bool| {
        human::size(sum(records.iter().filter(|record| counts(record))))
    };
    table::align(&format!(
        "Shared:\t{}\nPrivate:\t{}\nReclaimable:\t{}\nTotal:\t{}\n",
        sum(|record| record.shared),
        sum(|record| !record.shared),
        sum(|record| !record.in_use),
        sum(|_| true)
    ))
}

fn workers(workers: &[WorkerRecord], verbose: bool) -> String {
    let platforms = |worker: &WorkerRecord| {
        let all = worker.platforms.iter();
        let all = all.map(|platform| format!("{}/{}", platform.os, platform.architecture));
        all.collect::<Vec<_>>().join(",")
    };
    if verbose {
        let one = |worker: &WorkerRecord| {
            let mut text = format!("ID:\t{}\nPlatforms:\t{}\n", worker.id, platforms(worker));
            if let Some(version) = &worker.buildkit_version {
                text.push_str(&format!(
                    "BuildKit:\t{} {} {}\n",
                    version.package, version.version, version.revision
                ));
            }
            let mut labels: Vec<String> = worker
                .labels
                .iter()
                .map(|(name, value)| format!("\t{name}:\t{value}\n"))
                .collect();
            labels.sort();
            text + "Labels:\n" + &labels.concat() + "\n"
        };
        return workers
            .iter()
            .map(|worker| table::align(&one(worker)))
            .collect();
    }
    let rows = workers.iter();
    let rows = rows.map(|worker| format!("{}\t{}\n", worker.id, platforms(worker)));
    table::align(&format!("ID\tPLATFORMS\n{}", rows.collect::<String>()))
}
