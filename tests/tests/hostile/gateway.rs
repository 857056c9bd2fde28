//! Gateways that lie to phones.

use bellwether_client::Client;
use bellwether_client::observations::{ContactId, Family, Observation};
use bellwether_client::sync::{Answer, Report, Step};
use bellwether_formats::share::Share;
use bellwether_tests::random::Random;
use bellwether_tests::server::{self, Server};
use bellwether_tests::{World, invented, utc};

use super::{Lie, Short};

impl Short {
    fn gateway(&self) -> impl FnMut(&str) -> Option<Vec<u8>> + Send + Clone + 'static + use<> {
        invented::gateway(&self.provider.descriptor, &self.batches, &self.bodies)
    }

    fn share(&self, gateways: &[&Server]) -> Share {
        let named = gateways
            .iter()
            .map(|server| format!("&gateway={0}&operator={0}", server.url));
        let text = format!(
            "bellwether:{}?zone=gb/sct{}",
            self.provider.id(),
            named.collect::<String>()
        );
        text.parse().unwrap()
    }
}

/// A phone that observed what the second batch holds.
fn phone(world: &World, name: &str, share: &Share) -> Client {
    let mut phone = Client::open(&world.path(name)).unwrap();
    phone.follow(share).unwrap();
    let id = ContactId::parse(Family::Cx, &invented::identifier(2, 141)).unwrap();
    phone
        .observe(&[Observation {
            id,
            at: utc() - 3600,
            family: Family::Cx,
        }])
        .unwrap();
    phone
}

/// What a lying gateway spoils: answers whose path has this in it.
const SPOILT: [&str; 3] = ["/after/", "/heads", "/ipfs/"];

/// Every byte changed, and one put in at every place: without HTTP, as an app would drive it.
#[test]
fn a_lie_of_a_gateway_is_refused_wherever_it_stands() {
    let world = World::new();
    let short = Short::new(11);
    for (number, spoilt) in SPOILT.into_iter().enumerate() {
        let gateway = "&gateway=http://127.0.0.1:1&operator=liar";
        let share = format!("bellwether:{}?zone=gb/sct{gateway}", short.provider.id());
        let mut phone = phone(&world, &format!("phone-{number}"), &share.parse().unwrap());
        let size = spoilt_len(&short, spoilt);
        let mut right = without_bodies(&short, spoilt);
        for lie in (0..size).map(Lie::Flip).chain((0..=size).map(Lie::Insert)) {
            let mut told = 0;
            let report = sync(&mut phone, |path| {
                let mut bytes = right(path)?;
                if path.contains(spoilt) {
                    told += 1;
                    lie.spoil(&mut bytes);
                }
                Some(bytes)
            });
            assert!(
                told > 0 && !report.feeds[0].reached,
                "{spoilt} {lie:?}: {report:?}"
            );
            let named = |rule: &str| !rule.is_empty() && rule != "unreachable";
            assert!(
                report.errors.iter().any(|lie| named(lie.rule)),
                "{lie:?}: {report:?}"
            );
            let status = phone.status().remove(0);
            // Where only a body is spoilt, the heartbeat before it is the truth, and kept.
            let known = (spoilt == "/ipfs/").then_some(1);
            assert_eq!((status.head, status.bodies), (known, 0), "{spoilt} {lie:?}");
            assert!(
                phone.alerts().unwrap().matches.is_empty(),
                "{spoilt} {lie:?}"
            );
        }
        let report = sync(&mut phone, right);
        assert!(report.feeds[0].reached, "{report:?}");
        assert_eq!(phone.alerts().unwrap().matches.len(), 1, "{spoilt}");
    }
}

/// A sync whose requests are answered by a function.
fn sync(phone: &mut Client, mut answer: impl FnMut(&str) -> Option<Vec<u8>>) -> Report {
    let mut sync = phone.begin_sync().unwrap();
    loop {
        match sync.poll() {
            Step::Fetch(request) => {
                let body = answer(&request.path);
                sync.answer(body.map_or(Answer::NotFound, Answer::Body));
            }
            Step::Keep(keep) => phone.keep(*keep).unwrap(),
            Step::Draw => phone.draw(&mut sync).unwrap(),
            Step::Done => return sync.report().clone(),
        }
    }
}

/// The same over HTTP, with an honest gateway beside the liar: the phone gets the truth, whatever
/// it draws first.
#[test]
fn a_liar_beside_an_honest_gateway_changes_nothing() {
    let world = World::new();
    let short = Short::new(17);
    let honest = Server::start(short.gateway());
    let mut random = Random::new(17);
    for number in 0..24 {
        let spoilt = SPOILT[number % SPOILT.len()];
        let lie = Lie::Flip(random.place(spoilt_len(&short, spoilt)));
        let mut right = without_bodies(&short, spoilt);
        let liar = Server::start(move |path| {
            let mut bytes = right(path)?;
            if path.contains(spoilt) {
                lie.spoil(&mut bytes);
            }
            Some(bytes)
        });
        let mut phone = phone(&world, &number.to_string(), &short.share(&[&liar, &honest]));
        let synced = phone.sync().unwrap();
        assert!(
            synced.report.feeds[0].reached,
            "{spoilt} {lie:?}: {synced:?}"
        );
        assert_eq!(phone.alerts().unwrap().matches.len(), 1, "{spoilt} {lie:?}");
    }
}

/// The honest gateway; where bodies are to be spoilt, one that leaves them out of its bundles.
fn without_bodies(short: &Short, spoilt: &str) -> server::Answers {
    let mut whole = short.gateway();
    if spoilt != "/ipfs/" {
        return Box::new(whole);
    }
    let mut bare = invented::gateway(&short.provider.descriptor, &short.batches, &[]);
    Box::new(move |path| {
        if path.contains("/ipfs/") {
            whole(path)
        } else {
            bare(path)
        }
    })
}

fn spoilt_len(short: &Short, spoilt: &str) -> usize {
    let body = short.bodies[0].cid();
    let path = match spoilt {
        "/after/" => format!("/v1/feeds/{}/after/0", short.provider.feed()),
        "/heads" => "/v1/zones/gb/sct/heads".to_owned(),
        _ => format!("/ipfs/{body}?format=raw"),
    };
    short.gateway()(&path).unwrap().len()
}

/// The same with the binary: the lie is named on stderr, the exit status says failure.
#[test]
fn the_command_line_names_the_lie() {
    let world = World::new();
    let short = Short::new(12);
    let mut right = short.gateway();
    let liar = Server::start(move |path| {
        let mut bytes = right(path)?;
        if path.contains("/after/") {
            *bytes.last_mut()? ^= 1;
        }
        Some(bytes)
    });
    let honest = Server::start(short.gateway());
    let phone = world.phone("phone");
    phone
        .follow(&short.share(&[&liar]).to_string())
        .observed(&[invented::identifier(3, 7)]);
    let failed = phone.verb(&["sync", "--json"]).exit(2);
    assert!(failed.stderr.contains(&liar.url), "{failed:?}");
    assert_eq!(phone.alerts().code, 3);
    phone.follow(&short.share(&[&honest]).to_string());
    phone.sync();
    assert_eq!(phone.alerts().code, 1);
    // A gateway that says nothing at all is passed over as well.
    liar.answer(|_| None);
    phone.sync();
    assert_eq!(phone.alerts().code, 1);
}
