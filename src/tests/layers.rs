//! The arrows between the layers go one way, and the pure layers stay pure.

use std::path::{Path, PathBuf};

/// Each layer with those that it may name.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("values", &[]),
    ("snapshot", &["values"]),
    ("plan", &["values", "snapshot"]),
    ("run", &["values", "snapshot", "plan"]),
    ("edge", &["values", "snapshot", "plan", "run"]),
    ("serve", &["values", "snapshot", "plan", "run"]),
    ("rehearsal", &["values", "plan"]),
    ("telemetry", &[]),
    ("shutdown", &[]),
    ("settings", &["values", "run", "telemetry"]),
    (
        "daemon",
        &[
            "values",
            "snapshot",
            "plan",
            "run",
            "edge",
            "serve",
            "rehearsal",
            "settings",
            "telemetry",
            "shutdown",
        ],
    ),
    (
        "cli",
        &[
            "values",
            "snapshot",
            "plan",
            "run",
            "serve",
            "settings",
            "telemetry",
            "shutdown",
            "daemon",
        ],
    ),
];

/// What a pure layer must not name: effects, and the clock.
const IMPURE: &[&str] = &[
    "tokio::",
    "git2::",
    "kube::",
    "reqwest::",
    "sled::",
    "notify::",
    "std::fs",
    "std::env",
    "std::net",
    "Utc::now",
    "SystemTime",
    "Instant::now",
];

const PURE: &[&str] = &["values", "snapshot", "plan"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file without its tests, comments left out.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy();
    name == "tests"
        || name.ends_with("_tests")
        || name == "model"
        || name == "fake"
        || path.components().any(|part| part.as_os_str() == "tests")
}

/// Every `crate::<word>` of some code.
fn named(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
}

#[test]
fn no_layer_looks_up() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut wrong = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "found only {} source files", files.len());
    for file in files.iter().filter(|file| !is_test(file)) {
        let inside = file.strip_prefix(&root).unwrap();
        let layer = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let layer = layer.trim_end_matches(".rs");
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == layer) else {
            continue;
        };
        let code = code(file);
        for other in named(&code).filter(|other| MAY_NAME.iter().any(|(name, _)| name == other)) {
            if other != layer && !allowed.contains(&other) {
                wrong.push(format!("{} names {other}", inside.display()));
            }
        }
        if PURE.contains(&layer) {
            for word in IMPURE.iter().filter(|word| code.contains(**word)) {
                wrong.push(format!("{} names {word}, which is not pure", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn edges_do_not_know_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/edge");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files.iter().filter(|file| !is_test(file)) {
        let inside = file.strip_prefix(&root).unwrap();
        let own = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        let code = code(file);
        for other in code.split("crate::edge::").skip(1) {
            let other = other
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default();
            // How TLS is set up is one thing for all of them.
            assert!(
                other == own.trim_end_matches(".rs") || other == "tls",
                "edge {own} names edge {other} in {}",
                inside.display()
            );
        }
    }
}

#[test]
fn no_file_is_longer_than_four_hundred_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let long: Vec<String> = files
        .iter()
        .filter(|file| !is_test(file))
        .map(|file| (file, std::fs::read_to_string(file).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > 400)
        .map(|(file, lines)| format!("{}: {lines} lines", file.strip_prefix(&root).unwrap().display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}
