//! Commands of containers that only ask a URL: `curl` and `wget` in the forms that people write.
//!
//! A command that does anything else, or has an option that is not understood, is no check of ours;
//! then it is said which word it was.

use std::time::Duration;

use super::context::{Context, shown};
use super::http::{ANY_STATUS, MAX_REDIRECTS, Request, escaped, shown_url};
use super::shell::{self, Word};
use super::write::Text;
use super::yaml::Mark;

/// A command as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// For a shell.
    Line(String),
    /// Words as they are.
    Words(Vec<String>),
}

/// The longest command that is looked at, in bytes.
pub(super) const MAX_COMMAND: usize = 16 * 1024;

/// Programs that have a kind of their own here.
const KINDS: &[(&str, &str)] = &[
    ("pg_isready", "postgres"),
    ("psql", "postgres"),
    ("mysqladmin", "mysql"),
    ("mysql", "mysql"),
    ("mariadb-admin", "mysql"),
    ("mariadb", "mysql"),
    ("healthcheck.sh", "mysql"),
    ("redis-cli", "redis"),
    ("valkey-cli", "redis"),
    ("mongosh", "mongodb"),
    ("mongo", "mongodb"),
    ("nc", "tcp"),
    ("ncat", "tcp"),
];

/// What the command asks, with the time that it gives itself; or why it is no check.
pub(super) fn read(
    command: &Command,
    host: &str,
    mark: Mark,
    what: &str,
    context: &mut Context<'_>,
) -> Result<(Request, Option<Duration>), String> {
    let size = match command {
        Command::Line(line) => line.len(),
        Command::Words(words) => words.iter().map(String::len).sum(),
    };
    if size > MAX_COMMAND {
        return Err(format!("its command has more than {MAX_COMMAND} bytes"));
    }
    let words = match command {
        Command::Line(line) => split(line)?,
        Command::Words(words) => match words.as_slice() {
            // Commands run without a shell, unless they start one.
            [shell, option, line] if is_shell(shell) && is_line_option(option) => split(line)?,
            words => words.iter().cloned().map(Word::Text).collect(),
        },
    };
    let mut asking = Asking::default();
    let mut commands = words.split(|word| *word == Word::Pipe);
    let first = plain(commands.next().unwrap_or_default());
    let Some((program, arguments)) = first.split_first() else {
        return Err("its command is empty".to_owned());
    };
    match base_name(program) {
        "curl" => asking.curl(arguments)?,
        "wget" => asking.wget(arguments)?,
        other => return Err(unknown_program(other)),
    }
    match (commands.next(), commands.next()) {
        (None, _) => {}
        (Some(grep), None) => asking.grep(&plain(grep))?,
        _ => return Err("its command pipes through more than one other".to_owned()),
    }
    asking.finish(host, mark, what, context)
}

/// The words of a line. What a client of a database is told does not matter: it has a kind here.
fn split(line: &str) -> Result<Vec<Word>, String> {
    shell::split(line).map_err(|why| {
        let first = line.split_whitespace().next().unwrap_or_default();
        let known = KINDS.iter().any(|(name, _)| *name == base_name(first));
        if known { unknown_program(base_name(first)) } else { why }
    })
}

fn is_shell(word: &str) -> bool {
    matches!(base_name(word), "sh" | "bash" | "ash" | "dash")
}

fn is_line_option(word: &str) -> bool {
    matches!(word, "-c" | "-ec" | "-lc" | "-exc" | "-xc")
}

fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

fn unknown_program(program: &str) -> String {
    let kind = KINDS.iter().find(|(name, _)| *name == program);
    let program = shown(program);
    match kind {
        Some((_, kind)) => format!(
            "it runs `{program}` (nothing is run in containers; the kind `{kind}` asks from outside)"
        ),
        None => format!("it runs `{program}` (nothing is run in containers; a plugin can look)"),
    }
}

/// The words of one command.
fn plain(words: &[Word]) -> Vec<String> {
    let text = |word: &Word| match word {
        Word::Text(text) => Some(text.clone()),
        Word::Pipe => None,
    };
    words.iter().filter_map(text).collect()
}

