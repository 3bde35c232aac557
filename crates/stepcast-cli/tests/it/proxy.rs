//! One address for a server through all its lives.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Passes connections on to wherever the server is now. While it is nowhere, they are closed.
pub(crate) struct Proxy {
    pub(crate) url: String,
    server: Arc<Mutex<Option<SocketAddr>>>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&server);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let address: Option<SocketAddr> = *shared.lock().unwrap();
                if let Some(Ok(server)) = address.map(TcpStream::connect) {
                    join(client, server);
                }
            }
        });
        Self { url, server }
    }

    pub(crate) fn point_to(&self, server: Option<&str>) {
        *self.server.lock().unwrap() = server.map(|address| address.parse().unwrap());
    }
}

fn join(client: TcpStream, server: TcpStream) {
    let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || copy(client, server));
    thread::spawn(move || copy(back.0, back.1));
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    drop(io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}
