"""A small blocking HTTP client over wasi:http, with one deadline for each exchange.

The deadline is a little before the host would end the run: a slow target is then something to
report, and not a fault of the check. Every resource is dropped before the one it came from.
"""

import re
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import context, monotonic_clock, outgoing_handler, poll, types
from wit_world.imports.streams import StreamError_Closed

# The host has a limit of its own, which makes the run a fault.
BODY_LIMIT = 1 << 20
METHODS = {"GET": types.Method_Get, "POST": types.Method_Post}
SCHEMES = {"http": types.Scheme_Http, "https": types.Scheme_Https}


class NoAnswer(Exception):
    """There is no whole answer; the text says why, in words for a report."""


def request(method, url, headers=(), body=b""):
    """Returns the status and the body of the answer, of whatever status it is."""
    remaining = context.remaining_ms()
    with monotonic_clock.subscribe_duration((remaining - min(remaining // 10, 100)) * 1_000_000) as deadline:
        try:
            with send(method, urlsplit(url), list(headers), body, deadline) as answer:
                return answer.status(), read(answer, deadline)
        except Err as error:
            raise NoAnswer(words(error.value)) from None


def send(method, url, headers, body, deadline):
    if body:
        headers.append(("content-length", str(len(body))))
    parent = context.traceparent()
    if parent:
        headers.append(("traceparent", parent))
    outgoing = types.OutgoingRequest(types.Fields.from_list([(name, value.encode()) for name, value in headers]))
    outgoing.set_method(METHODS[method]())
    outgoing.set_scheme(SCHEMES[url.scheme]())
    outgoing.set_authority(url.netloc)
    outgoing.set_path_with_query((url.path or "/") + (f"?{url.query}" if url.query else ""))
    payload = outgoing.body()
    with outgoing_handler.handle(outgoing, None) as future:
        with payload.write() as stream:
            while body:
                room = stream.check_write()
                if room == 0:
                    wait(stream, deadline)
                stream.write(body[:room])
                body = body[room:]
        types.OutgoingBody.finish(payload, None)
        wait(future, deadline)
        answer = future.get().value
        if isinstance(answer, Ok):
            return answer.value
        raise answer


def read(answer, deadline):
    body = b""
    with answer.consume() as incoming, incoming.stream() as stream:
        while len(body) <= BODY_LIMIT:
            try:
                chunk = stream.read(65536)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return body
                raise NoAnswer("the answer broke off") from None
            if not chunk:
                wait(stream, deadline)
            body += chunk
    raise NoAnswer(f"the answer is longer than {BODY_LIMIT} bytes")


def wait(source, deadline):
    with source.subscribe() as ready:
        if 0 not in poll.poll([ready, deadline]):
            raise NoAnswer("no answer in time")


def words(code):
    """`ErrorCode_ConnectionRefused` reads `connection refused`."""
    if code is None:
        return "not a URL that can be asked for"
    name = type(code).__name__.rpartition("_")[2]
    if name == "DnsError":
        return "the name does not resolve"
    if name == "InternalError" and code.value:
        return code.value
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", name).lower()
