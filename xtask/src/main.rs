//! The repository's own checks, as `cargo xtask verify`. CI runs the same command.
//!
//! - [`stage`]: the stages of `verify`, their order and what each runs.
//! - [`tools`]: installs the programs that the stages need.
//! - [`direction`]: which crate and which module may use which.
//! - [`tidy`]: how long a file may be.
//! - [`generated`]: whether generated files are those of their sources.
//! - [`instructions`]: how many instructions the hot paths may take.
//! - [`workspace`] and [`command`]: what cargo says about the repository, and running a program.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its terminal"
)]

mod command;
mod direction;
mod generated;
mod instructions;
mod sources;
mod stage;
mod tidy;
mod tools;
mod workspace;

use std::{process::ExitCode, time::Instant};

use crate::{stage::Stage, workspace::Workspace};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["verify", names @ ..] => verify(names),
        ["baseline"] => Workspace::read().and_then(|workspace| instructions::accept(&workspace)),
        [] | ["help" | "--help" | "-h"] => {
            print!("{}", help());
            Ok(())
        }
        [unknown, ..] => Err(format!(
            "unknown command `{unknown}`; `cargo xtask help` lists what there is"
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("\nxtask: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn verify(names: &[&str]) -> Result<(), String> {
    let stages = Stage::select(names)?;
    let workspace = Workspace::read()?;
    let started = Instant::now();
    let mut times = Vec::new();
    for stage in &stages {
        println!("\n== {stage}: {} ==", stage.summary());
        let began = Instant::now();
        stage.run(&workspace).map_err(|cause| {
            format!("stage `{stage}` failed: {cause}\nrun it alone: cargo xtask verify {stage}")
        })?;
        times.push(format!("{stage} {} s", began.elapsed().as_secs()));
    }
    println!(
        "\nverify: {} passed in {} s ({})",
        count(stages.len()),
        started.elapsed().as_secs(),
        times.join(", ")
    );
    Ok(())
}

fn count(stages: usize) -> String {
    match stages {
        1 => "1 stage".to_owned(),
        more => format!("{more} stages"),
    }
}

fn help() -> String {
    let mut text = String::from(
        "cargo xtask verify            run every stage but `builds`, in this order, until one fails\n\
         cargo xtask verify --all      run every stage\n\
         cargo xtask verify <stage>…   run only these\n\
         cargo xtask baseline          take what `verify instructions` counts as what later changes are held against\n\
         cargo xtask help              print this\n\nstages:\n",
    );
    for stage in Stage::ALL.into_iter().chain(Stage::MORE) {
        text.push_str(&format!("  {:<12} {}\n", stage.name(), stage.summary()));
    }
    text
}
