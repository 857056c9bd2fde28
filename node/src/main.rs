//! `bellwether-node`: the command line of a provider or relay.

/// Tells a person something, on standard error. That nobody can read it is no failure of the verb,
/// where `eprintln!` would panic.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
