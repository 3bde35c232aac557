//! UUIDs made of names (RFC 9562, version 5): the same for the same name, always.

use sha1::{Digest, Sha1};
use stepcast_protocol::{FunctionId, names::AppId};

/// The space of our names. Kept by SDKs beside runs, so it must stay.
const SPACE: [u8; 16] = *b"stepcast::uuid:1";

pub(crate) fn of_function(function: &FunctionId) -> String {
    of("function", function)
}

pub(crate) fn of_app(app: &AppId) -> String {
    of("app", app)
}

fn of(kind: &str, name: &str) -> String {
    let digest = Sha1::new()
        .chain_update(SPACE)
        .chain_update(kind)
        .chain_update([0])
        .chain_update(name)
        .finalize();
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&digest[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x50;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_uuid_for_ever() {
        let function = FunctionId::parse("app-generate").unwrap();
        assert_eq!(
            of_function(&function),
            "91c6c9db-7f49-5658-b3f8-74127fd03929"
        );
        let app = AppId::parse("app-generate").unwrap();
        assert_ne!(of_app(&app), of_function(&function));
    }
}
