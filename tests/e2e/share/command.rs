//! `wellcheck agent` by itself: its errors, its help, its time.

use std::time::{Duration, Instant};

use super::{DEAD, check, healthcheck, of};
use crate::support::host::write;
use crate::support::program::{command, finish, run, run_in};
use crate::support::target;

#[test]
fn the_command_says_what_is_wrong_as_zrok_does() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "wellcheck.toml", DEAD);
    let ask = |args: &[&str]| healthcheck(dir.path(), args);
    let status =
        "[ERROR]: 'ok' is not a valid HTTP status (strconv.Atoi: parsing \"ok\": invalid syntax)\n";
    check(&ask(&["2bfvnne6kb3c", "GET", "/", "ok"]), 1, "", status);
    let ended = ask(&["2bfvnne6kb3c", "GET", "/", "-1"]);
    assert!(ended.err.starts_with("[ERROR]: '-1' is not a valid HTTP status ("), "{}", ended.err);
    for (args, says) in [
        (&["2bfvnne6kb3c", "GET", "/"][..], "required"),
        (&["2bfvnne6kb3c", "GET", "/", "200", "500"], "unexpected argument"),
        (&["2bfvnne6kb3c", "GET", "/", "200", "--timeout", "6"], "expected a duration with a unit"),
        (&["2bfvnne6kb3c", "GET", "/", "200", "--environment", "x"], "--url"),
        (&["2bfvnne6kb3c", "GET", "/", "200", "--url", "ftp://x"], "expected http or https"),
        (
            &["2bfvnne6kb3c", "GET", "/", "200", "--config", "/nowhere.toml"],
            "there is no configuration file",
        ),
        (&["2bfvnne6kb3c", "GET", "/", "200", "--nonsense"], "unexpected argument"),
    ] {
        let ended = ask(args).expect(1);
        assert_eq!(ended.out, "");
        assert!(
            ended.err.starts_with("[ERROR]: ") && ended.err.contains(says),
            "{says}: {}",
            ended.err
        );
    }
    let ended = run_in(dir.path(), &["agent", "nonsense"]).expect(1);
    assert!(ended.err.starts_with("[ERROR]: unrecognized subcommand"), "{}", ended.err);
    write(dir.path(), "wellcheck.toml", "[[share]]\ntokn = \"x\"\n");
    let ended = ask(&["2bfvnne6kb3c", "GET", "/", "200"]).expect(1);
    assert!(ended.err.contains("wellcheck.toml:2:1: error: unknown key `tokn`"), "{}", ended.err);
    assert!(
        ended.err.ends_with("[ERROR]: the configuration cannot be used (3 problems)\n"),
        "{}",
        ended.err
    );
}

#[test]
fn the_command_alone_prints_its_help() {
    for (args, says) in [
        (&["agent"][..], "Usage: wellcheck agent"),
        (&["agent", "share"], "Usage: wellcheck agent share"),
    ] {
        let ended = run(args).expect(0);
        assert!(ended.out.contains(says) && ended.err.is_empty(), "{}", ended.out);
    }
    let mut program = command();
    program.args(["agent", "share", "health", "--help"]).env("WELLCHECK_TOKEN", "help-canary-11b2");
    let help = finish(&mut program, "").expect(0).out;
    assert!(help.contains("WELLCHECK_TOKEN") && !help.contains("canary"), "{help}");
}

#[test]
fn a_timeout_of_the_command_is_kept() {
    let silent = target::http().silent().start();
    let dir = tempfile::tempdir().expect("a temporary folder");
    write(dir.path(), "wellcheck.toml", of(&silent));
    let began = Instant::now();
    let ended = healthcheck(dir.path(), &["8rvjpmeeyvwc", "GET", "/", "200", "--timeout", "150ms"]);
    let late = format!(
        "unhealthy; failed to execute request: Get \"http://{}/\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)\n",
        silent.address
    );
    check(&ended, 1, &late, "");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
