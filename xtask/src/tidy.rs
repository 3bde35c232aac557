//! How long a file may be: past [`WORTH_A_LOOK`] lines it is reported, past [`TOO_LONG`] it is refused.

use crate::{sources, workspace::Workspace};

const EXTENSIONS: [&str; 5] = ["rs", "ts", "tsx", "js", "html"];
const WORTH_A_LOOK: usize = 600;
const TOO_LONG: usize = 1_000;
const LONGEST_SHOWN: usize = 5;

#[derive(Debug, PartialEq, Eq)]
enum Length {
    Fine,
    WorthALook,
    TooLong,
}

impl Length {
    fn of(lines: usize) -> Self {
        if lines > TOO_LONG {
            Self::TooLong
        } else if lines > WORTH_A_LOOK {
            Self::WorthALook
        } else {
            Self::Fine
        }
    }
}

/// Prints the longest files and fails when one of them is too long.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    let mut files = lengths(workspace)?;
    files.sort_by(|(one, lines), (other, more)| more.cmp(lines).then(one.cmp(other)));
    report(&files);
    let refused: Vec<&str> = files
        .iter()
        .filter(|(_, lines)| Length::of(*lines) == Length::TooLong)
        .map(|(name, _)| name.as_str())
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(format!(
        "more than {TOO_LONG} lines in {}; split by what each part owns",
        refused.join(", ")
    ))
}

fn lengths(workspace: &Workspace) -> Result<Vec<(String, usize)>, String> {
    let files = sources::list(&workspace.root, &EXTENSIONS)?;
    let measure = |file: std::path::PathBuf| {
        let lines = sources::read(&file)?.lines().count();
        let name = file
            .strip_prefix(&workspace.root)
            .unwrap_or(&file)
            .display()
            .to_string();
        Ok((name, lines))
    };
    files.into_iter().map(measure).collect()
}

fn report(longest_first: &[(String, usize)]) {
    println!("{} files; the longest:", longest_first.len());
    for (position, (name, lines)) in longest_first.iter().enumerate() {
        let remark = match Length::of(*lines) {
            Length::Fine if position >= LONGEST_SHOWN => return,
            Length::Fine => String::new(),
            Length::WorthALook => format!("  warning: past {WORTH_A_LOOK}; does it own one thing?"),
            Length::TooLong => format!("  refused: past {TOO_LONG}"),
        };
        println!("{lines:>6}  {name}{remark}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_themselves_are_allowed() {
        assert_eq!(Length::of(0), Length::Fine);
        assert_eq!(Length::of(600), Length::Fine);
        assert_eq!(Length::of(601), Length::WorthALook);
        assert_eq!(Length::of(1_000), Length::WorthALook);
        assert_eq!(Length::of(1_001), Length::TooLong);
    }
}
