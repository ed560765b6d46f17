"""What a plugin for wellcheck in Python imports.

A plugin is a class `Checker` that is a `Plugin`: `check` looks at the target once and returns a
`Report`. Settings are a dataclass; its JSON Schema is made of it. `get` and `fetch` make requests,
`state` keeps something between runs, `checks` and `secrets` ask the host.

An `HttpError` that nobody catches is a report: the target fails. Any other exception is a fault of
the plugin. Made for `componentize-py` with the world `full-plugin`.
"""

from __future__ import annotations

import dataclasses
import json as _json
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from componentize_py_types import Err
from wit_world.exports.checker import Description, Invocation
from wit_world.exports.checker import Want as _Want
from wit_world.imports import checks as _checks
from wit_world.imports import context
from wit_world.imports import http as _http
from wit_world.imports import secrets as _secrets
from wit_world.imports import state as _state
from wit_world.imports.checks import Health, Standing
from wit_world.imports.outcome import Fault as _Fault
from wit_world.imports.outcome import Observation as _Observation
from wit_world.imports.outcome import Part, Reason, Report, Status

__all__ = [
    "Fault", "Health", "HttpError", "Missing", "Observation", "Part", "Plugin", "Report", "Response",
    "Setting", "Standing", "Status", "Want", "checks", "context", "fail", "fetch", "get", "report",
    "secrets", "state", "warn", "ok",
]

PASS, WARN, FAIL = Status.PASS, Status.WARN, Status.FAIL


class Fault(Exception):
    """The run cannot say how the target is. `reason` is `inconclusive`, `bad-settings` or `internal`."""

    def __init__(self, message: str, reason: str = "inconclusive") -> None:
        super().__init__(message)
        self.reason = Reason[reason.upper().replace("-", "_")]


class HttpError(Exception):
    """There is no answer that would do. Left uncaught, it is a report: the target fails."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Missing(Exception):
    """The host has no check or secret of that name, or does not grant it."""


# ── Answers ─────────────────────────────────────────────────────────────────────────────────────


def Observation(
    name: str,
    value: float,
    unit: str | None = None,
    labels: Mapping[str, str] | None = None,
    warn: str | None = None,
    fail: str | None = None,
) -> _Observation:
    """A number that this run measured."""
    return _Observation(name, float(value), unit, list((labels or {}).items()), warn, fail)


def report(
    status: Status,
    message: str,
    *observations: _Observation,
    parts: Iterable[Part] = (),
    details: Mapping[str, str] | None = None,
    **values: float,
) -> Report:
    """A report; numbers without a unit can be given by name: `report(PASS, "well", depth=7)`."""
    numbers = [*observations, *(Observation(name.replace("_", "-"), value) for name, value in values.items())]
    return Report(status, message, numbers, list(parts), list((details or {}).items()))


def ok(message: str, *observations: _Observation, **values: Any) -> Report:
    """The target is as it should be. (`pass` is a word of Python's.)"""
    return report(PASS, message, *observations, **values)


def warn(message: str, *observations: _Observation, **values: Any) -> Report:
    """The target works, but somebody should look."""
    return report(WARN, message, *observations, **values)


def fail(message: str, *observations: _Observation, **values: Any) -> Report:
    """The target is not as it should be, or cannot be reached."""
    return report(FAIL, message, *observations, **values)


# ── HTTP ────────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass
class Response:
    """An answer, whole."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for known, value in self.headers if known == name.lower()), None)

    def text(self) -> str:
        """The body as text; what is not UTF-8 is replaced."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON. What is none is an `HttpError`: the target fails."""
        try:
            return _json.loads(self.body)
        except (ValueError, RecursionError):
            raise HttpError("body", "the answer is not JSON") from None

    def expect(self, status: int = 200) -> Response:
        """This answer, if it has that status; else an `HttpError`: the target fails."""
        if self.status != status:
            raise HttpError("status", f"answered {self.status}, expected {status}")
        return self


def get(url: str, headers: Mapping[str, str] | None = None, timeout: float | None = None) -> Response:
    """Gets a URL. An answer of any status is one; none is an `HttpError`."""
    return fetch("GET", url, headers, timeout=timeout)


def fetch(
    method: str,
    url: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
    body: bytes | str = b"",
    json: Any = None,
    timeout: float | None = None,
) -> Response:
    """Sends a request and waits for the whole answer. `json` is sent as JSON; `timeout` is in seconds."""
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers or ())
    if json is not None:
        pairs.append(("content-type", "application/json"))
        body = _json.dumps(json)
    if isinstance(body, str):
        body = body.encode()
    milliseconds = None if timeout is None else max(1, round(timeout * 1000))
    try:
        answer = _http.fetch(_http.Request(method, url, pairs, body, milliseconds))
    except Err as error:
        raise HttpError(error.value.kind, error.value.message) from None
    return Response(answer.status, answer.headers, answer.body)


# ── What the host keeps and knows ───────────────────────────────────────────────────────────────


class state:
    """What the check keeps from run to run, within its grant `state`. Values are what JSON can say."""

    @staticmethod
    def get(key: str, default: Any = None) -> Any:
        """What is kept under a key."""
        try:
            kept = _state.get(key)
        except Err as error:
            raise Fault(f"state: {_word(error.value)}", "internal") from None
        try:
            return default if kept is None else _json.loads(kept)
        except (ValueError, RecursionError):
            raise Fault(f"state: what is kept under `{key}` is not JSON", "internal") from None

    @staticmethod
    def set(key: str, value: Any) -> None:
        """Keeps a value, if this run ends with a report."""
        try:
            _state.set(key, _json.dumps(value).encode())
        except Err as error:
            raise Fault(f"state: {_word(error.value)}", "internal") from None

    @staticmethod
    def delete(key: str) -> None:
        """Forgets a key."""
        try:
            _state.delete(key)
        except Err as error:
            raise Fault(f"state: {_word(error.value)}", "internal") from None


