"""The plugin `login-flow`: logs in as a user would, and asks for a page with the token it got.

For what a plain request cannot tell: the login answers, but its tokens are good for nothing.
Credentials and the token never reach a message.
"""

import json
from time import monotonic
from urllib.parse import urlencode

from wellcheck import PASS, FAIL, HttpError, Observation, Part, Plugin, Want, fetch, report

URL = {"type": "string", "pattern": "^https?://"}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "login-url": URL | {"description": "Where the credentials are posted."},
        "credentials": {"type": "object", "description": "What is posted."},
        "encoding": {"enum": ["json", "form"], "default": "json", "description": "How it is posted."},
        "token": {
            "type": "string",
            "pattern": "^/",
            "default": "/token",
            "description": "Where the token is in the answer: a JSON Pointer.",
        },
        "url": URL | {"description": "What is asked for with the token."},
        "expect-status": {"type": "integer", "minimum": 100, "maximum": 599, "default": 200},
        "expect-text": {"type": "string", "description": "A text that the page contains."},
    },
    "required": ["login-url", "credentials", "url"],
    "additionalProperties": False,
}


class Failed(Exception):
    """A step did not go as it should; the text is for the report."""


class Checker(Plugin):
    """logs in and asks for a page with the token"""

    name = "login-flow"
    settings = SCHEMA
    wants = [
        Want("http", "the origin of `login-url`", "to log in"),
        Want("http", "the origin of `url`", "to ask for the page"),
    ]

    def check(self, settings):
        found = report(PASS, "logged in, and the token works")

        def step(name, action, *arguments):
            began = monotonic()
            try:
                result, message = action(settings, *arguments)
                status = PASS
            except (Failed, HttpError) as reason:
                result, message, status = None, str(reason), FAIL
                found.status, found.message = status, f"{name}: {message}"
            found.parts.append(Part(name, status, message))
            found.observations.append(Observation("duration", monotonic() - began, "s", {"step": name}))
            return result

        token = step("login", login)
        if token is not None:
            step("page", page, token)
        return found


def login(settings):
    if settings.get("encoding") == "form":
        content_type, body = "application/x-www-form-urlencoded", urlencode(settings["credentials"])
    else:
        content_type, body = "application/json", json.dumps(settings["credentials"])
    answer = fetch("POST", settings["login-url"], {"content-type": content_type}, body)
    if not 200 <= answer.status < 300:
        raise Failed(f"answered {answer.status}")
    pointer = settings.get("token", "/token")
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise Failed("the answer is not JSON") from None
    for key in pointer[1:].split("/"):
        key = key.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and key.isdecimal():
            found = found[int(key)] if int(key) < len(found) else None
        else:
            found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, str) or not found.isprintable() or not found.isascii():
        raise Failed(f"the answer has no token at `{pointer}`")
    return found, f"answered {answer.status} with a token"


def page(settings, token):
    answer = fetch("GET", settings["url"], {"authorization": f"Bearer {token}"})
    expected = settings.get("expect-status", 200)
    if answer.status != expected:
        raise Failed(f"answered {answer.status}, expected {expected}")
    text = settings.get("expect-text")
    if text is not None and text not in answer.text():
        raise Failed(f"answered {answer.status} without the text `{text}`")
    return True, f"answered {answer.status}"
