//! How a socket is set up before a shard takes it, and how its last bytes get out.

#[cfg(not(target_os = "linux"))]
#[path = "socket/other.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "socket/linux.rs"]
mod system;

use std::{io, net::Shutdown};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

/// Unsent bytes that the kernel may hold for a socket. More would only hide that a reader lags.
const UNSENT_BYTES: u32 = 64 * 1024;

/// Frames leave when they are written, and a full socket says so soon.
pub(crate) fn prepare(socket: &std::net::TcpStream) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    system::limit_unsent(socket, UNSENT_BYTES)
}

/// Sends the end of the stream and goes on reading, so that what was written arrives.
pub(super) fn finish(socket: &TcpStream) {
    // It fails when the peer is gone, and then there is nothing to finish.
    drop(SockRef::from(socket).shutdown(Shutdown::Write));
}

/// Two connected sockets, for a stream that is not one itself.
pub(crate) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let near = TcpStream::connect(listener.local_addr()?).await?;
    loop {
        let (far, peer) = listener.accept().await?;
        // Anybody on this machine could have connected in between.
        if peer == near.local_addr()? {
            return Ok((near, far));
        }
    }
}
