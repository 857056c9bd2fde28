//! What a screen reader is told, as Chromium's accessibility tree has it.

use serde_json::{Value, json};

use super::webdriver::Browser;
use super::{PASSWORD, Ward};

/// What a screen reader is told: role and name of everything that is told.
fn heard(browser: &Browser) -> Vec<(String, String)> {
    let tree = browser.command("Accessibility.getFullAXTree", &json!({}));
    let nodes = tree["nodes"].as_array().unwrap().iter();
    let nodes = nodes.filter(|node| node["ignored"] != true);
    let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
    nodes
        .map(|node| (text(&node["role"]), text(&node["name"])))
        .collect()
}

/// Whatever can be used has a name, and the page has its landmarks and one main heading.
#[track_caller]
fn assert_accessible(browser: &Browser, told: &[(&str, &str)]) {
    let heard = heard(browser);
    for (role, name) in &heard {
        let used = [
            "textbox",
            "radio",
            "ComboBoxSelect",
            "combobox",
            "button",
            "link",
            "image",
            "table",
            "region",
            "group",
            "radiogroup",
        ];
        assert!(
            !used.contains(&role.as_str()) || !name.is_empty(),
            "{role} in {heard:?}"
        );
    }
    let count = |role: &str| heard.iter().filter(|(of, _)| of == role).count();
    assert_eq!((count("main"), count("banner")), (1, 1), "{heard:?}");
    for (role, name) in told {
        assert!(
            heard.contains(&((*role).to_owned(), (*name).to_owned())),
            "{role} {name} in {heard:?}"
        );
    }
}

#[test]
#[ignore = "needs Chromium: tests/browser/run"]
fn everything_has_a_name_that_is_heard() {
    let ward = Ward::open();
    let browser = &ward.browser;
    assert_accessible(
        browser,
        &[
            ("heading", "Log in"),
            ("textbox", "Name"),
            ("textbox", "Password"),
            ("button", "Log in"),
        ],
    );
    ward.log_in("wrong");
    let heard_now = heard(browser);
    assert!(
        heard_now.iter().any(|(role, _)| role == "alert"),
        "{heard_now:?}"
    );
    assert_accessible(browser, &[("textbox", "Password")]);
    let tied = browser.find("#password").attribute("aria-describedby");
    assert!(
        browser
            .find(&format!("#{tied}"))
            .text()
            .contains("Wrong name or password.")
    );

    ward.log_in(PASSWORD);
    let level = "Diagnosed A test was positive.";
    assert_accessible(
        browser,
        &[
            ("heading", "Confirmation codes"),
            ("group", "Level"),
            ("radio", level),
            ("button", "Log out"),
            ("button", "Issue a code"),
        ],
    );
    ward.issue();
    assert_accessible(
        browser,
        &[
            ("heading", "Code issued"),
            ("image", "QR code with the same code as the text above"),
            ("link", "Done, back to your codes"),
        ],
    );
    browser.find("main a.button").follow();
    let code = browser.find("tbody th").text();
    let revoke = format!("Revoke {code}");
    let listed = [
        ("table", "Your codes of the last 14 days"),
        ("columnheader", "State"),
        ("rowheader", &*code),
        ("button", &*revoke),
    ];
    assert_accessible(browser, &listed);
    // A small screen shows it otherwise; who hears it hears the same.
    browser.picture((360, 740), ward.world.path("list.png"));
    assert_accessible(browser, &listed);
    browser.find("tbody button").follow();
    assert_accessible(
        browser,
        &[
            ("heading", &format!("Revoke code {code}?")),
            ("button", "Yes, revoke it"),
            ("link", "No, go back"),
        ],
    );
}
