//! A load generator: a few kept connections, each asking again as soon as it has its answer.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use futures_util::future::try_join_all;

use crate::bare::{self, Sender};

/// How many bytes a body may differ: a check that runs meanwhile changes a digit or two.
const SLACK: usize = 16;

/// Connections at once.
pub(crate) const CONNECTIONS: usize = 8;

/// Kept connections to one server, and what to ask for.
pub(crate) struct Load {
    address: SocketAddr,
    path: String,
    /// Bytes of the body that must come.
    length: usize,
    senders: Vec<Sender>,
}

impl Load {
    /// Connects.
    pub(crate) async fn new(address: SocketAddr, path: &str, length: usize) -> Result<Self> {
        let senders = try_join_all((0..CONNECTIONS).map(|_| bare::connect(address))).await?;
        Ok(Self { address, path: path.to_owned(), length, senders })
    }

    /// Asks `count` times on each connection.
    pub(crate) async fn send(&mut self, count: usize) -> Result<()> {
        let (address, path, length) = (self.address, &self.path, self.length);
        let each = self.senders.iter_mut().map(|sender| async move {
            for _ in 0..count {
                let answer = bare::ask(sender, address, path).await?;
                let found = answer.body().len();
                if answer.status() != 200 || found.abs_diff(length) > SLACK {
                    let status = answer.status();
                    bail!("answered {status} with {found} bytes, expected 200 with {length}");
                }
            }
            Ok(())
        });
        try_join_all(each).await.map(|_| ())
    }
}
