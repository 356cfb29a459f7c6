//! Shared by the tests of `top`: a terminal of our own, and what is on its screen.
#![allow(dead_code)] // each test file uses a part

use crate::support::{in_foreground, py_spy};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Only guards against hanging: nothing takes this long.
const GUARD: Duration = Duration::from_secs(60);

/// A program on a terminal; killed when dropped.
pub struct Terminal {
    child: Child,
    keyboard: File,
    /// The program's end, so that what it wrote last is not lost with it.
    _line: OwnedFd,
    parser: Arc<Mutex<vt100::Parser>>,
    /// All that was written, for what a screen does not show.
    written: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Our binary on a terminal of 24 by 80.
    #[track_caller]
    pub fn top(args: &[&str]) -> Terminal {
        Terminal::sized(24, 80, &[&["top"], args].concat())
    }

    /// Our binary on a terminal of any size.
    #[track_caller]
    pub fn sized(rows: u16, columns: u16, args: &[&str]) -> Terminal {
        let mut command = py_spy(args);
        command.env_remove("NO_COLOR");
        Terminal::start(rows, columns, &command)
    }

    /// Any program.
    #[track_caller]
    pub fn start(rows: u16, columns: u16, command: &Command) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("its other end");
        let name = ptsname(&master, Vec::new()).expect("its name");
        // Not to be ours: we may lead a session without a terminal.
        let line = File::options()
            .read(true)
            .write(true)
            .custom_flags(rustix::fs::OFlags::NOCTTY.bits() as i32)
            .open(name.to_str().unwrap())
            .unwrap();
        resize(&master, rows, columns);
        // The program gets a session whose terminal this is.
        let mut session = in_foreground(&["setsid", "--ctty", "--"], command);
        if !command.get_envs().any(|(name, _)| name == "TERM") {
            session.env("TERM", "xterm-256color");
        }
        let end = || line.try_clone().unwrap();
        session.stdin(end()).stdout(end()).stderr(end());
        let child = session.spawn().expect("setsid");
        let parser = Arc::new(Mutex::new(vt100::Parser::new(cells(rows), cells(columns), 0)));
        let written = Arc::new(Mutex::new(Vec::new()));
        let keyboard = File::from(master);
        let mut from = keyboard.try_clone().unwrap();
        let (to, all) = (Arc::clone(&parser), Arc::clone(&written));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(got @ 1..) = from.read(&mut bytes) {
                all.lock().unwrap().extend_from_slice(&bytes[..got]);
                to.lock().unwrap().process(&bytes[..got]);
            }
        });
        Terminal { child, keyboard, _line: line.into(), parser, written }
    }

    /// The lines on the screen, without what is blank at their ends.
    pub fn lines(&self) -> Vec<String> {
        let parser = self.parser.lock().unwrap();
        let (_, columns) = parser.screen().size();
        parser.screen().rows(0, columns.get()).map(|line| line.trim_end().to_owned()).collect()
    }

    /// The screen as text.
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// The state of the terminal.
    pub fn screen<T>(&self, ask: impl FnOnce(&vt100::Screen) -> T) -> T {
        ask(self.parser.lock().unwrap().screen())
    }

    /// All bytes that were written.
    pub fn written(&self) -> Vec<u8> {
        self.written.lock().unwrap().clone()
    }

    /// Waits until the screen's lines give an answer.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, mut answer: impl FnMut(&[String]) -> Option<T>) -> T {
        let mut found = None;
        self.until_screen(what, |screen| {
            found = answer(&screen.lines());
            found.is_some()
        });
        found.expect("an answer")
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    pub fn until_screen(&mut self, what: &str, mut is_so: impl FnMut(&Terminal) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(
                start.elapsed() < GUARD,
                "waited {GUARD:?} for {what}; {:?}; the screen:\n{}",
                self.child.try_wait(),
                self.text()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the screen shows a text.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        self.until(text, |lines| lines.iter().any(|line| line.contains(text)).then_some(()));
    }

    /// Waits until the screen no longer shows a text.
    #[track_caller]
    pub fn wait_gone(&mut self, text: &str) {
        let what = format!("{text} to go");
        self.until(&what, |lines| (!lines.iter().any(|line| line.contains(text))).then_some(()));
    }

    /// The samples that the header tells of.
    pub fn samples(&self) -> Option<u64> {
        samples(&self.lines())
    }

    /// Waits for so many more samples to be shown.
    #[track_caller]
    pub fn wait_samples(&mut self, more: u64) {
        let before = self.samples().unwrap_or(0);
        self.until("more samples", |lines| {
            samples(lines).filter(|now| *now >= before + more).map(|_| ())
        });
    }

    /// Types.
    #[track_caller]
    pub fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("typing");
    }

    /// Gives the terminal another size.
    #[track_caller]
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.parser.lock().unwrap().screen_mut().set_size(cells(rows), cells(columns));
        resize(&self.keyboard, rows, columns);
    }

    /// The program's process.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid()).unwrap(), signal).expect("a signal");
    }

    /// Waits for the program's end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < GUARD, "does not end; the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Keys come in lines and are shown, as in a shell.
    pub fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.keyboard).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// Fails unless the terminal is as a shell wants it.
    #[track_caller]
    pub fn assert_restored(&mut self) {
        // What was written last may still be on its way to us.
        self.until_screen("the terminal to be given back", |terminal| {
            terminal.is_cooked()
                && terminal.screen(|screen| {
                    !screen.alternate_screen()
                        && !screen.hide_cursor()
                        && !screen.bracketed_paste()
                        && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
                })
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("a terminal has cells")
}

fn resize(terminal: impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("another size");
}

fn samples(lines: &[String]) -> Option<u64> {
    let line = lines.iter().find_map(|line| line.strip_prefix("Total Samples "))?;
    line.split([',', ' ']).next()?.parse().ok()
}
