//! Files of a directory over HTTP, on a loopback port.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// Serves what is below `root` as long as the tests run; `http://127.0.0.1:PORT`.
pub(crate) fn serve(root: &Path) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let root = root.to_path_buf();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let root = root.clone();
            // A client that goes away is no failure of the server's.
            std::thread::spawn(move || drop(answer(&stream, &root)));
        }
    });
    format!("http://{address}")
}

fn answer(stream: &TcpStream, root: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let found = file(&request, root).and_then(|path| fs::read(path).ok());
    let (status, body) = found.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    if request.starts_with("HEAD ") {
        return Ok(());
    }
    stream.write_all(&body)
}

fn file(request: &str, root: &Path) -> Option<PathBuf> {
    let target = request.split(' ').nth(1)?;
    let path = target.split('?').next()?.trim_start_matches('/');
    Some(root.join(path))
}
