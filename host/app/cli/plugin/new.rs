//! `wellcheck plugin new`: a folder with the source of a plugin, to begin with.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args as ClapArgs;
use clap::builder::PossibleValuesParser;
use wellcheck_core::id::PluginName;
use wellcheck_kit::language::{self, LANGUAGES, New};
use wellcheck_kit::new;

use crate::cli::exit::{Ended, Exit, OrExit};
use crate::cli::setup;
use crate::cli::table::columns;

/// Make a folder with the source of a new plugin.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The folder has a small check that works, what its language needs, tests, an \
example of settings and grants, and a README that says what to do. It is made without a network; \
nothing is ever written over.\n\nExamples:\n  wellcheck plugin new queue-depth --lang python\n  \
wellcheck plugin new queue-depth --lang rust --dir checks/queue\n  wellcheck plugin new --list"
)]
pub(crate) struct Args {
    /// The plugin's name: that of its file, and of its check
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// The language
    #[arg(
        short,
        long,
        value_name = "LANGUAGE",
        required_unless_present = "list",
        value_parser = PossibleValuesParser::new(LANGUAGES.iter().map(|language| language.name)),
    )]
    lang: Option<String>,
    /// The folder to make [default: NAME]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// List the languages
    #[arg(long, exclusive = true)]
    list: bool,
}

pub(crate) fn run(args: &Args) -> Ended {
    let (Some(name), Some(lang), false) = (&args.name, &args.lang, args.list) else {
        let rows = LANGUAGES.iter().map(|l| vec![l.name.to_owned(), l.title.to_owned()]);
        setup::print(&columns(&rows.collect::<Vec<_>>()))?;
        return Ok(Exit::DONE);
    };
    let name = PluginName::new(name)
        .map_err(|error| anyhow!("`{name}` is no name for a plugin: {error}"))
        .or_exit(Exit::USAGE)?;
    let language = language::named(lang).expect("clap takes no other");
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(name.as_str()));
    let made = new::create(&folder, language, &New { name: name.as_str() })
        .with_context(|| format!("`{}` cannot be made", folder.display()))
        .or_exit(Exit::UNAVAILABLE)?;
    setup::print(&next(&folder, language.source, made.len()))?;
    Ok(Exit::DONE)
}

/// What was made, and what to do with it.
fn next(folder: &Path, source: &str, files: usize) -> String {
    let (shown, word) = (folder.display(), word(folder));
    format!(
        "made {shown}: {files} files; the check is {}\n  build and test it: wellcheck plugin build \
         {word} && wellcheck plugin test {word}\n  then read {}, or change the check and build again\n",
        folder.join(source).display(),
        folder.join("README.md").display(),
    )
}

/// A path as one word of a shell that is no flag.
fn word(path: &Path) -> String {
    let mut text = path.display().to_string();
    if text.starts_with('-') {
        text.insert_str(0, "./");
    }
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_typed_is_one_word() {
        for (path, expected) in [
            ("queue-depth", "queue-depth"),
            ("a b", "'a b'"),
            ("it's; rm", "'it'\\''s; rm'"),
            ("-x", "./-x"),
        ] {
            assert_eq!(word(Path::new(path)), expected);
        }
    }
}
