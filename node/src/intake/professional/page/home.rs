//! The page where codes are issued, and where one's own are listed.

use std::fmt::Write as _;

use bellwether_formats::id::{Level, Zone};
use data_encoding::HEXLOWER;

use super::{
    CodeStatus, CodesOf, Escaped, Refusal, Viewer, alert, error_title, frame, is_revocable, path,
    short, state, text, time,
};
use crate::intake::professional::codes::{DEFAULT_VALID_S, LEVELS};

/// What the page shows.
#[derive(Debug)]
pub(in crate::intake::professional) struct Home<'a> {
    /// The zones that codes can be issued for.
    pub(in crate::intake::professional) zones: &'a [Zone],
    /// One's own codes.
    pub(in crate::intake::professional) codes: &'a CodesOf,
    /// What was just done.
    pub(in crate::intake::professional) done: Option<&'a str>,
    /// What was just refused.
    pub(in crate::intake::professional) refusal: Option<&'a Refusal>,
    /// In seconds of UTC.
    pub(in crate::intake::professional) now: u64,
}

pub(in crate::intake::professional) fn home(
    provider: &str,
    viewer: &Viewer,
    shown: &Home<'_>,
) -> String {
    let (mut title, mut notice) = (text::CODES.to_owned(), String::new());
    if let Some(refusal) = shown.refusal {
        title = error_title(refusal, text::CODES);
        notice = alert(refusal);
    } else if let Some(done) = shown.done {
        title = done.to_owned();
        notice = format!(
            "<p class=\"notice good\" role=\"status\">{}</p>",
            Escaped(done)
        );
    }
    let main = format!(
        "<h1>{}</h1>{notice}<section aria-labelledby=\"issue\"><h2 id=\"issue\">{}</h2>{}</section>\
         <section aria-labelledby=\"codes\"><h2 id=\"codes\">{}</h2>{}</section>",
        text::CODES,
        text::ISSUE,
        issue(viewer, shown),
        text::YOUR_CODES,
        list(viewer, shown),
    );
    frame(provider, Some(viewer), &title, &main)
}

fn issue(viewer: &Viewer, shown: &Home<'_>) -> String {
    if shown.zones.is_empty() {
        return format!("<p>{}</p>", text::NO_ZONE);
    }
    // The error's place is before the field that it is about.
    let tie = |is: bool| {
        if is {
            " aria-invalid=\"true\" aria-describedby=\"alert\" autofocus"
        } else {
            ""
        }
    };
    let is = |which: fn(&Refusal) -> bool| shown.refusal.is_some_and(which);
    format!(
        "<p class=\"hint\">{}</p><form method=\"post\" action=\"{}\">{}{}{}{}\
         <button>{}</button></form>",
        text::ISSUE_HINT,
        path::ISSUE,
        viewer.token_field(),
        levels(tie(is(|refusal| matches!(refusal, Refusal::Level)))),
        zones(
            shown.zones,
            tie(is(|refusal| matches!(refusal, Refusal::Zone)))
        ),
        validities(tie(is(|refusal| matches!(refusal, Refusal::Valid)))),
        text::ISSUE,
    )
}

/// No level is chosen beforehand: a wrong one is told to people who were near.
fn levels(tie: &str) -> String {
    let described = if tie.is_empty() {
        ""
    } else {
        " aria-describedby=\"alert\""
    };
    let mut field = format!("<fieldset{described}><legend>{}</legend>", text::LEVEL);
    for (place, level) in LEVELS.into_iter().enumerate() {
        let (name, what) = text::level(level);
        let tie = if place == 0 { tie } else { "" };
        write!(
            field,
            "<label class=\"choice\"><input type=\"radio\" name=\"level\" value=\"{}\" \
             required{tie}><span>{name}<br><span class=\"what\">{what}</span></span></label>",
            level.name(),
        )
        .expect("text is written to memory");
    }
    field + "</fieldset>"
}

fn zones(zones: &[Zone], tie: &str) -> String {
    let mut options = String::new();
    if zones.len() > 1 {
        options = format!("<option value=\"\">{}</option>", text::CHOOSE_ZONE);
    }
    for zone in zones {
        let zone = Escaped(zone.as_str());
        write!(options, "<option>{zone}</option>").expect("text is written to memory");
    }
    select("zone", text::ZONE, &options, tie)
}

fn validities(tie: &str) -> String {
    let option = |(seconds, name): (u64, &str)| {
        let chosen = if seconds == DEFAULT_VALID_S {
            " selected"
        } else {
            ""
        };
        format!("<option value=\"{seconds}\"{chosen}>{name}</option>")
    };
    let options: String = text::VALIDITIES.into_iter().map(option).collect();
    select("valid", text::VALID, &options, tie)
}

fn select(name: &str, label: &str, options: &str, tie: &str) -> String {
    format!(
        "<div class=\"field\"><label for=\"{name}\">{label}</label>\
         <select id=\"{name}\" name=\"{name}\" required{tie}>{options}</select></div>"
    )
}

/// A table, which small screens show as one block a code; the roles keep it a table for who hears
/// it.
fn list(viewer: &Viewer, shown: &Home<'_>) -> String {
    let codes = shown.codes;
    if codes.newest.is_empty() {
        return format!("<p>{}</p>", text::NO_CODES);
    }
    let mut table = format!("<p class=\"hint\">{}", text::CODE_HINT);
    if codes.count > codes.newest.len() {
        table += " ";
        table += &text::only_newest(codes.newest.len(), codes.count);
    }
    table += "</p><table role=\"table\" aria-labelledby=\"codes\"><thead role=\"rowgroup\"><tr role=\"row\">";
    for name in [
        text::CODE,
        text::LEVEL,
        text::ZONE,
        text::ISSUED_AT,
        text::VALID_UNTIL,
        text::STATE,
        text::ACTION,
    ] {
        write!(table, "<th role=\"columnheader\" scope=\"col\">{name}</th>")
            .expect("text is written to memory");
    }
    table += "</tr></thead><tbody role=\"rowgroup\">";
    for code in &codes.newest {
        table += &row(viewer, code, shown.now);
    }
    table + "</tbody></table>"
}

fn row(viewer: &Viewer, code: &CodeStatus, now: u64) -> String {
    let name = short(code);
    let mut row = format!("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">{name}</th>");
    let zone = Escaped(&code.row.zone).to_string();
    for (label, value) in [
        (text::LEVEL, text::level(Level(code.row.level)).0),
        (text::ZONE, &zone),
        (text::ISSUED_AT, &time(code.row.issued_at)),
        (text::VALID_UNTIL, &time(code.row.expires_at)),
        (text::STATE, &state(&code.row, now)),
    ] {
        write!(row, "<td role=\"cell\" data-label=\"{label}\">{value}</td>")
            .expect("text is written to memory");
    }
    row += "<td role=\"cell\">";
    if is_revocable(&code.row, now) {
        write!(
            row,
            "<form class=\"inline\" method=\"post\" action=\"{}\">{}\
             <input type=\"hidden\" name=\"code\" value=\"{}\"><button class=\"plain\">{}\
             <span class=\"unseen\"> {name}</span></button></form>",
            path::REVOKE,
            viewer.token_field(),
            HEXLOWER.encode(&code.hash),
            text::REVOKE,
        )
        .expect("text is written to memory");
    }
    row + "</td></tr>"
}