class checks:
    """How other checks of the same host are: the ones that the grant `checks` names."""

    @staticmethod
    def latest(name: str) -> Standing:
        """The latest of a check; `Missing` if there is none of that name."""
        try:
            return _checks.latest(name)
        except Err as error:
            raise Missing(f"check `{name}`: {_word(error.value)}") from None


class secrets:
    """Values of the host's configuration that the grant `secrets` names."""

    @staticmethod
    def get(name: str) -> str:
        """A secret's value; `Missing` if there is none of that name."""
        try:
            return _secrets.get(name)
        except Err as error:
            raise Missing(f"secret `{name}`: {_word(error.value)}") from None


def _word(error: Any) -> str:
    return error.name.lower().replace("_", "-")


# ── Settings, and the plugin itself ─────────────────────────────────────────────────────────────


@dataclasses.dataclass(frozen=True)
class Setting:
    """What stands in `Annotated[str, Setting("what to get", pattern="^https?://")]`: a description, and
    further keys of JSON Schema (`minimum`, `maxLength`, ...)."""

    description: str | None = None
    schema: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __init__(self, description: str | None = None, **schema: Any) -> None:
        object.__setattr__(self, "description", description)
        object.__setattr__(self, "schema", schema)


@dataclasses.dataclass(frozen=True)
class Want:
    """Something that the plugin needs: the grant's name, its value, and why."""

    grant: str
    value: str
    why: str


class Plugin:
    """The base of a plugin: `class Checker(Plugin)` with `name`, `summary` and `check`."""

    name: ClassVar[str]
    version: ClassVar[str] = "0.1.0"
    #: One line: what it checks. The first line of the class's own documentation if it is left out.
    summary: ClassVar[str] = ""
    #: A dataclass, for which the host checks settings; or a JSON Schema, and `check` gets a dict.
    settings: ClassVar[type | dict[str, Any] | None] = None
    wants: ClassVar[Iterable[Want]] = ()
    details: ClassVar[Mapping[str, str]] = types.MappingProxyType({})

    def check(self, settings: Any) -> Report:
        """Looks at the target once."""
        raise NotImplementedError

    def describe(self) -> Description:
        summary = self.summary or (type(self).__doc__ or "").strip().split("\n")[0]
        wants = [_Want(want.grant, want.value, want.why) for want in self.wants]
        schema = self._schema and _json.dumps(self._schema)
        return Description(self.name, self.version, summary, schema, wants, list(self.details.items()))

    def run(self, invocation: Invocation) -> Report:
        given = _json.loads(invocation.settings)
        if isinstance(self.settings, type):
            given = _typed(self.settings, given)
        try:
            return self.check(given)
        except HttpError as error:
            return fail(str(error))
        except Fault as fault:
            raise Err(_Fault(fault.reason, str(fault))) from None
        except Missing as error:
            raise Err(_Fault(Reason.BAD_SETTINGS, str(error))) from None

    # Made when the component is: no run pays for it.
    _schema: ClassVar[dict[str, Any] | None] = None

    def __init_subclass__(cls) -> None:
        if isinstance(cls.settings, dict):
            cls._schema = cls.settings
        elif cls.settings is not None:
            head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
            cls._schema = head | _of_dataclass(cls.settings)


def _key(field: dataclasses.Field[Any]) -> str:
    return field.name.rstrip("_").replace("_", "-")


def _of_dataclass(settings: type) -> dict[str, Any]:
    hints = typing.get_type_hints(settings, include_extras=True)
    properties, required = {}, []
    for field in dataclasses.fields(settings):
        schema = _of_type(hints[field.name])
        if field.default is not dataclasses.MISSING:
            if field.default is not None:
                schema["default"] = field.default
        elif field.default_factory is dataclasses.MISSING:
            required.append(_key(field))
        properties[_key(field)] = schema
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _of_type(hint: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        schema = _of_type(arguments[0])
        for setting in arguments[1:]:
            if isinstance(setting, Setting):
                schema |= setting.schema
                if setting.description:
                    schema["description"] = setting.description
        return schema
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _of_type(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of_type(arguments[1])}
    if origin in (typing.Union, types.UnionType):
        # A setting that may be left out; the host never sees a null in TOML.
        kinds = [_of_type(argument) for argument in arguments if argument is not types.NoneType]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if dataclasses.is_dataclass(hint):
        return _of_dataclass(hint)
    if hint is Any:
        return {}
    raise TypeError(f"no JSON Schema for a setting of the type `{hint}`")


def _typed(hint: Any, value: Any) -> Any:
    """What JSON gave, as the dataclasses of the settings. The host has checked it already."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _typed(arguments[0], value)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        fields = {_key(field): field.name for field in dataclasses.fields(hint)}
        return hint(**{fields[key]: _typed(hints[fields[key]], found) for key, found in value.items() if key in fields})
    if origin is list:
        return [_typed(arguments[0], item) for item in value]
    if origin in (typing.Union, types.UnionType):
        kinds = [argument for argument in arguments if argument is not types.NoneType]
        return _typed(kinds[0], value) if len(kinds) == 1 else value
    # `5` stands for a number with a fraction too.
    return float(value) if hint is float and isinstance(value, int) else value
