//! Commands of a shell script, as far as checks need to know them: words and what separates
//! commands. What a shell would make of variables is not known here.

/// A simple command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ShellCommand {
    /// Without quotes, and without variables set in front of it.
    pub(crate) words: Vec<String>,
    /// It is in parentheses or braces, or comes after a pipe.
    pub(crate) nested: bool,
}

/// The commands of a script, in order.
pub(crate) fn commands(script: &str) -> Vec<ShellCommand> {
    let mut reader = Reader::default();
    let mut characters = script.chars().peekable();
    while let Some(character) = characters.next() {
        match (reader.quote, character) {
            (Some(open), _) if open == character => reader.quote = None,
            (None | Some('"'), '\\') => match characters.next() {
                // A line that goes on.
                Some('\n') | None => {}
                Some(escaped) => reader.push(escaped),
            },
            (Some(_), _) => reader.push(character),
            (None, '\'' | '"') => {
                reader.quote = Some(character);
                reader.word.get_or_insert_default();
            }
            (None, '#') if reader.word.is_none() => {
                while characters.next_if(|next| *next != '\n').is_some() {}
            }
            // `2>&1` and `&>` are no ends of commands.
            (None, '&') if reader.is_redirecting() || characters.peek() == Some(&'>') => {
                reader.push('&');
            }
            (None, '|') => reader.end_command(characters.next_if_eq(&'|').is_none()),
            (None, '&' | ';' | '\n') => reader.end_command(false),
            (None, '(' | ')') => reader.parenthesis(character == '('),
            (None, blank) if blank.is_whitespace() => reader.end_word(),
            (None, other) => reader.push(other),
        }
    }
    reader.end_command(false);
    reader.commands
}

impl ShellCommand {
    /// The program without its directory.
    pub(crate) fn program(&self) -> &str {
        let program = self.words.first().map_or("", String::as_str);
        program.rsplit('/').next().unwrap_or(program)
    }

    /// Arguments that are no options.
    pub(crate) fn operands(&self) -> impl Iterator<Item = &str> {
        let arguments = self.words.iter().skip(1).map(String::as_str);
        arguments.filter(|word| !word.starts_with('-'))
    }

    pub(crate) fn has(&self, option: &str) -> bool {
        self.words.iter().any(|word| word == option)
    }

    /// Program and first operand, as people call the command.
    pub(crate) fn title(&self) -> String {
        match self.operands().next() {
            Some(operand) => format!("{} {operand}", self.program()),
            None => self.program().to_owned(),
        }
    }
}

#[derive(Default)]
struct Reader {
    commands: Vec<ShellCommand>,
    command: Vec<String>,
    word: Option<String>,
    quote: Option<char>,
    /// How many parentheses and braces are open.
    depth: usize,
    piped: bool,
}

/// Words that come before a command and are none.
const PREFIXES: &[&str] = &[
    "!", "command", "do", "else", "exec", "if", "then", "time", "until", "while",
];

impl Reader {
    fn push(&mut self, character: char) {
        self.word.get_or_insert_default().push(character);
    }

    fn is_redirecting(&self) -> bool {
        self.word
            .as_ref()
            .is_some_and(|word| word.ends_with(['>', '<']))
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        if self.command.is_empty() {
            match word.as_str() {
                "{" => self.depth += 1,
                "}" => self.depth = self.depth.saturating_sub(1),
                _ if PREFIXES.contains(&word.as_str()) || is_assignment(&word) => {}
                _ => self.command.push(word),
            }
        } else {
            self.command.push(word);
        }
    }

    fn end_command(&mut self, pipes: bool) {
        self.end_word();
        let words = std::mem::take(&mut self.command);
        if !words.is_empty() {
            let nested = self.depth > 0 || self.piped;
            self.commands.push(ShellCommand { words, nested });
        }
        self.piped = pipes;
    }

    fn parenthesis(&mut self, opens: bool) {
        self.end_command(self.piped);
        self.depth = match opens {
            true => self.depth + 1,
            false => self.depth.saturating_sub(1),
        };
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && name
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || character == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn scripts() {
        for (script, expected) in [
            ("a b c", "a,b,c"),
            ("a && b || c; d & e\nf", "a / b / c / d / e / f"),
            ("A=1 B=2 make -j 'x y'", "make,-j,x y"),
            ("echo a;# b\nc", "echo,a / c"),
            ("a 2>&1 | b &> c", "a,2>&1 / ~b,&>,c"),
            ("(cd /x && make) ; { y; } ; z", "~cd,/x / ~make / ~y / z"),
            ("if a; then b; fi", "a / b / fi"),
            ("a \\\n b", "a,b"),
            ("a \"b 'c' \\\" d\" ''", "a,b 'c' \" d,"),
            ("", ""),
            ("a '", "a,"),
        ] {
            let shown: Vec<String> = commands(script)
                .iter()
                .map(|command| {
                    let mark = if command.nested { "~" } else { "" };
                    format!("{mark}{}", command.words.join(","))
                })
                .collect();
            assert_eq!(shown.join(" / "), expected, "{script}");
        }
    }
}
