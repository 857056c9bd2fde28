//! Bodies of forms: `application/x-www-form-urlencoded`, strictly. Source: spec §10.8.

/// Most bytes of a form's body. Names, passwords and tokens at their limits, escaped, fit in.
pub(super) const MAX_FORM_BYTES: usize = 4 * 1024;

/// The fields of a form: each one of those that it has, and at most once.
#[derive(Eq, PartialEq)]
pub(super) struct Form(Vec<(&'static str, String)>);

/// Says nothing: there are passwords among the fields.
impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Form(..)")
    }
}

impl Form {
    /// Reads a body with some of these fields; none if it is not spelled as browsers spell it, is
    /// not UTF-8, or has another field or one twice.
    pub(super) fn parse(body: &[u8], fields: &[&'static str]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let mut form = Self(Vec::new());
        if text.is_empty() {
            return Some(form);
        }
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=')?;
            let field = fields.iter().find(|field| **field == name)?;
            if form.get(field).is_some() {
                return None;
            }
            form.0.push((field, decode(value)?));
        }
        Some(form)
    }

    /// A field, if it was sent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        fields.find_map(|(field, value)| (*field == name).then_some(value.as_str()))
    }
}

/// A value: letters, digits and `*-._` stand for themselves, `+` for a space, `%` before two
/// hexadecimal digits for any byte. Source: the URL standard, "application/x-www-form-urlencoded
/// serializing"; nothing else comes from a browser.
fn decode(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut left = value.chars();
    while let Some(next) = left.next() {
        match next {
            '+' => bytes.push(b' '),
            '%' => {
                let mut digit = || left.next()?.to_digit(16);
                let byte = digit()? * 16 + digit()?;
                bytes.push(u8::try_from(byte).ok()?);
            }
            'a'..='z' | 'A'..='Z' | '0'..='9' | '*' | '-' | '.' | '_' => {
                bytes.push(u8::try_from(next).ok()?);
            }
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[&str] = &["name", "password"];

    #[test]
    fn fields_are_read_as_browsers_write_them() {
        let form = Form::parse(b"password=a+b%2B%26%3D%C3%A9%25&name=bo-1.2_3*", FIELDS).unwrap();
        assert_eq!(form.get("password"), Some("a b+&=é%"));
        assert_eq!(form.get("name"), Some("bo-1.2_3*"));
        let form = Form::parse(b"name=", FIELDS).unwrap();
        assert_eq!((form.get("name"), form.get("password")), (Some(""), None));
        assert!(Form::parse(b"", FIELDS).is_some());
        assert_eq!(format!("{form:?}"), "Form(..)");
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            &b"name"[..],
            b"&",
            b"name=a&",
            b"&name=a",
            b"name=a&name=a",
            b"name=a&level=b",
            b"Name=a",
            b"n%61me=a",
            b"name=a=b",
            b"name=%",
            b"name=%4",
            b"name=%4g",
            b"name=%+1",
            b"name=%C3",
            b"name=%FF",
            b"name=\xc3\xa9",
            b"name=a b",
            b"name=a\n",
            b"name=a;password=b",
            b"name=<",
            b"\xff",
        ] {
            let form = Form::parse(bad, FIELDS);
            assert!(form.is_none(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
