//! `record` on what people run: a web server under load.

mod record_kit;
mod support;

use record_kit::{Folder, Running, check, folded, samples, total, until, with};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use support::{need, run_py_spy, targets_dir};

/// Asks for a page; the body, if all went well.
fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    // A server that never answers must not hold the test up.
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
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

/// One server at a time: what waits for a processor is not what is to be seen here.
static ALONE: Mutex<()> = Mutex::new(());

/// A gunicorn that answers.
struct Server {
    running: Running,
    port: u16,
    workers: Vec<i32>,
    folder: Folder,
    // The last to be dropped.
    _alone: MutexGuard<'static, ()>,
}

impl Server {
    /// With so many sync workers.
    fn start(workers: usize) -> Server {
        let alone = ALONE.lock().unwrap_or_else(|failed| failed.into_inner());
        let folder = Folder::new();
        let mut command = Command::new(need("targets/bin/python"));
        command
            .arg(need("targets/bin/gunicorn"))
            .args(["--workers", &workers.to_string()])
            .args(["--bind", "127.0.0.1:0", "--chdir"])
            .arg(targets_dir())
            .args([
                "--worker-tmp-dir",
                folder.path().to_str().unwrap(),
                "--no-control-socket",
                "record_server:application",
            ])
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let mut running = Running::start(command);
        // It says which port it got.
        let port = until("the port", || {
            assert!(running.is_running(), "{}", running.stderr());
            let said = running.stderr();
            let (_, rest) = said.split_once("Listening at: http://127.0.0.1:")?;
            rest.split_once(' ')?.0.parse().ok()
        });
        until("the server", || {
            assert!(running.is_running(), "{}", running.stderr());
            get(port).filter(|_| children(running.pid()).len() == workers)
        });
        let workers = children(running.pid());
        Server { running, port, workers, folder, _alone: alone }
    }

    /// Asks for pages in so many threads while `during` runs; it is told how many were answered.
    fn under_load<T>(&self, threads: usize, during: impl FnOnce(&AtomicU64) -> T) -> T {
        let (done, served) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let answered = get(self.port).is_some_and(|body| !body.is_empty());
                        served.fetch_add(u64::from(answered), Ordering::Relaxed);
                    }
                });
            }
            let during = AssertUnwindSafe(|| during(&served));
            let result = std::panic::catch_unwind(during);
            done.store(true, Ordering::Relaxed);
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// It still serves, with the same workers; then an orderly end, workers included.
    fn end(mut self) {
        let running = &mut self.running;
        assert_eq!(children(running.pid()), self.workers, "the workers are still the same");
        assert!(get(self.port).is_some(), "it still serves: {}", running.stderr());
        running.signal(rustix::process::Signal::TERM);
        running.wait();
    }
}

/// gunicorn with one sync worker, asked for pages all the time: the worker's profile is of
/// the application's own function, from the worker's loop down.
#[test]
fn gunicorn_under_load() {
    let server = Server::start(1);
    let folder = &server.folder;
    let worker = server.workers[0].to_string();
    let (raw, svg) = (folder.file("server.txt"), folder.file("server.svg"));
    // Two threads, so that one request waits while the other is answered.
    let (run, answered) = server.under_load(2, |served| {
        let before = served.load(Ordering::Relaxed);
        let args = ["-d", "2", "-r", "200", "-F", "-o", &raw, "-o", &svg, "-p", &worker];
        let run = run_py_spy(["record"].iter().chain(&args)).ok();
        (run, served.load(Ordering::Relaxed) - before)
    });
    assert!(answered > 20, "only {answered} pages");
    let found = folded(&folder.read("server.txt"));
    assert_eq!(total(&found), samples(&run.stderr));
    let work = with(&found, "render_report (record_server.py:");
    // On a busy machine it waits for a processor where it wakes up: in accept().
    assert!(work > 20 && work * 5 > total(&found), "{work} of {}: {found:?}", total(&found));
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
    server.end();
}

/// gunicorn with four workers and its arbiter: each of `dump`, `record` and `top` sees all five
/// processes, and who comes from whom.
#[test]
fn gunicorn_with_four_workers() {
    let server = Server::start(4);
    let pid = server.running.pid();
    let arbiter = pid.to_string();
    let (dump, record, top) = server.under_load(4, |_| {
        let run = |args: &[&str]| run_py_spy(args.iter().chain(&["-s", "-p", &arbiter])).ok();
        (
            run(&["dump", "--json"]),
            run(&["record", "-d", "2", "-i", "-F", "-f", "raw", "-o", "-"]),
            run(&["top", "-d", "2", "--delay", "10"]),
        )
    });
    let workers: BTreeSet<i32> = server.workers.iter().copied().collect();

    let threads: Vec<Value> = serde_json::from_str(&dump.stdout).unwrap();
    let parents: BTreeSet<(i64, Option<i64>)> = threads
        .iter()
        .map(|thread| (&thread["process_info"]["parent"], thread["pid"].as_i64().unwrap()))
        .map(|(parent, pid)| (pid, parent["pid"].as_i64()))
        .collect();
    let below = workers.iter().map(|worker| (i64::from(*worker), Some(i64::from(pid))));
    assert_eq!(parents, below.chain([(i64::from(pid), None)]).collect());

    // `-i`: a worker that happens to get no request is there as well.
    let found = folded(&record.stdout);
    let process = |frame: &String| -> Option<i32> {
        frame.strip_prefix("process ")?.split(':').next()?.parse().ok()
    };
    let seen: BTreeSet<i32> =
        found.iter().filter_map(|(frames, _)| process(frames.get(1)?)).collect();
    assert_eq!(seen, workers, "{found:?}");
    for (frames, _) in &found {
        assert_eq!(frames.first().and_then(process), Some(pid), "{frames:?}");
        let works = frames.iter().any(|frame| frame.starts_with("render_report"));
        assert!(!works || process(&frames[1]).is_some(), "only workers do: {frames:?}");
    }
    let work = found.iter().filter(|(frames, _)| {
        frames.last().is_some_and(|frame| frame.starts_with("render_report"))
    });
    assert!(work.map(|(_, count)| count).sum::<u64>() > 20, "{found:?}");

    assert!(top.stdout.contains("Processes: 5"), "{}", top.stdout);
    assert!(top.stdout.contains("render_report (record_server.py)"), "{}", top.stdout);
    server.end();
}
