//! `top`: where the time goes, live.
//!
//! ```text
//!  pace      takes samples until a window is over or something came from outside
//!  input     keys and signals, from threads of their own
//!  model     the numbers: per sample a count, per window the rows (table)
//!  app       what is on the screen, changed by keys
//!  view      draws it; without a terminal: plain
//! ```

mod app;
mod cursor;
mod history;
mod input;
mod keys;
mod model;
#[cfg(test)]
mod model_tests;
mod pace;
mod plain;
mod prompt;
mod relations;
mod screen;
mod table;
pub mod terminal;
#[cfg(test)]
mod testing;
mod threads;
mod view;

pub use table::{Column, Level};

use crate::cli::TopArgs;
use crate::error::Error;
use crate::fleet::{Fleet, Plan};
use crate::launch::launch;
use crate::say::say;
use input::Inputs;
use model::Model;
use pace::Pace;
use profile::Keep;
use table::Grouping;
use terminal::Screen;

/// Runs the command; the status is 0, or that of a program of ours that ended first.
pub fn run(args: &TopArgs) -> Result<u8, Error> {
    let filter = args.sampling.choice.filter()?;
    let system = |error| Error::System("top", error);
    let on_screen = Screen::is_possible();
    // On the screen, the terminal is ours alone.
    let output = match on_screen && !args.subject.program.is_empty() {
        true => Some(screen::Output::create().map_err(system)?),
        false => None,
    };
    let mut launched = launch(&args.subject, output.as_ref().map(screen::Output::file))?;
    let plan = Plan {
        pids: launched.pids.clone(),
        fresh: launched.program.is_some(),
        follow: args.subject.subprocesses,
        options: args.sampling.options(),
        rate: args.timing.rate,
        // What may be saved later, in whatever format.
        keep: if on_screen { Keep::ALL } else { Keep::default() },
        filter,
    };
    let mut fleet = match Fleet::new(plan) {
        Ok(fleet) => fleet,
        // A program that ended before it could be looked at is not our failure.
        Err(error) => {
            let status = launched.ended_status().ok_or(error);
            if let Some(output) = output {
                output.show(true);
            }
            return status;
        }
    };
    let inputs = Inputs::listen().map_err(system)?;
    let grouping =
        Grouping { level: args.by, by_process: false, full_filenames: args.full_filenames };
    let mut model = Model::new(fleet.recording.meta().unit, grouping);
    let mut pace = Pace::new(&mut fleet, args.timing.rate, args.delay, args.timing.duration.0);
    if on_screen {
        return screen::run(args, fleet, model, pace, &inputs, launched, output).map_err(system);
    }
    let end = plain::run(&mut fleet, &mut model, &mut pace, &inputs, args.sort).map_err(system)?;
    if end == plain::End::Over {
        say("Stopped sampling because process exited");
        return Ok(launched.ended_status().unwrap_or(0));
    }
    Ok(0)
}
