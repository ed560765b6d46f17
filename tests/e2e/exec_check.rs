//! The kind `exec`: monitoring plugins as they are packaged, and programs that misbehave.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::checks::{expect, observation};
use crate::support::host::{Builder, Host, host};
use crate::support::nginx::Nginx;
use crate::support::servers::program;
use crate::support::wait::until;

const PLUGINS: &str = "/usr/lib/nagios/plugins";

/// The path of a monitoring plugin.
#[track_caller]
fn plugin(name: &str) -> String {
    let path: PathBuf = program(&[name], &[PLUGINS], "monitoring-plugins-basic");
    path.to_string_lossy().into_owned()
}

/// A check that runs a script of the shell.
fn script(name: &str, script: &str, keys: &str) -> String {
    let script = Value::from(script);
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", {script}]\ninterval = \"1h\"\ntimeout = \"20s\"\n{keys}\n"
    )
}

fn command(name: &str, command: &[&str], keys: &str) -> String {
    let command = json!(command);
    format!(
        "[[check]]\nname = \"{name}\"\nkind = \"exec\"\ncommand = {command}\ninterval = \"1h\"\ntimeout = \"20s\"\n{keys}\n"
    )
}

fn with(checks: &[String]) -> Builder {
    host().config(&format!("[exec]\nenabled = true\n{}", checks.concat()))
}

/// The processes that a script noted, one in each line.
#[track_caller]
fn noted(host: &Host, file: &str) -> Vec<Pid> {
    until(&format!("`{file}`"), || {
        let text = std::fs::read_to_string(host.dir().join(file)).unwrap_or_default();
        let pids: Vec<Pid> =
            text.lines().filter_map(|line| Pid::from_raw(line.trim().parse().ok()?)).collect();
        if pids.is_empty() { Err(text) } else { Ok(pids) }
    })
}

fn lives(pid: Pid) -> bool {
    // One that nobody has reaped yet is as good as gone.
    let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
    status.is_ok_and(|status| !status.contains(") Z "))
}

#[track_caller]
fn expect_gone(pids: &[Pid]) {
    until("all processes are gone", || match pids.iter().find(|pid| lives(**pid)) {
        Some(pid) => Err(format!("{pid:?} lives")),
        None => Ok(()),
    });
}

#[test]
fn check_dummy_ends_with_each_of_its_codes() {
    let dummy = plugin("check_dummy");
    let checks: Vec<String> = (0..4)
        .map(|code| {
            command(&format!("dummy{code}"), &[&dummy, &code.to_string(), "a | b=1;2;3"], "")
        })
        .collect();
    let host = with(&checks).start();
    let passed = expect(&host, "dummy0", "pass", Value::Null, "OK: a");
    assert_eq!(passed["message"], "OK: a");
    let number = &passed["outcome"]["observations"][0];
    assert_eq!(
        (&number["name"], &number["warn"], &number["fail"]),
        (&json!("b"), &json!("2"), &json!("3"))
    );
    assert_eq!(passed["target"], dummy);
    expect(&host, "dummy1", "warn", Value::Null, "WARNING: a");
    expect(&host, "dummy2", "fail", "plugin".into(), "CRITICAL: a");
    let unknown = expect(&host, "dummy3", "unknown", "inconclusive".into(), "UNKNOWN: a");
    assert_eq!(unknown["outcome"]["fault"], true);
}

