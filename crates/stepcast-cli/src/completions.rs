//! `stepcast completions`: what a shell needs to complete commands.

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::{generate, shells};

use crate::{args::Cli, exit::Failure, output::print};

/// Print completions for a shell
///
/// For example: stepcast completions bash > ~/.local/share/bash-completion/completions/stepcast
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (mut command, mut script) = (Cli::command(), Vec::new());
        let name = "stepcast";
        match self.shell {
            Shell::Bash => generate(shells::Bash, &mut command, name, &mut script),
            Shell::Zsh => generate(shells::Zsh, &mut command, name, &mut script),
            Shell::Fish => generate(shells::Fish, &mut command, name, &mut script),
        }
        print(&script)
    }
}
