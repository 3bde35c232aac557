//! Reads beside the writer: a few threads with read-only connections of their own.
//!
//! Every caller waits for the answer, so the queue is as long as there are callers. A read begins after the commits whose
//! completions were called, and WAL shows it all of them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{error::backend, file};
use crate::store::{BoxFuture, StoreError};

const THREADS: usize = 2;

type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) + Send>;

/// The threads and the way to them.
#[derive(Debug)]
pub(super) struct Readers {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    generation: Arc<AtomicU64>,
}

impl Readers {
    pub(super) fn start(file: PathBuf) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let generation = Arc::new(AtomicU64::new(0));
        let threads = (0..THREADS)
            .map(|number| {
                let reader = Reader {
                    file: file.clone(),
                    queue: Arc::clone(&queue),
                    generation: Arc::clone(&generation),
                };
                thread::Builder::new()
                    .name(format!("stepcast-reader-{number}"))
                    .spawn(move || reader.run())
                    .map_err(|error| backend("starting a reader thread", error))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            threads: Mutex::new(threads),
            generation,
        })
    }

    /// Asks; the question takes its place at the call.
    pub(super) fn ask<T, F>(&self, question: F) -> BoxFuture<'static, Result<T, StoreError>>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            // Nobody may be waiting any more.
            drop(reply.send(conn.and_then(question)));
        });
        if let Some(jobs) = &*self.jobs.lock() {
            // A job that finds no thread is dropped, which the caller sees as closed.
            drop(jobs.send(job));
        }
        Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }

    /// Later questions are answered from connections that know nothing of earlier ones.
    pub(super) fn reconnect(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Answers what was asked, then closes every connection. Later questions get `closed`.
    pub(super) fn stop(&self) {
        drop(self.jobs.lock().take());
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reader thread had panicked");
            }
        }
    }
}

struct Reader {
    file: PathBuf,
    queue: Arc<Mutex<mpsc::Receiver<Job>>>,
    generation: Arc<AtomicU64>,
}

impl Reader {
    fn run(self) {
        let mut open: Option<(u64, Connection)> = None;
        loop {
            let Ok(job) = self.queue.lock().recv() else {
                return;
            };
            let generation = self.generation.load(Ordering::SeqCst);
            if open.as_ref().is_none_or(|(of, _)| *of != generation) {
                open = None;
                match file::open_reader(&self.file) {
                    Ok(conn) => open = Some((generation, conn)),
                    Err(error) => {
                        job(Err(error));
                        continue;
                    }
                }
            }
            let Some((_, conn)) = &open else { continue };
            if catch_unwind(AssertUnwindSafe(|| job(Ok(conn)))).is_err() {
                tracing::error!("a read panicked");
                open = None;
            }
        }
    }
}
