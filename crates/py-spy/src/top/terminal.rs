//! The terminal while it is ours, given back in any case.

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stdout};
use std::os::fd::AsFd;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// The terminal is in a state that has to be undone.
static OURS: AtomicBool = AtomicBool::new(false);

/// The whole screen. Dropping it gives the terminal back, and so does a panic before it is
/// reported.
#[derive(Debug)]
pub struct Screen {
    /// To draw with.
    pub terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Screen {
    /// Whether there is a terminal that a screen can be drawn on.
    pub fn is_possible() -> bool {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        io::stdout().is_terminal() && !dumb
    }

    /// Takes the terminal: keys come one by one, and what was on the screen is kept.
    pub fn enter() -> io::Result<Screen> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                report(panic);
            }));
        });
        let taken = Screen::take().and_then(|()| {
            let terminal = Terminal::new(CrosstermBackend::new(BufWriter::new(io::stdout())))?;
            let mut screen = Screen { terminal };
            screen.clear()?;
            Ok(screen)
        });
        if taken.is_err() {
            restore();
        }
        taken
    }

    fn take() -> io::Result<()> {
        OURS.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture, EnableBracketedPaste, Hide)
    }

    /// Takes the terminal anew: somebody else had it meanwhile.
    pub fn renew(&mut self) -> io::Result<()> {
        restore();
        Screen::take()?;
        self.clear()
    }

    /// Clears the screen, so that the next drawing draws everything.
    pub fn clear(&mut self) -> io::Result<()> {
        // Terminal::clear would ask the terminal where its cursor is, and not all answer.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, if it is ours. From any thread: it waits for no other.
pub fn restore() {
    if !OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    // Another file of the same terminal, as the standard output may be locked.
    if let Ok(out) = io::stdout().as_fd().try_clone_to_owned() {
        let mut out = File::from(out);
        let _ =
            execute!(out, DisableBracketedPaste, DisableMouseCapture, LeaveAlternateScreen, Show);
    }
    let _ = disable_raw_mode();
}
