# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare verdicts with what expect.json wants. Pure: no files, no processes."""
import json
import re

_LISTS = ("evidence", "hit", "fix")
_TEXTS = ("event", "explanation", "netns", "interface")
_CERTAINTIES = ("unknown", "likely", "certain")
# What is said where the cause isn't known: something failed; a packet of a handshake was lost here.
_UNEXPLAINED = ("unknown", "syn-dropped-here", "answer-dropped-here")


def _as_list(value):
    return value if isinstance(value, (list, tuple)) else [value]


def _entry(item):
    """One entry of evidence, hit or fix as text; a fix is its command and its effect."""
    return " -- ".join(str(part) for part in item.values()) if isinstance(item, dict) else str(item)


def _everything(verdict):
    parts = [str(verdict.get(key, "")) for key in ("event", "explanation")]
    return "\n".join(parts + [_entry(item) for key in _LISTS for item in verdict.get(key) or []])


def _fill(pattern, addresses):
    """Replace {server} and the like by the address, as a regular expression."""
    return re.sub(r"\{(\w+)\}", lambda m: re.escape(addresses[m[1]]) if m[1] in addresses else m[0], pattern)


def mismatch(want, verdict, addresses):
    """Why the verdict is not the wanted one, or None if it is."""
    if verdict.get("cause") != want["cause"]:
        return f"cause is {verdict.get('cause')}"
    if "certainty" in want and verdict.get("certainty") not in _as_list(want["certainty"]):
        return f"certainty is {verdict.get('certainty')}, not {' or '.join(_as_list(want['certainty']))}"
    for key in _TEXTS:
        for pattern in _as_list(want.get(key, [])):
            if not re.search(_fill(pattern, addresses), str(verdict.get(key) or "")):
                return f"{key} lacks /{pattern}/"
    for key in _LISTS:
        entries = [_entry(item) for item in verdict.get(key) or []]
        for pattern in _as_list(want.get(key, [])):
            if not any(re.search(_fill(pattern, addresses), entry) for entry in entries):
                return f"{key} lacks /{pattern}/"
    for pattern in _as_list(want.get("not_fix", [])):
        if any(re.search(pattern, item.get("command", "")) for item in verdict.get("fix") or []):
            return f"fix has /{pattern}/, which does not help"
    whole = _everything(verdict)
    for pattern in _as_list(want.get("text", [])):
        if not re.search(_fill(pattern, addresses), whole):
            return f"text lacks /{pattern}/"
    for pattern in _as_list(want.get("not_text", [])):
        if re.search(_fill(pattern, addresses), whole):
            return f"text has /{pattern}/"
    connect = json.dumps(verdict.get("connect"))
    for pattern in _as_list(want.get("connect", [])):
        if not re.search(_fill(pattern, addresses), connect):
            return f"connect lacks /{pattern}/: {connect}"
    for key, value in want.get("flow", {}).items():
        got = (verdict.get("flow") or {}).get(key)
        value = addresses.get(value.strip("{}"), value) if isinstance(value, str) else value
        if got != value:
            return f"flow {key} is {got}, not {value}"
    return None


def _describe(want):
    certainty = "/".join(_as_list(want.get("certainty", "any certainty")))
    return f"{want['cause']} ({certainty})"


def name(verdict):
    """A verdict in short."""
    return f"{verdict.get('cause')} ({verdict.get('certainty')})"


def _show(verdict):
    flow = verdict.get("flow") or {}
    lines = [f"got   {verdict.get('cause')} ({verdict.get('certainty')}): {verdict.get('event')}, {flow.get('proto')} "
             f"{flow.get('src')}.{flow.get('src_port')} -> {flow.get('dst')}.{flow.get('dst_port')}, netns "
             f"{verdict.get('netns')}, count {verdict.get('count')}", f"        {verdict.get('explanation')}"]
    for key in _LISTS:
        lines += [f"        {key}: {_entry(item)}" for item in verdict.get(key) or []]
    return lines


