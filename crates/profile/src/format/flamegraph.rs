//! The interactive flame graph, drawn by `inferno`, outermost frames on top.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use inferno::flamegraph::color::{BackgroundColor, PaletteMap};
use inferno::flamegraph::{Direction, Options, TextTruncateDirection, from_lines};

use super::flamegraph_colors::color_of;
use crate::{Folded, Format, Origin, Recording, Style, WeightUnit, escape};

/// The title is cut to as many characters as fit beside the buttons of a graph 1200 pixels wide.
const TITLE_CHARS: usize = 90;

/// `inferno` takes stacks as lines of text, all of them at once, and recursion makes them long: a
/// hundred thousand frames are some megabytes, in every one of its stacks. The graph leaves out
/// what lies deeper than fits in so many bytes.
const TEXT_BYTES: usize = 256 << 20;

/// What is drawn in place of frames that are too deep.
const DEEPER: &str = "[deeper frames not drawn]";

pub(super) struct Flamegraph;

impl Format for Flamegraph {
    fn write(&self, recording: &Recording, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        let mut out = BufWriter::new(out);
        let title = shorten(&escape(style.title(recording)), TITLE_CHARS);
        let subtitle = subtitle(recording);
        let folded = super::aggregate(recording, style)?;
        if folded.total() == 0 {
            write_empty(&title, &subtitle, &mut out)?;
            return out.flush();
        }

        let labels: Vec<String> = folded.labels().map(|(_, text, _)| graph_text(text)).collect();
        let mut palette = PaletteMap::default();
        // The root, which has no name for `inferno`, and what we put in ourselves.
        palette.insert("", color_of(recording, Origin::Empty, ""));
        palette.insert(DEEPER, color_of(recording, Origin::Empty, DEEPER));
        for ((_, _, origin), text) in folded.labels().zip(&labels) {
            palette.insert(text, color_of(recording, origin, text));
        }
        let mut lines = folded_lines(&folded, &labels, TEXT_BYTES);
        // `inferno` merges neighbours, and wants them sorted as text. They are sorted better than
        // that, see `Folded::try_for_each`, and only in this mode it believes it. It takes the
        // lines from the last to the first then.
        lines.reverse();

        let mut options = Options::default();
        options.flame_chart = true;
        options.title = title;
        options.subtitle = Some(subtitle);
        options.notes = notes(recording);
        options.direction = Direction::Inverted;
        options.text_truncate_direction = TextTruncateDirection::Right;
        options.palette_map = Some(&mut palette);
        options.frame_height = 17;
        // Light enough to read black text on it.
        if let Ok(color) = "#e79af2".parse() {
            options.search_color = color;
        }
        options.bgcolors = Some(BackgroundColor::Flat((0xfb, 0xfa, 0xf7).into()));
        if recording.meta().unit == WeightUnit::Nanoseconds {
            options.count_name = "ms".to_string();
            options.factor = 1e-6;
        }
        from_lines(&mut options, lines.iter().map(String::as_str), &mut out)?;
        out.flush()
    }

    fn needs_timeline(&self) -> bool {
        false
    }

    fn extension(&self) -> &'static str {
        "svg"
    }
}

/// All stacks as `inferno` reads them, cut where they get too deep to fit in `limit` bytes.
fn folded_lines(folded: &Folded, labels: &[String], limit: usize) -> Vec<String> {
    let text = |id: crate::LabelId| labels.get(id.index()).map_or("", String::as_str);
    // The bytes needed for all frames of one depth.
    let mut bytes_at: Vec<usize> = Vec::new();
    let _ = folded.try_for_each(|stack, _| {
        bytes_at.resize(bytes_at.len().max(stack.len()), 0);
        for (bytes, &label) in bytes_at.iter_mut().zip(stack) {
            *bytes += text(label).len() + 1;
        }
        Ok::<(), std::convert::Infallible>(())
    });
    let mut room = limit;
    let depth = bytes_at
        .iter()
        .take_while(|&&bytes| {
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        })
        .count()
        .max(1);

    let mut lines = Vec::new();
    let _ = folded.try_for_each(|stack, weight| {
        let shown = &stack[..stack.len().min(depth)];
        let mut line: String = shown.iter().map(|&label| text(label)).collect::<Vec<_>>().join(";");
        if shown.len() < stack.len() {
            line.push(';');
            line.push_str(DEEPER);
        }
        line.push_str(&format!(" {weight}"));
        lines.push(line);
        Ok::<(), std::convert::Infallible>(())
    });
    lines
}

/// A label such that `inferno` shows it as it is. It reads lines `frame;frame weight`, trims them,
/// skips those that begin with `# `, takes a number before the weight for a second weight, and
/// drops an annotation such as `_[w]` from a frame's end before it shows it. So a frame whose end
/// could be misread gets such an annotation.
fn graph_text(label: &str) -> String {
    let mut text = escape(label).into_owned();
    let last_word = text.rsplit(' ').next().unwrap_or_default();
    let number = last_word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if number || text.ends_with(']') || text.ends_with(char::is_whitespace) {
        text.push_str("_[w]");
    }
    if text.starts_with('#') {
        // A space of no width.
        text.insert(0, '\u{200b}');
    }
    text
}

/// The line below the title.
fn subtitle(recording: &Recording) -> String {
    let meta = recording.meta();
    let mut parts = Vec::new();
    if !meta.python_version.is_empty() {
        parts.push(format!("Python {}", escape(&meta.python_version)));
    }
    parts.push(format!("{:.1} s", recording.duration_ns() as f64 / 1e9));
    if meta.rate > 0.0 {
        parts.push(format!("{} Hz", meta.rate));
    }
    parts.push(recording.quality.to_string());
    parts.join(" \u{b7} ")
}

/// The comment in the file. Two dashes would end it.
fn notes(recording: &Recording) -> String {
    let notes = serde_json::to_string(&super::About::new(recording)).unwrap_or_default();
    escape(&notes).replace("--", "- -").replace("--", "- -")
}

fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit.saturating_sub(1)) {
        Some((end, _)) if text.chars().nth(limit).is_some() => format!("{}\u{2026}", &text[..end]),
        _ => text.to_string(),
    }
}

/// What there is to see when there are no samples.
fn write_empty(title: &str, subtitle: &str, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, r##"<?xml version="1.0" encoding="UTF-8" standalone="no"?>"##)?;
    writeln!(
        out,
        r##"<svg version="1.1" width="1200" height="140" viewBox="0 0 1200 140" xmlns="http://www.w3.org/2000/svg">"##
    )?;
    writeln!(out, r##"<rect width="100%" height="100%" fill="#fbfaf7"/>"##)?;
    writeln!(out, r##"<g font-family="monospace" font-size="12" text-anchor="middle">"##)?;
    let text = [(24, 17, title), (48, 12, subtitle), (96, 14, "no samples were collected")];
    for (y, size, text) in text {
        let text = xml_escape(text);
        writeln!(out, r##"<text x="50%" y="{y}" font-size="{size}">{text}</text>"##)?;
    }
    writeln!(out, "</g>\n</svg>")
}

fn xml_escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::*;
    use crate::testing::Sample;
    use crate::{FormatKind, Keep, Lines, Thread};

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
        assert_eq!(texts[0].chars().count(), TITLE_CHARS);
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
}
