//! The real binary, driven from outside on loopback: a module per topic.
//!
//! Every test has its own folder, server and targets; nothing waits for a fixed time, and nothing
//! leaves this machine. What talks to a server in life talks to that server here: nginx, Prometheus,
//! PostgreSQL, MariaDB, Redis.

#![expect(clippy::print_stderr, reason = "measured values and the logs of failed tests")]

mod support;

mod cases;
mod cli;
mod configuration;
mod dialects;
mod endpoint;
mod endpoints;
mod examples;
mod exec_check;
mod file_check;
mod formats;
mod grants;
mod groups;
mod grpc;
mod hostile;
mod http_check;
mod import;
mod main_job;
mod mongodb_check;
mod mysql_check;
mod negotiation;
mod nosana;
mod postgres_check;
mod probe;
mod push_check;
mod redis_check;
mod schedule;
mod secrets;
mod share;
mod startup;
mod systemd_check;
mod systems;
mod tcp_check;
mod tidy;
mod tools;
mod websocket_check;
