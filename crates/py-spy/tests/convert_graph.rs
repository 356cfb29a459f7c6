//! The options of flame graphs, in `record` and in `convert`, looked at in a browser.

mod record_kit;
mod support;

use record_kit::{Folder, check, modern, samples, until};
use support::{Target, run_py_spy};

/// A folder with a recording, `run.pyspy`, and a graph that was drawn at the same time with these
/// options, `direct.svg`.
fn recorded(options: &[&str]) -> Folder {
    let target = Target::start(modern(), "record_split.py", &[]);
    let (folder, pid) = (Folder::new(), target.pid().to_string());
    let (saved, direct) = (folder.file("run.pyspy"), folder.file("direct.svg"));
    let fixed = ["record", "-r", "200", "-d", "1.5", "-p", &pid, "-o", &saved, "-o", &direct];
    until("enough samples", || {
        let run = run_py_spy([&fixed[..], options].concat()).ok();
        (samples(&run.stderr) > 50).then_some(())
    });
    folder
}

/// Draws the recording with these options.
#[track_caller]
fn draw(folder: &Folder, options: &[&str]) -> String {
    let saved = folder.file("run.pyspy");
    run_py_spy([&["convert", &saved, "-o", "-"], options].concat()).ok().stdout
}

/// Uses it as a person would.
#[track_caller]
fn use_it(folder: &Folder, svg: &str, more: &[&str]) -> String {
    let (file, picture) = (folder.file("graph.svg"), folder.file("graph.png"));
    std::fs::write(&file, svg).unwrap();
    check("check-svg.mjs", &[&[file.as_str(), &picture], more].concat())
}

/// The names of the frames that are next to the root.
fn first_row(svg: &str) -> Vec<String> {
    let attribute = |rect: &str, name: &str| -> u64 {
        let (_, rest) = rect.split_once(&format!(" {name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let frames: Vec<(String, u64)> = svg
        .split("<g><title>")
        .skip(1)
        .map(|frame| {
            let (title, rest) = frame.split_once("</title>").unwrap();
            (title.to_owned(), attribute(rest, "y"))
        })
        .collect();
    let root = frames.iter().find(|(title, _)| title.starts_with("all (")).unwrap().1;
    let next = frames.iter().map(|(_, y)| y.abs_diff(root)).filter(|&away| away > 0).min();
    let next = frames.iter().filter(|(_, y)| Some(y.abs_diff(root)) == next);
    next.map(|(title, _)| title.clone()).collect()
}

#[test]
fn upright_and_inverted() {
    let folder = recorded(&["--upright", "--title", "Über <alles> & \"so\""]);
    let svg = draw(&folder, &["--upright", "--title", "Über <alles> & \"so\""]);
    assert_eq!(svg, folder.read("direct.svg"));
    let said = use_it(&folder, &svg, &["--upright"]);
    assert!(said.contains("title: Über <alles> & \"so\"\n"), "{said}");
    let inverted = draw(&folder, &["--inverted"]);
    assert_eq!(inverted, draw(&folder, &[]));
    assert_eq!(inverted, draw(&folder, &["--upright", "--inverted"]), "the last one counts");
    use_it(&folder, &inverted, &[]);
}

#[test]
fn reversed() {
    let options = ["--reverse", "--nolineno"];
    let folder = recorded(&options);
    let svg = draw(&folder, &options);
    assert_eq!(svg, folder.read("direct.svg"));
    use_it(&folder, &svg, &[]);
    // All three functions call `work`, which is one frame now.
    let outermost = first_row(&draw(&folder, &["--nolineno"]));
    assert!(
        matches!(&outermost[..], [only] if only.starts_with("&lt;module&gt; (")),
        "{outermost:?}"
    );
    let innermost = first_row(&svg);
    let work = innermost.iter().filter(|frame| frame.starts_with("work ("));
    assert_eq!(work.count(), 1, "{innermost:?}");
    let upright = draw(&folder, &["--reverse", "--nolineno", "--upright"]);
    use_it(&folder, &upright, &["--upright"]);
    let (mut one, mut other) = (first_row(&upright), innermost);
    one.sort();
    other.sort();
    assert_eq!(one, other);
}

#[test]
fn colors_and_sizes() {
    let options = ["--colors", "MEM", "--min-width", "2.5%", "--width", "800"];
    let folder = recorded(&options);
    let svg = draw(&folder, &options);
    assert_eq!(svg, folder.read("direct.svg"));
    assert!(svg.contains("<svg version=\"1.1\" width=\"800\""), "{svg:.300}");
    use_it(&folder, &svg, &[]);
    let frames = |svg: &str| svg.matches("<g><title>").count();
    let all = draw(&folder, &["--min-width", "0"]);
    assert!(frames(&svg) <= frames(&all));
    assert_eq!(frames(&draw(&folder, &["--minwidth", "100"])), 1, "only the root");
    let colors = |svg: &str| -> Vec<String> {
        svg.split(" fill=\"rgb(")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap().to_owned())
            .collect()
    };
    assert_ne!(colors(&all), colors(&draw(&folder, &["--min-width", "0", "--colors", "blue"])));
    assert_eq!(all, draw(&folder, &["--min-width", "0", "--colors", "python"]));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = recorded(&[]);
    let saved = folder.file("run.pyspy");
    let cases: [(&[&str], &str); 7] = [
        (&["--colors", "mauve"], "unknown colors \"mauve\""),
        (&["--min-width", "101"], "a number from 0 to 100"),
        (&["--min-width", "-1"], "a number from 0 to 100"),
        (&["--min-width", "NaN"], "a number from 0 to 100"),
        (&["--width", "0"], "0 is not in 200..=100000"),
        (&["-f", "raw", "--width", "500"], "--width is for flame graphs"),
        (&["-f", "speedscope", "--reverse"], "--reverse is for flame graphs"),
    ];
    for (options, text) in cases {
        let run = run_py_spy([&["convert", &saved, "-o", "-"], options].concat());
        assert_eq!((run.code(), run.stdout.as_str()), (Some(2), ""), "{options:?}");
        assert!(run.stderr.contains(text), "{options:?}: {}", run.stderr);
    }
    let run = run_py_spy(["record", "-f", "raw", "--upright", "--", "/bin/true"]);
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
}
