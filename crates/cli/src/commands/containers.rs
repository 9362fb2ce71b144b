//! `kiln ps`.

use std::time::SystemTime;

use daemon::view::{state, status};
use engine::{ContainerState, ContainerSummary};

use super::images::{seconds_since, shown_time};
use super::session::Session;
use crate::args::container::Ls;
use crate::error::{CliError, Error};
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
    let mut containers = session.engine()?.containers()?;
    containers.retain(|container| {
        let shown = args.all || asks_for_state || container.state == ContainerState::Running;
        shown && filters.iter().all(|filter| passes(container, filter))
    });
    if args.quiet {
        let ids = containers
            .iter()
            .map(|container| format!("{}\n", id(container, args.no_trunc)));
        return session.ui.print(&ids.collect::<String>());
    }
    let now = session.now();
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
            .map(|container| row(container, args.no_trunc, now))
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
    let command = container.command.join(" ");
    let command = if whole {
        command
    } else {
        human::ellipsis(&command, 20)
    };
    let created = human::duration(seconds_since(container.created, now));
    vec![
        id(container, whole),
        container.image.clone(),
        format!("{command:?}"),
        format!("{created} ago"),
        shown_time(container.created),
        state(container.state).to_owned(),
        status(container, now),
        String::new(),
        container.name.clone(),
    ]
}

fn passes(container: &ContainerSummary, Filter { name, value }: &Filter) -> bool {
    match name.as_str() {
        "id" => container.id.starts_with(value.as_str()),
        "name" => container.name.contains(value.trim_start_matches('/')),
        "ancestor" => {
            let latest = format!("{value}:latest");
            container.image == *value || container.image == latest
        }
        "exited" => match container.state {
            ContainerState::Exited(code) => value.parse() == Ok(code),
            ContainerState::Created | ContainerState::Running => false,
        },
        _ => state(container.state) == value,
    }
}
