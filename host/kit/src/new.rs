//! New projects: the files of a language, what every project has, and the contract.
//!
//! Everything that is written comes along with the program, so that this needs no network. Nothing
//! is ever written over.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::contract;
use crate::language::{File, Language, New};
use crate::project;

/// What every project has, unless its language has a file of that path itself.
const COMMON: &[(&str, &str)] = &[
    (project::FILE, include_str!("../templates/common/plugin.toml")),
    ("README.md", include_str!("../templates/common/README.md")),
    ("test.toml", include_str!("../templates/common/test.toml")),
    ("{{name}}.toml", include_str!("../templates/common/sidecar.toml")),
    (".gitignore", include_str!("../templates/common/gitignore")),
];

/// All files of a new project, with the contract below `wit`.
pub fn files(language: &Language, new: &New<'_>) -> Vec<File> {
    let mut files = (language.files)(new);
    for (path, text) in COMMON {
        let path = path.replace("{{name}}", new.name);
        if files.iter().any(|file| file.path == path) {
            continue;
        }
        let text = text
            .replace("{{title}}", language.title)
            .replace("{{language}}", language.name)
            .replace("{{source}}", language.source);
        files.push(File::of(&path, &text, new));
    }
    let contract = contract::FILES.iter();
    files.extend(contract.map(|(path, text)| File::kit(&format!("wit/{path}"), text)));
    files
}

/// Makes a project in a folder that is empty or not there. Gives the files, in order.
///
/// # Errors
/// When something is in the folder, or a file cannot be written.
pub fn create(folder: &Path, language: &Language, new: &New<'_>) -> io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    if std::fs::read_dir(folder)?.next().is_some() {
        let full = "it is not empty, and nothing is written over";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, full));
    }
    let mut made = Vec::new();
    for file in files(language, new) {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::File::create_new(&path)?.write_all(file.text.as_bytes())?;
        made.push(path);
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::LANGUAGES;
    use crate::project::Project;

    #[test]
    fn every_language_gives_a_project_that_is_found_to_be_of_it() {
        for language in LANGUAGES {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path().join("queue-depth");
            let made = create(&folder, language, &New { name: "queue-depth" }).unwrap();
            assert!(folder.join(language.source).is_file(), "{}", language.name);
            for path in made {
                let text = std::fs::read_to_string(&path).unwrap();
                // Some languages write two braces themselves.
                let left = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase());
                let is_left = text.split("{{").skip(1).any(left);
                assert!(!is_left, "`{}` has a placeholder left", path.display());
            }
            let project = Project::open(&folder).unwrap();
            assert_eq!(project.manifest.name, "queue-depth");
            assert_eq!(project.language.name, language.name);
            // Also by its files alone.
            std::fs::remove_file(folder.join(project::FILE)).unwrap();
            assert_eq!(Project::open(&folder).unwrap().language.name, language.name);
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine"), "mine").unwrap();
        let error = create(folder.path(), &LANGUAGES[0], &New { name: "a" }).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
