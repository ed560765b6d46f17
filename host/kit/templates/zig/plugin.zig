//! The plugin `{{name}}`: holds a number that a URL answers with against a limit.

const std = @import("std");
const wellcheck = @import("wellcheck/wellcheck.zig");

const Settings = struct { url: []const u8, limit: f64 = 100 };

const schema =
    \\{"type": "object", "required": ["url"], "additionalProperties": false, "properties": {
    \\  "url": {"type": "string", "pattern": "^https?://", "description": "Answers with a number."},
    \\  "limit": {"type": "number", "default": 100, "description": "A number above it is a failure."}}}
;

comptime {
    wellcheck.plugin(.{
        .summary = "holds a number that a URL answers with against a limit",
        .schema = schema,
        .wants = &.{.{ .grant = "http", .value = "the origin of `url`", .why = "to get the number" }},
    }, run);
}

fn run(invocation: wellcheck.Invocation) !wellcheck.Outcome {
    const settings = try invocation.settings(Settings);

    const answer = try wellcheck.get(settings.url);
    if (answer.failure) |why| return wellcheck.fail("{s}", .{why});
    if (answer.status != 200) return wellcheck.fail("answered {d}, expected 200", .{answer.status});
    const body = std.mem.trim(u8, answer.body, " \t\r\n");
    const value = wellcheck.number(body) orelse
        return wellcheck.fail("found `{s}`, expected a number", .{body[0..@min(body.len, 40)]});

    wellcheck.observe("value", value, null);
    if (value > settings.limit) return wellcheck.fail("{d} is above {d}", .{ value, settings.limit });
    return wellcheck.pass("{d} is within {d}", .{ value, settings.limit });
}
