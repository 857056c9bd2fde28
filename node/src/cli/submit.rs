//! `submit`.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bellwether_node::admin::{MAX_UNITS, Request, Submission};
use bellwether_node::intake::submissions::MAX_LINE_BYTES;
use serde_json::Value;

use super::ask::{Dir, ask, list};
use super::{CliError, say};

/// Most bytes of units in one request; with tokens and escapes it stays far below its bound.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    dir: Dir,
    /// Scheme of all units: cx1, cx2, tcn, dp3t-lowcost, dp3t-unlinkable, dp3t-hybrid, gaen, fanny.
    #[arg(long)]
    scheme: String,
    /// What is said of them.
    #[arg(long)]
    level: String,
    /// Where they matter.
    #[arg(long)]
    zone: String,
    /// Finer weight, 0 to 100.
    #[arg(long)]
    grade: Option<i64>,
    /// All are one patient's, whom this text stands for: 1 to 64 bytes. Without it each is its own's.
    #[arg(long)]
    case: Option<String>,
    /// Revision tokens, one a line, for the units in their order: their levels may change.
    #[arg(long, value_name = "FILE")]
    revisions: Option<PathBuf>,
    /// Change what is known, whoever submitted it and whatever its scheme allows, and take in nothing
    /// new: for mistakes.
    #[arg(long, conflicts_with_all = ["revisions", "case"])]
    mend: bool,
    /// The units, one a line; `-` reads stdin.
    file: PathBuf,
}

/// Asks for some thousand units at a time: each time is durable by itself, and others are heard
/// in between.
pub(super) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let mut units = open(&args.file)?;
    let mut tokens = args.revisions.as_deref().map(open).transpose()?;
    let mut request = submission(args, 0);
    let mut bytes = 0;
    let mut all_accepted = true;
    while let Some(unit) = next_line(&mut units)? {
        if let Some(tokens) = &mut tokens {
            let token = next_line(tokens)?.unwrap_or_default();
            request.revisions.push(token);
        }
        bytes += unit.len();
        request.units.push(unit);
        if request.units.len() == MAX_UNITS || bytes > MAX_REQUEST_BYTES {
            let next = submission(args, request.first + request.units.len());
            all_accepted &= send(args, std::mem::replace(&mut request, next))?;
            bytes = 0;
        }
    }
    if !request.units.is_empty() {
        all_accepted &= send(args, request)?;
    }
    Ok(if all_accepted {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// A request without units, the first of which will be number `first`.
fn submission(args: &Args, first: usize) -> Submission {
    Submission {
        scheme: args.scheme.clone(),
        zone: args.zone.clone(),
        level: args.level.clone(),
        grade: args.grade,
        case: args.case.clone(),
        units: Vec::new(),
        revisions: Vec::new(),
        mend: args.mend,
        first,
    }
}

/// Whether all of them were accepted.
fn send(args: &Args, submission: Submission) -> Result<bool, CliError> {
    let answer = ask(&args.dir.data_dir, &Request::Submit(submission))?;
    let mut all = true;
    for line in list(&answer, "lines")? {
        all &= line.get("accepted") == Some(&Value::Bool(true));
        say(line)?;
    }
    Ok(all)
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, CliError> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|source| CliError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(Box::new(BufReader::new(file)))
}

/// The next line that is not empty, without white space around it. Of one that is too long enough is
/// kept for the node to see it; what is no UTF-8 breaks the unit's form all the same.
fn next_line(from: &mut dyn BufRead) -> io::Result<Option<String>> {
    loop {
        let mut line = Vec::new();
        let mut ended = false;
        let mut any = false;
        while !ended {
            let some = from.fill_buf()?;
            if some.is_empty() {
                break;
            }
            any = true;
            let end = some.iter().position(|byte| *byte == b'\n');
            let part = some.get(..end.unwrap_or(some.len())).unwrap_or_default();
            let room = (MAX_LINE_BYTES + 1).saturating_sub(line.len());
            line.extend(part.iter().take(room));
            let used = part.len() + usize::from(end.is_some());
            ended = end.is_some();
            from.consume(used);
        }
        let text = String::from_utf8_lossy(&line);
        // Some editors begin a file with a byte order mark, which is no part of the first unit.
        let text = text.trim_start_matches('\u{feff}');
        if !text.trim().is_empty() {
            return Ok(Some(text.trim().to_owned()));
        }
        if !any {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_empty_ones_are_none() {
        let long = "x".repeat(3 * MAX_LINE_BYTES);
        let text = format!("a b\r\n\n  \n{long}\n\u{feff}é\nlast");
        // A reader that gives three bytes at a time.
        let mut reader = BufReader::with_capacity(3, text.as_bytes());
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut reader).unwrap() {
            lines.push(line);
        }
        let cut = "x".repeat(MAX_LINE_BYTES + 1);
        assert_eq!(lines, ["a b", &cut, "é", "last"]);
        assert_eq!(next_line(&mut "".as_bytes()).unwrap(), None);
    }
}
