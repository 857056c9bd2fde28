//! The exchange of questions and answers in the swarm's task.

use std::time::Instant;

use libp2p::PeerId;
use libp2p::request_response::{
    Event, InboundRequestId, Message, OutboundFailure, ResponseChannel,
};
use tokio::sync::OwnedSemaphorePermit;

use super::super::handle::ReplyToken;
use super::super::message::{Kind, NoneReason, SyncRequest, SyncResponse};
use super::super::{MAX_INBOUND, MAX_INBOUND_PER_PEER, RequestError};
use super::{NetworkEvent, Task, now};

/// A question of ours that is open.
#[derive(Debug)]
pub(super) struct Question {
    tag: u64,
    peer: PeerId,
    asked: Kind,
    deadline: Instant,
    permit: OwnedSemaphorePermit,
}

impl Task {
    pub(super) fn exchanged(&mut self, event: Event<SyncRequest, SyncResponse>) {
        match event {
            Event::Message { peer, message, .. } => match message {
                Message::Request {
                    request_id,
                    request,
                    channel,
                } => {
                    self.asked(peer, request_id, request, channel);
                }
                Message::Response {
                    request_id,
                    response,
                } => {
                    if let Some(question) = self.outbound.remove(&request_id) {
                        let fits = response.answers(question.asked);
                        let result = if fits {
                            Ok(response)
                        } else {
                            Err(RequestError::Malformed)
                        };
                        self.answered(question, result);
                    }
                }
            },
            Event::OutboundFailure {
                request_id, error, ..
            } => {
                if let Some(question) = self.outbound.remove(&request_id) {
                    self.answered(question, Err(failure(&error)));
                }
            }
            Event::InboundFailure {
                peer,
                request_id,
                error,
                ..
            } => {
                tracing::debug!(%peer, %error, "question not answered");
                self.inbound.remove(&request_id);
            }
            Event::ResponseSent { request_id, .. } => {
                self.inbound.remove(&request_id);
            }
        }
    }

    /// Hands a peer's question on, or refuses it at once if too many are being answered.
    fn asked(
        &mut self,
        peer: PeerId,
        id: InboundRequestId,
        request: SyncRequest,
        channel: ResponseChannel<SyncResponse>,
    ) {
        let of_peer = self
            .inbound
            .values()
            .filter(|other| **other == peer)
            .count();
        let full = self.inbound.len() >= MAX_INBOUND || of_peer >= MAX_INBOUND_PER_PEER;
        if full || !self.outbox.is_empty() {
            return self.refuse(channel);
        }
        let reply = ReplyToken(channel);
        match self.inbox.try_send(NetworkEvent::Request {
            peer,
            request,
            reply,
        }) {
            Ok(()) => {
                self.inbound.insert(id, peer);
            }
            Err(error) => {
                if let NetworkEvent::Request { reply, .. } = error.into_inner() {
                    self.refuse(reply.0);
                }
            }
        }
    }

    fn refuse(&mut self, channel: ResponseChannel<SyncResponse>) {
        self.count(|status| status.requests_refused += 1);
        self.reply(ReplyToken(channel), SyncResponse::None(NoneReason::Busy));
    }

    pub(super) fn reply(&mut self, token: ReplyToken, response: SyncResponse) {
        // Fails if the asker has gone, which an event tells as well.
        let _ = self
            .swarm
            .behaviour_mut()
            .sync
            .send_response(token.0, response);
    }

    pub(super) fn ask(
        &mut self,
        peer: PeerId,
        request: SyncRequest,
        tag: u64,
        permit: OwnedSemaphorePermit,
    ) {
        let deadline = now() + self.request_timeout;
        let question = Question {
            tag,
            peer,
            asked: request.kind(),
            deadline,
            permit,
        };
        if self.swarm.is_connected(&peer) {
            let id = self.swarm.behaviour_mut().sync.send_request(&peer, request);
            self.outbound.insert(id, question);
        } else {
            self.answered(question, Err(RequestError::NotConnected));
        }
    }

    /// Gives up what is late. The protocol's own timeout starts with the stream, which a
    /// connection that hangs never opens.
    pub(super) fn expire_questions(&mut self, now: Instant) {
        let late = self
            .outbound
            .extract_if(|_, question| question.deadline <= now);
        let late: Vec<_> = late.map(|(_, question)| question).collect();
        for question in late {
            self.answered(question, Err(RequestError::Timeout));
        }
    }

    fn answered(&mut self, question: Question, result: Result<SyncResponse, RequestError>) {
        let Question {
            tag, peer, permit, ..
        } = question;
        self.outbox
            .answered(NetworkEvent::Response { tag, peer, result }, permit);
    }
}

const fn failure(error: &OutboundFailure) -> RequestError {
    match error {
        OutboundFailure::ConnectionClosed => RequestError::Closed,
        OutboundFailure::DialFailure => RequestError::NotConnected,
        OutboundFailure::Io(_) => RequestError::Malformed,
        OutboundFailure::Timeout => RequestError::Timeout,
        OutboundFailure::UnsupportedProtocols => RequestError::Unsupported,
    }
}
