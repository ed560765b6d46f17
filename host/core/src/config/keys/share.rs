//! The keys of shares, and of the instances that have some.

use super::{Key, key};

/// `[[share]]`.
pub const SHARE: &[Key] = &[
    key(
        "token",
        "",
        "token = \"8rvjpmeeyvwc\"",
        "What those who ask call it: 1 to 100 letters, digits, `-`, `_` and `.`; unique.",
    ),
    key("title", "none", "title = \"Shop front\"", "Free text for people, at most 200 bytes."),
    key(
        "backend-mode",
        "\"proxy\"",
        "backend-mode = \"web\"",
        "`proxy`, `web`, `tcpTunnel`, `udpTunnel`, `caddy`, `drive`, `socks` or `vpn`; whoever asks about another one than `proxy` is told that it cannot be asked.",
    ),
    key(
        "target",
        "",
        "target = \"http://127.0.0.1:9090\"",
        "An `http` or `https` URL without credentials, query and fragment, needed for `proxy`. The endpoint that is asked for is put behind it; it can name neither another host nor another port, and redirects are followed within this origin only.",
    ),
    key(
        "tls-verify",
        "true",
        "tls-verify = false",
        "Whether a certificate that is not trusted is an error.",
    ),
];

/// `[agent]`.
pub const AGENT: &[Key] = &[key(
    "environment",
    "none",
    "environment = \"MxMbUXSANU\"",
    "The id of this instance, 1 to 100 letters, digits, `-`, `_` and `.`: what asks for it or for no environment is answered here.",
)];

/// `[[environment]]`.
pub const ENVIRONMENT: &[Key] = &[
    key(
        "id",
        "",
        "id = \"k3tTYcbUXS\"",
        "What those who ask call it, written as `environment` of `[agent]` is; unique.",
    ),
    key(
        "agent",
        "",
        "agent = \"https://far.example.com:8080\"",
        "Where that instance listens: an `http` or `https` URL without credentials, query and fragment.",
    ),
    key(
        "token",
        "",
        "token = \"${API_TOKEN}\"",
        "What lets us in there, with the role `operate`; it is taken out of everything that is shown.",
    ),
];
