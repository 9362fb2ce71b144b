//! Users as Docker finds them.

use super::*;

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
# comment
broken
app:x:1000:1001:App:/home/app:/bin/sh
7:x:70:71::/seven:
again:x:1000:9:::
";

const GROUP: &str = "\
root:x:0:
staff:x:50:app,other
app:x:1001:
wheel:x:10:root,app
12:x:99:
";

#[track_caller]
fn check(user: &str, expected: &str) {
    let found = match find(PASSWD, GROUP, user) {
        Ok(User {
            uid,
            gid,
            groups,
            home,
        }) => format!("{uid}:{gid} {groups:?} {home}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected);
}

#[test]
fn as_docker_finds_them() {
    check("", "0:0 [0, 10] /root");
    check("root", "0:0 [0, 10] /root");
    check("app", "1000:1001 [1001, 50, 10] /home/app");
    check("1000", "1000:1001 [1001, 50, 10] /home/app");
    check("app:staff", "1000:50 [50] /home/app");
    check("app:4000", "1000:4000 [4000] /home/app");
    check("4000", "4000:0 [0] /");
    check("4000:staff", "4000:50 [50] /");
    check(":staff", "0:50 [50] /root");
    // A number is a number, whatever the names are.
    check("7", "7:0 [0] /");
    check("70:12", "70:12 [12] /seven");
    check(
        "nobody",
        "unable to find user nobody: no matching entries in passwd file",
    );
    check(
        "app:nogroup",
        "unable to find group nogroup: no matching entries in group file",
    );
    check("4294967295", "uids and gids must be in range 0-2147483647");
    check("-1", "uids and gids must be in range 0-2147483647");
}

#[test]
fn missing_files_are_empty() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    assert_eq!(resolve(&root, "").unwrap(), User::root());
    assert_eq!(resolve(&root, "5:6").unwrap().gid, 6);
    assert!(matches!(resolve(&root, "app"), Err(UserError::NoUser(_))));
    std::fs::create_dir(dir.path().join("etc")).unwrap();
    std::fs::write(dir.path().join("etc/passwd"), PASSWD).unwrap();
    assert_eq!(resolve(&root, "app").unwrap().home, "/home/app");
}

#[test]
fn home_is_added_once() {
    let user = User {
        home: "/h".into(),
        ..User::default()
    };
    let mut env = vec!["A=1".to_owned()];
    user.add_home(&mut env);
    user.add_home(&mut env);
    assert_eq!(env, ["A=1", "HOME=/h"]);
}
