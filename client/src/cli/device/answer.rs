//! What an intake's answer says of a report's items. Source: spec §10.

use std::collections::BTreeSet;
use std::process::ExitCode;

use bellwether_client::device::Report;
use bellwether_client::device::post::{Answer, Door};
use serde::Deserialize;

/// What became of the items that were sent, by their numbers in the report.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Said {
    pub(super) accepted: BTreeSet<usize>,
    pub(super) refused: Vec<Refused>,
}

/// What was not accepted, and why.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Refused {
    /// The item; all of them, if there is none.
    pub(super) item: Option<usize>,
    pub(super) why: String,
}

/// A line of an answer to submissions. Members that are not known are another version's.
#[derive(Deserialize)]
struct Line {
    index: usize,
    #[serde(default)]
    accepted: bool,
    #[serde(default)]
    known: bool,
    error: Option<String>,
    message: Option<String>,
}

/// Reads the answer to a report. What it does not say is not accepted.
pub(super) fn read(report: &Report, answer: &Answer) -> Said {
    read_of(report.door, report.len(), answer)
}

fn read_of(door: Door, count: usize, answer: &Answer) -> Said {
    let mut said = Said::default();
    if !answer.accepted {
        let why = format!("HTTP {}", answer.status);
        said.refused.push(Refused { item: None, why });
        return said;
    }
    if door != Door::Submissions {
        said.accepted.extend(0..count);
        return said;
    }
    let lines = answer.text.lines();
    let lines = lines.filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let mut unsaid: BTreeSet<usize> = (0..count).collect();
    for line in lines {
        if !unsaid.remove(&line.index) {
            continue;
        }
        let item = line.index;
        match line.refusal() {
            None => {
                said.accepted.insert(item);
            }
            Some(why) => {
                let item = Some(item);
                said.refused.push(Refused { item, why });
            }
        }
    }
    said.refused.extend(unsaid.into_iter().map(|index| Refused {
        item: Some(index),
        why: "the answer does not say".to_owned(),
    }));
    said
}

impl Said {
    /// Tells what was refused; gives the exit status.
    pub(super) fn tell(&self) -> ExitCode {
        for Refused { item, why } in &self.refused {
            match item {
                Some(item) => tell!("refused: item {item}: {why}"),
                None => tell!("refused: {why}"),
            }
        }
        if self.refused.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(2)
        }
    }
}

impl Line {
    /// Why the item was not accepted, if it was not.
    fn refusal(self) -> Option<String> {
        match (self.error, self.accepted) {
            (Some(rule), _) => {
                let message = self.message.unwrap_or_default();
                // It is shown on a terminal, and somebody else wrote it.
                let text = format!("{rule}: {message}");
                Some(text.chars().filter(|c| !c.is_control()).collect())
            }
            (None, true) => None,
            (None, false) if self.known => Some("somebody else submitted it before".to_owned()),
            (None, false) => Some("not accepted".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, text: &str) -> Answer {
        Answer {
            status,
            accepted: status == 200,
            text: text.to_owned(),
        }
    }

    #[test]
    fn each_line_speaks_of_its_item() {
        let text = concat!(
            "{\"index\":2,\"error\":\"unit-old\",\"message\":\"too\\u001b[2J old\"}\n",
            "{\"index\":0,\"accepted\":true,\"receipt\":\"00\",\"revision\":\"00\"}\n",
            "nonsense\n",
            "{\"index\":1,\"accepted\":true,\"known\":true}\n",
            "{\"index\":3,\"accepted\":false,\"known\":true}\n",
            "{\"index\":2,\"accepted\":true}\n",
            "{\"index\":4}\n",
            "{\"index\":99,\"accepted\":true}\n",
        );
        let said = read_of(Door::Submissions, 6, &answer(200, text));
        assert_eq!(said.accepted, [0, 1].into());
        let refused = [
            (2, "unit-old: too[2J old"),
            (3, "somebody else submitted it before"),
            (4, "not accepted"),
            (5, "the answer does not say"),
        ];
        let refused = refused.map(|(item, why)| Refused {
            item: Some(item),
            why: why.to_owned(),
        });
        assert_eq!(said.refused, refused);
    }

    #[test]
    fn an_error_accepts_nothing_whatever_it_says() {
        let text = "{\"index\":0,\"accepted\":true}";
        for door in [Door::Reports, Door::Tcn, Door::Submissions] {
            let said = read_of(door, 1, &answer(403, text));
            assert_eq!((said.accepted.len(), said.refused.len()), (0, 1));
        }
        let said = read_of(Door::Tcn, 1, &answer(200, "{\"accepted\":1}"));
        assert_eq!(said.accepted, [0].into());
        let said = read_of(Door::Submissions, 2, &answer(200, ""));
        assert_eq!((said.accepted.len(), said.refused.len()), (0, 2));
    }
}
