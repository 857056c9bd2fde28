use super::*;

const DAY: u64 = 86_400;

#[test]
fn certificate_is_told_from_14_days_before_its_end_on() {
    let validity = Validity {
        not_before: 10 * DAY,
        not_after: 100 * DAY,
    };
    let told = |now| certificate(Ok(validity), now).map(|(kind, since, _)| (kind, since));
    let (broken, expiring) = (
        ConditionKind::CertificateBroken,
        ConditionKind::CertificateExpiring,
    );
    assert_eq!(told(10 * DAY - 1), Some((broken, None)));
    assert_eq!(told(10 * DAY), None);
    assert_eq!(told(86 * DAY - 1), None);
    assert_eq!(told(86 * DAY), Some((expiring, None)));
    assert_eq!(told(100 * DAY), Some((expiring, None)));
    assert_eq!(told(100 * DAY + 1), Some((broken, Some(100 * DAY))));
}

#[test]
fn gateway_of_another_operator_makes_a_relay_expected() {
    let expected = |operators: &[&str]| {
        let gateways: Vec<Gateway> = { operators.iter() }
            .map(|operator| Gateway {
                url: "https://a.example".to_owned(),
                operator: (*operator).to_owned(),
            })
            .collect();
        of_others(&gateways, "Board")
    };
    assert!(!expected(&[]));
    assert!(!expected(&["Board", " Board "]));
    assert!(expected(&["Board", "Relay"]));
}
