//! How much a plugin may use, with the defaults.

use std::time::Duration;

/// One KiB.
pub const KIB: usize = 1024;
/// One MiB.
pub const MIB: usize = 1024 * KIB;

/// What one run of a plugin may use. Wall time is not here: it is the check's timeout.
///
/// What happens at a limit: a run that needs more memory, table elements, handles or host-call
/// bytes gets its request refused or traps, and becomes a fault with reason `limit`; CPU ends the
/// run with reason `timeout`; text, observations and log lines are cut and flagged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLimits {
    /// Linear memory of all instances of the run together, in bytes. 64 MiB.
    pub memory: usize,
    /// Elements of all tables together. 20,000.
    pub table_elements: usize,
    /// CPU time, summed over the polls of the run: waiting costs nothing. 250 ms.
    pub cpu: Duration,
    /// Bytes that one host call or one answer may carry from the guest to the host. 1 MiB.
    pub host_call_bytes: usize,
    /// Host resources (streams, pollables, requests) alive at once. 256.
    pub handles: usize,
    /// Bytes of one request for random numbers. 64 KiB.
    pub random_bytes: u64,
    /// Outgoing HTTP requests. 16.
    pub requests: u32,
    /// Outgoing HTTP requests at once. 6.
    pub concurrent_requests: u32,
    /// Bytes of one HTTP body, of a request or of a response. 1 MiB.
    pub response_bytes: usize,
    /// Bytes that are kept of what the guest prints. 64 KiB.
    pub log_bytes: usize,
    /// Bytes of one message. 1 KiB.
    pub message_bytes: usize,
    /// Observations of one report; likewise parts and details. 64.
    pub observations: usize,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            memory: 64 * MIB,
            table_elements: 20_000,
            cpu: Duration::from_millis(250),
            host_call_bytes: MIB,
            handles: 256,
            random_bytes: 64 * KIB as u64,
            requests: 16,
            concurrent_requests: 6,
            response_bytes: MIB,
            log_bytes: 64 * KIB,
            message_bytes: KIB,
            observations: 64,
        }
    }
}

/// What loading a plugin file may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadLimits {
    /// Bytes of the file. 64 MiB.
    pub file_bytes: u64,
    /// CPU time of its compilation. 60 s.
    pub compile_cpu: Duration,
    /// Wall time of its compilation. 120 s.
    pub compile_wall: Duration,
    /// Address space of the compiler. 2 GiB.
    pub compile_memory: u64,
    /// Bytes of the settings schema. 64 KiB.
    pub schema_bytes: usize,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            file_bytes: 64 * MIB as u64,
            compile_cpu: Duration::from_mins(1),
            compile_wall: Duration::from_mins(2),
            compile_memory: 2048 * MIB as u64,
            schema_bytes: 64 * KIB,
        }
    }
}
