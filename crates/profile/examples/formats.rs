//! Writes a made-up recording in every format: `cargo run -p profile --example formats -- DIR`.
//!
//! For looking at the formats, and for the checks in `tests/formats`, without a process to record.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use profile::{
    FormatKind, FrameKey, FrameKind, Keep, Meta, Process, Recording, StackId, Style, Thread,
};

const STDLIB: &str = "/usr/lib/python3.13";
const PACKAGES: &str = "/srv/venv/lib/python3.13/site-packages";

/// Samples, and the stack they were taken in: `function file line`, outermost first.
const STACKS: &[(u64, &[&str])] = &[
    (90, &["handle views.py 12", "render template.py 40", "join posixpath.py 71"]),
    (160, &["handle views.py 12", "render template.py 44", "Node.evaluate @jinja2/nodes.py 210"]),
    (130, &["handle views.py 14", "load models.py 77", "Cursor.execute @psycopg/cursor.py 723"]),
    (
        210,
        &[
            "handle views.py 14",
            "load models.py 77",
            "Cursor.execute @psycopg/cursor.py 723",
            "PQexec ~libpq.so 0",
        ],
    ),
    (
        140,
        &[
            "handle views.py 15",
            "dumps %json/__init__.py 231",
            "encode %json/encoder.py 200",
            "c_make_encoder ~_json.so 0",
        ],
    ),
    (60, &["handle views.py 15", "dumps %json/__init__.py 231", "<lambda> views.py 9"]),
    (30, &["handle views.py 15", "odd;name \u{1b}[31m <&>\n views.py 3"]),
    (
        45,
        &["fib maths.py 3", "fib maths.py 3", "fib maths.py 3", "fib maths.py 3", "fib maths.py 2"],
    ),
    (20, &["fib maths.py 3", "fib maths.py 3", "fib maths.py 2"]),
];

fn main() -> io::Result<()> {
    let dir = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| ".".into()));
    for (suffix, recording) in [("", made_up()), ("-empty", empty())] {
        for kind in FormatKind::ALL {
            let format = kind.format();
            let path = dir.join(format!("{kind}{suffix}.{}", format.extension()));
            format.write(&recording, &Style::default(), &mut File::create(&path)?)?;
            println!("{}", path.display());
        }
        let path = dir.join(format!("threads{suffix}.svg"));
        let style = Style { show_threads: true, show_processes: true, ..Style::default() };
        FormatKind::Flamegraph.format().write(&recording, &style, &mut File::create(&path)?)?;
        println!("{}", path.display());
    }
    Ok(())
}

fn empty() -> Recording {
    Recording::new(
        Meta {
            command: "/srv/venv/bin/python3 manage.py runserver --settings=<x & y>".to_string(),
            start_time: 1_700_000_000.0,
            rate: 100.0,
            python_version: "3.13.0".to_string(),
            tool_version: env!("CARGO_PKG_VERSION").to_string(),
            ..Meta::default()
        },
        Keep::ALL,
    )
}

fn made_up() -> Recording {
    let mut recording = empty();
    let cmdline = recording.meta().command.clone();
    let parent = recording.add_process(Process { pid: 4000, parent: None, cmdline });
    let cmdline = "gunicorn: worker [site]".to_string();
    let child = recording.add_process(Process { pid: 4001, parent: Some(parent), cmdline });
    let names =
        [(parent, 4000, "MainThread"), (child, 4001, "MainThread"), (child, 4007, "pool 1")];
    let threads = names.map(|(process, tid, name)| {
        recording.add_thread(Thread { process, tid, name: Some(name.to_string()) })
    });
    let stacks: Vec<(u64, StackId)> =
        STACKS.iter().map(|&(count, frames)| (count, stack(&mut recording, frames))).collect();

    // Each thread runs through all stacks at its own pace, in pieces, with pauses between.
    let total: u64 = stacks.iter().map(|&(count, _)| count).sum();
    for tick in 0..total {
        recording.begin_tick(tick * 10_000_000);
        for (thread, step) in threads.into_iter().zip([1, 7, 13]) {
            let mut at = tick * step % total;
            let found = stacks.iter().find(|&&(count, _)| {
                let here = at < count;
                at = at.saturating_sub(count);
                here
            });
            if let Some(&(_, stack)) = found.filter(|_| tick / 50 % (step + 1) != 1) {
                recording.sample(thread, stack, 1);
            }
        }
    }
    recording.quality.late = 3;
    recording.finish(total * 10_000_000);
    recording
}

/// Interns a stack under the frames all of them share.
fn stack(recording: &mut Recording, frames: &[&str]) -> StackId {
    let outer = ["<module> manage.py 22", "run_forever %asyncio/base_events.py 608"];
    outer.iter().chain(frames).fold(StackId::ROOT, |parent, text| {
        let (function, line) = text.rsplit_once(' ').unwrap_or((text, "0"));
        let (function, file) = function.rsplit_once(' ').unwrap_or((function, ""));
        let line = line.parse().unwrap_or(0);
        let short = file.trim_start_matches(['@', '%', '~']);
        let (full, kind) = match file.chars().next() {
            Some('@') => (format!("{PACKAGES}/{short}"), FrameKind::Python),
            Some('%') => (format!("{STDLIB}/{short}"), FrameKind::Python),
            Some('~') => (format!("/usr/lib/{short}"), FrameKind::Native),
            _ => (format!("/srv/site/{short}"), FrameKind::Python),
        };
        let frame = FrameKey {
            name: recording.intern_string(function),
            file: recording.intern_string(&full),
            short_file: recording.intern_string(short),
            module: None,
            line,
            first_line: line.saturating_sub(2),
            kind,
        };
        let frame = recording.intern_frame(frame);
        recording.intern_stack(parent, frame)
    })
}
