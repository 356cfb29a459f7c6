//! The keys, in a box over the rest.

use super::super::keys::HELP;
use super::Facts;
use super::text::{after, put};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, Clear};

/// The box in the middle of the screen.
fn area(screen: Rect) -> Rect {
    let width = screen.width.min(78);
    let height = screen.height.min(HELP.len() as u16 + 2);
    Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    }
}

/// How many lines there is room for.
pub fn lines(screen: Rect) -> usize {
    usize::from(area(screen).height.saturating_sub(2))
}

/// Draws the keys from number `from` on.
pub fn draw(frame: &mut Frame, from: usize, facts: &Facts) {
    let area = area(frame.area());
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" Keys (? or Esc closes) ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let names = if inner.width >= 50 { 13 } else { 7 };
    for (at, (key, what)) in (0..inner.height).zip(HELP.iter().skip(from)) {
        let line = Rect { y: inner.y + at, height: 1, ..inner };
        put(frame, super::text::first(after(line, 1), names), key, facts.strong());
        put(frame, after(line, names + 2), what, Style::new());
    }
}
