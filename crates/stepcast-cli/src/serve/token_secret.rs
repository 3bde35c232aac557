//! What signs the tokens of a server that keeps nothing: the same after a restart, so that a page that holds a token may come back.

use sha2::{Digest, Sha256};

/// Files with the machine's id, of which only what is derived may be shown.
const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// Derived from the machine's id. Nothing where it has none: then each process makes a secret of its own.
pub(super) fn of_this_machine() -> Option<Vec<u8>> {
    MACHINE_IDS
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .find_map(|id| derived(&id))
}

fn derived(id: &str) -> Option<Vec<u8>> {
    let id = id.trim();
    let digest = || Sha256::digest(format!("stepcast dev: token secret 1\n{id}")).to_vec();
    (id.len() >= 32).then(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_each_time_and_does_not_show_the_id() {
        let id = "0123456789abcdef0123456789abcdef";
        let secret = derived(id).unwrap();
        assert_eq!(derived(&format!("{id}\n")).unwrap(), secret);
        assert_eq!(secret.len(), 32);
        assert_ne!(derived("f123456789abcdef0123456789abcdef").unwrap(), secret);
        for none in ["", "\n", "uninitialized"] {
            assert_eq!(derived(none), None);
        }
    }
}
