//! Answers the command line while the node runs.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;

use super::Info;
use super::view::View;
use crate::admin::socket::Reply;
use crate::admin::{self, AdminError, Live, NobodyTook, Request};
use crate::clock;
use crate::publisher::{self, Command};

/// Answers the command line while the node runs.
#[derive(Debug)]
pub(super) struct Control {
    /// The publisher, if this node signs.
    pub(super) publisher: Option<publisher::PublisherHandle>,
    /// Values that only a running node knows.
    pub(super) view: View,
    /// What `run` printed.
    pub(super) info: Info,
    /// Number of peers that `network.bootstrap` names.
    pub(super) relays: usize,
    /// True if the node was started for one verb, and stops then.
    pub(super) once: bool,
}

impl Control {
    /// Does what is asked, or says why not.
    pub(super) async fn answer(self: Arc<Self>, request: Request) -> Reply {
        let answered = match request {
            Request::Publish => self.publish().await,
            Request::Renew { envelope } => self.renew(envelope).await,
            request => {
                let adds = matches!(request, Request::Submit(_) | Request::Import(_));
                let answer = self.from_store(request).await;
                if let Some(publisher) = self.publisher.as_ref().filter(|_| adds) {
                    publisher.accepted.notify_one();
                }
                answer
            }
        };
        match answered {
            Ok(value) => Reply::Done(value),
            Err(error) => Reply::failed(&error, error.hint()),
        }
    }

    async fn from_store(self: &Arc<Self>, request: Request) -> Result<Value, AdminError> {
        let this = Arc::clone(self);
        let work = move || {
            let live = Live {
                info: serde_json::to_value(&this.info).unwrap_or_default(),
                ..this.view.live()
            };
            this.view.admin.answer(&request, Some(&live), clock::now())
        };
        tokio::task::spawn_blocking(work)
            .await
            .expect("an answer does not panic")
    }

    async fn publish(&self) -> Result<Value, AdminError> {
        let (reply, answer) = oneshot::channel();
        let closed = self.command(Command::Close(reply), answer).await?;
        Ok(admin::published(&closed, self.nobody_took()))
    }

    /// Gives the reason why no relay has taken what was published just now, where some are named.
    fn nobody_took(&self) -> Option<NobodyTook> {
        if self.relays == 0 {
            return None;
        }
        if self.once {
            return Some(NobodyTook::NotRunning);
        }
        let alone = self.view.network.status().peers == 0;
        alone.then_some(NobodyTook::NoPeer)
    }

    async fn renew(&self, envelope: String) -> Result<Value, AdminError> {
        let (reply, answer) = oneshot::channel();
        let envelope = admin::from_hex(&envelope)?;
        let (descriptor, disowned, closed) = self
            .command(Command::Renew(envelope, reply), answer)
            .await??;
        let nobody = self.nobody_took();
        Ok(admin::renewed(&descriptor, &disowned, &closed, nobody))
    }

    async fn command<T>(
        &self,
        command: Command,
        answer: oneshot::Receiver<T>,
    ) -> Result<T, AdminError> {
        let none = match self.info.provider {
            Some(_) => AdminError::NotPublishing,
            None => AdminError::NotProvider,
        };
        let publisher = self.publisher.as_ref().ok_or(none)?;
        publisher
            .commands
            .send(command)
            .await
            .map_err(|_| AdminError::Stopping)?;
        answer.await.map_err(|_| AdminError::Stopping)
    }
}
