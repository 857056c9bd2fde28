//! The pages, as text of HTML. They need no script; every control has its label, an error stands
//! before its field and is tied to it, and the title tells the state. Source: spec §10.8.

use std::fmt::{self, Write as _};

use bellwether_formats::id::{Level, Zone};
use data_encoding::HEXLOWER;

use super::refusal::Refusal;
use super::{path, qr, text};
use crate::store::{CodeRow, CodeStatus, CodesOf};

mod home;

pub(super) use home::{Home, home};

/// Text that is not ours, escaped for any place in HTML where text may stand.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// Who looks at a page.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) user: String,
    /// What the forms of this session carry.
    pub(super) token: String,
}

impl Viewer {
    fn token_field(&self) -> String {
        format!(
            "<input type=\"hidden\" name=\"token\" value=\"{}\">",
            Escaped(&self.token)
        )
    }
}

/// What all pages have around their content. `main` is HTML, `title` is not.
fn frame(provider: &str, viewer: Option<&Viewer>, title: &str, main: &str) -> String {
    let (title, provider) = (Escaped(title), Escaped(provider));
    let (mut class, mut who) = (" class=\"narrow\"", String::new());
    if let Some(viewer) = viewer {
        class = "";
        who = format!(
            "<p class=\"user\">{} {}</p><form class=\"inline\" method=\"post\" action=\"{}\">{}\
             <button class=\"plain\">{}</button></form>",
            text::LOGGED_IN_AS,
            Escaped(&viewer.user),
            path::LOGOUT,
            viewer.token_field(),
            text::LOG_OUT,
        );
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title} – {provider}</title>\
         <link rel=\"stylesheet\" href=\"{}\"><script defer src=\"{}\"></script></head><body>\
         <a class=\"skip\" href=\"#main\">{}</a>\
         <header><p class=\"provider\">{provider}</p>{who}</header>\
         <main id=\"main\" tabindex=\"-1\"{class}>{main}</main></body></html>\n",
        text::LANGUAGE,
        path::STYLE,
        path::SCRIPT,
        text::SKIP,
    )
}

/// A refusal in the middle of a page, which a screen reader says at once.
fn alert(refusal: &Refusal) -> String {
    format!(
        "<div class=\"notice bad\" role=\"alert\" id=\"alert\"><strong>{}:</strong> {} \
         <span class=\"rule\">({} <code>{}</code>)</span></div>",
        text::ERROR,
        Escaped(&refusal.to_string()),
        text::RULE,
        refusal.rule(),
    )
}

/// A page's title when something was refused.
fn error_title(refusal: &Refusal, title: &str) -> String {
    format!("{}: {refusal} {title}", text::ERROR)
}

/// What brings somebody to the form for logging in.
#[derive(Debug)]
pub(super) enum Login<'a> {
    /// They asked for it.
    Asked,
    /// They logged out.
    LoggedOut,
    /// It went wrong with this name, or they have no session any more.
    Refused(&'a Refusal, &'a str),
}

/// The form for logging in.
pub(super) fn login(provider: &str, why: &Login<'_>) -> String {
    let (mut title, mut notice, mut known) = (text::LOG_IN.to_owned(), String::new(), "");
    let (mut name_tie, mut password_tie) = (" autofocus", "");
    match why {
        Login::Asked => {}
        Login::LoggedOut => {
            text::LOGGED_OUT.clone_into(&mut title);
            notice = format!(
                "<p class=\"notice good\" role=\"status\">{}.</p>",
                text::LOGGED_OUT
            );
        }
        Login::Refused(refusal, name) => {
            title = error_title(refusal, text::LOG_IN);
            notice = alert(refusal);
            known = name;
            if matches!(refusal, Refusal::Password) {
                name_tie = " aria-invalid=\"true\" aria-describedby=\"alert\"";
                password_tie = " aria-invalid=\"true\" aria-describedby=\"alert\" autofocus";
            }
        }
    }
    let main = format!(
        "<h1>{}</h1>{notice}<form class=\"card\" method=\"post\" action=\"{}\">\
         <div class=\"field\"><label for=\"name\">{}</label>\
         <input type=\"text\" id=\"name\" name=\"name\" value=\"{}\" required maxlength=\"64\" \
         autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\"{name_tie}></div>\
         <div class=\"field\"><label for=\"password\">{}</label>\
         <input type=\"password\" id=\"password\" name=\"password\" required maxlength=\"1024\" \
         autocomplete=\"current-password\"{password_tie}></div>\
         <button>{}</button></form>",
        text::LOG_IN,
        path::LOGIN,
        text::NAME,
        Escaped(known),
        text::PASSWORD,
        text::LOG_IN,
    );
    frame(provider, None, &title, &main)
}

