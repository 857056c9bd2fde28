//! What a browser says of itself: where a form comes from, and its cookies. Source: spec §10.8.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use data_encoding::HEXLOWER;

/// How long a browser is known that logged in once, in seconds (30 days).
const KNOWN_FOR_S: u64 = 30 * 24 * 60 * 60;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a form comes from a page of this node: the browser says so by `Sec-Fetch-Site` or by
/// `Origin`, and does not contradict itself. An origin of `null` says nothing: that is what our own
/// pages send, as they give no referrer.
pub(super) fn is_from_here(fields: &HeaderMap) -> bool {
    let text = |name: &HeaderName| fields.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(&FETCH_SITE).map(|site| site == "same-origin");
    let origin = text(&header::ORIGIN).filter(|origin| *origin != "null");
    let origin = origin.map(|origin| is_host(origin, text(&header::HOST)));
    site != Some(false) && origin != Some(false) && (site.is_some() || origin.is_some())
}

fn is_host(origin: &str, host: Option<&str>) -> bool {
    let authority = ["https://", "http://"]
        .into_iter()
        .find_map(|scheme| origin.strip_prefix(scheme));
    authority.is_some() && authority == host
}

/// The two cookies, as this request can have them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cookies {
    secure: bool,
}

/// A cookie of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cookie {
    /// The session's id, until the browser is closed.
    Session,
    /// That this browser logged in before.
    Browser,
}

impl Cookies {
    /// Those of a request. Cookies are for TLS alone, whether this node ends it or a proxy in front
    /// of it; but not on a loopback name, where the page is tried out without.
    pub(super) fn of(tls: bool, fields: &HeaderMap) -> Self {
        let host = fields.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok()?.parse::<Uri>().ok());
        let loopback = host.is_some_and(|host| host.host().is_some_and(is_loopback));
        Self {
            secure: tls || !loopback,
        }
    }

    const fn name(self, cookie: Cookie) -> &'static str {
        match (cookie, self.secure) {
            (Cookie::Session, true) => "__Host-bellwether-session",
            (Cookie::Session, false) => "bellwether-session",
            (Cookie::Browser, true) => "__Host-bellwether-browser",
            (Cookie::Browser, false) => "bellwether-browser",
        }
    }

    /// What the browser has.
    pub(super) fn get(self, fields: &HeaderMap, cookie: Cookie) -> Option<&str> {
        let all = fields.get_all(header::COOKIE).iter();
        let pairs = all.filter_map(|line| line.to_str().ok());
        pairs.flat_map(|line| line.split(';')).find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.name(cookie)).then_some(value)
        })
    }

    /// The field that gives the browser a cookie; an empty one is taken away.
    pub(super) fn set(self, cookie: Cookie, value: &str) -> Option<HeaderValue> {
        let name = self.name(cookie);
        let mut text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict");
        if self.secure {
            text += "; Secure";
        }
        if value.is_empty() {
            text += "; Max-Age=0";
        } else if cookie == Cookie::Browser {
            text += &format!("; Max-Age={KNOWN_FOR_S}");
        }
        // Ours are hexadecimal.
        HeaderValue::from_str(&text).ok()
    }
}

