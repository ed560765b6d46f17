//! The kit for plugins in Zig, for the contract 0.1: what a plugin says of itself, its settings, its
//! report, HTTP in one line.
//!
//! A plugin calls `wellcheck.plugin` in a `comptime` block with a `Description` and a function that
//! runs. It stands on the kit for C, which `wellcheck plugin build` compiles beside it. An instance
//! lives for one run, so nothing is ever freed: `allocator` is there for what a run needs. What is
//! printed to stderr is shown with the outcome.

const std = @import("std");

/// Memory until the run ends.
pub const allocator = std.heap.c_allocator;

// ── What a plugin says of itself ────────────────────────────────────────────────────────────────

/// Something outside that the plugin needs in order to work. Shown to who decides; grants nothing.
pub const Want = struct {
    /// `http`, `dirs`, `env`, ...
    grant: [:0]const u8,
    /// `https://api.example.com`, or in words: "the origin of `url`".
    value: [:0]const u8,
    /// One line.
    why: [:0]const u8,
};

/// What a plugin says of itself. Its name and version are those of plugin.toml.
pub const Description = struct {
    /// One line: what it checks.
    summary: [:0]const u8,
    /// A JSON Schema for the settings; without one, any are taken.
    schema: ?[:0]const u8 = null,
    /// At most eight.
    wants: []const Want = &.{},
};

/// How the target is.
pub const Status = enum(c_int) { pass, warn, fail };

/// Why a run could not answer. It says nothing about the target.
pub const Reason = enum(c_int) { bad_settings, inconclusive, internal };

/// How a run ends: made by the functions below, and returned.
pub const Outcome = extern struct { is_fault: bool, word: c_int, message: [*:0]const u8 };

/// The check as it is asked to run.
pub const Invocation = struct {
    /// Its name.
    check: []const u8,
    /// A JSON object, already matched against the schema.
    json: []const u8,

    /// The settings as a struct, whose defaults stand for what is not set. What a schema lets
    /// through and the struct does not ends the run as a fault.
    pub fn settings(self: Invocation, comptime T: type) !T {
        return std.json.parseFromSliceLeaky(T, allocator, self.json, .{ .ignore_unknown_fields = true });
    }
};

/// Makes a plugin of what it says of itself and the function that runs. An error that the function
/// returns is a fault.
pub fn plugin(comptime about: Description, comptime run: fn (Invocation) anyerror!Outcome) void {
    const wants = comptime wants: {
        var wants: [8]CWant = @splat(.{});
        for (about.wants, 0..) |want, i| wants[i] = .{ .grant = want.grant, .value = want.value, .why = want.why };
        break :wants wants;
    };
    const Exported = struct {
        const description = CDescription{
            .summary = about.summary,
            .schema = if (about.schema) |schema| schema.ptr else null,
            .wants = wants,
        };
        fn wc_run(asked: *const CInvocation) callconv(.c) Outcome {
            const invocation = Invocation{ .check = std.mem.span(asked.check), .json = std.mem.span(asked.settings) };
            return run(invocation) catch |err| fault(.internal, "the plugin ended with the error `{s}`", .{@errorName(err)});
        }
    };
    @export(&Exported.description, .{ .name = "wc_plugin" });
    @export(&Exported.wc_run, .{ .name = "wc_run" });
}

// ── How it ends, and what else goes into the report ─────────────────────────────────────────────

/// A text in memory of its own.
pub fn text(comptime format: []const u8, values: anytype) [:0]const u8 {
    return std.fmt.allocPrintSentinel(allocator, format, values, 0) catch "(no memory for the text)";
}

/// The target is as it should be.
pub fn pass(comptime format: []const u8, values: anytype) Outcome {
    return answer(.pass, format, values);
}

/// The target works, but somebody should look before it stops working.
pub fn warn(comptime format: []const u8, values: anytype) Outcome {
    return answer(.warn, format, values);
}

/// The target is not as it should be.
pub fn fail(comptime format: []const u8, values: anytype) Outcome {
    return answer(.fail, format, values);
}

/// An answer of any status.
pub fn answer(status: Status, comptime format: []const u8, values: anytype) Outcome {
    return .{ .is_fault = false, .word = @intFromEnum(status), .message = text(format, values) };
}

/// The run could not answer.
pub fn fault(reason: Reason, comptime format: []const u8, values: anytype) Outcome {
    return .{ .is_fault = true, .word = @intFromEnum(reason), .message = text(format, values) };
}

/// A number that this run measured.
pub fn observe(name: [:0]const u8, value: f64, unit: ?[:0]const u8) void {
    wc_observe(name, value, if (unit) |u| u.ptr else null);
}

/// One of several things that the check looked at.
pub fn part(status: Status, name: [:0]const u8, comptime format: []const u8, values: anytype) void {
    wc_part(status, name, "%s", text(format, values).ptr);
}

/// A further fact.
pub fn detail(name: [:0]const u8, comptime format: []const u8, values: anytype) void {
    wc_detail(name, "%s", text(format, values).ptr);
}

/// A whole text as a number, with spaces around it; null if it is none, or not finite.
pub fn number(bytes: []const u8) ?f64 {
    var value: f64 = undefined;
    return if (wc_number(text("{s}", .{bytes}), &value)) value else null;
}

