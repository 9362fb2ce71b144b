//! Help pages, laid out as docker lays them out.

use clap::{Arg, ArgAction, Command};

/// From here on a command is one that only holds others.
const MANAGEMENT: usize = 2000;

/// The help page of the command at `words`, at most `width` columns wide.
#[must_use]
pub fn page(root: &mut Command, words: &[String], width: usize) -> String {
    root.build();
    let command = find(root, words);
    let mut page = format!("Usage:  {}\n", usage(command, words));
    if let Some(about) = command.get_about() {
        page.push_str(&format!("\n{about}\n"));
    }
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    if let (false, Some((_, parents))) = (aliases.is_empty(), words.split_last()) {
        let parent = prefixed(parents);
        let names: Vec<String> = std::iter::once(command.get_name())
            .chain(aliases)
            .map(|name| format!("{parent} {name}"))
            .collect();
        page.push_str(&format!("\nAliases:\n  {}\n", names.join(", ")));
    }
    section(&mut page, "Commands", &commands(command, false), width);
    section(
        &mut page,
        "Management Commands",
        &commands(command, true),
        width,
    );
    section(&mut page, "Options", &options(command), width);
    if let Some(after) = command.get_after_help() {
        page.push_str(&format!("\n{after}\n"));
    }
    if command.has_subcommands() {
        let name = prefixed(words);
        page.push_str(&format!(
            "\nRun '{name} COMMAND --help' for more information on a command.\n"
        ));
    }
    page
}

/// How the command at `words` is used, as its page begins.
#[must_use]
pub fn usage(command: &Command, words: &[String]) -> String {
    let mut command = command.clone();
    let rendered = command.render_usage().to_string();
    let text = rendered.strip_prefix("Usage: ").unwrap_or(&rendered);
    // The same command stands at several places; what is shown is the place that was typed.
    let (Some(name), Some(first)) = (words.last(), text.lines().next()) else {
        return text.to_owned();
    };
    let own = format!(" {name} ");
    match first.split_once(own.as_str()) {
        Some((place, _)) => {
            text.replace(&format!("{place}{own}"), &format!("{} ", prefixed(words)))
        }
        None => match words.split_last() {
            Some((_, [])) | None => text.to_owned(),
            Some(_) => replace_head(text, words),
        },
    }
}

/// `kiln` and the words of a command.
#[must_use]
pub fn prefixed(words: &[String]) -> String {
    std::iter::once("kiln")
        .chain(words.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The command at `words`.
#[must_use]
pub fn find<'a>(root: &'a Command, words: &[String]) -> &'a Command {
    words.iter().fold(root, |command, word| {
        command.find_subcommand(word).unwrap_or(command)
    })
}

/// `kiln images [OPTIONS]` is `kiln image ls [OPTIONS]` there.
fn replace_head(text: &str, words: &[String]) -> String {
    let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase());
    let rest: Vec<&str> = text.split(' ').skip_while(is_word).collect();
    format!("{} {}", prefixed(words), rest.join(" "))
}

fn commands(command: &Command, management: bool) -> Vec<(String, String)> {
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
        .filter(|sub| (sub.get_display_order() >= MANAGEMENT) == management)
        .map(|sub| (sub.get_name().to_owned(), about(sub)))
        .collect()
}

fn about(command: &Command) -> String {
    command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn options(command: &Command) -> Vec<(String, String)> {
    let mut options: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_positional() && !arg.is_hide_set())
        .collect();
    // Global flags come last, `--help` and `--version` among them.
    options.sort_by_key(|arg| {
        let common = matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpLong | ArgAction::Version
        );
        (
            arg.is_global_set() || common,
            arg.get_long().map(str::to_owned),
        )
    });
    options.into_iter().map(option).collect()
}

fn option(arg: &Arg) -> (String, String) {
    let short = arg
        .get_short()
        .map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
    let long = arg.get_long().unwrap_or_default();
    let is_switch = matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpLong | ArgAction::Version
    ) || arg.get_value_names().is_some_and(|names| {
        // A value name in capitals is clap's own: nobody gave one, since there is no value.
        names
            .iter()
            .all(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    });
    let value = match (is_switch, arg.get_value_names()) {
        (false, Some([name, ..])) => format!(" {name}"),
        _ => String::new(),
    };
    let help = match arg.get_action() {
        ArgAction::Help | ArgAction::HelpLong => "Print usage".to_owned(),
        ArgAction::Version => "Print version information and quit".to_owned(),
        _ => arg.get_help().map(ToString::to_string).unwrap_or_default(),
    };
    (format!("{short}--{long}{value}"), help)
}

fn section(page: &mut String, title: &str, rows: &[(String, String)], width: usize) {
    if rows.is_empty() {
        return;
    }
    page.push_str(&format!("\n{title}:\n"));
    let column = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0) + 3;
    for (left, right) in rows {
        let mut left = left.as_str();
        for line in wrap(right, width.saturating_sub(column + 2).max(20)) {
            let row = format!("  {left:<column$}{line}");
            page.push_str(row.trim_end());
            page.push('\n');
            left = "";
        }
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