#[test]
fn check_http_and_check_disk_report_their_numbers() {
    let (http, disk) = (plugin("check_http"), plugin("check_disk"));
    let nginx = Nginx::start("location / { return 200 'fine'; } location /bad { return 500; }");
    let port = nginx.address.port().to_string();
    let at = |path: &'static str| {
        [
            http.clone(),
            "-H".into(),
            "127.0.0.1".into(),
            "-p".into(),
            port.clone(),
            "-u".into(),
            path.into(),
        ]
    };
    let checks = [
        command("web", &at("/").each_ref().map(String::as_str), ""),
        command("bad", &at("/bad").each_ref().map(String::as_str), ""),
        command("disk", &[&disk, "-w", "1%", "-c", "0%", "-p", "/"], ""),
    ];
    let host = with(&checks).start();
    let web = expect(&host, "web", "pass", Value::Null, "HTTP OK");
    assert!(observation(&web, "time").is_some_and(|time| time > 0.0 && time < 10.0), "{web}");
    assert!(observation(&web, "size").is_some_and(|size| size > 100.0), "{web}");
    assert_eq!(web["outcome"]["observations"][1]["unit"], "B", "{web}");
    let bad = host.until_run("bad");
    assert_eq!((&bad["state"], &bad["reason"]), (&json!("fail"), &json!("plugin")), "{bad}");
    let disk = host.until_run("disk");
    let used = &disk["outcome"]["observations"][0];
    assert_eq!((&used["unit"], &used["labels"]["label"]), (&json!("B"), &json!("/")), "{disk}");
    assert!(used["value"].as_f64().is_some_and(|bytes| bytes > 1e6), "{disk}");
}

#[test]
fn a_program_sees_its_arguments_and_nothing_of_ours() {
    let checks = [
        script(
            "env",
            "env | grep -v '^PWD=\\|^_=\\|^SHLVL=\\|^OLDPWD=' | sort | tr '\\n' ' '",
            "environment = { GIVEN = \"a b\" }",
        ),
        script(
            "place",
            "pwd; cat; for fd in /proc/self/fd/*; do readlink $fd; done | grep -c 'socket\\|anon_inode'",
            "directory = \"/usr\"\nstdin = \"from us\"",
        ),
        script("empty", "cat; echo end", ""),
        script(
            "limits",
            "ulimit -c; ulimit -t; ulimit -n; ulimit -d",
            "files = 33\nmemory = \"8MiB\"\ncpu = \"7s\"",
        ),
        command("plain", &["/bin/echo", "$(id)", "a  b", ";", "`id`", "*"], ""),
    ];
    let host = with(&checks).env("WELLCHECK_CANARY", "env-canary-7d").start();
    let env = host.until_run("env");
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(env["message"], format!("GIVEN=a b LANG=C {path}"), "{env}");
    let place = host.until_run("place");
    assert_eq!(place["message"], "/usr");
    assert_eq!(place["outcome"]["details"]["output"], "from us0", "no descriptor of ours");
    assert_eq!(host.until_run("empty")["message"], "end");
    let limits = host.until_run("limits");
    assert_eq!(limits["message"], "0");
    assert_eq!(limits["outcome"]["details"]["output"], "7\\n33\\n8192");
    assert_eq!(host.until_run("plain")["message"], "$(id) a  b ; `id` *");
}

#[test]
fn what_is_no_answer_is_a_fault_that_says_why() {
    let builder = host();
    let dir = builder.path().join("dir").to_string_lossy().into_owned();
    let config = [
        "[exec]\nenabled = true\n".to_owned(),
        command("absent", &["/nowhere/at-all"], ""),
        command("no-program", &["/etc/passwd"], ""),
        command("folder", &["/tmp"], ""),
        script("code", "exit 17", ""),
        script("shell", "exit 127", ""),
        script("signal", "kill -SEGV $$", ""),
        script("silent", "exit 2", ""),
        script("nowhere", "exit 0", "directory = \"/nowhere\""),
    ];
    let host = builder.config(&config.concat()).start();
    expect(
        &host,
        "absent",
        "unknown",
        "missing".into(),
        "cannot run `/nowhere/at-all`: No such file",
    );
    expect(
        &host,
        "no-program",
        "unknown",
        "load".into(),
        "cannot run `/etc/passwd`: Permission denied",
    );
    expect(&host, "folder", "unknown", "load".into(), "Permission denied");
    expect(&host, "code", "unknown", "bad-answer".into(), "ended with 17");
    expect(&host, "shell", "unknown", "missing".into(), "ended with 127");
    expect(&host, "signal", "unknown", "trap".into(), "signal 11 (SEGV)");
    expect(&host, "silent", "fail", "plugin".into(), "ended with 2 and said nothing");
    expect(&host, "nowhere", "unknown", "load".into(), "cannot be started: No such file");
    // A link that leads out of the folder.
    std::fs::create_dir_all(&dir).expect("a folder");
    std::os::unix::fs::symlink("/bin/echo", format!("{dir}/out")).expect("a link");
    std::fs::copy("/bin/echo", format!("{dir}/in")).expect("a copy");
    std::os::unix::fs::symlink("in", format!("{dir}/link")).expect("a link");
    let config = [
        format!("[exec]\nenabled = true\ndirs = [\"{dir}\"]\n"),
        command("out", &["out", "a"], ""),
        command("in", &["in", "b"], ""),
        command("link", &["link", "c"], ""),
    ];
    host.configure(&config.concat());
    expect(&host, "in", "pass", Value::Null, "b");
    expect(&host, "link", "pass", Value::Null, "c");
    expect(&host, "out", "unknown", "denied".into(), "outside of the `dirs` of `[exec]`");
}