// ── HTTP, as far as the check's grant `http` goes ───────────────────────────────────────────────

pub const Header = struct { name: [:0]const u8, value: [:0]const u8 };

pub const Request = struct {
    method: [:0]const u8 = "GET",
    /// `http://` or `https://`.
    url: []const u8,
    headers: []const Header = &.{},
    body: []const u8 = "",
    /// Zero for what is left of the run.
    timeout_ms: u32 = 0,
};

pub const Answer = struct {
    /// Why there is no answer, as one line; null if there is one.
    failure: ?[]const u8,
    status: u16,
    body: []const u8,
    inner: CResponse,

    /// The first header of that name (in lower case).
    pub fn header(self: *const Answer, name: [:0]const u8) ?[]const u8 {
        return if (wc_header_of(&self.inner, name)) |value| std.mem.span(value) else null;
    }
};

/// Asks for a URL.
pub fn get(url: []const u8) !Answer {
    return fetch(.{ .url = url });
}

/// Sends a request and waits for the whole answer.
pub fn fetch(request: Request) !Answer {
    const headers = try allocator.alloc(CHeader, request.headers.len + 1);
    for (request.headers, 0..) |header, i| headers[i] = .{ .name = header.name, .value = header.value };
    headers[request.headers.len] = .{};
    const asked = CRequest{
        .method = request.method,
        .url = text("{s}", .{request.url}),
        .headers = headers.ptr,
        .body = request.body.ptr,
        .body_length = request.body.len,
        .timeout_ms = request.timeout_ms,
    };
    const got = wc_fetch(&asked);
    return .{
        .failure = if (got.err) |message| std.mem.span(message) else null,
        .status = @intCast(got.status),
        .body = got.body[0..got.body_length],
        .inner = got,
    };
}

// ── What else the host knows ────────────────────────────────────────────────────────────────────

/// Milliseconds until the host ends the run.
pub fn remainingMs() u64 {
    return wc_remaining_ms();
}

/// A secret that the grant `secrets` names; null if there is none, or it is not granted.
pub fn secret(name: [:0]const u8) ?[]const u8 {
    return if (wc_secret(name)) |value| std.mem.span(value) else null;
}

/// What the last run kept under a key (grant `state`).
pub fn kept(key: [:0]const u8) ?[]const u8 {
    return if (wc_kept(key)) |value| std.mem.span(value) else null;
}

/// Keeps a text for the next run. False if it cannot be kept.
pub fn keep(key: [:0]const u8, value: [:0]const u8) bool {
    return wc_keep(key, value);
}

/// What the host believes of another check.
pub const State = enum(c_int) { pass, warn, fail, unknown };

pub const Standing = struct {
    state: State,
    message: []const u8,
    /// Since its last run; null before the first.
    age_ms: ?u64,
};

/// How another check is (grant `checks`); null if there is none, or it is not granted.
pub fn latest(name: [:0]const u8) ?Standing {
    var standing: CStanding = undefined;
    if (!wc_latest(name, &standing)) return null;
    return .{
        .state = standing.state,
        .message = std.mem.span(standing.message),
        .age_ms = if (standing.has_run) standing.age_ms else null,
    };
}

// ── The kit for C: see wellcheck.h ──────────────────────────────────────────────────────────────

const CWant = extern struct { grant: ?[*:0]const u8 = null, value: ?[*:0]const u8 = null, why: ?[*:0]const u8 = null };
const CDescription = extern struct { summary: ?[*:0]const u8, schema: ?[*:0]const u8, wants: [8]CWant };
const CInvocation = extern struct { check: [*:0]const u8, settings: [*:0]const u8 };
const CHeader = extern struct { name: ?[*:0]const u8 = null, value: ?[*:0]const u8 = null };
const CRequest = extern struct {
    method: ?[*:0]const u8,
    url: [*:0]const u8,
    headers: ?[*]const CHeader,
    body: ?[*]const u8,
    body_length: usize,
    timeout_ms: u32,
};
const CResponse = extern struct {
    err: ?[*:0]const u8,
    err_kind: ?[*:0]const u8,
    status: c_int,
    headers: ?[*]const CHeader,
    body: [*]const u8,
    body_length: usize,
};
const CStanding = extern struct { state: State, message: [*:0]const u8, has_run: bool, age_ms: u64 };

extern fn wc_observe(name: [*:0]const u8, value: f64, unit: ?[*:0]const u8) void;
extern fn wc_part(status: Status, name: [*:0]const u8, format: [*:0]const u8, ...) void;
extern fn wc_detail(name: [*:0]const u8, format: [*:0]const u8, ...) void;
extern fn wc_fetch(request: *const CRequest) CResponse;
extern fn wc_header_of(response: *const CResponse, name: [*:0]const u8) ?[*:0]const u8;
extern fn wc_number(text: [*:0]const u8, value: *f64) bool;
extern fn wc_remaining_ms() u64;
extern fn wc_secret(name: [*:0]const u8) ?[*:0]const u8;
extern fn wc_kept(key: [*:0]const u8) ?[*:0]const u8;
extern fn wc_keep(key: [*:0]const u8, value: [*:0]const u8) bool;
extern fn wc_latest(name: [*:0]const u8, standing: *CStanding) bool;
