//! Text that is published as it comes: cut into pieces of whole characters, wherever the network cut it.

use super::{body::Pieces, problem::Problem, target::Target};
use crate::gateway::Gateway;

/// Bytes of text that one message carries at most.
const PIECE_BYTES: usize = 16 * 1024;

/// Publishes a body's text, each piece after the one before.
pub(super) async fn publish(
    gateway: &Gateway,
    target: &Target,
    mut body: Pieces,
) -> Result<(), Problem> {
    let (mut pending, mut published) = (Vec::new(), 0);
    loop {
        let chunk = body.next().await.map_err(|problem| match published {
            0 => problem,
            bytes => problem.at(format_args!("after {bytes} bytes that were published")),
        })?;
        let Some(chunk) = chunk else { break };
        pending.extend_from_slice(&chunk);
        while let Some(text) = take(&mut pending) {
            target.publish_text(gateway, &text).await?;
            published += text.len();
        }
    }
    if !pending.is_empty() {
        let rest = String::from_utf8_lossy(&pending);
        target.publish_text(gateway, &rest).await?;
    }
    Ok(())
}

/// Takes whole characters off the front; what may still become one stays.
fn take(pending: &mut Vec<u8>) -> Option<String> {
    let window = &pending[..pending.len().min(PIECE_BYTES)];
    let whole = match std::str::from_utf8(window) {
        Ok(text) => text.len(),
        Err(error) => match error.error_len() {
            None => error.valid_up_to(),
            Some(wrong) => error.valid_up_to() + wrong,
        },
    };
    if whole == 0 {
        return None;
    }
    let taken: Vec<u8> = pending.drain(..whole).collect();
    Some(String::from_utf8_lossy(&taken).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_wherever_the_chunks_end() {
        let text = "aé漢🦀".repeat(20);
        for size in 1..9 {
            let mut pending = Vec::new();
            let mut joined = String::new();
            for chunk in text.as_bytes().chunks(size) {
                pending.extend_from_slice(chunk);
                while let Some(piece) = take(&mut pending) {
                    joined.push_str(&piece);
                }
            }
            assert_eq!(joined, text, "chunks of {size} bytes");
            assert!(pending.is_empty());
        }
    }
}
