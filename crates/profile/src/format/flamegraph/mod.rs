//! The interactive flame graph, drawn by `inferno`.

mod colors;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use inferno::flamegraph::color::{BackgroundColor, PaletteMap};
use inferno::flamegraph::{Direction, Options, TextTruncateDirection, from_lines};

use crate::fold::depth_that_fits;
use crate::{Colors, Folded, Format, Origin, Recording, Style, WeightUnit, escape};
use colors::color_of;

/// In pixels. A graph without a width of its own is as wide as the window; this is how wide its
/// texts take it to be at first.
const USUAL_WIDTH: u32 = 1200;

/// `inferno` takes stacks as lines of text, all of them at once, and recursion makes them long: a
/// hundred thousand frames are some megabytes, in every one of its stacks. The graph leaves out
/// what lies deeper than fits in so many bytes.
const TEXT_BYTES: usize = 256 << 20;

/// So many frames of a reversed graph are taken apart, which takes some memory for each.
const REVERSED_FRAMES: usize = 4 << 20;

/// What is drawn in place of frames that are too deep.
const DEEPER: &str = "[deeper frames not drawn]";

pub(super) struct Flamegraph;

impl Format for Flamegraph {
    fn write(&self, recording: &Recording, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        let mut out = BufWriter::new(out);
        let graph = &style.graph;
        let width = graph.width.unwrap_or(USUAL_WIDTH);
        let title = shorten(&escape(style.title(recording)), title_chars(width));
        let subtitle = shorten(&subtitle(recording), subtitle_chars(width));
        let mut folded = super::aggregate(recording, style)?;
        if folded.total() == 0 {
            write_empty(&title, &subtitle, width, &mut out)?;
            return out.flush();
        }
        if graph.reverse {
            folded = folded.reversed(REVERSED_FRAMES, DEEPER);
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
        options.direction = if graph.upright { Direction::Straight } else { Direction::Inverted };
        options.image_width = graph.width.map(|width| width as usize);
        options.min_width = graph.min_width;
        options.text_truncate_direction = TextTruncateDirection::Right;
        match graph.colors.name().parse() {
            Ok(palette) if graph.colors != Colors::Python => {
                options.colors = palette;
                options.deterministic = true;
            }
            _ => options.palette_map = Some(&mut palette),
        }
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
        let lines = lines.iter().map(String::as_str);
        if graph.width.is_none() {
            from_lines(&mut options, lines, &mut out)?;
        } else {
            let mut svg = Vec::new();
            from_lines(&mut options, lines, &mut svg)?;
            label_root(&mut svg);
            out.write_all(&svg)?;
        }
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
    let depth = depth_that_fits(&bytes_at, limit);

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

/// Writes the root's name on it. In a graph that is as wide as its window a script does that for
/// all frames; in one of a fixed width `inferno` has written all names, but this one is empty.
fn label_root(svg: &mut Vec<u8>) {
    // The shares of all others have decimals.
    const TITLE_END: &[u8] = b", 100%)</title>";
    const EMPTY_TEXT: &[u8] = b"></text>";
    let find = |what: &[u8], from: usize| {
        let at = svg.get(from..)?.windows(what.len()).position(|bytes| bytes == what)?;
        Some(from + at)
    };
    let text = find(TITLE_END, 0).and_then(|title| find(EMPTY_TEXT, title));
    if let Some(text) = text {
        svg.splice(text + 1..text + 1, *b"all");
    }
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

/// How many characters of the title fit between the buttons.
fn title_chars(width: u32) -> usize {
    (width.saturating_sub(300) as usize / 10).max(8)
}

/// How many fit into the line below it.
fn subtitle_chars(width: u32) -> usize {
    (width as usize / 75 * 10).max(8)
}

fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit.saturating_sub(1)) {
        Some((end, _)) if text.chars().nth(limit).is_some() => format!("{}\u{2026}", &text[..end]),
        _ => text.to_string(),
    }
}

/// What there is to see when there are no samples.
fn write_empty(title: &str, subtitle: &str, width: u32, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, r##"<?xml version="1.0" encoding="UTF-8" standalone="no"?>"##)?;
    writeln!(
        out,
        r##"<svg version="1.1" width="{width}" height="140" viewBox="0 0 {width} 140" xmlns="http://www.w3.org/2000/svg">"##
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
