//! One connection, from its first byte to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::stall::Stalling;
use super::{Limits, Tls, answer};

/// What all connections of a listener share.
pub(super) struct Context {
    pub(super) router: Router,
    pub(super) tls: Option<Tls>,
    pub(super) limits: Limits,
    pub(super) stop: CancellationToken,
}

/// Most fields of a request head.
const MAX_FIELDS: usize = 64;

/// Serves one connection to its end. Failures are the peer's business, and not logged above
/// `debug`.
pub(super) async fn run(context: Arc<Context>, stream: TcpStream, peer: SocketAddr) {
    // Answers are written whole: waiting for more would only delay their last packet.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let stream = Stalling::new(stream, context.limits.stall);
    let Some(tls) = &context.tls else {
        return exchange(&context, stream, peer).await;
    };
    let handshake = async { tls.acceptor().await.accept(stream).await };
    let shaken = tokio::select! {
        () = context.stop.cancelled() => return,
        shaken = time::timeout(context.limits.handshake, handshake) => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => exchange(&context, stream, peer).await,
        Ok(Err(error)) => tracing::debug!(%error, "handshake failed"),
        Err(_) => tracing::debug!("handshake took too long"),
    }
}

async fn exchange(
    context: &Context,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
) {
    let limits = &context.limits;
    let router = TowerToHyperService::new(context.router.clone());
    let service = service_fn(|request: Request<Incoming>| call(&router, limits, peer, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told_to_end(context) => {
            connection.as_mut().graceful_shutdown();
            match time::timeout(limits.grace, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!("an exchange was cut off"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection failed");
    }
}

/// Returns when the connection shall take no further request.
async fn told_to_end(context: &Context) {
    tokio::select! {
        () = context.stop.cancelled() => {}
        () = time::sleep(context.limits.connection) => {}
    }
}

async fn call(
    router: &TowerToHyperService<Router>,
    limits: &Limits,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    if let Ok(answer) = time::timeout(limits.request, router.call(request)).await {
        return answer;
    }
    // What the handler was about to do may still be done: this says no more than "too late".
    let message = "the request took too long";
    let mut late = answer::refuse(StatusCode::REQUEST_TIMEOUT, "timeout", message);
    let close = HeaderValue::from_static("close");
    late.headers_mut().insert(header::CONNECTION, close);
    Ok(late)
}
