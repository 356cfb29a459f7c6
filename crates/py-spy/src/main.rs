//! The program: parses the command line, runs the command, prints its error.

use clap::Parser;
use py_spy::cli::{Cli, Command, completions};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("error")).init();
    // Where that cannot be done, all else can.
    let _ = remote::os::signals::survive_file_limits();
    let result = match &cli.command {
        Command::Record(args) => py_spy::record::run(args),
        Command::Top(args) => py_spy::top::run(args),
        Command::Dump(args) => py_spy::dump::run(args),
        Command::Convert(args) => py_spy::convert::run(args),
        Command::Completions { shell } => {
            completions(*shell);
            Ok(0)
        }
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            error.print();
            ExitCode::from(error.status())
        }
    }
}