/// What a command asks, as far as it has been read.
#[derive(Debug, Default)]
struct Asking {
    request: Request,
    urls: Vec<String>,
    headers: Vec<(String, String)>,
    user: Option<String>,
    within: Option<Duration>,
    /// Whether codes of errors fail.
    fails: bool,
    follows: bool,
    default_method: Option<&'static str>,
    notes: Vec<String>,
}

impl Asking {
    fn curl(&mut self, arguments: &[String]) -> Result<(), String> {
        let mut options = Options::new(arguments, "curl", "AbcDdeFHKmoQrTuUwxXyYzt");
        while let Some(option) = options.next()? {
            match option.name.as_str() {
                "f" | "fail" | "fail-with-body" => self.fails = true,
                "L" | "location" => self.follows = true,
                "s" | "silent" | "S" | "show-error" | "v" | "verbose" | "q" | "disable" | "N"
                | "no-buffer" | "g" | "globoff" | "i" | "include" | "no-progress-meter" | "#"
                | "progress-bar" | "tcp-nodelay" | "no-keepalive" | "compressed" => {}
                "o" | "output" | "w" | "write-out" | "c" | "cookie-jar" | "stderr" => {
                    options.value(&option)?;
                }
                "k" | "insecure" => self.request.tls_insecure = true,
                "I" | "head" => self.default_method = Some("HEAD"),
                "X" | "request" => {
                    let method = options.value(&option)?.to_ascii_uppercase();
                    self.request.method = Some(Text::literal(method));
                }
                "H" | "header" => {
                    let header = options.value(&option)?;
                    self.header(&header)?;
                }
                "A" | "user-agent" => {
                    let agent = options.value(&option)?;
                    self.headers.push(("User-Agent".to_owned(), agent));
                }
                "e" | "referer" => {
                    let referer = options.value(&option)?;
                    self.headers.push(("Referer".to_owned(), referer));
                }
                "b" | "cookie" => {
                    let cookie = options.value(&option)?;
                    self.headers.push(("Cookie".to_owned(), cookie));
                }
                "d" | "data" | "data-raw" | "data-ascii" | "data-binary" | "json" => {
                    let data = options.value(&option)?;
                    self.data(&data, option.name == "json", option.name == "data-raw")?;
                }
                "u" | "user" => self.user = Some(options.value(&option)?),
                "m" | "max-time" => {
                    let seconds = options.value(&option)?;
                    self.limit(&seconds, "curl")?;
                }
                "connect-timeout" => {
                    let seconds = options.value(&option)?;
                    self.notes.push(format!(
                        "`--connect-timeout {}` is left out: the timeout counts for everything",
                        shown(&seconds)
                    ));
                }
                "retry" | "retry-delay" | "retry-max-time" => {
                    options.value(&option)?;
                    self.retries();
                }
                "retry-connrefused" | "retry-all-errors" => self.retries(),
                "max-redirs" => {
                    let number = options.value(&option)?;
                    let number: i64 = number.parse().map_err(|_| option.not_understood("curl"))?;
                    self.request.redirects = Some(number.clamp(0, MAX_REDIRECTS));
                }
                "0" | "http1.0" | "http1.1" => self.request.http_version = Some("1.1"),
                "http2-prior-knowledge" => self.request.http_version = Some("2"),
                "http2" => {}
                "4" | "ipv4" => self.request.address_family = Some("ipv4"),
                "6" | "ipv6" => self.request.address_family = Some("ipv6"),
                "x" | "proxy" => {
                    let proxy = options.value(&option)?;
                    self.request.proxy = Some(Text::literal(proxy));
                }
                "cacert" => {
                    let path = options.value(&option)?;
                    self.notes.push(format!("`{}` is a file of the container", shown(&path)));
                    self.request.tls_ca = Some(Text::literal(path));
                }
                "url" => {
                    let url = options.value(&option)?;
                    self.urls.push(url);
                }
                "" => self.urls.push(option.argument.clone()),
                _ => return Err(option.not_understood("curl")),
            }
        }
        Ok(())
    }

