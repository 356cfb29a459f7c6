//! The picture in docs/top.md is one of a real screen. `PYSPY_PICTURES=1 cargo test --test
//! top_picture` makes it anew.

mod support;
mod top_kit;

use std::fmt::Write;
use support::{interpreter, project, py_spy};
use top_kit::Terminal;

/// The size of a character cell.
const CELL: (f64, f64) = (8.4, 18.0);
const MARGIN: f64 = 12.0;
const BACK: &str = "#16181d";
const FORE: &str = "#d7dae0";

/// The colours that `top` uses, of the sixteen that every terminal has.
fn color(color: vt100::Color) -> Option<&'static str> {
    match color {
        vt100::Color::Idx(1) => Some("#e0656f"),
        vt100::Color::Idx(2) => Some("#8cc265"),
        vt100::Color::Idx(3) => Some("#d8a657"),
        vt100::Color::Idx(5) => Some("#c678dd"),
        vt100::Color::Idx(6) => Some("#56b6c2"),
        vt100::Color::Idx(8) => Some("#767d8a"),
        _ => None,
    }
}

/// The screen as an SVG: one text for each run of cells that look alike.
fn svg(screen: &vt100::Screen) -> String {
    let (rows, columns) = screen.size();
    let (width, height) = (
        f64::from(columns.get()) * CELL.0 + 2.0 * MARGIN,
        f64::from(rows.get()) * CELL.1 + 2.0 * MARGIN,
    );
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         font-family=\"Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACK}\"/>\n"
    );
    for row in 0..rows.get() {
        let mut runs: Vec<(u16, String, (vt100::Color, bool, bool))> = Vec::new();
        for column in 0..columns.get() {
            let Some(cell) = screen.cell(row, column) else { continue };
            let look = (cell.fgcolor(), cell.bold(), cell.inverse());
            let text = if cell.has_contents() { cell.contents() } else { " " };
            match runs.last_mut() {
                Some((_, run, same)) if *same == look => run.push_str(text),
                _ => runs.push((column, text.to_owned(), look)),
            }
        }
        for (column, text, (fore, bold, inverse)) in runs {
            let x = MARGIN + f64::from(column) * CELL.0;
            let y = MARGIN + f64::from(row) * CELL.1;
            let width = text.chars().count() as f64 * CELL.0;
            let mut fill = color(fore).unwrap_or(FORE);
            if inverse {
                let _ = writeln!(
                    out,
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{fill}\"/>",
                    CELL.1
                );
                fill = BACK;
            }
            if text.trim().is_empty() {
                continue;
            }
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let weight = if bold { " font-weight=\"bold\"" } else { "" };
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" xml:space=\"preserve\" fill=\"{fill}\"{weight}>{text}</text>",
                y + 13.5
            );
        }
    }
    out + "</svg>\n"
}

#[test]
fn the_picture() {
    let python = interpreter(&["3.13.*", "3.14.*", "3.12.*", "3.11.*"]);
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&python.path, folder.path().join("python3")).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut command =
        py_spy(["top", "--delay", "0.25", "-r", "200", "--", "python3", "examples/orders.py"]);
    command.env("PATH", path).current_dir(project()).env_remove("NO_COLOR");
    let mut screen = Terminal::start(20, 92, &command);
    screen.wait_for("Catalogue.price (orders.py)");
    screen.wait_for("discount (orders.py)");
    let picture_wanted = std::env::var_os("PYSPY_PICTURES").is_some();
    if picture_wanted {
        // Far enough into the run for all of it to be seen.
        screen.wait_samples(1000);
    }
    let picture = screen.screen(svg);
    for text in
        ["Collecting samples from", "python3 examples/orders.py", "Catalogue.price", "GIL: "]
    {
        assert!(picture.contains(text), "no {text} in {picture}");
    }
    assert_eq!(picture.matches("<text").count(), picture.matches("</text>").count());
    if picture_wanted {
        std::fs::write(project().join("docs/top.svg"), picture).unwrap();
    }
    screen.keys("\u{3}");
    screen.wait();
}
