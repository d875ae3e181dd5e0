# SPDX-License-Identifier: GPL-2.0-or-later
# Counts the tests in a TAP stream or in a meson log of several: prints "passed failed skipped".
# A program that died, or ended before its plan was done, counts as one more failure.

function close_test()
{
	if (planned >= 0 && seen < planned || broken && !bad)
		failed++
	else if (name != "" && planned < 0 && !seen) {
		if (status == 77)
			skipped++
		else
			passed++
	}
	planned = -1
	seen = bad = broken = 0
	name = ""
}

BEGIN { planned = -1 }

/^test: / { if (name != "") close_test(); name = $2; meson = 1 }
/^result: / {
	status = $0 ~ /exit status/ ? $4 : -1
	broken = status != 0 && status != 77
}
/^Bail out!/ { broken = 1 }
/^1\.\.[0-9]+/ { planned = substr($1, 4) + 0 }
/^ok / { seen++; if (tolower($0) ~ /# skip/) skipped++; else passed++ }
/^not ok / { seen++; bad++; failed++ }

END {
	if (!meson && planned < 0)
		broken = 1
	close_test()
	print passed + 0, failed + 0, skipped + 0
}