    fn wget(&mut self, arguments: &[String]) -> Result<(), String> {
        self.fails = true;
        self.follows = true;
        let mut options = Options::new(arguments, "wget", "OtTUaoPQwY");
        while let Some(option) = options.next()? {
            match option.name.as_str() {
                // The GNU one asks with HEAD and again with GET, the one of BusyBox with GET.
                "spider" | "q" | "quiet" | "nv" | "no-verbose" | "v" | "S" | "server-response"
                | "no-cache" | "c" | "no-proxy" | "proxy" => {}
                "O" | "output-document" | "o" | "output-file" | "P" | "directory-prefix" | "Y" => {
                    options.value(&option)?;
                }
                "t" | "tries" => {
                    if options.value(&option)? != "1" {
                        self.retries();
                    }
                }
                "retry-connrefused" => self.retries(),
                "waitretry" | "w" | "wait" => {
                    options.value(&option)?;
                }
                "T" | "timeout" | "read-timeout" => {
                    let seconds = options.value(&option)?;
                    self.limit(&seconds, "wget")?;
                }
                "connect-timeout" | "dns-timeout" => {
                    options.value(&option)?;
                    let name = &option.name;
                    self.notes
                        .push(format!("`--{name}` is left out: the timeout counts for everything"));
                }
                "header" => {
                    let header = options.value(&option)?;
                    self.header(&header)?;
                }
                "U" | "user-agent" => {
                    let agent = options.value(&option)?;
                    self.headers.push(("User-Agent".to_owned(), agent));
                }
                "post-data" | "body-data" => {
                    let data = options.value(&option)?;
                    self.data(&data, false, true)?;
                }
                "method" => {
                    let method = options.value(&option)?.to_ascii_uppercase();
                    self.request.method = Some(Text::literal(method));
                }
                "user" | "http-user" | "password" | "http-password" => {
                    let value = options.value(&option)?;
                    let user = self.user.get_or_insert_with(|| ":".to_owned());
                    let (name, password) = user.split_once(':').unwrap_or((user, ""));
                    *user = match option.name.contains("password") {
                        true => format!("{name}:{value}"),
                        false => format!("{value}:{password}"),
                    };
                }
                "no-check-certificate" => self.request.tls_insecure = true,
                "ca-certificate" => {
                    let path = options.value(&option)?;
                    self.notes.push(format!("`{}` is a file of the container", shown(&path)));
                    self.request.tls_ca = Some(Text::literal(path));
                }
                "max-redirect" => {
                    let number = options.value(&option)?;
                    let number: i64 = number.parse().map_err(|_| option.not_understood("wget"))?;
                    self.request.redirects = Some(number.clamp(0, MAX_REDIRECTS));
                }
                "4" | "inet4-only" => self.request.address_family = Some("ipv4"),
                "6" | "inet6-only" => self.request.address_family = Some("ipv6"),
                "" => self.urls.push(option.argument.clone()),
                _ => return Err(option.not_understood("wget")),
            }
        }
        if self.request.redirects.is_none() {
            self.request.redirects = Some(20);
        }
        Ok(())
    }

    /// `| grep -q WORD`: the body must hold it.
    fn grep(&mut self, words: &[String]) -> Result<(), String> {
        let (program, arguments) = words.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
        if !matches!(base_name(program), "grep" | "egrep" | "fgrep") {
            return Err(format!("it pipes through `{}`", shown(program)));
        }
        let mut options = Options::new(arguments, "grep", "em");
        let mut pattern = None;
        let mut fixed = base_name(program) == "fgrep";
        let mut ignore_case = false;
        let mut extended = base_name(program) == "egrep";
        while let Some(option) = options.next()? {
            match option.name.as_str() {
                "q" | "quiet" | "silent" | "s" | "o" | "a" => {}
                "F" | "fixed-strings" => fixed = true,
                "i" | "ignore-case" => ignore_case = true,
                "E" | "extended-regexp" => extended = true,
                "m" => {
                    options.value(&option)?;
                }
                "e" => pattern = Some(options.value(&option)?),
                "" if pattern.is_none() => pattern = Some(option.argument.clone()),
                _ => return Err(option.not_understood("grep")),
            }
        }
        let pattern = pattern.filter(|pattern| !pattern.is_empty());
        let Some(pattern) = pattern else { return Err("it looks for nothing".to_owned()) };
        let is_text =
            fixed || !pattern.contains(['.', '*', '[', '^', '$', '\\', '+', '?', '(', '{', '|']);
        if is_text && !ignore_case {
            self.request.expect_body.push(Text::literal(pattern));
        } else if is_text || extended {
            let flags = if ignore_case { "im" } else { "m" };
            let regex = if is_text { escaped(&pattern) } else { pattern };
            self.request.expect_body_matches.push(Text::literal(format!("(?{flags}){regex}")));
        } else {
            return Err(format!("it looks for the pattern `{}`", shown(&pattern)));
        }
        Ok(())
    }

