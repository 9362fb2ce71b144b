//! Dockerfiles that are nearly right: nothing may panic or take long, whatever they hold.

use dockerfile::{Checks, Diagnostic, ImageAnswer, Lowering, Options, Source, Step};
use oci::ImageConfig;

use crate::case;

/// A generator that always gives the same numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit.max(1)
    }
}

/// What makes parsers stumble.
const PIECES: &[&str] = &[
    "$",
    "${",
    "}",
    "${a:-",
    "${a##*",
    "${a/*/",
    "\\",
    "`",
    "\"",
    "'",
    "<<",
    "<<-EOF",
    "EOF\n",
    "#",
    "# escape=`\n",
    "[",
    "]",
    "[\"",
    "\n",
    "\r\n",
    " \\\n",
    "--",
    "--from=",
    "--mount=",
    "=",
    ":",
    ",",
    "*",
    "?",
    "é",
    "\u{feff}",
    "\u{0}",
    "ONBUILD ",
    "FROM a AS b\n",
    "RUN ",
    "COPY a b\n",
    "-1",
    "99999999999999999999",
    "../",
    "/./",
    "//",
    "%",
    "@",
    "0x",
];

#[test]
fn nothing_panics() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    for entry in std::fs::read_dir(directory).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for case in case::split(&text) {
            let (dockerfile, given) = case.parts();
            for _ in 0..12 {
                let changed = change(&dockerfile, &mut numbers);
                let trigger = change(&dockerfile, &mut numbers);
                let trigger = String::from_utf8_lossy(&trigger).into_owned();
                lower(&changed, given.options.clone(), &trigger);
            }
        }
    }
}

fn change(text: &str, numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        match numbers.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, u8::try_from(numbers.below(256)).unwrap()),
            2 => {
                let end = (at + numbers.below(8)).min(bytes.len());
                bytes.drain(at..end);
            }
            3 => {
                let end = (at + numbers.below(40)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                let to = numbers.below(bytes.len() + 1);
                bytes.splice(to..to, again);
            }
            _ => {
                let piece = PIECES[numbers.below(PIECES.len())];
                bytes.splice(at..at, piece.bytes());
            }
        }
    }
    bytes
}

/// Lowers as far as it goes; every image there is has the same trigger.
fn lower(text: &[u8], options: Options, trigger: &str) {
    let mut config = ImageConfig::default();
    config.config.on_build = vec![trigger.to_owned()];
    let parsed = dockerfile::parse(text);
    let source = parsed.source.clone();
    for diagnostic in &parsed.diagnostics {
        assert!(diagnostic.render(&source).ends_with('\n'));
    }
    let options = Options {
        checks: Checks::All,
        ..options
    };
    let mut lowering = match Lowering::new(parsed, options) {
        Ok(lowering) => lowering,
        Err(found) => return show_and_fix(&found, &source),
    };
    // Each round of answers may lead to more questions, but to no end of them.
    for _ in 0..20 {
        let questions = match lowering.step() {
            Ok(Step::NeedImages(questions)) => questions,
            Ok(Step::NeedTime(_)) => {
                lowering.set_epoch(Some(1));
                continue;
            }
            Ok(Step::Done(lowered)) => return show_and_fix(&lowered.warnings, &source),
            Err(found) => return show_and_fix(&found, &source),
        };
        for question in questions {
            lowering.answer(ImageAnswer {
                question: question.id,
                reference: question.reference,
                config: config.clone(),
                layers: 1,
            });
        }
    }
    panic!("no end of questions in {:?}", String::from_utf8_lossy(text));
}

fn show_and_fix(found: &[Diagnostic], source: &Source) {
    for diagnostic in found {
        assert!(diagnostic.render(source).ends_with('\n'));
    }
    let fixed = dockerfile::fix(&source.text, found);
    assert_eq!(fixed.changes.is_empty(), fixed.text == source.text);
}

#[test]
fn what_grows_is_bounded() {
    let mut text = "FROM scratch\nENV A=xxxxxxxxxxxxxxxx\n".to_owned();
    for _ in 0..60 {
        text.push_str("ENV A=$A$A\nRUN x\n");
    }
    let mut lowering = Lowering::new(dockerfile::parse(&text), Options::default()).unwrap();
    let errors = lowering.step().unwrap_err();
    assert!(
        errors[0]
            .message
            .ends_with("the result has more than 1048576 bytes")
    );

    let deep = format!("FROM scratch\n{}RUN x\n", "ONBUILD ".repeat(10_000));
    assert!(Lowering::new(dockerfile::parse(deep), Options::default()).is_err());

    let chain: String = (1..10_000)
        .map(|n| format!("FROM s{} AS s{n}\nENV A=1\n", n - 1))
        .collect();
    let text = format!("FROM scratch AS s0\n{chain}");
    let mut lowering = Lowering::new(dockerfile::parse(text), Options::default()).unwrap();
    assert!(lowering.step().is_ok());
}
