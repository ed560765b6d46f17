//! The server on the page about Nosana's health checks, run by a real node.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The server of that page, on the ports of its arguments.
const INDEX_JS: &str = r"
const http = require('http');
let open = process.argv.length - 2;
for (const port of process.argv.slice(2)) {
  const server = http.createServer((req, res) => {
    const healthy = req.url === '/health' && req.method === 'GET';
    res.writeHead(healthy ? 200 : 404, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify({ status: healthy ? 'healthy' : 'not found' }));
  });
  server.listen(port, '127.0.0.1', () => {
    open -= 1;
    if (open === 0) console.log('Server running');
  });
}
";

/// A running node, with that server; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    _dir: TempDir,
}

impl Node {
    /// Listens on these ports before it returns.
    #[track_caller]
    pub(crate) fn start(ports: &[u16]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("index.js"), INDEX_JS).expect("a file");
        let mut command = Command::new("node");
        command.arg("index.js").args(ports.iter().map(u16::to_string)).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("there is no node: run `tests/run`");
        let out = child.stdout.take().expect("it is piped");
        let node = Self { child, _dir: dir };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("it says something");
        assert_eq!(line, "Server running\n");
        node
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
