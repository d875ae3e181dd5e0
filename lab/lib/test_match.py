#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the comparison of verdicts, and of what is wanted: lab/lib/test_match.py"""
import sys
import unittest

sys.dont_write_bytecode = True

from labrun import scenario  # noqa: E402
from labrun.match import compare, name, weaker  # noqa: E402

ADDRESSES = {"server": "10.0.2.2"}
VERDICT = {
    "type": "verdict", "cause": "no-listener", "certainty": "certain", "event": "reset sent by this host",
    "netns": "server",
    "explanation": "Nothing listens on 10.0.2.2:8080.", "evidence": ["no socket"], "hit": [],
    "fix": [{"command": "systemctl start web", "effect": "starts it"}],
    "flow": {"proto": "tcp", "src": "10.0.2.2", "src_port": 8080},
}


def problems(want, *verdicts, allow_other=False):
    return compare([dict(want, cause="no-listener")], verdicts or (VERDICT,), allow_other, ADDRESSES)


class Match(unittest.TestCase):
    def test_right_verdict(self):
        self.assertEqual(problems({"certainty": ["certain", "likely"], "netns": "^server$", "evidence": ["socket"],
                                   "text": ["{server}:8080", "starts"], "fix": ["start web"],
                                   "not_text": ["10x0x2x2"],
                                   "flow": {"src": "{server}", "src_port": 8080}}), [])

    def test_ledger_of_a_connect(self):
        ledger = dict(VERDICT, connect={"errno": "ETIMEDOUT", "flow": {"dst": "10.0.2.2"}})
        self.assertEqual(problems({"connect": ['"errno": "ETIMEDOUT"', '"{server}"']}, ledger), [])
        self.assertTrue(problems({"connect": "ECONNREFUSED"}, ledger))

    def test_each_difference_is_told(self):
        for want in ({"certainty": "likely"}, {"netns": "^client$"}, {"evidence": ["hook"]}, {"text": ["10x0"]},
                     {"hit": ["pid"]}, {"fix": ["stop"]}, {"not_text": ["Nothing"]}, {"not_fix": ["systemctl"]},
                     {"flow": {"src_port": 1}}, {"connect": ["left"]}, {"explanation": "unlike"}, {"event": "received"}):
            self.assertIn("want", problems(want)[0], want)

    def test_the_set_is_exact(self):
        self.assertTrue(problems({}, VERDICT, VERDICT))
        self.assertEqual(problems({}, VERDICT, VERDICT, allow_other=True), [])
        self.assertTrue(compare([], [VERDICT], False, ADDRESSES))
        self.assertTrue(compare([{"cause": "no-listener"}], [], False, ADDRESSES))
        self.assertEqual(compare([], [], False, ADDRESSES), [])

    def test_fields_may_be_missing(self):
        self.assertTrue(problems({"text": ["x"], "flow": {"src": "y"}, "netns": "."}, {"cause": "no-listener"}))


def verdict(cause="no-listener", certainty="certain", netns="server"):
    return {"type": "verdict", "cause": cause, "certainty": certainty, "netns": netns, "evidence": []}


def less(*verdicts, wanted=None, alternatives=(), allow_other=False):
    if wanted is None:
        wanted = [{"cause": "no-listener", "certainty": "certain", "netns": "^server$", "text": ["8080"]}]
    return weaker(wanted, alternatives, verdicts, allow_other, ADDRESSES)


class Weaker(unittest.TestCase):
    def test_less_certain(self):
        self.assertEqual(less(verdict(certainty="likely")), "likely")
        self.assertEqual(less(verdict(certainty="unknown")), "unknown")
        self.assertEqual(less(verdict(cause="unknown", certainty="unknown")), "unknown")
        either = [{"cause": "no-listener", "certainty": ["certain", "likely"]}]
        self.assertEqual(less(verdict(certainty="unknown"), wanted=either), "unknown")

    def test_as_certain_but_wrong(self):
        self.assertIsNone(less(verdict()))
        self.assertIsNone(less(verdict(certainty="certain"), wanted=[{"cause": "no-listener", "certainty": "likely"}]))
        self.assertIsNone(less(verdict(certainty="likely"), wanted=[{"cause": "no-listener", "text": ["8080"]}]))
        self.assertIsNone(less(verdict(cause="peer-reset", certainty="likely")))

    def test_the_namespace_counts(self):
        self.assertIsNone(less(verdict(certainty="likely", netns="client")))
        self.assertIsNone(less(verdict(cause="unknown", certainty="unknown", netns="client")))

    def test_nothing_said_and_too_much_said(self):
        self.assertIsNone(less())
        self.assertIsNone(less(verdict(certainty="likely"), verdict(certainty="likely")))
        self.assertEqual(less(verdict(certainty="likely"), verdict(cause="peer-reset"), allow_other=True), "likely")
        self.assertIsNone(less(verdict(cause="unknown", certainty="unknown"), wanted=[]))

    def test_each_verdict_finds_its_own(self):
        wanted = [{"cause": "no-listener", "certainty": "certain"}, {"cause": "peer-reset", "certainty": "certain"}]
        self.assertEqual(less(verdict("peer-reset", "likely"), verdict("no-listener"), wanted=wanted), "likely")
        self.assertEqual(less(verdict("unknown", "unknown"), verdict("no-listener", "likely"), wanted=wanted),
                         "likely, unknown")
        self.assertIsNone(less(verdict("peer-reset", "likely"), wanted=wanted))

    def test_alternatives(self):
        other = [{"cause": "peer-reset", "certainty": "certain"}]
        self.assertEqual(less(verdict("peer-reset"), alternatives=[other]), "peer-reset (certain)")
        self.assertIsNone(less(verdict("peer-reset", "likely"), alternatives=[other]))
        self.assertIsNone(less(verdict("peer-reset"), verdict("peer-reset"), alternatives=[other]))
        self.assertEqual(less(alternatives=[other, []]), "no verdict")

    def test_name(self):
        self.assertEqual(name(verdict()), "no-listener (certain)")


class Wanted(unittest.TestCase):
    def test_tracepoint_tier(self):
        want = {"cause": "nftables-rule", "certainty": "certain", "tracepoint": {"certainty": "likely", "text": ["x"]}}
        self.assertEqual(scenario.in_tier(want, "kprobe"), {"cause": "nftables-rule", "certainty": "certain"})
        self.assertEqual(scenario.in_tier(want, "tracepoint"),
                         {"cause": "nftables-rule", "certainty": "likely", "text": ["x"]})

    def test_every_scenario_can_be_read(self):
        self.assertEqual(len(scenario.find(["all"])), len(scenario.names()))

    def test_numbers(self):
        numbers = [int(scenario.number(name)) for name in scenario.names()]
        self.assertEqual(numbers, sorted(set(numbers)))
        for word in ("10", "101"):
            self.assertEqual([one.name.partition("-")[0] for one in scenario.find([word])], [word])


if __name__ == "__main__":
    unittest.main()
