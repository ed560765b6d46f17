//! The first five minutes, as README.md shows them: what stands there after each `$` is run here, and
//! what comes out has to be what stands below it, but for numbers.
//!
//! `UPDATE_DOCS=1` writes what came out into README.md, to be read before it is kept.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::guests::root;
use crate::support::program::shared_cache;
use crate::support::servers::free_address;

const BEGIN: &str = "```console\n$ wellcheck plugin new";
const END: &str = "__the_end__";

/// A shell, fed line by line. What it started ends with it.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    fn start(dir: &std::path::Path) -> Self {
        let bin = dir.join("bin");
        std::fs::create_dir(&bin).expect("a folder");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wellcheck"), bin.join("wellcheck"))
            .expect("a link");
        let path = std::env::var("PATH").expect("there is a path");
        let mut child = Command::new("bash")
            .args(["--norc", "-s"])
            .current_dir(dir)
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("WELLCHECK_CACHE", shared_cache())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash runs");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut shell = Self { child, input, output };
        // What tools say on the way is not for the page.
        shell.run("trap 'kill $(jobs -p) 2>/dev/null' EXIT");
        shell
    }

    fn run(&mut self, command: &str) -> String {
        writeln!(self.input, "{command}\necho {END}").expect("the shell listens");
        let mut text = String::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("it is text");
            assert!(read > 0, "the shell ended in `{command}` after: {text}");
            if line.trim_end() == END {
                return text;
            }
            text.push_str(&line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = writeln!(self.input, "exit");
        let _ = self.child.wait();
    }
}

/// Numbers differ from run to run, and so do the columns that they fill.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for word in text.lines().map(str::trim_end) {
        let mut last = ' ';
        for c in word.chars() {
            let c = if c.is_ascii_digit() || (c == '.' && last == '#') { '#' } else { c };
            if !((c == '#' || c == ' ') && c == last) {
                out.push(c);
            }
            last = c;
        }
        out.push('\n');
    }
    out
}

#[test]
fn the_first_five_minutes_are_as_the_readme_shows_them() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("there is one");
    let begin = readme.find(BEGIN).expect("the transcript is there") + "```console\n".len();
    let end = begin + readme[begin..].find("```").expect("it ends");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut shell = Shell::start(dir.path());
    let ports: Vec<(String, String)> =
        ["8000", "8080"].map(|port| (port.to_owned(), free_address().port().to_string())).to_vec();
    let there = |text: &str| ports.iter().fold(text.to_owned(), |t, (a, b)| t.replace(a, b));
    let here = |text: &str| ports.iter().fold(text.to_owned(), |t, (a, b)| t.replace(b, a));

    let mut found = String::new();
    let mut steps = readme[begin..end].split_inclusive('\n').peekable();
    while let Some(command) = steps.next() {
        let mut expected = String::new();
        while let Some(line) = steps.next_if(|line| !line.starts_with("$ ")) {
            expected.push_str(line);
        }
        let typed = there(command.trim_start_matches("$ ").trim_end());
        // What was started in the background answers after a moment, and a person waits for it.
        let until = Instant::now() + Duration::from_secs(60);
        let said = loop {
            let said = here(&shell.run(&typed));
            let is_there = without_numbers(&said) == without_numbers(&expected);
            if is_there || !typed.starts_with("curl") || Instant::now() > until {
                break said;
            }
            shell.run("sleep 0.2");
        };
        // A person is slower than what was started; and the files of a new project have a port of
        // their own.
        let port = &ports[0].1;
        if typed.contains("http.server") {
            shell.run(&format!(
                "until (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.1; done"
            ));
        }
        shell.run(&format!("sed -i s/127.0.0.1:8000/127.0.0.1:{port}/ plugins/*.toml 2>/dev/null"));
        let blank = if expected.ends_with("\n\n") { "\n" } else { "" };
        found +=
            &[command, said.trim_end(), if said.is_empty() { "" } else { "\n" }, blank].concat();
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let text = [&readme[..begin], &found, &readme[end..]].concat();
        std::fs::write(&path, text).expect("writable");
        return;
    }
    let lines = |text: &str| without_numbers(text).lines().map(str::to_owned).collect::<Vec<_>>();
    let (expected, found_lines) = (lines(&readme[begin..end]), lines(&found));
    assert_eq!(expected, found_lines, "UPDATE_DOCS=1 accepts it:\n{found}");
}
