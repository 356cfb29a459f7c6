//! The SVG, read back.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::*;
use crate::testing::Sample;
use crate::{FormatKind, GraphStyle, Keep, Lines, Thread};

/// One drawn frame: its tooltip, and where it is (`y` in pixels, `x` and width in samples).
#[derive(Debug, Clone, PartialEq)]
struct Drawn {
    text: String,
    y: f64,
    x: u64,
    width: u64,
    fill: String,
}

/// Reads an SVG back: the frames, and all other texts.
fn parse(svg: &str) -> (Vec<Drawn>, Vec<String>) {
    let mut reader = Reader::from_str(svg);
    let (mut frames, mut texts) = (Vec::new(), Vec::new());
    let (mut text, mut tooltip, mut depth) = (String::new(), None, 0);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(_) => {
                depth += 1;
                text.clear();
            }
            Event::Text(part) => text.push_str(&part),
            Event::GeneralRef(entity) => text.push(match &*entity {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                other => panic!("entity {other}"),
            }),
            Event::End(end) => {
                depth -= 1;
                match end.name().as_ref() {
                    "title" => tooltip = Some(text.clone()),
                    "text" => texts.push(text.clone()),
                    _ => {}
                }
            }
            Event::Empty(rect) if rect.name().as_ref() == "rect" => {
                let attributes: HashMap<String, String> = rect
                    .attributes()
                    .map(Result::unwrap)
                    .map(|a| {
                        let key = a.key.as_ref().to_string();
                        (key, a.value.to_string())
                    })
                    .collect();
                if let Some(text) = tooltip.take() {
                    frames.push(Drawn {
                        text,
                        y: attributes["y"].parse().unwrap(),
                        x: attributes["fg:x"].parse().unwrap(),
                        width: attributes["fg:w"].parse().unwrap(),
                        fill: attributes["fill"].clone(),
                    });
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    (frames, texts)
}

fn write(sample: &mut Sample, style: &Style) -> String {
    sample.write(FormatKind::Flamegraph, style)
}

fn find<'a>(frames: &'a [Drawn], name: &str) -> &'a Drawn {
    let mut found = frames.iter().filter(|frame| frame.text.starts_with(name));
    let frame = found.next().unwrap_or_else(|| panic!("no {name} in {frames:#?}"));
    assert_eq!(found.next(), None, "{name} is drawn twice");
    frame
}

#[test]
fn the_root_is_on_top_and_counts_are_in_the_tooltip() {
    let mut sample = Sample::new(Keep::default());
    for _ in 0..3 {
        sample.tick(&["main", "a"]);
    }
    sample.tick(&["main", "b"]);
    let svg = write(&mut sample, &Style::default());
    let (frames, texts) = parse(&svg);
    let (all, main) = (find(&frames, "all"), find(&frames, "main"));
    let (a, b) = (find(&frames, "a ("), find(&frames, "b ("));
    assert_eq!(a.text, "a (app.py:1) (3 samples, 75.00%)");
    assert!(all.y < main.y && main.y < a.y && a.y == b.y);
    assert_eq!((a.x, a.width, b.x, b.width, main.width), (0, 3, 3, 1, 4));
    assert_ne!(a.fill, b.fill);
    assert_eq!(texts[0], "python3 app.py <&>");
    assert_eq!(texts[1], "Python 3.13.0 \u{b7} 0.0 s \u{b7} 100 Hz \u{b7} 4 samples, 0 errors");
    assert!(svg == write(&mut sample, &Style::default()), "the same each time");
}

#[test]
fn what_begins_alike_is_one_frame() {
    // Sorted as text, `f!` would come between `f` alone and `f;g`.
    let mut sample = Sample::new(Keep::default());
    for stack in [["f!:0", "g"].as_slice(), &["f:0", "g"], &["f:0"], &["f:0", "h"]] {
        sample.tick(stack);
    }
    let style = Style { lines: Lines::NoLine, ..Style::default() };
    let (frames, _) = parse(&write(&mut sample, &style));
    assert_eq!(find(&frames, "f (").width, 3);
    assert_eq!(find(&frames, "f! (").width, 1);
}

fn graph(graph: GraphStyle) -> Style {
    Style { graph, ..Style::default() }
}

#[test]
fn upright_has_the_root_at_the_bottom() {
    let mut sample = Sample::new(Keep::default());
    sample.tick(&["main", "a"]);
    let style = graph(GraphStyle { upright: true, ..GraphStyle::default() });
    let (frames, _) = parse(&write(&mut sample, &style));
    let (all, main) = (find(&frames, "all"), find(&frames, "main"));
    assert!(all.y > main.y && main.y > find(&frames, "a (").y);
}

