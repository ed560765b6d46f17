//! Sockets and names: TCP and UDP to what a check's grants name, and the look-up of those names.
//!
//! Every address is judged when it is used. A name leads to an address only if this run has looked
//! the name up here and got that address: so what was judged is what is connected to. Nothing
//! listens.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::vec;

use tokio::time::{Instant, timeout_at};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::sockets::network::{
    self, ErrorCode, IpAddress, IpAddressFamily, Network,
};
use wasmtime_wasi::p2::bindings::sockets::{ip_name_lookup, tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{
    DynPollable, Pollable, SocketError, SocketResult, TcpSocket, UdpSocket, subscribe,
};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView};
use wellcheck_core::grant::{GrantKind, Grants, Protocol};
use wellcheck_core::limits::RunLimits;
use wellcheck_net::{Failure, FailureKind};

use crate::host::{HostState, RunShared};
use crate::run::AbortOnDrop;
use crate::transport::Transport;

/// Most pairs of name and address that a run remembers.
const MAX_RESOLVED: usize = 256;

/// Decides about the sockets of one run.
#[derive(Clone)]
pub(crate) struct SocketsImport {
    pub(crate) grants: Arc<Grants>,
    pub(crate) limits: Arc<RunLimits>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) shared: Arc<RunShared>,
    pub(crate) deadline: Instant,
    /// Whether the run is in a world that has none.
    pub(crate) is_elsewhere: bool,
}

impl SocketsImport {
    /// Allows what grants name, and asks for each address.
    pub(crate) fn configure(&self, wasi: &mut WasiCtxBuilder) {
        let tcp = self.grants.may_use(Protocol::Tcp);
        let udp = self.grants.may_use(Protocol::Udp);
        wasi.allow_tcp(tcp).allow_udp(udp).allow_ip_name_lookup(false);
        if tcp || udp {
            let import = self.clone();
            wasi.socket_addr_check(move |address, purpose| {
                let allowed = import.judge(address, purpose);
                Box::pin(async move { allowed })
            });
        }
    }

    fn judge(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        let (protocol, peer) = match purpose {
            // What connecting and sending do by themselves.
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind
                if address.ip().is_unspecified() && address.port() == 0 =>
            {
                return true;
            }
            SocketAddrUse::TcpConnect => (Protocol::Tcp, None),
            SocketAddrUse::UdpSend => (Protocol::Udp, Some(address)),
            // Anybody may send a datagram to an open port: one from elsewhere is dropped, and says
            // nothing about the plugin.
            SocketAddrUse::UdpReceive => {
                let names = self.shared.names();
                return self.grants.socket(Protocol::Udp, address, &names).is_ok();
            }
            _ => {
                self.shared.deny(Grants::listening(address));
                return false;
            }
        };
        let judged = self.grants.socket(protocol, address, &self.shared.names());
        if let Err(denial) = judged {
            self.shared.deny(denial);
            return false;
        }
        let limit = self.limits.connections;
        if !self.shared.connect(peer, limit) {
            self.shared
                .refuse(format!("limit of {limit} connections reached (limit `connections`)"));
            return false;
        }
        self.shared.used(GrantKind::Sockets, &format!("{protocol}://{address}"));
        true
    }

    fn admit_socket(&self, protocol: Protocol) -> SocketResult<()> {
        if !self.grants.may_use(protocol) {
            self.shared.deny(Grants::no_sockets(protocol));
            return Err(ErrorCode::AccessDenied.into());
        }
        if self.is_elsewhere {
            self.shared.flag("sockets do not exist in the world of this run".to_owned());
            return Err(ErrorCode::NotSupported.into());
        }
        // A socket costs a file descriptor of the whole process.
        let limit = self.limits.connections;
        if self.shared.sockets.fetch_add(1, Ordering::Relaxed) >= limit {
            self.shared.refuse(format!("limit of {limit} sockets reached (limit `connections`)"));
            return Err(ErrorCode::NewSocketLimit.into());
        }
        Ok(())
    }
}

/// What the imports see.
pub(crate) struct SocketsView<'a> {
    import: &'a SocketsImport,
    wasi: WasiSocketsCtxView<'a>,
}

/// Ties the view to the linker.
struct SocketsData;

impl HasData for SocketsData {
    type Data<'a> = SocketsView<'a>;
}

fn view(state: &mut HostState) -> SocketsView<'_> {
    let HostState { wasi, table, sockets, .. } = state;
    SocketsView { import: sockets, wasi: WasiSocketsCtxView { ctx: wasi.sockets(), table } }
}

