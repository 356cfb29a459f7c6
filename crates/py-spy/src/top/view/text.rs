//! Numbers and texts, cut to what there is room for.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;
use std::borrow::Cow;

/// A part of the time as a percentage.
pub fn percent(part: u64, whole: u64) -> String {
    share(if whole == 0 { 0.0 } else { part as f64 / whole as f64 })
}

/// A share as a percentage.
pub fn share(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

/// Nanoseconds as seconds, with as many digits as fit into eight columns.
pub fn seconds(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    // By what is printed: 0.9996 is 1.00.
    match seconds {
        _ if seconds < 0.9995 => format!("{seconds:.3}s"),
        _ if seconds < 9999.995 => format!("{seconds:.2}s"),
        _ if seconds < 99999.95 => format!("{seconds:.1}s"),
        _ => format!("{seconds:.0}s"),
    }
}

/// Writes into one line of the screen; what has no room ends in `…`. Returns the columns used.
pub fn put(frame: &mut Frame, area: Rect, text: &str, style: Style) -> u16 {
    if area.width == 0 || area.height == 0 {
        return 0;
    }
    let buffer = frame.buffer_mut();
    let width = usize::from(area.width);
    if Span::raw(text).width() <= width {
        return buffer.set_stringn(area.x, area.y, text, width, style).0 - area.x;
    }
    let (end, _) = buffer.set_stringn(area.x, area.y, text, width - 1, style);
    buffer.set_string(end, area.y, "…", style);
    end + 1 - area.x
}

/// Writes a name of which both ends matter: what has no room is left out of its middle.
pub fn put_ends(frame: &mut Frame, area: Rect, text: &str, style: Style) {
    let room = usize::from(area.width);
    if Span::raw(text).width() <= room || room < 5 {
        put(frame, area, text, style);
        return;
    }
    let tail = room / 2;
    let from = text.char_indices().rev().map(|(at, _)| at);
    let from = from.take_while(|at| Span::raw(&text[*at..]).width() <= tail).last();
    let end = &text[from.unwrap_or(text.len())..];
    let at = put(frame, first(area, (room - Span::raw(end).width()) as u16), text, style);
    put(frame, after(area, at), end, style);
}

/// A label `name (folder/file:line)` with as few folders left out as makes it fit.
pub fn shorten(label: &str, room: u16) -> Cow<'_, str> {
    let fits = |text: &str| Span::raw(text).width() <= usize::from(room);
    let Some(place) = label.rfind(" (").map(|at| at + 2).filter(|_| !fits(label)) else {
        return Cow::Borrowed(label);
    };
    let (name, path) = label.split_at(place);
    let shorter = path.match_indices('/').map(|(at, _)| format!("{name}…{}", &path[at..]));
    let mut last = None;
    for text in shorter {
        if fits(&text) {
            return Cow::Owned(text);
        }
        last = Some(text);
    }
    last.map_or(Cow::Borrowed(label), Cow::Owned)
}

/// Writes to the right edge of one line, as much as there is room for.
pub fn put_right(frame: &mut Frame, area: Rect, text: &str, style: Style) {
    let width = u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX).min(area.width);
    put(frame, Rect { x: area.x + area.width - width, width, ..area }, text, style);
}

/// What is right of the first `columns`.
pub fn after(area: Rect, columns: u16) -> Rect {
    let columns = columns.min(area.width);
    Rect { x: area.x + columns, width: area.width - columns, ..area }
}

/// The first `columns`.
pub fn first(area: Rect, columns: u16) -> Rect {
    Rect { width: columns.min(area.width), ..area }
}

/// A bar for each value, of up to `full`.
pub fn bars(values: impl Iterator<Item = f64>, full: f64) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bar = |value: f64| {
        let part = (value / full).clamp(0.0, 1.0) * 8.0;
        // What is not nothing is seen.
        let part = if value > 0.0 { part.round().max(1.0) } else { 0.0 };
        BARS.get(part as usize).copied().unwrap_or(' ')
    };
    values.map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fit_their_column() {
        let shown: Vec<String> = [
            0,
            999_400_000,
            999_600_000,
            83_456_000_000,
            10_000_000_000_000,
            123_456_789_000_000_000,
        ]
        .map(seconds)
        .into();
        assert_eq!(shown, ["0.000s", "0.999s", "1.00s", "83.46s", "10000.0s", "123456789s"]);
        assert_eq!(
            (percent(1, 3), percent(1, 0), share(12.5)),
            ("33.33%".into(), "0.00%".into(), "1250.00%".into())
        );
    }

    #[test]
    fn folders_go_first() {
        let label = "Parser.next (gunicorn/http/parser.py:12)";
        let shown: Vec<Cow<str>> = [40, 39, 32, 20].map(|room| shorten(label, room)).into();
        let expected = [
            label,
            "Parser.next (…/http/parser.py:12)",
            "Parser.next (…/parser.py:12)",
            "Parser.next (…/parser.py:12)",
        ];
        assert_eq!(shown, expected);
        assert_eq!(shorten("no place but long", 5), "no place but long");
        assert_eq!(shorten("größe (größe/größe.py)", 19), "größe (…/größe.py)");
    }

    #[test]
    fn bars_are_as_high_as_their_value() {
        assert_eq!(bars([0.0, 0.001, 0.5, 1.0, 2.0].into_iter(), 1.0), " ▁▄██");
    }
}
