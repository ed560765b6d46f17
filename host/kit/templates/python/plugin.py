"""The plugin `{{name}}`: holds a number that a URL answers with against a limit."""

from dataclasses import dataclass
from typing import Annotated

from wellcheck import Plugin, Report, Setting, Want, fail, get, ok


@dataclass
class Settings:
    url: Annotated[str, Setting("Answers with a number.", pattern="^https?://")]
    limit: Annotated[float, Setting("A number above it is a failure.")] = 100


class Checker(Plugin):
    """holds a number that a URL answers with against a limit"""

    name = "{{name}}"
    settings = Settings
    wants = [Want("http", "the origin of `url`", "to get the number")]

    def check(self, settings: Settings) -> Report:
        text = get(settings.url).expect(200).text().strip()
        try:
            value = float(text)
        except ValueError:
            return fail(f"found `{text[:40]}`, expected a number")
        if value > settings.limit:
            return fail(f"{value:g} is above {settings.limit:g}", value=value)
        return ok(f"{value:g} is within {settings.limit:g}", value=value)
