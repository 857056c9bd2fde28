//! client: stands in for the real `main.rs` until that is merged.

mod cli {
    pub(crate) mod bench;
    pub(crate) mod device;
}

use clap::Parser;
use std::process::ExitCode;

#[derive(Parser)]
enum Verb {
    #[command(subcommand)]
    Device(cli::device::DeviceCommand),
    #[command(subcommand)]
    Bench(cli::bench::BenchCommand),
}

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let done = match Verb::parse() {
        Verb::Device(command) => cli::device::run(&command, &mut out)
            .map_err(|error| Box::<dyn std::error::Error>::from(error)),
        Verb::Bench(command) => cli::bench::run_command(&command, &mut out)
            .map(|()| ExitCode::SUCCESS)
            .map_err(Into::into),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            eprintln!("  cause: {error}");
            cause = error.source();
        }
        ExitCode::from(2)
    })
}
