//! NATS, mosquitto and RabbitMQ, each with the user `app` and the password of the databases.

use std::process::Command;
use std::sync::OnceLock;

use super::databases::{PASSWORD, certificate};
use super::servers::{Server, finish, folder, free_port, is_root, program};

/// A running broker.
#[derive(Debug)]
pub(crate) struct Broker {
    _servers: Vec<Server>,
    pub(crate) port: u16,
    /// Where it speaks TLS.
    pub(crate) tls_port: u16,
    /// The root of its certificate.
    pub(crate) ca: String,
}

/// NATS with JetStream, and a second one that wants TLS and a token, which is the password. The
/// user `guest` may use `allowed.>` alone.
pub(crate) fn nats() -> &'static Broker {
    static SERVER: OnceLock<Broker> = OnceLock::new();
    SERVER.get_or_init(|| {
        let nats = program(&["nats-server"], &["/usr/sbin", "/usr/bin"], "nats-server");
        let start = |port: u16, config: &dyn Fn(&str) -> String| {
            let dir = folder("nats");
            let ca = certificate(&dir);
            let config = config(&dir.display().to_string());
            std::fs::write(dir.join("nats.conf"), config).expect("a file");
            let mut command = Command::new(&nats);
            command.arg("-c").arg(dir.join("nats.conf"));
            (Server::start(&command, &dir, "TERM", port), ca)
        };
        let (port, tls_port) = (free_port(), free_port());
        let (plain, _) = start(port, &|dir| {
            format!(
                "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{dir}/js\" }}\n\
                 authorization {{ users = [\n\
                 {{ user: app, password: \"{PASSWORD}\" }},\n\
                 {{ user: guest, password: \"{PASSWORD}\", permissions: {{ publish: \"allowed.>\", \
                 subscribe: [\"allowed.>\", \"_INBOX.>\"] }} }}\n] }}\n"
            )
        });
        let (secured, ca) = start(tls_port, &|dir| {
            format!(
                "listen: \"127.0.0.1:{tls_port}\"\nauthorization {{ token: \"{PASSWORD}\" }}\n\
                 tls {{ cert_file: \"{dir}/cert.pem\", key_file: \"{dir}/key.pem\" }}\n"
            )
        });
        Broker { _servers: vec![plain, secured], port, tls_port, ca }
    })
}

/// mosquitto, which lets nobody in without a password, and `app` use `health/#` alone.
pub(crate) fn mosquitto() -> &'static Broker {
    static SERVER: OnceLock<Broker> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mosquitto = program(&["mosquitto"], &["/usr/sbin"], "mosquitto");
        let passwd = program(&["mosquitto_passwd"], &["/usr/bin"], "mosquitto");
        let dir = folder("mosquitto");
        let ca = certificate(&dir);
        finish(
            Command::new(passwd).args(["-c", "-b"]).arg(dir.join("passwd")).args(["app", PASSWORD]),
        );
        std::fs::write(dir.join("acl"), "user app\ntopic readwrite health/#\n").expect("a file");
        let (port, tls_port) = (free_port(), free_port());
        let user = if is_root() { "user root\n" } else { "" };
        let path = dir.display();
        let config = format!(
            "{user}allow_anonymous false\npassword_file {path}/passwd\nacl_file {path}/acl\n\
             listener {port} 127.0.0.1\n\
             listener {tls_port} 127.0.0.1\ncertfile {path}/cert.pem\nkeyfile {path}/key.pem\n"
        );
        std::fs::write(dir.join("mosquitto.conf"), config).expect("a file");
        let mut command = Command::new(mosquitto);
        command.arg("-c").arg(dir.join("mosquitto.conf"));
        let server = Server::start(&command, &dir, "TERM", port);
        Broker { _servers: vec![server], port, tls_port, ca }
    })
}

/// RabbitMQ with the virtual host `shop` and the queue `orders` in it. It takes half a minute to
/// start. Its nodes find each other by another server, which would outlive it if it started that.
pub(crate) fn rabbitmq() -> &'static Broker {
    static SERVER: OnceLock<Broker> = OnceLock::new();
    SERVER.get_or_init(|| {
        let found = std::fs::read_dir("/usr/lib/rabbitmq/lib").into_iter().flatten().flatten();
        let dirs: Vec<String> = found.map(|dir| format!("{}/sbin", dir.path().display())).collect();
        let dirs: Vec<&str> = dirs.iter().map(String::as_str).collect();
        let rabbitmq = program(&["rabbitmq-server"], &dirs, "rabbitmq-server");
        let epmd = program(&["epmd"], &["/usr/bin"], "rabbitmq-server");
        let epmd_dir = folder("epmd");
        let epmd_port = free_port();
        let mut command = Command::new(epmd);
        command.args(["-address", "127.0.0.1", "-port", &epmd_port.to_string()]);
        let names = Server::start(&command, &epmd_dir, "TERM", epmd_port);
        let dir = folder("rabbitmq");
        let ca = certificate(&dir);
        let (port, tls_port) = (free_port(), free_port());
        let path = dir.display();
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nlisteners.ssl.1 = 127.0.0.1:{tls_port}\n\
             ssl_options.certfile = {path}/cert.pem\nssl_options.keyfile = {path}/key.pem\n\
             ssl_options.verify = verify_none\nload_definitions = {path}/definitions.json\n\
             log.console = true\nlog.file = false\n"
        );
        let definitions = serde_json::json!({
            "users": [{ "name": "app", "password": PASSWORD, "tags": "" }],
            "vhosts": [{ "name": "shop" }, { "name": "closed" }],
            "permissions": [
                { "user": "app", "vhost": "shop", "configure": ".*", "write": ".*", "read": ".*" }
            ],
            "queues": [
                { "name": "orders", "vhost": "shop", "durable": true, "auto_delete": false, "arguments": {} }
            ],
        });
        for (name, text) in [
            ("rabbitmq.conf", config),
            ("definitions.json", definitions.to_string()),
            ("enabled_plugins", "[].\n".to_owned()),
        ] {
            std::fs::write(dir.join(name), text).expect("a file");
        }
        let mut command = Command::new(rabbitmq);
        command.env("HOME", &dir).env("RABBITMQ_NODENAME", "wellcheck@localhost");
        command.env("RABBITMQ_MNESIA_BASE", dir.join("mnesia")).env("RABBITMQ_LOG_BASE", &dir);
        command.env("RABBITMQ_LOGS", "-").env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
        command.env("RABBITMQ_CONFIG_FILE", dir.join("rabbitmq.conf"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", dir.join("enabled_plugins"));
        command.env("RABBITMQ_PID_FILE", dir.join("pid"));
        command.env("RABBITMQ_DIST_PORT", free_port().to_string());
        // In the foreground, so that the signal reaches it.
        command.env("RABBITMQ_ALLOW_INPUT", "true").env("RABBITMQ_SERVER_START_ARGS", "-noinput");
        command.env("ERL_EPMD_PORT", epmd_port.to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
        let server = Server::start(&command, &dir, "KILL", tls_port);
        Broker { _servers: vec![server, names], port, tls_port, ca }
    })
}
