//! What stands in the logs of all that is posted.

use std::io::{self, Write};
use std::sync::Mutex;

use super::*;

/// Everything that is logged, at any level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_line_holds_a_unit_a_code_a_token_or_an_address() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _log = tracing::subscriber::set_default(subscriber);

    let open = Open::new();
    open.world.issue("secret-code");
    let units = units();
    let items = units.iter();
    let items = items.map(|(scheme, unit)| with(item(unit), &[("scheme", (*scheme).into())]));
    let mut items: Vec<Value> = items.collect();
    items.push(with(item(&"b9".repeat(23)), &[("zone", "fr".into())]));
    let told = open.system(&open.lab, &items);
    let unit = format!("{} {}", "b7".repeat(16), INTERVAL - 300);
    let phone = [json!({"scheme": "gaen", "unit": unit})];
    assert_eq!(open.phone("secret-code", &phone).status, 200);
    assert_eq!(open.phone("wrong-code", &phone).status, 403);
    assert_eq!(
        open.post(&[("Authorization", "Bearer wrong-token")], "")
            .status,
        403
    );
    let report = tcn_report(9, 9);
    let mut client = open.world.served.connect();
    let fields = [("Bellwether-Code", "other-code")];
    assert_eq!(client.ask("POST", "/v1/tcn", &fields, &report).status, 403);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("submission"), "something is logged: {log}");
    let mut secrets = vec![
        "secret-code".to_owned(),
        "wrong-code".to_owned(),
        "other-code".to_owned(),
    ];
    secrets.extend([
        "wrong-token".to_owned(),
        open.lab.clone(),
        "127.0.0.1".to_owned(),
    ]);
    secrets.extend(units.iter().map(|(_, unit)| unit.clone()));
    secrets.extend([
        "b7b7b7".to_owned(),
        "b9b9b9".to_owned(),
        "a4a4a4".to_owned(),
    ]);
    secrets.extend(
        told.iter()
            .filter_map(|line| line["revision"].as_str().map(str::to_owned)),
    );
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
}
