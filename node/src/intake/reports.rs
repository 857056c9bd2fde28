//! `POST /v1/reports`: CX seed reports. Source: spec §10.1 to §10.4.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::cx::{Generator, calculate_seed};
use serde_json::json;

use super::body::Bounds;
use super::refusal::Refusal;
use super::report::{Item, MAX_BODY_BYTES, SeedReport};
use super::{IntakeState, address_of};
use crate::http::answer;
use crate::store::{Accepted, Mode, SubmittedUnit};

const BOUNDS: Bounds = Bounds::small(MAX_BODY_BYTES, "der");

pub(super) async fn post(state: IntakeState, request: Request) -> Result<Response, Refusal> {
    let address = address_of(&request);
    let (_, body) = super::receive(request, "application/octet-stream", &BOUNDS).await?;
    state.check_guesses(address)?;
    let accepted = state
        .work(move |intake| intake.judge(&body.bytes, address))
        .await?;
    Ok(answer(&state, &accepted))
}

/// Says what became of a report, to its sender and whoever publishes.
pub(super) fn answer(state: &IntakeState, accepted: &Accepted) -> Response {
    tracing::info!(
        new = accepted.new,
        known = accepted.known,
        "report accepted"
    );
    if accepted.new > 0 {
        state.0.accepted.notify_one();
    }
    let said = if accepted.known == 0 {
        json!({"accepted": accepted.new})
    } else {
        json!({"accepted": accepted.new, "known": accepted.known})
    };
    answer::json(StatusCode::OK, &said)
}

impl IntakeState {
    /// Decides on a report, and makes it durable. Waits for the disk.
    fn judge(&self, body: &[u8], address: IpAddr) -> Result<Accepted, Refusal> {
        // Only a well-signed report can be a guess: what is malformed costs nothing to send, and
        // would shut the intake for everybody behind the same address.
        let verified = SeedReport::parse(body)?.verify(&self.0.publisher)?;
        let hash = self.0.code_key.hash(&verified.code);
        let code = self.look_up(&hash, address)?;
        let units = verified.items.iter().map(|item| {
            let mode = self.mode(&code.zone, Scheme(item.generator));
            unit(item, mode)
        });
        let units = units.collect::<Result<Vec<_>, _>>()?;
        let at = (self.0.clock)();
        Ok(self.0.store.accept(hash.as_bytes(), &units, at)?)
    }
}

/// The seed that a descriptor stands for.
fn unit(item: &Item, mode: Mode) -> Result<SubmittedUnit, Refusal> {
    let generator = Generator::from_code(item.generator.into()).ok_or(Refusal::Generator)?;
    let seed = calculate_seed(generator, &item.preseed, &item.spki)?;
    Ok(SubmittedUnit {
        scheme: Scheme(generator.code()),
        unit: seed.as_bytes().to_vec(),
        key: item.key_id(),
        mode,
    })
}