/// Puts our own answers before those of WASI.
pub(crate) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    ip_name_lookup::add_to_linker::<_, SocketsData>(linker, view)?;
    tcp_create_socket::add_to_linker::<_, SocketsData>(linker, view)?;
    udp_create_socket::add_to_linker::<_, SocketsData>(linker, view)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What the three interfaces below share; none of it asks for anything.
impl network::Host for SocketsView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.wasi.convert_error_code(error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.wasi.network_error_code(error)
    }
}

impl network::HostNetwork for SocketsView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.wasi, network)
    }
}

impl tcp_create_socket::Host for SocketsView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.import.admit_socket(Protocol::Tcp)?;
        self.wasi.create_tcp_socket(family)
    }
}

impl udp_create_socket::Host for SocketsView<'_> {
    async fn create_udp_socket(
        &mut self,
        family: IpAddressFamily,
    ) -> SocketResult<Resource<UdpSocket>> {
        self.import.admit_socket(Protocol::Udp)?;
        self.wasi.create_udp_socket(family).await
    }
}

/// A look-up under way, or its addresses.
struct Lookup {
    task: Option<AbortOnDrop<Result<Vec<IpAddr>, Failure>>>,
    answer: Result<vec::IntoIter<IpAddr>, ErrorCode>,
}

impl Lookup {
    fn new(import: &SocketsImport, name: String) -> Self {
        let SocketsImport { transport, shared, deadline, .. } = import.clone();
        let task = tokio::spawn(async move {
            let found = timeout_at(deadline, transport.resolve(&name)).await;
            let found = found.unwrap_or_else(|_elapsed| {
                Err(Failure::new(FailureKind::Timeout, "the run's time is over"))
            })?;
            shared.resolved(&name, &found, MAX_RESOLVED);
            Ok(found)
        });
        Self { task: Some(AbortOnDrop(task)), answer: Ok(Vec::new().into_iter()) }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(task) = &mut self.task else { return Poll::Ready(()) };
        let done = std::task::ready!(Pin::new(task).poll(context));
        self.task = None;
        self.answer = match done {
            Ok(Ok(addresses)) => Ok(addresses.into_iter()),
            Ok(Err(failure)) if failure.kind == FailureKind::Timeout => {
                Err(ErrorCode::TemporaryResolverFailure)
            }
            Ok(Err(_unknown)) => Err(ErrorCode::NameUnresolvable),
            Err(_broken) => Err(ErrorCode::PermanentResolverFailure),
        };
        Poll::Ready(())
    }
}

#[async_trait::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll(context)).await;
    }
}

/// The bindings name a type of wasmtime's for this resource; the table does not mind whose it is.
type Theirs = ip_name_lookup::ResolveAddressStream;

/// Borrowed: whoever waits for an owned resource takes it along when it stops waiting.
fn ours(resource: &Resource<Theirs>) -> Resource<Lookup> {
    Resource::new_borrow(resource.rep())
}

fn lookup<'a>(
    table: &'a mut ResourceTable,
    resource: &Resource<Theirs>,
) -> SocketResult<&'a mut Lookup> {
    Ok(table.get_mut(&ours(resource))?)
}

impl ip_name_lookup::Host for SocketsView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<Theirs>> {
        self.wasi.table.get(&network)?;
        let SocketsImport { grants, shared, .. } = self.import;
        let name = match grants.resolve(&name) {
            Ok(name) => name,
            Err(denial) => {
                shared.deny(denial);
                return Err(ErrorCode::AccessDenied.into());
            }
        };
        let limit = self.import.limits.connections;
        if shared.lookups.fetch_add(1, Ordering::Relaxed) >= limit {
            shared.refuse(format!(
                "limit of {limit} look-ups of names reached (limit `connections`)"
            ));
            return Err(ErrorCode::TemporaryResolverFailure.into());
        }
        shared.used(GrantKind::Dns, &name);
        let lookup = self.wasi.table.push(Lookup::new(self.import, name))?;
        Ok(Resource::new_own(lookup.rep()))
    }
}

impl ip_name_lookup::HostResolveAddressStream for SocketsView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<Theirs>,
    ) -> SocketResult<Option<IpAddress>> {
        let lookup = lookup(self.wasi.table, &stream)?;
        if lookup.poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            return Err(ErrorCode::WouldBlock.into());
        }
        match &mut lookup.answer {
            Ok(addresses) => Ok(addresses.next().map(IpAddress::from)),
            Err(code) => Err(SocketError::from(*code)),
        }
    }

    fn subscribe(&mut self, stream: Resource<Theirs>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.wasi.table, ours(&stream))
    }

    fn drop(&mut self, stream: Resource<Theirs>) -> wasmtime::Result<()> {
        self.wasi.table.delete(Resource::<Lookup>::new_own(stream.rep()))?;
        Ok(())
    }
}
