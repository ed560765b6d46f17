//! The real binary, driven from outside on loopback: a module per topic.
//!
//! Every test has its own folder, server and targets; nothing waits for a fixed time, and nothing
//! leaves this machine. What talks to a server in life talks to that server here: nginx, Prometheus,
//! PostgreSQL, MariaDB, Redis, OpenSSL, slapd, Dovecot, Exim, OpenSSH.

#![expect(clippy::print_stderr, reason = "measured values and the logs of failed tests")]

mod support;

mod adverse;
mod amqp_check;
mod author;
mod cases;
mod cli;
mod compose;
mod conditions;
mod configuration;
mod demo;
mod dialects;
mod distribution;
mod dns_check;
mod docker_check;
mod endpoint;
mod endpoints;
mod examples;
mod exec_check;
mod fetch;
mod fetched;
mod file_check;
mod formats;
mod grants;
mod groups;
mod grpc;
mod grpc_check;
mod hostile;
mod http_auth;
mod http_body;
mod http_check;
mod http_facts;
mod http_tls;
mod http_way;
mod icmp_check;
mod imap_check;
mod import;
mod main_job;
mod mongodb_check;
mod mqtt_check;
mod mysql_check;
mod nats_check;
mod negotiation;
mod newcomer;
mod nosana;
mod ntp_check;
mod operate;
mod plugin_build;
mod plugin_faults;
mod plugin_test;
mod postgres_check;
mod probe;
mod push_check;
mod redis_check;
mod replay;
mod run_by_hand;
mod schedule;
mod schema;
mod secrets;
mod share;
mod smtp_check;
mod ssh_check;
mod startup;
mod steps_check;
mod systemd_check;
mod systems;
mod tcp_check;
mod tidy;
mod tls_check;
mod tools;
mod transcript;
mod udp_check;
mod verdict;
mod websocket_check;