#[test]
fn a_fixed_width_has_all_names_in_the_file() {
    for upright in [false, true] {
        let mut sample = Sample::new(Keep::default());
        (0..500).for_each(|_| sample.tick(&["all", "main"]));
        sample.tick(&["all", "all"]);
        let wide = GraphStyle { width: Some(800), upright, ..GraphStyle::default() };
        let (frames, texts) = parse(&write(&mut sample, &graph(wide)));
        assert_eq!(frames.len(), 4);
        let names = |name: &str| texts.iter().filter(|text| *text == name).count();
        assert_eq!(
            (names("all"), names("all (app.py:1)"), names("main (app.py:1)")),
            (1, 1, 1),
            "{texts:?}"
        );
    }
}

#[test]
fn reversed_stacks_are_merged_from_the_innermost_frame() {
    let mut sample = Sample::new(Keep::ALL);
    for stack in [["main", "a", "leaf"].as_slice(), &["main", "b", "leaf"], &["main", "a"]] {
        sample.tick(stack);
    }
    sample.recording.sample(sample.thread, crate::StackId::ROOT, 1);
    for threads in [false, true] {
        let mut style = graph(GraphStyle { reverse: true, ..GraphStyle::default() });
        style.show_threads = threads;
        let (frames, _) = parse(&write(&mut sample, &style));
        let leaf = find(&frames, "leaf (");
        assert_eq!(leaf.width, 2);
        // The other one is the innermost frame itself.
        let calls: Vec<_> = frames.iter().filter(|frame| frame.text.starts_with("a (")).collect();
        assert_eq!(calls.len(), 2);
        assert!(calls.iter().any(|a| a.y > leaf.y) && calls.iter().any(|a| a.y == leaf.y));
        let mains: Vec<_> =
            frames.iter().filter(|frame| frame.text.starts_with("main (")).collect();
        assert_eq!(mains.iter().map(|frame| frame.width).sum::<u64>(), 3);
        assert!(mains.iter().all(|main| main.y > leaf.y));
        assert_eq!(find(&frames, "[no frames]").y, leaf.y);
        if threads {
            let thread = find(&frames, "thread (10)");
            assert!(thread.y < leaf.y && thread.width == 4);
        }
    }
}

#[test]
fn what_is_too_deep_to_be_reversed_is_left_out() {
    let mut sample = Sample::new(Keep::default());
    let deep: Vec<String> = (0..50).map(|depth| format!("f{depth}")).collect();
    let deep: Vec<&str> = deep.iter().map(String::as_str).collect();
    sample.tick(&deep);
    sample.tick(&["f0", "f49"]);
    let folded = sample.recording.aggregate(&Style::default());
    let reversed = folded.reversed(20, DEEPER);
    let mut stacks = Vec::new();
    let _ = reversed.try_for_each(|stack, weight| {
        let names: Vec<&str> = stack.iter().map(|&label| reversed.label(label)).collect();
        stacks.push((names.len(), names[0].to_owned(), names[names.len() - 1].to_owned()));
        assert_eq!(weight, 1);
        Ok::<(), ()>(())
    });
    let (innermost, outermost) = ("f49 (app.py:1)".to_string(), "f0 (app.py:1)".to_string());
    assert_eq!(stacks, [(2, innermost.clone(), outermost), (19, innermost, DEEPER.to_string()),]);
}

#[test]
fn narrow_frames_can_be_left_out() {
    let mut sample = Sample::new(Keep::default());
    (0..99).for_each(|_| sample.tick(&["wide"]));
    sample.tick(&["narrow"]);
    for (min_width, count) in [(0.0, 3), (0.5, 3), (1.5, 2), (100.0, 1)] {
        let style = graph(GraphStyle { min_width, ..GraphStyle::default() });
        let (frames, _) = parse(&write(&mut sample, &style));
        assert_eq!(frames.len(), count, "{min_width}: {frames:?}");
    }
}

#[test]
fn the_width_is_as_asked() {
    let mut empty = Sample::new(Keep::default());
    let mut sample = Sample::new(Keep::default());
    sample.tick(&["f"]);
    for sample in [&mut sample, &mut empty] {
        let wide = write(sample, &graph(GraphStyle { width: Some(3000), ..GraphStyle::default() }));
        assert!(wide.contains("<svg version=\"1.1\" width=\"3000\""), "{wide:.300}");
        sample.recording.meta_mut().command = "x".repeat(300);
        for (width, chars) in [(Some(600), 30), (Some(200), 8), (None, 90)] {
            let style = graph(GraphStyle { width, ..GraphStyle::default() });
            assert_eq!(parse(&write(sample, &style)).1[0].chars().count(), chars);
        }
    }
}