    fn header(&mut self, header: &str) -> Result<(), String> {
        let (name, value) =
            header.split_once(':').ok_or_else(|| format!("`{}` is no header", shown(header)))?;
        self.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        Ok(())
    }

    fn data(&mut self, data: &str, json: bool, raw: bool) -> Result<(), String> {
        if data.starts_with('@') && !raw {
            return Err(format!("it sends the file `{}`", shown(&data[1..])));
        }
        let typed = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !typed {
            let kind = if json { "application/json" } else { "application/x-www-form-urlencoded" };
            self.headers.push(("Content-Type".to_owned(), kind.to_owned()));
        }
        if self.request.body.is_some() {
            return Err("it sends data more than once".to_owned());
        }
        self.request.body = Some(Text::literal(data));
        Ok(())
    }

    fn limit(&mut self, seconds: &str, program: &str) -> Result<(), String> {
        let number: f64 = seconds
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite() && *number > 0.0 && *number < 1e6)
            .ok_or_else(|| format!("`{}` is no limit for `{program}`", shown(seconds)))?;
        self.within = Some(Duration::from_millis((number * 1000.0).ceil() as u64));
        Ok(())
    }

    fn retries(&mut self) {
        let note = "it tries more than once; a check does so by its `failure-threshold`";
        if !self.notes.iter().any(|known| known == note) {
            self.notes.push(note.to_owned());
        }
    }

    fn finish(
        mut self,
        host: &str,
        mark: Mark,
        what: &str,
        context: &mut Context<'_>,
    ) -> Result<(Request, Option<Duration>), String> {
        let url = match self.urls.as_slice() {
            [url] => url,
            [] => return Err("its command names no URL".to_owned()),
            _ => return Err("its command names more than one URL".to_owned()),
        };
        let lower = url.to_ascii_lowercase();
        let url = match lower.split_once("://") {
            Some(("http" | "https", _)) => url.clone(),
            Some((scheme, _)) => return Err(format!("it asks by `{}`", shown(scheme))),
            None => format!("http://{url}"),
        };
        if url.contains(char::is_whitespace) {
            return Err(format!("`{}` is no URL", shown_url(&url)));
        }
        let (url, moved) = elsewhere(&url, host);
        if moved {
            context.note(
                mark,
                format!(
                    "{what} asks the container itself; from outside it is asked at `{}` (`--host \
                     NAME=ADDRESS` says where it is, and its port may be another)",
                    shown_url(&url)
                ),
            );
        }
        let url = Text::literal(url);
        super::http::note_credentials(&url, mark, what, context);
        self.request.url = Some(url);
        if self.request.body.is_some() && self.request.method.is_none() {
            self.request.method = Some(Text::literal("POST"));
        }
        if let (Some(method), None) = (self.default_method, &self.request.method) {
            self.request.method = Some(Text::literal(method));
        }
        let headers = std::mem::take(&mut self.headers);
        for (name, value) in headers {
            self.request.header(&name, Text::literal(value), mark, what, context);
        }
        if let Some(user) = &self.user {
            let (user, password) = user.split_once(':').unwrap_or((user, ""));
            let (user, password) = (user.to_owned(), password.to_owned());
            self.request.basic_auth(&user, &password, mark, what, context);
        }
        self.request.expect_status = match (self.fails, self.follows) {
            (false, _) => vec![ANY_STATUS],
            (true, true) => vec![(200, 299)],
            (true, false) => vec![(200, 399)],
        };
        let redirects = self.request.redirects.unwrap_or(MAX_REDIRECTS);
        self.request.redirects = Some(if self.follows { redirects } else { 0 });
        for note in self.notes {
            context.note(mark, format!("in {what}: {note}"));
        }
        Ok((self.request, self.within))
    }
}

