//! The program run to its end: commands other than `serve`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error} in: {}\n{}", self.out, self.err))
    }
}

/// Compiled plugins, shared by all tests but those of the cache itself.
pub(crate) fn shared_cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e-cache")
}

/// The program, with nothing of the caller's environment that could matter.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wellcheck"));
    for name in ["CONFIG", "PLUGINS", "CACHE", "LISTEN", "LOG", "TOKEN"] {
        command.env_remove(format!("WELLCHECK_{name}"));
    }
    command.env("WELLCHECK_CACHE", shared_cache()).env("COLUMNS", "100").env_remove("NO_COLOR");
    command
}

/// Likewise, started by another program, whose first words these are.
pub(crate) fn command_through(words: &[String]) -> Command {
    let own = command();
    let Some((first, rest)) = words.split_first() else { return own };
    let mut command = Command::new(first);
    command.args(rest).arg(own.get_program());
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Runs a command to its end, in a folder.
pub(crate) fn run_in(dir: &Path, args: &[&str]) -> Ended {
    finish(command().current_dir(dir).args(args), "")
}

/// Likewise, where the folder does not matter.
pub(crate) fn run(args: &[&str]) -> Ended {
    run_in(Path::new(env!("CARGO_TARGET_TMPDIR")), args)
}

/// Hands over standard input and collects what comes out.
pub(crate) fn finish(command: &mut Command, input: &str) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A command that does not read its input may have closed it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the program can be waited for");
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).expect("it writes UTF-8"),
        err: String::from_utf8(output.stderr).expect("it writes UTF-8"),
    }
}
