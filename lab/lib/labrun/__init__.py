# SPDX-License-Identifier: GPL-2.0-or-later
"""The runner behind lab/run: scenario.py reads, sandbox.py isolates, tool.py runs tcpwhy, match.py compares."""
