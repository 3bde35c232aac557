//! Reads beside the writer: a few threads with read-only connections of their own.
//!
//! Every caller waits for the answer, so the queue is as long as there are callers. A read begins after the commits whose
//! completions were called, and WAL shows it all of them.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{error::backend, file};
use crate::store::{BoxFuture, StoreError};

const THREADS: usize = 2;

type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) + Send>;

/// What was asked and not begun. Of the threads that wait, one is woken for each question.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    more: Condvar,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

impl Queue {
    /// One more; it is dropped when nobody takes any more.
    fn put(&self, job: Job) {
        let mut state = self.state.lock();
        if !state.is_closed {
            state.jobs.push_back(job);
            drop(state);
            self.more.notify_one();
        }
    }

    /// The next one; nothing once the queue is closed and empty.
    fn take(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            match state.jobs.pop_front() {
                Some(job) => return Some(job),
                None if state.is_closed => return None,
                None => self.more.wait(&mut state),
            }
        }
    }

    fn close(&self) {
        self.state.lock().is_closed = true;
        self.more.notify_all();
    }
}

/// The threads and the way to them.
#[derive(Debug)]
pub(super) struct Readers {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    generation: Arc<AtomicU64>,
}

impl Readers {
    pub(super) fn start(file: &Path) -> Result<Self, StoreError> {
        let readers = Self {
            queue: Arc::default(),
            threads: Mutex::default(),
            generation: Arc::default(),
        };
        for number in 0..THREADS {
            let reader = Reader {
                file: file.to_owned(),
                queue: Arc::clone(&readers.queue),
                generation: Arc::clone(&readers.generation),
            };
            let thread = thread::Builder::new()
                .name(format!("stepcast-reader-{number}"))
                .spawn(move || reader.run())
                .map_err(|error| backend("starting a reader thread", error))?;
            readers.threads.lock().push(thread);
        }
        Ok(readers)
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
        // A job that finds no thread is dropped, which the caller sees as closed.
        self.queue.put(job);
        Box::pin(async move { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }

    /// Later questions are answered from connections that know nothing of earlier ones.
    pub(super) fn reconnect(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Answers what was asked, then closes every connection. Later questions get `closed`.
    pub(super) fn stop(&self) {
        self.queue.close();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reader thread had panicked");
            }
        }
    }
}

impl Drop for Readers {
    /// Without waiting for the threads.
    fn drop(&mut self) {
        self.queue.close();
    }
}

struct Reader {
    file: PathBuf,
    queue: Arc<Queue>,
    generation: Arc<AtomicU64>,
}

impl Reader {
    fn run(self) {
        let mut open: Option<(u64, Connection)> = None;
        while let Some(job) = self.queue.take() {
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
