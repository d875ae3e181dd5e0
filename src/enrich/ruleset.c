/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/lookup.h"

int rule_answer(struct lookup *l)
{
	(void)l;
	return -EOPNOTSUPP;
}

int drop_rules_answer(struct lookup *l)
{
	(void)l;
	return -EOPNOTSUPP;
}
