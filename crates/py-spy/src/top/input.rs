//! Keys and signals, each read by a thread of its own: sampling never waits for them, and they
//! never wait for the next sample.

use super::terminal;
use ratatui::crossterm::event::{self, Event};
use remote::os::clock;
use remote::os::signals::{self, Asked, Patience};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// What came from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key, the mouse, another size.
    Terminal(Event),
    /// The terminal is gone.
    Closed,
    /// A signal.
    Signal(Asked),
}

/// Where keys and signals arrive.
#[derive(Debug)]
pub struct Inputs {
    arrived: Receiver<Input>,
    /// Keeps the channel open where nobody else does.
    sender: Sender<Input>,
}

impl Inputs {
    /// Listens to signals from now on. A further signal to end ends us at once, as the first one
    /// should have.
    pub fn listen() -> io::Result<Inputs> {
        let (sender, arrived) = channel();
        let tell = sender.clone();
        let mut patience = Patience::default();
        signals::listen(move |asked| {
            if let Asked::Stop(signal) = asked
                && patience.is_over()
            {
                terminal::restore();
                std::process::exit(128 + signal);
            }
            // Nobody listens any more at the very end.
            let _ = tell.send(Input::Signal(asked));
        })?;
        Ok(Inputs { arrived, sender })
    }

    /// Reads keys too; the screen must be ours already.
    pub fn read_keys(&self) -> io::Result<()> {
        let tell = self.sender.clone();
        let read = move || {
            loop {
                let input = event::read().map_or(Input::Closed, Input::Terminal);
                let closed = input == Input::Closed;
                if tell.send(input).is_err() || closed {
                    break;
                }
            }
        };
        std::thread::Builder::new().name("keys".into()).spawn(read).map(|_| ())
    }

    /// Waits for what comes, until `until_ns` on the clock of [`clock::now_ns`]; for ever
    /// without. What has come already is given first, if the time has passed as well.
    pub fn wait(&self, until_ns: Option<u64>) -> Option<Input> {
        let Some(until_ns) = until_ns else { return self.arrived.recv().ok() };
        let left = until_ns.saturating_sub(clock::now_ns());
        self.arrived.recv_timeout(Duration::from_nanos(left)).ok()
    }
}
