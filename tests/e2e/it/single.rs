//! What steps see of owners and identities where the machine gives kiln one user: what they would see
//! as root.

use crate::kiln::{Kiln, Project};
use crate::place::Place;

/// Root's kiln, and that of a user who has nobody else.
fn both() -> Option<(Kiln, Kiln)> {
    let place = Place::single()?;
    Some((Kiln::new(), Kiln::in_place(place)))
}

/// The digest of the image that comes of a project.
fn image(kiln: &Kiln, project: &Project) -> String {
    let epoch = ["--build-arg", "SOURCE_DATE_EPOCH=1700000000"];
    kiln.build(project, &[&["-t", "app:x"], &epoch[..]].concat());
    kiln.ok(["inspect", "--format", "{{.Id}}", "app:x"])
}

/// The files and the image are the same; the files.
fn same(dockerfile: &str) -> Option<String> {
    let (root, single) = both()?;
    let project = Project::new(&[("Dockerfile", dockerfile), ("a", "a\n")]);
    let expected = root.files(&project, &[]);
    assert_eq!(single.files(&project, &[]), expected);
    assert_eq!(image(&single, &project), image(&root, &project));
    single.assert_clean();
    Some(expected)
}

#[test]
fn a_step_gives_files_away() {
    let files = same(
        "FROM alpine\n\
         RUN mkdir -p /d/in && touch /d/f /d/in/g && mkfifo /d/p && ln -s f /d/l\n\
         RUN chown -R 7:8 /d && chown -h 9:10 /d/l && chown 11 /d/p && chgrp 12 /d/in\n\
         RUN cd /d && stat -c '%n %u:%g %a' . f in in/g p l >/seen && cp -a /d /copied\n\
         RUN mkdir /t && tar cf - d | tar xf - -C /t && stat -c %u:%g /t/d/f >>/seen\n\
         RUN chmod 6755 /d/f && chown 7:8 /d/f && stat -c %a /d/f >>/seen && chown 0:0 /d/in\n\
         RUN mv /d/l /d/moved && ln /d/f /d/hard && rm /d/in/g && echo more >>/d/f\n\
         RUN mkdir -p /jail/bin && cp /bin/busybox /jail/bin && \\\n\
             chroot /jail /bin/busybox chown 5:6 /bin/busybox && stat -c %u:%g /jail/bin/busybox >>/seen\n\
         RUN cd /d/in && chown 13 ../../t && ! chown 7 /nowhere && chown 7:7 /dev/fd/1 | cat\n",
    );
    let Some(files) = files else { return };
    let seen = files
        .lines()
        .find(|line| line.starts_with("seen "))
        .unwrap();
    let expected = ". 7:8 755\\nf 7:8 644\\nin 7:12 755\\nin/g 7:8 644\\np 11:8 644\\nl 9:10 777\\n\
                    7:8\\n755\\n5:6\\n";
    assert!(seen.ends_with(expected), "{seen}");
}

#[test]
fn a_step_becomes_somebody_else() {
    let files = same(
        "FROM alpine\n\
         RUN su -s /bin/sh -c 'id && touch /tmp/mine && mkdir /tmp/dir && ln -s x /tmp/link \\\n\
             && mkfifo /tmp/p && umask 077 && echo x >/tmp/closed && ln -s later /tmp/to \\\n\
             && echo x >/tmp/to && ! touch /root/x && ! chown 0 /tmp/mine' nobody >/seen\n\
         RUN mkdir /shared && chgrp 20 /shared && chmod 2775 /shared && touch /shared/f \\\n\
             && mkdir /shared/d && echo x >/shared/d/x && stat -c %u:%g:%a /shared/d/x /shared/d >>/seen\n\
         COPY --chown=1000:1000 a /home/ann/a\n\
         RUN chown 1000:1000 /home/ann && chmod 700 /home/ann\n\
         USER 1000:1000\n\
         WORKDIR /home/ann\n\
         RUN id >id && stat -c %u:%g id >>id && echo more >>a && cp -p a b && chmod 600 b && ! touch /etc/x\n\
         RUN sh -c 'echo $(id -u) >c' && mkdir -p x/y\n\
         USER nobody:20\n\
         RUN ! touch n && ! cat b && ! ls && ! echo x >>/etc/passwd && touch /shared/n && stat -c %U:%g /shared/n >/tmp/n\n",
    );
    let Some(files) = files else { return };
    let line = |name: &str| {
        let mut lines = files.lines();
        lines
            .find(|line| line.starts_with(&format!("{name} ")))
            .unwrap()
    };
    assert!(line("tmp/closed").starts_with("tmp/closed 0600 65534:65534 "));
    assert!(line("tmp/later").starts_with("tmp/later 0600 65534:65534 "));
    assert!(
        line("shared/d/").starts_with("shared/d/ 2755 0:20"),
        "{files}"
    );
    assert!(line("home/ann/c").ends_with("1000:1000 = 1000\\n"));
}

/// Packages that make users, give files to them, set user and group IDs and capabilities; and what
/// then uses them.
const PACKAGES: &str = "FROM scratch\n\
     ADD root.tar /\n\
     RUN apt-get update && apt-get install -y --no-install-recommends iputils-ping man-db \\\n\
         openssh-client sudo && rm -rf /var/lib/apt/lists/* /var/cache /var/log\n\
     RUN useradd -m ann && echo 'ann ALL=(ALL) NOPASSWD: ALL' >>/etc/sudoers && \\\n\
         su ann -c 'id && sudo id && sudo -u nobody id && touch ~/x' >/ids && chown -R ann:adm /srv\n\
     RUN setpriv --reuid ann --regid 5 --clear-groups id >>/ids && getcap /usr/bin/ping >>/ids && \\\n\
         install -d -o ann -g adm -m 2750 /made && touch /made/x && tar --mtime=@0 -cf /made.tar made\n\
     USER ann\n\
     WORKDIR /home/ann\n\
     RUN touch y && ls -n x y | cut -c 1-20 >z && sudo touch /root/owned && ! cat /etc/shadow\n";

#[test]
#[ignore = "slow: makes a root of Debian with mmdebstrap, and installs packages from the network"]
fn packages_are_installed() {
    let Some((root, single)) = both() else {
        return;
    };
    let project = Project::new(&[("Dockerfile", PACKAGES)]);
    let tar = project.join("root.tar");
    let target = tar.to_str().unwrap();
    let without = "--customize-hook=rm -f \"$1\"/etc/resolv.conf \"$1\"/etc/hostname";
    crate::kiln::tool(
        "mmdebstrap",
        &[
            "--variant=minbase",
            "--skip=output/dev",
            without,
            "bookworm",
            target,
        ],
    );
    assert_eq!(image(&single, &project), image(&root, &project));
    single.assert_clean();
}
