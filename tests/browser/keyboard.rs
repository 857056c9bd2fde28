//! By keyboard alone.

use super::webdriver::{Browser, ENTER, SPACE, TAB};
use super::{NAME, PASSWORD, Ward};

/// What the focus is on, in a word.
fn focus(browser: &Browser) -> String {
    let focused = browser.focused();
    let texts = ["id", "name", "class"].map(|name| focused.attribute(name));
    let first = texts.into_iter().find(|text| !text.is_empty());
    first.unwrap_or_else(|| focused.text())
}

#[test]
#[ignore = "needs Chromium: tests/browser/run"]
fn the_keyboard_is_enough() {
    let ward = Ward::open();
    let browser = &ward.browser;
    assert_eq!(focus(browser), "name", "one may write at once");
    browser.leave(|| browser.press(&[NAME, TAB, PASSWORD, ENTER]));
    assert_eq!(ward.path(), "/professional/");

    let mut order = Vec::new();
    for _ in 0..6 {
        browser.press(&[TAB]);
        order.push(focus(browser));
    }
    assert_eq!(
        order,
        ["skip", "plain", "level", "zone", "valid", "Issue a code"]
    );
    // The form says what is missing, and takes one there.
    browser.press(&[ENTER]);
    assert_eq!(
        (ward.path().as_str(), focus(browser).as_str()),
        ("/professional/", "level")
    );
    browser.leave(|| browser.press(&[SPACE, TAB, TAB, TAB, ENTER]));
    assert_eq!(ward.path(), "/professional/issue");
    assert_eq!(browser.find("#code").text().len(), 19);
    browser.press(&[TAB, TAB, TAB]);
    assert_eq!(browser.focused().text(), "Done, back to your codes");
    browser.leave(|| browser.press(&[ENTER]));

    browser.press(&[TAB, ENTER, TAB]);
    assert_eq!(focus(browser), "level", "the way past what all pages have");
    browser.press(&[TAB, TAB, TAB, TAB]);
    assert!(
        browser.focused().text().starts_with("Revoke"),
        "{}",
        focus(browser)
    );
    browser.leave(|| browser.press(&[ENTER]));
    browser.press(&[TAB, TAB, TAB]);
    assert_eq!(browser.focused().text(), "Yes, revoke it");
    browser.leave(|| browser.press(&[ENTER]));
    assert!(browser.find("tbody tr").text().contains("revoked"));
    browser.press(&[TAB, TAB]);
    assert_eq!(browser.focused().text(), "Log out");
    browser.leave(|| browser.press(&[ENTER]));
    assert_eq!(browser.title(), "Logged out – board of the test");
}
