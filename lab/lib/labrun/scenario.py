# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenario folders and the cases they give: one per IP version, or per IP version and fix."""
import itertools
import json
import os
from dataclasses import dataclass

LAB = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_KEYS = {"families", "args", "verdicts", "allow_other", "settle", "fixes", "weaker", "needs"}
_VERDICT_KEYS = {"cause", "certainty", "event", "netns", "interface", "flow", "explanation", "evidence", "hit", "fix",
                 "not_fix", "text", "not_text", "connect"}
_TIER_KEYS = _VERDICT_KEYS | {"tracepoint"}
_FIX_KEYS = {"name", "netns", "command", "then", "families"}
_NEEDS = {"virtual machine", "module", "control group"}


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
    needs: tuple  # of _NEEDS


@dataclass(frozen=True)
class Case:
    scenario: Scenario
    family: int
    fix: dict = None

    @property
    def title(self):
        return f"{self.scenario.name} ipv{self.family}" + (f" fix {self.fix['name']}" if self.fix else "")

    @property
    def alone(self):
        """Does it change the machine as a whole? Then it needs one of its own, and no other case at the same time."""
        return bool({"virtual machine", "module"} & set(self.scenario.needs))

    def wanted(self, tier):
        """The verdicts wanted of this case in a tier; with a fix usually none."""
        if self.fix:
            return () if self.fix["then"] == "no-verdict" else tuple(self.fix["then"])
        return tuple(in_tier(verdict, tier) for verdict in self.scenario.verdicts)

    @property
    def weaker(self):
        """Lists of verdicts that are true, too, where kernel or tier can tell less."""
        return () if self.fix else self.scenario.weaker


def in_tier(verdict, tier):
    """The wanted verdict as it is in a tier: what stands under the key "tracepoint" replaces the rest there."""
    told = {key: value for key, value in verdict.items() if key != "tracepoint"}
    return {**told, **verdict.get("tracepoint", {})} if tier == "tracepoint" else told


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
    for verdict in verdicts:
        _check_keys(where, verdict, _TIER_KEYS)
    for verdict in [*[one.get("tracepoint", {}) for one in verdicts], *itertools.chain(*weaker)]:
        _check_keys(where, verdict, _VERDICT_KEYS)
    _check_keys(f"{where}: needs", data.get("needs", ()), _NEEDS)
    for fix in fixes:
        _check_keys(where, fix, _FIX_KEYS)
    for step in ("setup", "provoke"):
        if not os.access(os.path.join(path, step), os.X_OK):
            raise ScenarioError(f"{name}/{step}: missing or not executable")
    return Scenario(name, path, tuple(data.get("families", (4, 6))), tuple(data.get("args", ())), tuple(verdicts),
                    data.get("allow_other", False), data.get("settle", "verdict"), tuple(fixes),
                    tuple(weaker), tuple(data.get("needs", ())))


def names():
    folders = (entry for entry in os.listdir(LAB) if os.path.isdir(os.path.join(LAB, entry)))
    return sorted((folder for folder in folders if folder[:2].isdigit()), key=lambda name: int(number(name)))


def number(name):
    return name.partition("-")[0]


def find(words):
    """The scenarios that the words name: folder names, their numbers, unique beginnings of them, or "all"."""
    found = []
    for word in words:
        matching = [name for name in names() if word in ("all", name, number(name))]
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
