//! `record` on what people run: a web server under load.

mod record_kit;
mod support;

use record_kit::{Folder, Running, check, folded, samples, total, until, with};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use support::{need, run_py_spy, targets_dir};

/// Asks for a page; the body, if all went well.
fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}

/// The processes that this one started.
fn children(pid: i32) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(Path::new(&path)).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// gunicorn with one sync worker, asked for pages all the time: the worker's profile is of
/// the application's own function, from the worker's loop down.
#[test]
fn gunicorn_under_load() {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let folder = Folder::new();
    let mut command = Command::new(need("targets/bin/python"));
    command
        .arg(need("targets/bin/gunicorn"))
        .args(["--workers", "1", "--bind", &format!("127.0.0.1:{port}"), "--chdir"])
        .arg(targets_dir())
        .args([
            "--worker-tmp-dir",
            folder.path().to_str().unwrap(),
            "--no-control-socket",
            "record_server:application",
        ])
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let mut server = Running::start(command);
    until("the server", || {
        assert!(server.is_running(), "{}", server.stderr());
        get(port)
    });
    let workers = children(server.pid());
    assert_eq!(workers.len(), 1, "{}", server.stderr());
    let worker = workers[0].to_string();

    let (done, served) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        // Two, so that one request waits while the other is answered.
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    served.fetch_add(
                        get(port).map_or(0, |body| u64::from(!body.is_empty())),
                        Ordering::Relaxed,
                    );
                }
            });
        }
        let before = served.load(Ordering::Relaxed);
        let (raw, svg) = (folder.file("server.txt"), folder.file("server.svg"));
        let run = std::panic::catch_unwind(|| {
            run_py_spy([
                "record", "-d", "2", "-r", "200", "-F", "-o", &raw, "-o", &svg, "-p", &worker,
            ])
        });
        let answered = served.load(Ordering::Relaxed) - before;
        done.store(true, Ordering::Relaxed);
        let run = run.unwrap().ok();
        assert!(answered > 20, "only {answered} pages");
        let found = folded(&folder.read("server.txt"));
        assert_eq!(total(&found), samples(&run.stderr));
        let work = with(&found, "render_report (record_server.py:");
        assert!(work > 20 && work * 2 > total(&found), "{work} of {}: {found:?}", total(&found));
        for (frames, _) in found
            .iter()
            .filter(|(frames, _)| frames.iter().any(|frame| frame.starts_with("render_report")))
        {
            let at = |name: &str| {
                frames
                    .iter()
                    .position(|frame| frame.contains(name))
                    .unwrap_or_else(|| panic!("{frames:?}"))
            };
            assert!(
                at("run (gunicorn/app/") < at("(gunicorn/workers/sync.py:")
                    && at("(gunicorn/workers/sync.py:") < at("application (record_server.py:")
            );
            assert_eq!(at("render_report"), frames.len() - 1, "{frames:?}");
        }
        check("check-svg.mjs", &[&svg, &folder.file("server.png")]);
    });
    assert_eq!(children(server.pid()), workers, "the worker is still the same");
    assert!(get(port).is_some(), "it still serves: {}", server.stderr());
    // An orderly end, worker included.
    server.signal(rustix::process::Signal::TERM);
    server.wait();
}
