#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the comparison of verdicts: lab/lib/test_match.py"""
import sys
import unittest

sys.dont_write_bytecode = True

from labrun.match import compare  # noqa: E402

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

    def test_each_difference_is_told(self):
        for want in ({"certainty": "likely"}, {"netns": "^client$"}, {"evidence": ["hook"]}, {"text": ["10x0"]},
                     {"hit": ["pid"]}, {"fix": ["stop"]}, {"not_text": ["Nothing"]}, {"not_fix": ["systemctl"]},
                     {"flow": {"src_port": 1}}, {"explanation": "unlike"}, {"event": "received"}):
            self.assertIn("want", problems(want)[0], want)

    def test_the_set_is_exact(self):
        self.assertTrue(problems({}, VERDICT, VERDICT))
        self.assertEqual(problems({}, VERDICT, VERDICT, allow_other=True), [])
        self.assertTrue(compare([], [VERDICT], False, ADDRESSES))
        self.assertTrue(compare([{"cause": "no-listener"}], [], False, ADDRESSES))
        self.assertEqual(compare([], [], False, ADDRESSES), [])

    def test_fields_may_be_missing(self):
        self.assertTrue(problems({"text": ["x"], "flow": {"src": "y"}, "netns": "."}, {"cause": "no-listener"}))


if __name__ == "__main__":
    unittest.main()
