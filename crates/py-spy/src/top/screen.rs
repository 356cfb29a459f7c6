//! The run loop on a terminal.

use super::app::{App, Request};
use super::input::{Input, Inputs};
use super::model::Model;
use super::pace::{Pace, Turn};
use super::terminal::Screen;
use super::threads::Watch;
use super::view::{self, Facts};
use crate::cli::TopArgs;
use crate::error::Error;
use crate::fleet::Fleet;
use crate::launch::Launched;
use crate::record::output::{Outputs, default_name};
use crate::say::say;
use profile::{FormatKind, Style};
use remote::os::clock;
use remote::os::signals::{self, Asked};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// So much of what a program wrote is shown at the end.
const MAX_SHOWN: u64 = 64 << 10;

/// Where a program that we started writes to while the terminal is ours.
#[derive(Debug)]
pub struct Output(NamedTempFile);

impl Output {
    /// A new file.
    pub fn create() -> io::Result<Output> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("py-spy-top-").suffix(".log").append(true);
        builder.tempfile().map(Output)
    }

    /// The file.
    pub fn file(&self) -> &File {
        self.0.as_file()
    }

    /// Prints the end of what the program wrote. The file stays if the program still writes to
    /// it, or if there is more in it; its path is said then.
    pub fn show(mut self, ended: bool) {
        let written = self.0.as_file().metadata().map_or(0, |data| data.len());
        let mut text = Vec::new();
        let from = written.saturating_sub(MAX_SHOWN);
        let file = self.0.as_file_mut();
        let read = file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut text));
        if read.is_ok() {
            let _ = io::stdout().write_all(&text);
        }
        if (!ended || from > 0)
            && let Ok((_, path)) = self.0.keep()
        {
            say(&format!("what the program writes is in {}", path.display()));
        }
    }
}

/// How the person left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Quit,
    Interrupted,
}

/// Shows the numbers until the person leaves; the target may end before. Returns the status.
pub fn run(
    args: &TopArgs,
    fleet: Fleet,
    model: Model,
    pace: Pace,
    inputs: &Inputs,
    mut launched: Launched,
    output: Option<Output>,
) -> io::Result<u8> {
    let mut screen = Screen::enter()?;
    inputs.read_keys()?;
    let mut app = App::new(model, args.sort);
    app.save_name = default_name(&args.subject, FormatKind::default()).display().to_string();
    let colors = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let held = fleet.members().iter().find(|member| member.sampler.cannot_pause());
    app.message = held.map(|member| {
        format!("Process {} is held by another tracer: it is read without pausing it", member.pid())
    });
    let mut show = Show { args, fleet, pace: Some(pace), app, colors, watch: Watch::default() };
    let left = show.run(&mut screen, inputs, &mut launched);
    drop(screen);
    let left = left?;
    let ended = show.pace.is_none();
    let mut status = if ended { launched.ended_status() } else { None };
    if let Some(program) = &mut launched.program
        && status.is_none()
    {
        let pid = program.pid();
        if left == Left::Interrupted {
            program.interrupt();
            say(&format!("waiting for process {pid} to end, Control-C again to leave it"));
            while status.is_none() {
                remote::os::pause::collect_late();
                if let Some(Input::Signal(Asked::Stop(_))) =
                    inputs.wait(Some(clock::now_ns() + 10_000_000))
                {
                    say(&format!("process {pid} goes on"));
                    break;
                }
                status = program.status().map(|status| status as u8);
            }
        } else {
            say(&format!("process {pid} goes on"));
        }
    }
    if let Some(output) = output {
        output.show(status.is_some());
    }
    Ok(status.unwrap_or(0))
}

struct Show<'a> {
    args: &'a TopArgs,
    fleet: Fleet,
    /// `None` once the target has ended.
    pace: Option<Pace>,
    app: App,
    colors: bool,
    watch: Watch,
}