#[test]
fn what_a_program_leaves_behind_is_killed() {
    let checks = [
        script("leaves", "sleep 1000 & echo $! > PIDS/left; echo 'OK left'; exit 0", ""),
        script(
            "escapes",
            "setsid sleep 1000 & sleep 0.2; echo $! > PIDS/escaped; echo 'OK escaped'",
            "",
        ),
    ];
    let builder = host();
    let dir = builder.path().to_string_lossy().into_owned();
    let config = format!("[exec]\nenabled = true\n{}", checks.concat().replace("PIDS", &dir));
    let began = Instant::now();
    let host = builder.config(&config).start();
    expect(&host, "leaves", "pass", Value::Null, "OK left");
    expect_gone(&noted(&host, "left"));
    // Whoever leaves the group is not followed, and not waited for either.
    expect(&host, "escapes", "pass", Value::Null, "OK escaped");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    for pid in noted(&host, "escaped") {
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[test]
fn a_program_that_takes_too_long_is_asked_to_end_and_then_killed() {
    let timeout = "timeout = \"1s\"\n";
    let timed = |text: String| text.replace("timeout = \"20s\"\n", timeout);
    let checks = [
        timed(script(
            "stubborn",
            "trap '' TERM; echo $$ > PIDS/stubborn; echo 'why' >&2; while :; do sleep 1; done",
            "",
        )),
        timed(script("polite", "trap 'echo bye >&2; exit 0' TERM; sleep 1000 & wait", "")),
        timed(script(
            "deep",
            "(trap '' TERM; (trap '' TERM; echo $$ > PIDS/deep; sleep 1000); sleep 1000)",
            "",
        )),
        timed(script("silent", "exec sleep 1000", "")),
    ];
    let builder = host();
    let dir = builder.path().to_string_lossy().into_owned();
    let config = format!("[exec]\nenabled = true\n{}", checks.concat().replace("PIDS", &dir));
    let host = builder.config(&config).start();
    let found = expect(&host, "stubborn", "unknown", "timeout".into(), "and was killed");
    assert!(
        found["duration_ms"].as_f64().is_some_and(|ms| (900.0..1600.0).contains(&ms)),
        "{found}"
    );
    assert!(found.to_string().contains("why"), "what it said is shown: {found}");
    expect_gone(&noted(&host, "stubborn"));
    let found =
        expect(&host, "polite", "unknown", "timeout".into(), "it ended when it was asked to");
    assert!(found.to_string().contains("bye"), "{found}");
    expect(&host, "deep", "unknown", "timeout".into(), "it ended when it was asked to");
    expect_gone(&noted(&host, "deep"));
    expect(&host, "silent", "unknown", "timeout".into(), "it ended when it was asked to");
}

#[test]
fn a_program_ends_with_its_check_and_with_the_server() {
    let sleeper = script("sleeper", "echo $$ > DIR/first; sleep 1000; :", "");
    let other = script("other", "echo $$ > DIR/second; sleep 1000; :", "");
    let builder = host();
    let dir = builder.path().to_string_lossy().into_owned();
    let config = |checks: &[&String]| {
        let checks: String = checks.iter().map(|check| check.replace("DIR", &dir)).collect();
        format!("[exec]\nenabled = true\n{checks}")
            .replace("timeout = \"20s\"", "timeout = \"10m\"")
    };
    let mut host = builder.config(&config(&[&sleeper])).start();
    let first = noted(&host, "first");
    host.configure(&config(&[&other]));
    let second = noted(&host, "second");
    expect_gone(&first);
    assert!(lives(second[0]));
    // Not even a chance to clean up.
    host.signal(Signal::KILL);
    host.ended();
    expect_gone(&second);
}

#[test]
fn output_memory_and_time_are_limited() {
    let checks = [
        script("floods", "cat /dev/zero", ""),
        script("complains", "cat /dev/zero >&2", ""),
        script(
            "long",
            "echo 'OK long'; head -c 300000 /dev/zero | tr '\\0' x; echo; echo bad >&2; exit 0",
            "",
        ),
        script("spins", "while :; do :; done", "cpu = \"1s\""),
        script("eats", "perl -e '$x = \"a\" x (1 << 30); print \"OK ate\\n\"'", ""),
        script("may-eat", "perl -e '$x = \"a\" x (1 << 27); print \"OK ate\\n\"'", ""),
        script(
            "opens",
            "exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null 8</dev/null 9</dev/null && echo opened",
            "files = 8",
        ),
        script(
            "paints",
            "printf '\\033[31mred\\033[0m \\342\\200\\256x\\r\\a|\\033=1 a=\\033\\n\\377\\376'; exit 1",
            "",
        ),
    ];
    let host = with(&checks).start();
    expect(&host, "floods", "unknown", "limit".into(), "writes without end");
    expect(&host, "complains", "unknown", "limit".into(), "writes without end");
    let long = expect(&host, "long", "pass", Value::Null, "OK long");
    assert!(long.to_string().contains("its output cut at 64 KiB of 3000"), "{long}");
    let spins = expect(&host, "spins", "unknown", "limit".into(), "more than its 1s of CPU time");
    assert!(spins["duration_ms"].as_f64().is_some_and(|ms| ms < 15_000.0), "{spins}");
    let eats = host.until_run("eats");
    assert_ne!(eats["state"], "pass", "{eats}");
    assert!(!eats["message"].to_string().contains("OK ate"), "{eats}");
    expect(&host, "may-eat", "pass", Value::Null, "OK ate");
    assert_ne!(host.until_run("opens")["message"], "opened");
    let paints = host.until_run("paints");
    assert_eq!(paints["message"], "\\u{1b}[31mred\\u{1b}[0m \\u{202e}x\\r\\u{7}", "{paints}");
    let text = paints.to_string();
    assert!(!text.contains("\\u001b") && !text.contains('\u{202e}'), "{text}");
}

#[test]
fn programs_that_hang_delay_no_other_and_a_run_costs_little() {
    let dummy = plugin("check_dummy");
    let mut checks: Vec<String> =
        (0..40).map(|n| script(&format!("hangs{n}"), "sleep 1000; :", "")).collect();
    checks.push(
        command("quick", &[&dummy, "0"], "")
            .replace("\"1h\"", "\"100ms\"")
            .replace("\"20s\"", "\"100ms\""),
    );
    checks.push(
        command("slow", &[&dummy, "0"], "")
            .replace("\"1h\"", "\"1s\"")
            .replace("\"20s\"", "\"1s\""),
    );
    let host = with(&checks).start();
    let mut took: Vec<f64> = Vec::new();
    while took.len() < 8 {
        let found = host.next_run("slow");
        assert_eq!(found["state"], "pass", "{found}");
        took.push(found["duration_ms"].as_f64().expect("a number"));
    }
    took.sort_by(f64::total_cmp);
    eprintln!("check_dummy beside 40 that hang: {} ms (median), {} ms (worst)", took[4], took[7]);
    assert!(took[4] < 500.0, "{took:?}");
}
