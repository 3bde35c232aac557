//! `stepcast bench`, run against a server of its own or against a floor, and what it measured.

use std::{
    env,
    io::{Error, Result},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::floor::{Floor, FloorServer};

/// The binary, built as benchmarks are: `STEPCAST_BINARY` names another one.
///
/// # Errors
/// What cargo says.
pub fn binary() -> Result<PathBuf> {
    if let Some(given) = env::var_os("STEPCAST_BINARY") {
        return Ok(given.into());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--profile", "bench", "--package", "stepcast-cli"])
        .status()?;
    if !built.success() {
        return Err(Error::other(
            "`stepcast` cannot be built; cargo says why above",
        ));
    }
    // This program is in `deps` beside it.
    let here = env::current_exe()?;
    let folder = here.parent().and_then(|deps| deps.parent());
    let folder = folder.ok_or_else(|| Error::other("this program is in no target folder"))?;
    Ok(folder.join("stepcast"))
}

/// Puts a load on a server that `stepcast bench` starts.
///
/// # Errors
/// That it has failed; it says why on the error output.
pub fn of_stepcast(binary: &Path, load: &[&str]) -> Result<Value> {
    measure(Command::new(binary).arg("bench").args(load))
}

/// Puts the same load on a floor.
///
/// # Errors
/// That it has failed; it says why on the error output.
pub fn of_floor(binary: &Path, floor: Floor, load: &[&str]) -> Result<Value> {
    let server = FloorServer::start(floor)?;
    let pid = server.pid().to_string();
    let mut command = Command::new(binary);
    command.arg("bench").args(load);
    measure(command.args(["--url", &server.url, "--pid", &pid]))
}

fn measure(command: &mut Command) -> Result<Value> {
    let output = command
        .arg("--json")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(Error::other(format!(
            "{command:?} ended with {}",
            output.status
        )));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Both, of whom Stepcast is the first in one round and the floor in the next, so that what the first one leaves behind is in neither's favour.
///
/// # Errors
/// Those of the two.
pub fn in_turns<T, E>(
    round: usize,
    ours: impl FnOnce() -> std::result::Result<T, E>,
    floor: impl FnOnce() -> std::result::Result<T, E>,
) -> std::result::Result<(T, T), E> {
    if round.is_multiple_of(2) {
        let ours = ours()?;
        Ok((ours, floor()?))
    } else {
        let floor = floor()?;
        Ok((ours()?, floor))
    }
}

/// One figure of many reports, of Stepcast and of its floor.
#[derive(Debug, Clone, Default)]
pub struct Pairs {
    ours: Vec<f64>,
    floor: Vec<f64>,
}

impl Pairs {
    /// The figure at this path, e.g. `/latency_us/p50`, of two reports.
    pub fn add(&mut self, path: &str, ours: &Value, floor: &Value) {
        let figure = |report: &Value| report.pointer(path).and_then(Value::as_f64);
        self.add_figures(
            figure(ours).unwrap_or(f64::NAN),
            figure(floor).unwrap_or(f64::NAN),
        );
    }

    /// Two figures.
    pub fn add_figures(&mut self, ours: f64, floor: f64) {
        self.ours.push(ours);
        self.floor.push(floor);
    }

    /// Medians, spreads, and the ratio to the floor.
    #[must_use]
    pub fn shown(&self, unit: &str) -> String {
        let (ours, floor) = (Spread::of(&self.ours), Spread::of(&self.floor));
        format!(
            "{} {unit}, floor {} {unit}: {:.2} × the floor",
            ours.shown(),
            floor.shown(),
            ours.median / floor.median
        )
    }
}

struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        Self {
            least: at(0),
            median: at(sorted.len() / 2),
            most: at(sorted.len().saturating_sub(1)),
        }
    }

    fn shown(&self) -> String {
        let Self {
            least,
            median,
            most,
        } = self;
        format!("{median:.2} ({least:.2} to {most:.2})")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn whoever_was_first_is_second_in_the_next_round() {
        let order = RefCell::new(String::new());
        let is_at = |what: char| -> Result<char> {
            order.borrow_mut().push(what);
            Ok(what)
        };
        for round in 0..3 {
            let both = in_turns(round, || is_at('o'), || is_at('f'));
            assert_eq!(both.unwrap(), ('o', 'f'));
        }
        assert_eq!(order.into_inner(), "offoof");
    }

    #[test]
    fn the_ratio_is_that_of_the_medians() {
        let mut pairs = Pairs::default();
        for (ours, floor) in [(3.0, 1.0), (2.0, 1.0), (9.0, 4.0)] {
            pairs.add_figures(ours, floor);
        }
        let shown = pairs.shown("µs");
        assert_eq!(
            shown,
            "3.00 (2.00 to 9.00) µs, floor 1.00 (1.00 to 4.00) µs: 3.00 × the floor"
        );
    }
}