impl Show<'_> {
    fn run(
        &mut self,
        screen: &mut Screen,
        inputs: &Inputs,
        launched: &mut Launched,
    ) -> io::Result<Left> {
        loop {
            self.draw(screen)?;
            let turn = match &mut self.pace {
                Some(pace) => pace.next(&mut self.fleet, &mut self.app.model, inputs),
                None => match inputs.wait(None) {
                    Some(input) => Turn::Input(input),
                    None => return Ok(Left::Quit),
                },
            };
            match turn {
                Turn::Input(input) => {
                    if let Some(left) = self.input(screen, input)? {
                        return Ok(left);
                    }
                }
                Turn::Window => self.window(),
                Turn::Over => self.over(launched),
                Turn::TimeUp => return Ok(Left::Quit),
            }
        }
    }

    fn window(&mut self) {
        if let Some(notice) = self.fleet.take_notices().pop() {
            self.app.message = Some(notice);
        }
        if !self.app.model.is_paused() {
            self.app.refresh(&self.fleet.recording);
            self.look_at_threads();
        }
    }

    fn look_at_threads(&mut self) {
        self.fleet.watch_waiting(self.app.wants_threads());
        if self.app.wants_threads() {
            let rows = self.watch.list(&mut self.fleet, self.app.model.shown());
            self.app.set_threads(&self.fleet.recording, rows);
        }
    }

    /// The target has ended. What was seen stays on the screen.
    fn over(&mut self, launched: &mut Launched) {
        self.pace = None;
        self.app.model.pause(false);
        self.app.refresh(&self.fleet.recording);
        let status = launched.ended_status();
        let status = status.map_or(String::new(), |status| format!(" with status {status}"));
        self.app.ended = Some(format!("The process has ended{status}; q to quit, s to save"));
    }

    fn input(&mut self, screen: &mut Screen, input: Input) -> io::Result<Option<Left>> {
        let request = match input {
            Input::Terminal(event) => {
                let view = self.app.view.clone();
                let request = self.app.event(&self.fleet.recording, &event);
                if view != self.app.view {
                    self.look_at_threads();
                }
                request
            }
            Input::Closed | Input::Signal(Asked::Stop(_)) => return Ok(Some(Left::Quit)),
            Input::Signal(Asked::Continued) => {
                screen.renew()?;
                None
            }
            Input::Signal(Asked::Snapshot) => {
                Some(Request::Save(self.app.save_name.clone().into()))
            }
        };
        match request {
            None => {}
            Some(Request::Save(path)) => {
                self.app.message = Some(match self.save(&path) {
                    Ok(message) => message,
                    Err(error) => error.to_string(),
                });
            }
            Some(Request::Redraw) => screen.clear()?,
            Some(Request::Suspend) => {
                super::terminal::restore();
                signals::suspend()?;
                screen.renew()?;
            }
            Some(Request::Quit) => return Ok(Some(Left::Quit)),
            Some(Request::Interrupt) => return Ok(Some(Left::Interrupted)),
        }
        Ok(None)
    }

    /// Writes all that was seen, and says where.
    fn save(&mut self, path: &Path) -> Result<String, Error> {
        let style = Style {
            full_filenames: self.args.full_filenames,
            show_processes: self.fleet.recording.processes().len() > 1,
            ..Style::default()
        };
        self.fleet.finish();
        let mut said = String::new();
        let outputs = Outputs::file(path.to_owned())?;
        outputs.write(&self.fleet.recording, &style, |line| said = line.to_owned())?;
        Ok(said)
    }

    fn draw(&mut self, screen: &mut Screen) -> io::Result<()> {
        let members = self.fleet.members();
        let facts = Facts {
            recording: &self.fleet.recording,
            threads: members.iter().map(|member| member.sampler.roster.threads.len()).sum(),
            processes: members.len(),
            colors: self.colors,
        };
        let app = &mut self.app;
        screen.terminal.draw(|frame| view::draw(frame, app, &facts))?;
        Ok(())
    }
}
