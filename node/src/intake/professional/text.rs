//! The words of the page, in English. None needs escaping. A translation is another such file.

use bellwether_formats::id::Level;

pub(super) const LANGUAGE: &str = "en";
pub(super) const SKIP: &str = "Skip to the content";
pub(super) const LOG_IN: &str = "Log in";
pub(super) const LOG_OUT: &str = "Log out";
pub(super) const LOGGED_IN_AS: &str = "Logged in as";
pub(super) const LOGGED_OUT: &str = "Logged out";
pub(super) const NAME: &str = "Name";
pub(super) const PASSWORD: &str = "Password";
pub(super) const ERROR: &str = "Error";
pub(super) const BACK: &str = "Back to your codes";
pub(super) const RULE: &str = "Rule";

pub(super) const CODES: &str = "Confirmation codes";
pub(super) const ISSUE: &str = "Issue a code";
pub(super) const ISSUE_HINT: &str = "One code for one patient. The patient types or scans it into \
    the app. With it the phone reports, and the people who were near are told.";
pub(super) const LEVEL: &str = "Level";
pub(super) const ZONE: &str = "Zone";
pub(super) const CHOOSE_ZONE: &str = "Choose a zone";
pub(super) const VALID: &str = "Valid for";
pub(super) const NO_ZONE: &str = "The provider publishes in no zone now. Ask your administrator.";

pub(super) const ISSUED: &str = "Code issued";
pub(super) const SHOWN_ONCE: &str = "This code is shown once. Give it to the patient now. Nobody \
    can show it again; if it is lost, issue another one.";
pub(super) const QR_TITLE: &str = "QR code with the same code as the text above";
pub(super) const VALID_UNTIL: &str = "Valid until";
pub(super) const TIME_LEFT: &str = "Time left";
pub(super) const ANOTHER: &str = "Done, back to your codes";

pub(super) const YOUR_CODES: &str = "Your codes of the last 14 days";
pub(super) const NO_CODES: &str = "You have not issued any code in the last 14 days.";
pub(super) const CODE: &str = "Code";
pub(super) const CODE_HINT: &str = "Codes themselves cannot be shown again. In this list each has a \
    short name that stands for it.";
pub(super) const ISSUED_AT: &str = "Issued";
pub(super) const STATE: &str = "State";
pub(super) const ACTION: &str = "Action";
pub(super) const EXPIRED: &str = "expired";
pub(super) const REVOKED: &str = "revoked";
pub(super) const REVOKE: &str = "Revoke";
pub(super) const REVOKE_UNUSED: &str = "The code was not used yet. Once it is revoked, nobody can \
    use it. This cannot be undone.";
pub(super) const REVOKE_USED: &str = "The code was used. Once it is revoked, what was reported with \
    it no longer alerts anybody: the next batch says so. This cannot be undone here.";
pub(super) const REVOKE_YES: &str = "Yes, revoke it";
pub(super) const REVOKE_NO: &str = "No, go back";

/// A level, for who has to choose one.
pub(super) const fn level(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::DIAGNOSED => ("Diagnosed", "A test was positive."),
        Level::CLINICALLY_DIAGNOSED => (
            "Clinically diagnosed",
            "Diagnosed by examination, without a test.",
        ),
        Level::SYMPTOMATIC => ("Symptomatic", "Has symptoms, is not diagnosed."),
        Level::NO_ALERT => ("No alert", ""),
        Level::DEBUG => ("Debug", ""),
        _ => ("Unknown", ""),
    }
}

/// How long codes can be valid, in seconds, and how that is said.
pub(super) const VALIDITIES: [(u64, &str); 5] = [
    (600, "10 minutes"),
    (3600, "1 hour"),
    (86_400, "24 hours"),
    (259_200, "3 days"),
    (604_800, "7 days"),
];

/// A time that is left. `script.js` says the same.
pub(super) fn left(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min {rest:02} s"),
        (0, hours) => format!("{hours} h {minutes:02} min"),
        (1, hours) => format!("1 day {hours} h"),
        (days, hours) => format!("{days} days {hours} h"),
    }
}

pub(super) fn unused(seconds: u64) -> String {
    format!("unused, {} left", left(seconds))
}

pub(super) fn used(notifications: u32) -> String {
    match notifications {
        1 => "used, with 1 notification".to_owned(),
        n => format!("used, with {n} notifications"),
    }
}

pub(super) fn only_newest(shown: usize, count: usize) -> String {
    format!("The newest {shown} of {count} are shown.")
}

pub(super) fn revoke_which(code: &str) -> String {
    format!("Revoke code {code}?")
}

pub(super) fn was_revoked(code: &str, changed: usize) -> String {
    match changed {
        0 => format!("Code {code} is revoked."),
        1 => format!("Code {code} is revoked. 1 notification is withdrawn with the next batch."),
        n => {
            format!("Code {code} is revoked. {n} notifications are withdrawn with the next batch.")
        }
    }
}

pub(super) fn wait(seconds: u64) -> String {
    match seconds {
        1 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}