/// The URL with the host at which the container is to be found, and whether it named itself.
fn elsewhere(url: &str, host: &str) -> (String, bool) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), false) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (format!("{user}@"), place),
        None => (String::new(), authority),
    };
    for own in ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "ip6-localhost"] {
        let port = place.strip_prefix(own).filter(|port| port.is_empty() || port.starts_with(':'));
        if let Some(port) = port {
            let bare = host.contains(':') && !host.starts_with('[');
            let host = if bare { format!("[{host}]") } else { host.to_owned() };
            return (format!("{scheme}://{user}{host}{port}{path}"), true);
        }
    }
    (url.to_owned(), false)
}

/// One option, or an argument that is none.
#[derive(Debug)]
struct Given {
    /// Without hyphens; empty for an argument.
    name: String,
    /// The argument, or what follows `=` or the letter.
    argument: String,
    attached: bool,
}

impl Given {
    fn not_understood(&self, program: &str) -> String {
        let hyphens = if self.name.chars().count() == 1 { "-" } else { "--" };
        format!("the option `{hyphens}{}` of `{program}` is not understood", shown(&self.name))
    }
}

/// Goes through arguments: `-f`, `-fsS`, `-m5`, `-m 5`, `--max-time 5`, `--max-time=5`.
struct Options<'a> {
    arguments: std::slice::Iter<'a, String>,
    program: &'static str,
    /// Letters that take a value.
    valued: &'static str,
    /// Letters of a bundle that are still to come.
    bundle: Vec<char>,
    no_more: bool,
}

impl<'a> Options<'a> {
    fn new(arguments: &'a [String], program: &'static str, valued: &'static str) -> Self {
        let arguments = arguments.iter();
        Self { arguments, program, valued, bundle: Vec::new(), no_more: false }
    }

    fn next(&mut self) -> Result<Option<Given>, String> {
        if let Some(letter) = self.bundle.pop() {
            return Ok(Some(self.letter(letter)));
        }
        let Some(word) = self.arguments.next() else { return Ok(None) };
        if word == "--" && !self.no_more {
            self.no_more = true;
            return self.next();
        }
        if self.no_more || word == "-" || !word.starts_with('-') {
            return Ok(Some(Given {
                name: String::new(),
                argument: word.clone(),
                attached: false,
            }));
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, argument) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            return Ok(Some(Given {
                name: name.to_owned(),
                argument: argument.unwrap_or_default().to_owned(),
                attached: argument.is_some(),
            }));
        }
        // The one word of `wget` that looks like a bundle.
        if word == "-nv" && self.program == "wget" {
            return Ok(Some(Given { name: "nv".into(), argument: String::new(), attached: false }));
        }
        self.bundle = word.chars().skip(1).collect();
        self.bundle.reverse();
        self.next()
    }

    fn letter(&mut self, letter: char) -> Given {
        let mut given =
            Given { name: letter.to_string(), argument: String::new(), attached: false };
        if self.valued.contains(letter) && !self.bundle.is_empty() {
            given.argument = self.bundle.drain(..).rev().collect();
            given.attached = true;
        }
        given
    }

    /// The value of an option.
    fn value(&mut self, option: &Given) -> Result<String, String> {
        if option.attached {
            return Ok(option.argument.clone());
        }
        self.arguments.next().cloned().ok_or_else(|| {
            let name = shown(&option.name);
            format!("the option `{name}` of `{}` has no value", self.program)
        })
    }
}

#[cfg(test)]
mod tests;
