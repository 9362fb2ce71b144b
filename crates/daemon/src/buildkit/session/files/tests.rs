//! Packets of clients, and what none may do.

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use filesync::mode;

use super::disk::{MAX_HELD, MAX_PATH};
use super::*;

fn file(path: &str, mode: u32, link: &str) -> Packet {
    Packet {
        r#type: PacketType::PacketStat.into(),
        stat: Some(Stat {
            path: path.to_owned(),
            mode,
            linkname: link.to_owned(),
            ..Stat::default()
        }),
        ..Packet::default()
    }
}

fn packet(kind: PacketType, id: u32, data: &[u8]) -> Packet {
    Packet {
        r#type: kind.into(),
        id,
        data: data.to_vec(),
        ..Packet::default()
    }
}

/// Keeps what the client sends after its files, and says whether it could be kept.
async fn keep(into: &Path, files: Vec<Packet>, then: Vec<Packet>) -> Result<(), Status> {
    let end = packet(PacketType::PacketStat, 0, b"");
    let all = files.into_iter().chain([end]).chain(then);
    let bytes = all.flat_map(|packet| packet.encode_length_delimited_to_vec());
    keep_packets(into, &bytes.collect::<Vec<_>>()).await
}

fn with_attribute(path: &str, name: &str, length: usize) -> Packet {
    let mut packet = file(path, 0o644, "");
    let attributes = &mut packet.stat.as_mut().unwrap().xattrs;
    attributes.insert(name.to_owned(), vec![b'x'; length]);
    packet
}

#[tokio::test]
async fn attributes_are_those_that_a_file_can_have() {
    let place = tempfile::tempdir().unwrap();
    let refused = keep(
        place.path(),
        vec![with_attribute("a", "user.large", 64 << 10)],
        Vec::new(),
    );
    let message = refused.await.unwrap_err().message().to_owned();
    assert!(message.contains("with user.large the extended attributes of a are over 64 KiB"));
    // What is not kept is not counted.
    let foreign = with_attribute("a", "security.large", 1 << 20);
    let end = packet(PacketType::PacketData, 0, b"");
    keep(place.path(), vec![foreign], vec![end]).await.unwrap();
}

#[test]
fn attributes_of_files_that_wait_are_bounded() {
    let place = tempfile::tempdir().unwrap();
    let mut disk = Disk::new(Receiving::begin(place.path()));
    let mut entry = |held, id, path| {
        disk.held = held;
        let stat = with_attribute(path, "user.a", 10).stat.unwrap();
        let told = disk.entry(id, stat);
        (told.is_ok(), disk.held)
    };
    assert_eq!(entry(0, 0, "a"), (true, 16));
    assert!(!entry(MAX_HELD - 15, 1, "b").0);
    disk.held = 16;
    disk.open(0).unwrap();
    // Not every file system has attributes, so how it ends does not matter here.
    drop(disk.close(0));
    assert_eq!(disk.held, 0);
}

#[test]
fn paths_are_no_longer_than_the_kernel_takes_them() {
    let long = "a".repeat(MAX_PATH + 1);
    for (path, link) in [(long.as_str(), ""), ("a", long.as_str())] {
        let stat = disk::file(file(path, 0o644, link).stat.unwrap());
        assert!(stat.is_err());
    }
}

#[tokio::test]
async fn packets_stay_in_their_directory() {
    let place = tempfile::tempdir().unwrap();
    let inside = place.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let content = |id| {
        let data = |bytes| packet(PacketType::PacketData, id, bytes);
        vec![data(b"x"), data(b"")]
    };
    keep(&inside, vec![file("a", 0o644, "")], content(0))
        .await
        .unwrap();
    assert_eq!(std::fs::read(inside.join("a")).unwrap(), b"x");
    let link = file("d", mode::SYMLINK | 0o777, "..");
    for files in [
        vec![file("../outside", 0o644, "")],
        vec![file("/outside", 0o644, "")],
        vec![link, file("d/outside", 0o644, "")],
        vec![file("b", 0o644, ""), file("a", 0o644, "")],
    ] {
        let last = u32::try_from(files.len() - 1).unwrap();
        assert!(keep(&inside, files, content(last)).await.is_err());
    }
    // What was not asked for.
    let refused = keep(&inside, vec![file("c", 0o644, "")], content(7)).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Internal);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn links_among_small_files_are_followed_beneath_their_directory() {
    let mut memory = Memory::default();
    let link = mode::SYMLINK | 0o777;
    for (id, (path, mode, target)) in (0..).zip([
        ("Dockerfile", link, "Dockerfile.web"),
        ("Dockerfile.web", 0o644, ""),
        ("absolute", link, "/dir/../Dockerfile"),
        ("around", link, "around"),
        ("dir", mode::DIRECTORY | 0o755, ""),
        ("dir/up", link, "../Dockerfile.web"),
        ("gone", link, "nowhere"),
        ("other", link, "dir"),
        ("out", link, "../../Dockerfile.web"),
    ]) {
        let wanted = memory.entry(id, file(path, mode, target).stat.unwrap());
        if wanted.unwrap() {
            memory.open(id).unwrap();
            memory.write(id, path.as_bytes()).unwrap();
            memory.close(id).unwrap();
        }
    }
    for (path, found) in [
        ("Dockerfile", true),
        ("./Dockerfile.web", true),
        ("absolute", true),
        ("dir/up", true),
        ("other/up", true),
        ("out", true),
        ("around", false),
        ("dir", false),
        ("gone", false),
        ("missing", false),
    ] {
        let files = memory.found(&[path.to_owned()]);
        let expected = found.then(|| b"Dockerfile.web".to_vec());
        assert_eq!(files.get(path), expected.as_ref(), "{path}");
    }
}
