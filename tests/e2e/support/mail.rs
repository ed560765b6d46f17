//! Servers of mail, directories and logins from Debian's packages: dovecot, exim, slapd, sshd.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::certificates::Authority;
use super::servers::{Server, finish, folder, free_port, is_root, program};

/// Who may log in.
pub(crate) const USER: &str = "probe";

/// What no log, answer or message may show.
pub(crate) const PASSWORD: &str = "mail-canary-77x";

/// A running server.
#[derive(Debug)]
pub(crate) struct Service {
    /// Lives as long as this.
    _server: Server,
    pub(crate) port: u16,
    /// Where it speaks TLS from the first byte, if it does.
    pub(crate) tls_port: u16,
    /// The root of its certificate.
    pub(crate) ca: String,
}

/// A folder with a certificate for loopback that every user may read; its root besides.
fn prepared(name: &str) -> (std::path::PathBuf, String) {
    let dir = folder(name);
    let authority = Authority::new();
    let pair = authority.good();
    std::fs::write(dir.join("cert.pem"), &pair.certificate).expect("a file");
    std::fs::write(dir.join("key.pem"), &pair.key).expect("a file");
    std::fs::write(dir.join("ca.pem"), authority.pem()).expect("a file");
    (dir, authority.pem())
}

/// Lets every user into a folder.
fn open(dir: &Path) {
    finish(Command::new("chmod").args(["-R", "a+rwX"]).arg(dir));
}

/// Dovecot, with IMAP and its own STARTTLS, and over TLS on a second port.
pub(crate) fn dovecot() -> &'static Service {
    static SERVER: OnceLock<Service> = OnceLock::new();
    SERVER.get_or_init(|| {
        let dovecot = program(&["dovecot"], &["/usr/sbin"], "dovecot-imapd");
        let (dir, ca) = prepared("dovecot");
        let (port, tls_port) = (free_port(), free_port());
        let at = dir.display();
        // Without root's rights it can be nobody but itself.
        let ours = Command::new("id").arg("-un").output().expect("there is `id`").stdout;
        let ours = String::from_utf8_lossy(&ours).trim().to_owned();
        let user = if is_root() { "nobody" } else { &ours };
        let config = format!(
            "base_dir = {at}/base\nstate_dir = {at}/state\nlog_path = /dev/stderr\nprotocols = imap\n\
             listen = 127.0.0.1\nssl = yes\nssl_cert = <{at}/cert.pem\nssl_key = <{at}/key.pem\n\
             disable_plaintext_auth = yes\nlogin_greeting = wellcheck test ready.\n\
             default_login_user = {user}\ndefault_internal_user = {user}\n\
             default_internal_group = nogroup\nmail_location = maildir:{at}/mail\n\
             mail_uid = 65534\nmail_gid = 65534\nfirst_valid_uid = 1\nauth_failure_delay = 0\n\
             passdb {{\n  driver = static\n  args = user={USER} password={PASSWORD}\n}}\n\
             userdb {{\n  driver = static\n  args = uid=65534 gid=65534 home={at}/mail\n}}\n\
             service imap-login {{\n  chroot =\n\
             inet_listener imap {{\n    port = {port}\n  }}\n\
             inet_listener imaps {{\n    port = {tls_port}\n  }}\n}}\n\
             service anvil {{\n  chroot =\n}}\n"
        );
        std::fs::write(dir.join("dovecot.conf"), config).expect("a file");
        open(&dir);
        let mut command = Command::new(dovecot);
        command.arg("-F").arg("-c").arg(dir.join("dovecot.conf"));
        Service { _server: Server::start(&command, &dir, "TERM", port), port, tls_port, ca }
    })
}

/// Exim, which offers a login over TLS alone.
pub(crate) fn exim() -> &'static Service {
    static SERVER: OnceLock<Service> = OnceLock::new();
    SERVER.get_or_init(|| {
        let exim = program(&["exim4"], &["/usr/sbin"], "exim4-daemon-light");
        let (dir, ca) = prepared("exim");
        let (port, tls_port) = (free_port(), free_port());
        let at = dir.display();
        std::fs::create_dir(dir.join("spool")).expect("a folder");
        open(&dir);
        // One that others may write to is refused.
        let config = format!(
            "primary_hostname = mail.test\nkeep_environment =\nspool_directory = {at}/spool\n\
             log_file_path = {at}/spool/%slog\npid_file_path = {at}/spool/pid\n\
             local_interfaces = 127.0.0.1\ndaemon_smtp_ports = {port} : {tls_port}\n\
             tls_on_connect_ports = {tls_port}\ntls_advertise_hosts = *\n\
             tls_certificate = {at}/cert.pem\ntls_privatekey = {at}/key.pem\n\
             auth_advertise_hosts = *\nhost_lookup =\nrfc1413_query_timeout = 0s\n\
             begin authenticators\nplain:\n  driver = plaintext\n  public_name = PLAIN\n\
             server_prompts = :\n\
             server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}\n\
             server_advertise_condition = ${{if def:tls_in_cipher}}\n"
        );
        std::fs::write(dir.join("exim.conf"), config).expect("a file");
        let mut command = Command::new(exim);
        command.arg("-C").arg(dir.join("exim.conf")).arg("-bdf");
        Service { _server: Server::start(&command, &dir, "TERM", port), port, tls_port, ca }
    })
}

/// OpenLDAP's server without a directory, with StartTLS, and over TLS on a second port.
pub(crate) fn slapd() -> &'static Service {
    static SERVER: OnceLock<Service> = OnceLock::new();
    SERVER.get_or_init(|| {
        let slapd = program(&["slapd"], &["/usr/sbin"], "slapd");
        let (dir, ca) = prepared("slapd");
        let (port, tls_port) = (free_port(), free_port());
        let at = dir.display();
        let config = format!(
            "include /etc/ldap/schema/core.schema\npidfile {at}/pid\n\
             TLSCertificateFile {at}/cert.pem\nTLSCertificateKeyFile {at}/key.pem\n\
             TLSCACertificateFile {at}/ca.pem\nTLSVerifyClient never\ndatabase monitor\n"
        );
        std::fs::write(dir.join("slapd.conf"), config).expect("a file");
        let mut command = Command::new(slapd);
        command.args(["-d", "none", "-h"]);
        command.arg(format!("ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port}"));
        command.arg("-f").arg(dir.join("slapd.conf"));
        Service { _server: Server::start(&command, &dir, "TERM", port), port, tls_port, ca }
    })
}

/// OpenSSH's server.
pub(crate) fn sshd() -> &'static Service {
    static SERVER: OnceLock<Service> = OnceLock::new();
    SERVER.get_or_init(|| {
        let sshd = program(&["sshd"], &["/usr/sbin"], "openssh-server");
        let (dir, ca) = prepared("sshd");
        let port = free_port();
        let mut keygen = Command::new(program(&["ssh-keygen"], &["/usr/bin"], "openssh-client"));
        finish(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join("host")));
        if is_root() {
            // It wants that for those who come without rights.
            std::fs::create_dir_all("/run/sshd").expect("a folder");
        }
        let mut command = Command::new(sshd);
        command.args(["-D", "-e", "-f", "/dev/null", "-p", &port.to_string(), "-h"]);
        command.arg(dir.join("host"));
        command.args(["-o", "ListenAddress=127.0.0.1", "-o", "PidFile=none", "-o", "UsePAM=no"]);
        Service { _server: Server::start(&command, &dir, "TERM", port), port, tls_port: 0, ca }
    })
}
