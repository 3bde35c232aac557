//! The programs that the stages need: found, or installed where a fresh machine has none.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{command::Tool, workspace::Workspace};

/// What Debian, Ubuntu and Google call the browser. `e2e/support/browser.js` looks for the same names.
const CHROMIUM_NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// The oldest Node.js, by major and minor version, that the npm package is for.
const OLDEST_NODE: (u32, u32) = (20, 19);

/// Installs what is missing; on a machine that has everything it changes nothing.
pub(crate) fn install_missing(workspace: &Workspace) -> Result<(), String> {
    nextest()?;
    node()?;
    npm_packages(&workspace.e2e())?;
    npm_packages(&workspace.package())?;
    chromium()?;
    valgrind()
}

fn nextest() -> Result<(), String> {
    match Tool::new("cargo", &["nextest", "--version"]).output() {
        Ok(version) => {
            found("cargo-nextest", version.lines().next().unwrap_or_default());
            Ok(())
        }
        Err(_) => Tool::new("cargo", &["install", "cargo-nextest", "--locked"]).run(),
    }
}

fn node() -> Result<(), String> {
    let (major, minor) = OLDEST_NODE;
    let advice = format!("install Node.js {major}.{minor} or newer, with npm (https://nodejs.org)");
    let version = Tool::new("node", &["--version"])
        .output()
        .map_err(|cause| format!("{cause}; {advice}"))?;
    if node_version(&version).is_none_or(|found| found < OLDEST_NODE) {
        return Err(format!("Node.js {} is too old; {advice}", version.trim()));
    }
    found("node", version.trim());
    Ok(())
}

/// The 20 and 11 of `v20.11.1`.
fn node_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix('v')?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// `npm ci` takes most of a minute, so it runs only when the lock file is newer than what npm installed from it.
pub(crate) fn npm_packages(project: &Path) -> Result<(), String> {
    let installed = modified(&project.join("node_modules/.package-lock.json"));
    let wanted = modified(&project.join("package-lock.json"));
    if installed.is_some() && installed >= wanted {
        let folder = project.join("node_modules");
        found(
            "npm packages",
            &format!("{} is up to date", folder.display()),
        );
        return Ok(());
    }
    Tool::new(
        "npm",
        &["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
    )
    .within(project.to_owned())
    .run()
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|about| about.modified()).ok()
}

fn chromium() -> Result<(), String> {
    if let Some(browser) = CHROMIUM_NAMES.iter().find_map(|name| on_path(name)) {
        found("chromium", &browser.display().to_string());
        return Ok(());
    }
    from_debian("chromium", "Chromium or Google Chrome")
}

fn valgrind() -> Result<(), String> {
    match Tool::new("valgrind", &["--version"]).output() {
        Ok(version) => {
            found("valgrind", version.trim());
            Ok(())
        }
        Err(_) => from_debian("valgrind", "Valgrind"),
    }
}

/// Installs a package of Debian and Ubuntu.
fn from_debian(package: &str, what: &str) -> Result<(), String> {
    if on_path("apt-get").is_none() {
        return Err(format!(
            "no {what} on PATH and no apt-get to install it; install it by hand and run this stage again"
        ));
    }
    as_root(&["apt-get", "update"])?;
    as_root(&[
        "apt-get",
        "install",
        "-y",
        "--no-install-recommends",
        package,
    ])
}

fn as_root(words: &[&str]) -> Result<(), String> {
    let is_root = Tool::new("id", &["-u"]).output()?.trim() == "0";
    match words {
        [program, arguments @ ..] if is_root => Tool::new(program, arguments).run(),
        _ if on_path("sudo").is_some() => Tool::new("sudo", words).run(),
        _ => Err(format!(
            "only root can run `{}` and there is no sudo; run it by hand",
            words.join(" ")
        )),
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn found(what: &str, details: &str) {
    println!("{what}: {details}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_node_is_read() {
        assert_eq!(node_version("v20.11.1\n"), Some((20, 11)));
        assert_eq!(node_version("v24.0.0-nightly"), Some((24, 0)));
        assert_eq!(node_version("20.11.1"), None);
        assert_eq!(node_version(""), None);
    }

    #[test]
    fn a_program_that_is_nowhere_is_not_found() {
        assert_eq!(on_path("no-such-program-anywhere"), None);
        assert!(on_path("cargo").is_some());
    }
}
