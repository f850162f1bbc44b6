//! The files of the project.

use std::path::{Path, PathBuf};

use isotherm_it::root;

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The files of the project with this ending, and what is in them.
pub(crate) fn sources(extension: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&root(), &mut found);
    let of_kind = found.into_iter().filter(|path| path.extension().is_some_and(|e| e == extension));
    of_kind.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The lines before a file's unit tests.
pub(crate) fn without_tests(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod tests").next().unwrap_or(source)
}