/// A code that was just issued: the one time that it is shown.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) code: String,
    pub(super) level: Level,
    pub(super) zone: Zone,
    /// Seconds that are left, until this second of UTC.
    pub(super) left: u64,
    pub(super) expires_at: u64,
}

pub(super) fn issued(provider: &str, viewer: &Viewer, issued: &Issued) -> String {
    let main = format!(
        "<h1>{}</h1><section class=\"issued\"><div>\
         <p class=\"code\" id=\"code\">{}</p>\
         <dl><dt>{}</dt><dd><span role=\"timer\" data-left=\"{}\" data-over=\"{}\">{}</span></dd>\
         <dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd></dl>\
         </div>{}</section><p class=\"notice good\">{}</p>\
         <p class=\"actions\"><a class=\"button\" href=\"{}\">{}</a></p>",
        text::ISSUED,
        Escaped(&issued.code),
        text::TIME_LEFT,
        issued.left,
        text::EXPIRED,
        text::left(issued.left),
        text::VALID_UNTIL,
        time(issued.expires_at),
        text::LEVEL,
        text::level(issued.level).0,
        text::ZONE,
        Escaped(issued.zone.as_str()),
        qr::svg(&issued.code, text::QR_TITLE).unwrap_or_default(),
        text::SHOWN_ONCE,
        path::HOME,
        text::ANOTHER,
    );
    frame(provider, Some(viewer), text::ISSUED, &main)
}

/// Asks whether a code is to be revoked.
pub(super) fn revoke(provider: &str, viewer: &Viewer, code: &CodeStatus, now: u64) -> String {
    let title = text::revoke_which(&short(code));
    let what = if code.row.used_at.is_some() {
        text::REVOKE_USED
    } else {
        text::REVOKE_UNUSED
    };
    let main = format!(
        "<h1>{title}</h1><section><p>{what}</p>\
         <dl><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd>\
         <dt>{}</dt><dd>{}</dd></dl>\
         <div class=\"actions\"><form class=\"inline\" method=\"post\" action=\"{}\">{}\
         <input type=\"hidden\" name=\"code\" value=\"{}\"><button>{}</button></form>\
         <a class=\"button plain\" href=\"{}\">{}</a></div></section>",
        text::LEVEL,
        text::level(Level(code.row.level)).0,
        text::ZONE,
        Escaped(&code.row.zone),
        text::ISSUED_AT,
        time(code.row.issued_at),
        text::STATE,
        state(&code.row, now),
        path::REVOKE_CONFIRMED,
        viewer.token_field(),
        HEXLOWER.encode(&code.hash),
        text::REVOKE_YES,
        path::HOME,
        text::REVOKE_NO,
    );
    frame(provider, Some(viewer), &title, &main)
}

/// A refusal as a page of its own.
pub(super) fn refused(provider: &str, viewer: Option<&Viewer>, refusal: &Refusal) -> String {
    let main = format!(
        "<h1>{}</h1>{}<p><a href=\"{}\">{}</a></p>",
        text::ERROR,
        alert(refusal),
        path::HOME,
        text::BACK,
    );
    frame(provider, viewer, &error_title(refusal, ""), &main)
}

/// The name by which a code is spoken of: it cannot be told from it. Source: spec §12.2.
pub(super) fn short(code: &CodeStatus) -> String {
    let first: Vec<u8> = code.hash.iter().take(4).copied().collect();
    HEXLOWER.encode(&first)
}

/// Whether a code can still be revoked.
const fn is_revocable(code: &CodeRow, now: u64) -> bool {
    code.level != Level::NO_ALERT.0 && (code.used_at.is_some() || now < code.expires_at)
}

fn state(code: &CodeRow, now: u64) -> String {
    if code.level == Level::NO_ALERT.0 {
        text::REVOKED.to_owned()
    } else if code.used_at.is_some() {
        text::used(code.admitted)
    } else if now >= code.expires_at {
        text::EXPIRED.to_owned()
    } else {
        text::unused(code.expires_at.saturating_sub(now))
    }
}

/// A time of UTC, to the minute.
fn time(seconds: u64) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds.min(1 << 37));
    let precise = humantime::format_rfc3339_seconds(at).to_string();
    let told = precise.get(..16).unwrap_or(&precise).replace('T', " ");
    format!("<time datetime=\"{precise}\">{told} UTC</time>")
}

#[cfg(test)]
mod tests;