fn is_loopback(host: &str) -> bool {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let v4 = plain.parse::<Ipv4Addr>().map(IpAddr::from);
    let address = v4.or_else(|_| plain.parse::<Ipv6Addr>().map(IpAddr::from));
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Tells browsers that logged in before from others, for [`Attempts`](super::attempts::Attempts).
/// Nothing is kept of them; with the process they are forgotten.
#[derive(Debug)]
pub(super) struct KnownBrowsers(hmac::Key);

impl KnownBrowsers {
    /// Takes 32 random bytes.
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The cookie of a browser in which this user has just logged in; `number` is random.
    pub(super) fn cookie(&self, user: &str, number: [u8; 16]) -> String {
        let tag = hmac::sign(&self.0, &[&number, user.as_bytes()].concat());
        HEXLOWER.encode(&[&number[..], tag.as_ref()].concat())
    }

    /// The number of a browser in which this user logged in before.
    pub(super) fn number(&self, user: &str, cookie: &str) -> Option<[u8; 16]> {
        if cookie.len() != 2 * (16 + 32) {
            return None;
        }
        let bytes = HEXLOWER.decode(cookie.as_bytes()).ok()?;
        let (number, tag) = bytes.split_first_chunk::<16>()?;
        hmac::verify(&self.0, &[number, user.as_bytes()].concat(), tag).ok()?;
        Some(*number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        list.iter().map(field).collect()
    }

    #[test]
    fn a_form_comes_from_here_or_is_refused() {
        let host = ("host", "hb.example:8443");
        let own = ("origin", "https://hb.example:8443");
        let site = |site| ("sec-fetch-site", site);
        for (good, list) in [
            (true, vec![host, own]),
            (true, vec![host, own, site("same-origin")]),
            (true, vec![host, ("origin", "null"), site("same-origin")]),
            (true, vec![host, site("same-origin")]),
            (
                true,
                vec![("host", "127.0.0.1:1"), ("origin", "http://127.0.0.1:1")],
            ),
            (false, vec![host]),
            (false, vec![host, ("origin", "null")]),
            (false, vec![own]),
            (false, vec![host, own, site("same-site")]),
            (false, vec![host, own, site("cross-site")]),
            (false, vec![host, own, site("none")]),
            (false, vec![host, ("origin", "null"), site("cross-site")]),
            (
                false,
                vec![host, ("origin", "https://hb.example"), site("same-origin")],
            ),
            (false, vec![host, ("origin", "https://evil.example:8443")]),
            (
                false,
                vec![host, ("origin", "https://hb.example:8443.evil.example")],
            ),
            (false, vec![host, ("origin", "hb.example:8443")]),
            (false, vec![host, ("origin", "ftp://hb.example:8443")]),
            (false, vec![host, ("origin", "")]),
        ] {
            assert_eq!(is_from_here(&fields(&list)), good, "{list:?}");
        }
    }

    #[test]
    fn cookies_are_for_tls_and_for_loopback() {
        let set = |tls, host: &'static str| {
            let cookies = Cookies::of(tls, &fields(&[("host", host)]));
            let field = cookies.set(Cookie::Session, "00ff").unwrap();
            field.to_str().unwrap().to_owned()
        };
        let secure = "__Host-bellwether-session=00ff; Path=/; HttpOnly; SameSite=Strict; Secure";
        for (tls, host) in [
            (true, "127.0.0.1:7443"),
            (true, "hb.example"),
            (false, "hb.example"),
            (false, "127.0.0.1.example"),
            (false, "localhost.example"),
            (false, "10.0.0.1:80"),
            (false, ""),
        ] {
            assert_eq!(set(tls, host), secure, "{tls} {host}");
        }
        let plain = "bellwether-session=00ff; Path=/; HttpOnly; SameSite=Strict";
        for host in ["127.0.0.1:7443", "localhost", "[::1]:7443", "127.1.2.3"] {
            assert_eq!(set(false, host), plain, "{host}");
        }
        let none = Cookies::of(true, &fields(&[]));
        let field = none.set(Cookie::Session, "").unwrap();
        assert!(field.to_str().unwrap().ends_with("; Secure; Max-Age=0"));
        let field = none.set(Cookie::Browser, "00").unwrap();
        assert!(field.to_str().unwrap().ends_with("; Max-Age=2592000"));
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let fields = fields(&[
            (
                "cookie",
                "a=1; bellwether-session=2;__Host-bellwether-session=3 ; b",
            ),
            ("cookie", "__Host-bellwether-browser=4"),
        ]);
        let secure = Cookies { secure: true };
        assert_eq!(secure.get(&fields, Cookie::Session), Some("3"));
        assert_eq!(secure.get(&fields, Cookie::Browser), Some("4"));
        let plain = Cookies { secure: false };
        assert_eq!(plain.get(&fields, Cookie::Session), Some("2"));
        assert_eq!(plain.get(&fields, Cookie::Browser), None);
    }

    #[test]
    fn a_browser_is_known_for_one_user_and_one_process() {
        let browsers = KnownBrowsers::new(&[1; 32]);
        let cookie = browsers.cookie("anna", [9; 16]);
        assert_eq!(browsers.number("anna", &cookie), Some([9; 16]));
        assert_eq!(browsers.number("bo", &cookie), None);
        assert_eq!(KnownBrowsers::new(&[2; 32]).number("anna", &cookie), None);
        let changed = cookie.replacen("09", "08", 1);
        for bad in [
            "",
            &cookie[2..],
            &changed,
            &format!("{cookie}00"),
            &"g".repeat(96),
        ] {
            assert_eq!(browsers.number("anna", bad), None, "{bad}");
        }
    }
}
