//! `kiln ps`.

use std::time::SystemTime;

use api::docker::{ContainerSummary, Port};

use super::images::{shown_time, since};
use super::session::Session;
use crate::args::container::Ls;
use crate::error::{CliError, Error};
use crate::keeper::since_1970;
use crate::ui::human;
use crate::ui::listing::Listing;
use crate::values::filter::{self, Filter};

/// Lists containers.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Ls) -> Result<(), Error> {
    let known = ["id", "name", "status", "ancestor", "exited"];
    let filters = filter::parse(&args.filter, &known)?;
    let asks_for_state = filters
        .iter()
        .any(|f| f.name == "status" || f.name == "exited");
    let mut containers = session.keeper()?.containers(session.now())?;
    containers.retain(|container| {
        let shown = args.all || asks_for_state || container.state == "running";
        shown && filters.iter().all(|filter| passes(container, filter))
    });
    if args.quiet {
        let ids = containers
            .iter()
            .map(|container| format!("{}\n", id(container, args.no_trunc)));
        return session.ui.print(&ids.collect::<String>());
    }
    let listing = Listing {
        fields: &[
            ("ID", "CONTAINER ID"),
            ("Image", "IMAGE"),
            ("Command", "COMMAND"),
            ("RunningFor", "CREATED"),
            ("CreatedAt", "CREATED AT"),
            ("State", "STATE"),
            ("Status", "STATUS"),
            ("Ports", "PORTS"),
            ("Names", "NAMES"),
        ],
        shown: vec![
            "ID",
            "Image",
            "Command",
            "RunningFor",
            "Status",
            "Ports",
            "Names",
        ],
        rows: containers
            .iter()
            .map(|container| row(container, args.no_trunc, session.now()))
            .collect(),
    };
    let text = listing
        .render(args.format.as_deref())
        .map_err(CliError::from)?;
    session.ui.print(&text)
}

fn id(container: &ContainerSummary, whole: bool) -> String {
    if whole {
        container.id.clone()
    } else {
        human::short_id(&container.id).to_owned()
    }
}

fn row(container: &ContainerSummary, whole: bool, now: SystemTime) -> Vec<String> {
    let command = &container.command;
    let command = match whole {
        true => command.clone(),
        false => human::ellipsis(command, 20),
    };
    let created = since_1970(container.created);
    let names: Vec<&str> = container.names.iter().map(|name| name_of(name)).collect();
    vec![
        id(container, whole),
        container.image.clone(),
        format!("{command:?}"),
        since(created, now),
        created.map_or_else(|| "N/A".to_owned(), shown_time),
        container.state.clone(),
        container.status.clone(),
        ports(&container.ports),
        names.join(","),
    ]
}

/// A name without what the API has before it.
fn name_of(name: &str) -> &str {
    name.trim_start_matches('/')
}

/// `0.0.0.0:8080->80/tcp`, or `80/tcp` where it is not published.
fn ports(ports: &[Port]) -> String {
    let port = |port: &Port| {
        let inside = format!("{}/{}", port.private_port, port.kind);
        match port.public_port {
            Some(public) if port.ip.contains(':') => format!("[{}]:{public}->{inside}", port.ip),
            Some(public) => format!("{}:{public}->{inside}", port.ip),
            None => inside,
        }
    };
    let mut ports: Vec<String> = ports.iter().map(port).collect();
    ports.sort();
    ports.join(", ")
}

fn passes(container: &ContainerSummary, Filter { name, value }: &Filter) -> bool {
    match name.as_str() {
        "id" => container.id.starts_with(value.as_str()),
        "name" => {
            let wanted = name_of(value);
            container
                .names
                .iter()
                .any(|name| name_of(name).contains(wanted))
        }
        "ancestor" => {
            let latest = format!("{value}:latest");
            container.image == *value || container.image == latest
        }
        "exited" => exit_code(&container.status).is_some_and(|code| value.parse() == Ok(code)),
        _ => container.state == *value,
    }
}

/// `Exited (3) 2 seconds ago`
fn exit_code(status: &str) -> Option<i32> {
    let (code, _) = status.strip_prefix("Exited (")?.split_once(')')?;
    code.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_ports_and_ends() {
        let port = |ip: &str, public_port| Port {
            ip: ip.to_owned(),
            private_port: 80,
            public_port,
            kind: "tcp".to_owned(),
        };
        let all = [
            port("::", Some(8080)),
            port("0.0.0.0", Some(8080)),
            port("", None),
        ];
        let shown = ports(&all);
        assert_eq!(shown, "0.0.0.0:8080->80/tcp, 80/tcp, [::]:8080->80/tcp");
        assert_eq!(exit_code("Exited (137) 3 seconds ago"), Some(137));
        assert_eq!(exit_code("Up 3 seconds"), None);
    }
}
