//! `bellwether-node`: the command line of a provider or relay.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
