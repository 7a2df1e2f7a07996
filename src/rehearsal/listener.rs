//! A listener whose connections can be cut from inside a handler.
//!
//! HTTP libraries have no way to say "no answer, hang up": a handler must return
//! something. Here every connection carries a [`Wire`]; once it is cut, reading
//! from the connection fails, and the library drops it with the pending call.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The handle by which a call cuts the connection that it came in on.
#[derive(Clone, Debug)]
pub(super) struct Wire(CancellationToken);

impl Wire {
    /// Ends the connection without another byte.
    pub(super) fn cut(&self) {
        self.0.cancel();
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Wire {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A TCP listener that hands out cuttable connections.
pub(super) struct CuttableListener {
    inner: TcpListener,
    all: CancellationToken,
}

impl CuttableListener {
    /// Binds a port of 127.0.0.1, a free one if none is given. `all` cuts every
    /// connection at once.
    pub(super) async fn bind(port: Option<u16>, all: CancellationToken) -> io::Result<(Self, SocketAddr)> {
        let inner = TcpListener::bind(("127.0.0.1", port.unwrap_or(0))).await?;
        let address = inner.local_addr()?;
        Ok((Self { inner, all }, address))
    }
}

impl Listener for CuttableListener {
    type Io = Cuttable;
    type Addr = Wire;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, _) = Listener::accept(&mut self.inner).await;
        // Small answers must not wait for the peer's acknowledgement. A socket that
        // refuses the option is merely slower.
        stream.set_nodelay(true).ok();
        let token = self.all.child_token();
        let wire = Wire(token.clone());
        (
            Cuttable {
                stream,
                cut: Box::pin(token.cancelled_owned()),
            },
            wire,
        )
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        // The library only asks for it to show it.
        Ok(Wire(CancellationToken::new()))
    }
}

/// A TCP stream that fails once its wire is cut.
pub(super) struct Cuttable {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Cuttable {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
