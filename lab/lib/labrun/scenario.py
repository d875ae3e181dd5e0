# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenario folders and the cases they give: one per IP version, or per IP version and fix."""
import itertools
import json
import os
from dataclasses import dataclass

LAB = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_KEYS = {"families", "args", "verdicts", "allow_other", "settle", "fixes", "weaker"}
_VERDICT_KEYS = {"cause", "certainty", "event", "netns", "interface", "flow", "explanation", "evidence", "hit", "fix",
                 "not_fix", "text", "not_text"}
_FIX_KEYS = {"name", "netns", "command", "then", "families"}


class ScenarioError(Exception):
    """What is wrong with a scenario folder or with a name given by the user."""


@dataclass(frozen=True)
class Scenario:
    name: str
    path: str
    families: tuple
    args: tuple
    verdicts: tuple  # of dicts, as in expect.json
    allow_other: bool
    settle: str  # "verdict" or "none"
    fixes: tuple  # of dicts
    weaker: tuple  # of lists of verdicts


@dataclass(frozen=True)
class Case:
    scenario: Scenario
    family: int
    fix: dict = None

    @property
    def title(self):
        return f"{self.scenario.name} ipv{self.family}" + (f" fix {self.fix['name']}" if self.fix else "")

    @property
    def wanted(self):
        """The verdicts wanted of this case; with a fix usually none."""
        if not self.fix:
            return self.scenario.verdicts
        return () if self.fix["then"] == "no-verdict" else tuple(self.fix["then"])

    @property
    def weaker(self):
        """Lists of verdicts that are true, too, where kernel or tier can tell less."""
        return () if self.fix else self.scenario.weaker


def _check_keys(what, given, known):
    unknown = set(given) - known
    if unknown:
        raise ScenarioError(f"{what}: unknown key {', '.join(sorted(unknown))}")


def load(name):
    path = os.path.join(LAB, name)
    where = f"{name}/expect.json"
    try:
        with open(os.path.join(path, "expect.json"), encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{where}: {error}") from error
    _check_keys(where, data, _KEYS)
    verdicts, fixes = data.get("verdicts", []), data.get("fixes", [])
    weaker = data.get("weaker", [])
    for verdict in [*verdicts, *itertools.chain(*weaker)]:
        _check_keys(where, verdict, _VERDICT_KEYS)
    for fix in fixes:
        _check_keys(where, fix, _FIX_KEYS)
    for step in ("setup", "provoke"):
        if not os.access(os.path.join(path, step), os.X_OK):
            raise ScenarioError(f"{name}/{step}: missing or not executable")
    return Scenario(name, path, tuple(data.get("families", (4, 6))), tuple(data.get("args", ())), tuple(verdicts),
                    data.get("allow_other", False), data.get("settle", "verdict"), tuple(fixes),
                    tuple(weaker))


def names():
    folders = (entry for entry in os.listdir(LAB) if os.path.isdir(os.path.join(LAB, entry)))
    return sorted(folder for folder in folders if folder[:2].isdigit())


def find(words):
    """The scenarios that the words name: folder names, unique beginnings of them, or "all"."""
    found = []
    for word in words:
        matching = [name for name in names() if word in ("all", name)]
        matching = matching or [name for name in names() if name.startswith(word.rstrip("/"))]
        if not matching:
            raise ScenarioError(f"no scenario begins with '{word}' (lab/run --list shows them)")
        if len(matching) > 1 and word != "all":
            raise ScenarioError(f"'{word}' could be {', '.join(matching)}")
        found += [name for name in matching if name not in found]
    return [load(name) for name in found]


def _fixes(scenario, word):
    if word is None:
        return [None]
    chosen = [fix for number, fix in enumerate(scenario.fixes, 1) if word in ("all", fix["name"], str(number))]
    if not chosen and word != "all":
        raise ScenarioError(f"{scenario.name} has no fix '{word}', it has: "
                            + (", ".join(fix["name"] for fix in scenario.fixes) or "none"))
    return chosen


def cases(scenarios, family="both", fix=None):
    return [Case(scenario, version, chosen)
            for scenario in scenarios
            for version in scenario.families if family in ("both", str(version))
            for chosen in _fixes(scenario, fix) if not chosen or version in chosen.get("families", (4, 6))]
