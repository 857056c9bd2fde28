//! The exchange's streams: one message each way, bounded. Source: spec §9.3.

use std::io;

use bellwether_formats::error::DecodeError;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};

use super::message::{MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, SyncRequest, SyncResponse};

/// Reads and writes one [`SyncRequest`] and one [`SyncResponse`] a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SyncCodec;

impl request_response::Codec for SyncCodec {
    type Protocol = StreamProtocol;
    type Request = SyncRequest;
    type Response = SyncResponse;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<SyncRequest>
    where
        T: AsyncRead + Unpin + Send,
    {
        let bytes = read(io, MAX_REQUEST_BYTES).await?;
        SyncRequest::decode(&bytes).map_err(malformed)
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<SyncResponse>
    where
        T: AsyncRead + Unpin + Send,
    {
        let bytes = read(io, MAX_RESPONSE_BYTES).await?;
        SyncResponse::decode(&bytes).map_err(malformed)
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: SyncRequest,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &request.encode(), MAX_REQUEST_BYTES).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: SyncResponse,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &response.encode(), MAX_RESPONSE_BYTES).await
    }
}

/// Reads to the end of the stream; one byte more than `limit` and it is given up.
async fn read<T: AsyncRead + Unpin + Send>(io: &mut T, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    io.take(most).read_to_end(&mut bytes).await?;
    within(&bytes, limit)?;
    Ok(bytes)
}

async fn write<T: AsyncWrite + Unpin + Send>(
    io: &mut T,
    bytes: &[u8],
    limit: usize,
) -> io::Result<()> {
    within(bytes, limit)?;
    io.write_all(bytes).await
}

fn within(bytes: &[u8], limit: usize) -> io::Result<()> {
    if bytes.len() > limit {
        let text = format!("a message of more than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(())
}

fn malformed(error: DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;
    use libp2p::request_response::Codec;

    use super::*;

    const PROTOCOL: StreamProtocol = StreamProtocol::new("/bw/1/sync");

    #[tokio::test]
    async fn a_stream_without_end_is_given_up_at_the_limit() {
        for (limit, request) in [(MAX_REQUEST_BYTES, true), (MAX_RESPONSE_BYTES, false)] {
            let mut endless = Cursor::new(vec![0; 4 * limit]);
            let refused = if request {
                SyncCodec
                    .read_request(&PROTOCOL, &mut endless)
                    .await
                    .map(|_| ())
            } else {
                SyncCodec
                    .read_response(&PROTOCOL, &mut endless)
                    .await
                    .map(|_| ())
            };
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidData);
            assert_eq!(endless.position(), u64::try_from(limit).unwrap() + 1);
        }
    }

    #[tokio::test]
    async fn what_the_other_side_would_refuse_is_not_sent() {
        let mut sent = Cursor::new(Vec::new());
        let large = SyncResponse::Block(vec![0; MAX_RESPONSE_BYTES]);
        let refused = SyncCodec.write_response(&PROTOCOL, &mut sent, large).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(sent.into_inner().is_empty());
    }
}
