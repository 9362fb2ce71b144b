//! A random life of a store: builds, prunes, collections, images and containers that come and go.
//! What is in use stays, and the bytes agree with those of `du`.

use std::collections::BTreeMap;

use crate::kiln::{Kiln, Project, tool};

const STEPS: u64 = 300;
/// Steps between two looks at everything.
const LOOK: u64 = 25;
const SEED: u64 = 0x006b_696c_6e00_0005;

/// Collected down to a few images' worth.
const CONFIG: &str = "\
[gc]
enabled = false
[[gc.policy]]
filters = [\"type==exec.cachemount\"]
max-used-space = \"6MB\"
[[gc.policy]]
reserved-space = \"1MB\"
max-used-space = \"4MB\"
[[gc.policy]]
all = true
max-used-space = \"3MB\"
";

/// Knuth's linear congruential generator.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let index = self.below(all.len() as u64);
        &all[usize::try_from(index).unwrap()]
    }
}

struct Life {
    kiln: Kiln,
    project: Project,
    random: Random,
    /// What `/said` is in each image, by name.
    images: BTreeMap<String, String>,
    /// The same of each container.
    containers: BTreeMap<String, String>,
}

impl Life {
    /// A Dockerfile of a few shapes, whose steps are shared with others or not.
    fn dockerfile(&mut self) -> (String, String) {
        let says = format!("words-{}", self.random.below(40));
        let shared = self.random.below(6);
        let size = 4000 * (1 + self.random.below(60));
        let first = format!(
            "FROM alpine AS first\n\
             RUN mkdir /many && for i in 1 2 3 4 5 6 7 8; do \
             head -c {size} /dev/urandom >/many/$i; done; echo {shared} >/shared\n"
        );
        let cached = "RUN --mount=type=cache,id=ID,target=/cache head -c 50000 /dev/urandom \
             >/cache/$RANDOM; cp -r /cache /copied\n"
            .replace("ID", &format!("cache-{}", self.random.below(4)));
        let rest = match self.random.below(4) {
            0 => format!("FROM alpine\nCOPY --from=first /many /many\nRUN echo {says} >/said\n"),
            1 => format!(
                "FROM alpine\nCOPY --from=first /many /a\nCOPY --from=first /many /b\n\
                 RUN rm /a/1; echo {says} >/said\n"
            ),
            2 => format!("FROM first\n{cached}RUN echo {says} >/said\n"),
            _ => format!("FROM alpine\nCOPY file /file\nRUN echo {says} >/said; rm /file\n"),
        };
        self.project
            .write("file", &"x".repeat(usize::try_from(size).unwrap()));
        (format!("{first}{rest}"), says)
    }

    fn build(&mut self, beside: &[&[&str]]) {
        let (dockerfile, says) = self.dockerfile();
        self.project.write("Dockerfile", &dockerfile);
        let name = format!("image-{}", self.random.below(8));
        let path = self.project.path().to_str().unwrap().to_owned();
        let arguments: &[&str] = match self.random.below(5) {
            0 => &["build", "-q"],
            1 => &["build", "-q", "-o", "type=tar,dest=/dev/null"],
            _ => &["build", "-q", "-t", &name],
        };
        let build = self
            .kiln
            .start(self.kiln.command().args(arguments).arg(&path));
        let others: Vec<_> = beside
            .iter()
            .map(|line| self.kiln.start(self.kiln.command().args(*line)))
            .collect();
        for child in others.into_iter().chain([build]) {
            crate::kiln::ended(child).ok();
        }
        if arguments.contains(&"-t") {
            self.images.insert(name, says);
        }
    }

    fn remove_image(&mut self) {
        if let Some((name, _)) = self.images.pop_first() {
            self.kiln.ok(["rmi", "-f", &name]);
        }
    }

    fn container(&mut self) {
        let name = format!("container-{}", self.random.below(4));
        if self.containers.remove(&name).is_some() {
            self.kiln.ok(["rm", &name]);
        } else if let Some((image, says)) = self.images.last_key_value() {
            self.kiln.ok(["create", "--name", &name, image]);
            self.containers.insert(name, says.clone());
        }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0 => self.remove_image(),
            1 => self.container(),
            2 => drop(self.kiln.ok(["store", "gc"])),
            3 => self.build(&[&["store", "gc"], &["builder", "prune", "-f"]]),
            4 => {
                let line = *self.random.one_of(&[
                    &["builder", "prune", "-f", "--max-used-space", "2mb"] as &[&str],
                    &["builder", "prune", "-f", "--filter", "type=exec.cachemount"],
                    &["builder", "prune", "-af", "--reserved-space", "1mb"],
                    &["image", "prune", "-f"],
                    &["builder", "prune", "-af"],
                ]);
                self.kiln.ok(line);
            }
            _ => self.build(&[]),
        }
    }

    /// Everything that is in use is whole, and the sizes agree.
    fn look(&self, at: u64) {
        self.kiln.assert_clean();
        for (image, says) in &self.images {
            let said = self.kiln.ok(["run", "--rm", image, "cat", "/said"]);
            assert_eq!(said.trim(), says, "{image} at {at}");
            self.kiln.ok(["inspect", image]);
        }
        let images: Vec<&str> = self.images.keys().map(String::as_str).collect();
        if !images.is_empty() {
            let line = ["save", "-o", "/dev/null"].into_iter().chain(images);
            self.kiln.ok(line);
        }
        for (container, says) in &self.containers {
            let source = format!("{container}:/said");
            let tar = self.kiln.ok(["cp", &source, "-"]);
            assert!(tar.contains(says), "{container} at {at}");
        }
        let own = self.kiln.ok(["du", "--format", "{{.Type}} {{.Bytes}}"]);
        let total = own.lines().find_map(|line| line.strip_prefix("Total "));
        let total: u64 = total.unwrap().parse().unwrap();
        let root = self.kiln.root();
        let found = tool("du", &["-s", "--block-size=1", root.to_str().unwrap()]);
        let found: u64 = found.split_whitespace().next().unwrap().parse().unwrap();
        let difference = total.abs_diff(found);
        assert!(
            difference * 100 <= found,
            "{total} and {found} at {at}:\n{own}"
        );
    }
}

#[test]
fn nothing_in_use_goes_and_the_bytes_agree() {
    let mut life = Life {
        kiln: Kiln::configured(CONFIG),
        project: Project::new(&[]),
        random: Random(SEED),
        images: BTreeMap::new(),
        containers: BTreeMap::new(),
    };
    for at in 1..=STEPS {
        life.step();
        if at % LOOK == 0 {
            life.look(at);
        }
    }
    for name in life.containers.keys() {
        life.kiln.ok(["rm", name]);
    }
    life.kiln.ok(["prune", "-af"]);
    life.containers.clear();
    life.images.clear();
    life.look(STEPS);
}