#[test]
fn colours_are_as_asked_and_the_same_each_time() {
    let mut sample = Sample::new(Keep::default());
    sample.tick(&["f", "g"]);
    let mut seen = Vec::new();
    for colors in Colors::ALL {
        let style = graph(GraphStyle { colors, ..GraphStyle::default() });
        let svg = write(&mut sample, &style);
        assert!(svg == write(&mut sample, &style), "{colors}");
        let fill = find(&parse(&svg).0, "g (").fill.clone();
        assert!(!seen.contains(&fill), "{colors}: {fill}");
        seen.push(fill);
        assert_eq!(colors.name().to_uppercase().parse(), Ok(colors));
    }
    let error = "java".parse::<Colors>().unwrap_err().to_string();
    assert!(error.contains("java") && error.contains("purple"), "{error}");
}

#[test]
fn any_text_is_drawn_as_it_is() {
    let threads =
        ["worker 3", "# pool", "x_[k]", "a;b", "<&\"'>", "--]]>", "\u{1b}[0m\0", "end ", "1.5"];
    let mut sample = Sample::new(Keep::ALL);
    let process = sample.process;
    let stack = sample.stack(&["main"]);
    for (tid, name) in (1..).zip(threads) {
        let name = Some(name.to_string());
        let thread = sample.recording.add_thread(Thread { process, tid, name });
        sample.recording.sample(thread, stack, 1);
        sample.recording.sample(thread, crate::StackId::ROOT, 1);
    }
    sample.tick(&["# 7", "8 9"]);
    sample.recording.meta_mut().command = "a --b ---- ]]> \u{1} é".to_string();
    let style = Style { show_threads: true, ..Style::default() };
    let (frames, texts) = parse(&write(&mut sample, &style));
    for (tid, name) in (1..).zip(threads) {
        let expected = format!("thread ({tid}): {} (2 samples, 10.53%)", escape(name));
        assert_eq!(find(&frames, &format!("thread ({tid})")).text, expected);
    }
    assert_eq!(texts[0], r"a --b ---- ]]> \x01 é");
    let style = Style { lines: Lines::NoLine, ..Style::default() };
    let (frames, _) = parse(&write(&mut sample, &style));
    assert_eq!(find(&frames, "all").width, 19);
    assert!(find(&frames, "\u{200b}# 7").text.ends_with("(1 samples, 5.26%)"));
    assert_eq!(find(&frames, "[no frames]").width, 9);
}

#[test]
fn frames_of_threads_that_end_in_numbers_are_not_weights() {
    let mut sample = Sample::new(Keep::ALL);
    sample.recording.rename_thread(sample.thread, Some("pool 3".to_string()));
    sample.recording.sample(sample.thread, crate::StackId::ROOT, 5);
    let style = Style { show_threads: true, ..Style::default() };
    let (frames, _) = parse(&write(&mut sample, &style));
    assert_eq!(find(&frames, "thread (10): pool 3 (").width, 5);
}

#[test]
fn no_samples_is_a_picture_that_says_so() {
    let mut sample = Sample::new(Keep::default());
    let svg = write(&mut sample, &Style::default());
    let (frames, texts) = parse(&svg);
    assert_eq!(frames, []);
    assert_eq!(texts[0], "python3 app.py <&>");
    assert_eq!(texts[2], "no samples were collected");
}

#[test]
fn long_titles_are_cut() {
    assert_eq!(shorten("äbc", 3), "äbc");
    assert_eq!(shorten("äbcd", 3), "äb\u{2026}");
    let mut sample = Sample::new(Keep::default());
    sample.tick(&["f"]);
    let style = Style { title: Some("x".repeat(5000)), ..Style::default() };
    let (_, texts) = parse(&write(&mut sample, &style));
    assert_eq!(texts[0].chars().count(), 90);
}

#[test]
fn what_is_too_deep_is_left_out() {
    let mut sample = Sample::new(Keep::default());
    sample.tick(&["f"; 50]);
    sample.tick(&["f"; 10]);
    let folded = sample.recording.aggregate(&Style::default());
    let labels: Vec<String> = folded.labels().map(|(_, text, _)| graph_text(text)).collect();
    assert_eq!(folded_lines(&folded, &labels, 1 << 20)[1].matches(';').count(), 49);
    let cut = folded_lines(&folded, &labels, 400);
    assert!(cut[1].ends_with(&format!(";{DEEPER} 1")), "{cut:?}");
    assert!(cut.iter().map(String::len).sum::<usize>() < 500);
}

#[test]
fn cpu_time_is_shown_in_milliseconds() {
    let mut sample = Sample::new(Keep::default());
    sample.recording.meta_mut().unit = WeightUnit::Nanoseconds;
    let stack = sample.stack(&["f"]);
    sample.recording.sample(sample.thread, stack, 1_500_000_000);
    let (frames, _) = parse(&write(&mut sample, &Style::default()));
    assert_eq!(find(&frames, "f (").text, "f (app.py:1) (1,500 ms, 100.00%)");
}
