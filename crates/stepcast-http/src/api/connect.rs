//! `GET /v1/realtime/connect`: the handshake, and the socket's way to its shard.

use std::{io, time::Duration};

use axum::{
    body::Bytes,
    extract::{Request, State},
    response::Response,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use tokio::net::TcpStream;

use super::{handshake::Handshake, problem::Problem, query::Query, reader};
use crate::{
    entrance::Entrance,
    fanout::{self, Dialect, Newcomer, Permit},
    gateway::Gateway,
};

/// The reader is let in before the answer goes out, so that a client whose socket is open misses nothing.
pub(super) async fn connect(
    State(gateway): State<Gateway>,
    mut request: Request,
) -> Result<Response, Problem> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let query = Query::of(&parts.uri)?;
    let grant = reader::grant(&gateway, &parts, &query)?;
    let handshake = Handshake::of(&parts)?;
    let permit = gateway.admit(&parts)?;
    let session = fanout::session(&grant);
    let dialect = dialect(&query);
    let entrance = match dialect {
        Dialect::Plain => Entrance::at_token(gateway.engine().hub(), grant).await?,
        Dialect::Native => reader::entrance(&gateway, &grant, query.get("from"), &query).await?,
    };
    let reader = Reader {
        dialect,
        entrance,
        session,
        permit,
    };
    gateway.spawn(hand_over(gateway.clone(), upgrade, reader));
    Ok(handshake.accepted())
}

fn dialect(query: &Query) -> Dialect {
    if query.is_native() {
        Dialect::Native
    } else {
        Dialect::Plain
    }
}

/// A reader that was let in.
struct Reader {
    dialect: Dialect,
    entrance: Entrance,
    session: Duration,
    permit: Option<Permit>,
}

async fn hand_over(gateway: Gateway, upgrade: OnUpgrade, reader: Reader) {
    let socket = match upgrade.await {
        Ok(upgraded) => take_socket(&gateway, upgraded).await,
        Err(error) => Err(io::Error::other(error)),
    };
    let (socket, read_ahead) = match socket {
        Ok(taken) => taken,
        Err(error) => {
            tracing::debug!(%error, "a client left during its handshake");
            return;
        }
    };
    let Reader {
        dialect,
        entrance,
        session,
        permit,
    } = reader;
    let newcomer = Newcomer {
        socket,
        read_ahead,
        dialect,
        entrance,
        session,
        permit,
    };
    gateway.fanout().adopt(newcomer).await;
}

/// The plain socket below the connection. Where there is none (TLS, a transport in memory), one end of a pair, whose other end
/// is copied to and from the stream.
async fn take_socket(
    gateway: &Gateway,
    upgraded: Upgraded,
) -> io::Result<(std::net::TcpStream, Bytes)> {
    let (socket, read_ahead) = match downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => (parts.io.into_inner(), parts.read_buf),
        Err(upgraded) => match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => (parts.io.into_inner(), parts.read_buf),
            Err(upgraded) => (bridge(gateway, upgraded).await?, Bytes::new()),
        },
    };
    let socket = socket.into_std()?;
    fanout::prepare(&socket)?;
    Ok((socket, read_ahead))
}

async fn bridge(gateway: &Gateway, upgraded: Upgraded) -> io::Result<TcpStream> {
    let (near, mut far) = fanout::pair().await?;
    gateway.spawn(async move {
        let mut stream = TokioIo::new(upgraded);
        // Whichever end breaks, both are closed, and the shard sees it on its own.
        drop(tokio::io::copy_bidirectional(&mut stream, &mut far).await);
    });
    Ok(near)
}
