//! Lines for the person at the terminal.

use std::io::Write;

/// A line from us. Where nobody reads any more, work goes on: a terminal that was closed is no
/// reason to lose a recording.
pub fn say(text: &str) {
    line(&format!("py-spy> {}", profile::printable(text)));
}

/// A line as it is, once escaped.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
