# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases, by subject; each module has its CASES."""
