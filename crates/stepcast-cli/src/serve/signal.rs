//! When a server is to end.

use tokio::sync::mpsc;

use crate::exit::Failure;

/// Signals that ask for the end: Ctrl-C and a polite kill.
pub(crate) struct Signals(mpsc::Receiver<()>);

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let (said, signals) = mpsc::channel(2);
        hear(said).map_err(|error| {
            Failure::failed(format!(
                "signals of the system cannot be listened for: {error}"
            ))
        })?;
        Ok(Self(signals))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

#[cfg(unix)]
fn hear(said: mpsc::Sender<()>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if said.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn hear(said: mpsc::Sender<()>) -> std::io::Result<()> {
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() && said.send(()).await.is_ok() {}
    });
    Ok(())
}
