//! Linux.

use std::{io, net::TcpStream};

use socket2::SockRef;

/// The kernel takes no more than this beyond what it can send.
pub(super) fn limit_unsent(socket: &TcpStream, bytes: u32) -> io::Result<()> {
    SockRef::from(socket).set_tcp_notsent_lowat(bytes)
}
