//! How many files, and so how many sockets, this process and the server it starts may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes as many as the system allows.
pub(super) fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        // A refusal shows as a socket that cannot be opened.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}