def summary(line):
    """What the last line says that may be why a verdict is missing."""
    counted = {key: value for key, value in line.items() if key not in ("type", "verdicts", "counts")}
    return f"summary: {json.dumps(counted)}"


def compare(wanted, verdicts, allow_other, addresses):
    """Lines that tell every difference; none if the verdicts are exactly the wanted ones."""
    left, problems = list(verdicts), []
    for want in wanted:
        match = next((verdict for verdict in left if mismatch(want, verdict, addresses) is None), None)
        if match is not None:
            left.remove(match)
            continue
        near = next((verdict for verdict in left if verdict.get("cause") == want["cause"]), None)
        why = mismatch(want, near, addresses) if near else "no such verdict"
        problems.append(f"want  {_describe(want)}: {why}")
    if problems or (left and not allow_other):
        if not problems:
            problems.append(f"want  nothing{' else' if wanted else ''}")
        for verdict in left:
            problems += _show(verdict)
    return problems


def _changed(one, other):
    """What differs between two verdicts of a flow and cause."""
    return [f"      {key}: live {one.get(key)!r}, replayed {other.get(key)!r}"
            for key in dict.fromkeys((*one, *other)) if one.get(key) != other.get(key)]


def differences(live, again):
    """Lines that tell how a replay's verdicts differ from the live ones; none if all but their order is the same."""
    live, again = ([{**verdict, "id": None} for verdict in verdicts] for verdicts in (live, again))
    missing = [verdict for verdict in live if verdict not in again]
    more = [verdict for verdict in again if verdict not in live]
    lines = []
    for verdict in missing:
        same = [other for other in more if all(other.get(key) == verdict.get(key) for key in ("flow", "cause"))]
        lines += ["live only:", *_show(verdict)] if not same else [f"{name(verdict)}:", *_changed(verdict, same[0])]
        more = [other for other in more if other not in same[:1]]
    return lines + [line for verdict in more for line in ("replayed only:", *_show(verdict))]


def _right(want, verdict, addresses):
    return mismatch(want, verdict, addresses) is None


def _same_place(want, verdict, addresses):
    place = {"cause": verdict.get("cause"), "netns": want.get("netns", [])}
    return mismatch(place, verdict, addresses) is None


def _less_certain(want, verdict, addresses):
    wanted = max(_CERTAINTIES.index(one) for one in _as_list(want.get("certainty", "unknown")))
    return (verdict.get("cause") == want["cause"] and verdict.get("certainty") in _CERTAINTIES[:wanted]
            and _same_place(want, verdict, addresses))


def _unknown(want, verdict, addresses):
    return verdict.get("cause") in _UNEXPLAINED and _same_place(want, verdict, addresses)


def _honest(wanted, verdicts, allow_other, addresses):
    """What the verdicts say less: set of "likely", "unknown"; None if one of them is missing, wrong or too many."""
    missing, left, less = list(wanted), list(verdicts), set()
    for good in (_right, _less_certain, _unknown):
        for want in list(missing):
            match = next((verdict for verdict in left if good(want, verdict, addresses)), None)
            if match is not None:
                missing.remove(want)
                left.remove(match)
                less |= set() if good is _right else {match["certainty"] if good is _less_certain else "unknown"}
    return None if missing or (left and not allow_other) else less


def weaker(wanted, alternatives, verdicts, allow_other, addresses):
    """How much less the verdicts say than is wanted, if all that they say is true; None if something is wrong.

    For a run where kernel or tier can tell less. True are: the wanted cause with a lower certainty; "unknown"; and what
    the scenario lists as alternatives, each a complete list of verdicts.
    """
    less = _honest(wanted, verdicts, allow_other, addresses)
    if less:
        return ", ".join(sorted(less))
    if any(not compare(alternative, verdicts, allow_other, addresses) for alternative in alternatives):
        return ", ".join(sorted({name(verdict) for verdict in verdicts})) or "no verdict"
    return None
