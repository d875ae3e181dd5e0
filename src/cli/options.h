/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options as data: a table of struct option_def fills a plain struct, makes --help, and words every
 * complaint. Nothing here prints or exits: a complaint is one sentence in a strbuf.
 */
#ifndef TCPWHY_CLI_OPTIONS_H
#define TCPWHY_CLI_OPTIONS_H

#include "base/base.h"

/* How often an option of a list type may be given. */
#define OPT_LIST_MAX 8

/* An address and how many of its bits count. */
struct prefix {
	uint8_t addr[16]; /* network order, IPv4 as ::ffff:a.b.c.d; the bits beyond len are zero */
	uint8_t len;	  /* 0 to 128, of the 16 bytes: an IPv4 /24 is 120 */
	uint8_t family;	  /* 4 or 6, as the user wrote it: ::/0 means IPv6, not everything */
};

struct prefix_list {
	struct prefix v[OPT_LIST_MAX];
	size_t n;
};

struct port_list {
	uint16_t v[OPT_LIST_MAX]; /* host order */
	size_t n;
};

/* What an option's value is, and the field of the target that takes it. */
enum option_type {
	OPT_FLAG,     /* bool */
	OPT_U64,      /* uint64_t within [min, max] */
	OPT_STRING,   /* const char *, at most max bytes; points into argv */
	OPT_WORD,     /* int, one of `words` */
	OPT_SIZE,     /* uint64_t bytes within [min, max] */
	OPT_DURATION, /* uint64_t nanoseconds within [min, max] */
	OPT_PREFIX,   /* struct prefix_list, repeatable */
	OPT_PORT,     /* struct port_list, repeatable */
};

struct option_word {
	const char *word; /* NULL ends the list */
	int value;
};

struct option_def {
	const char *name; /* without the dashes; NULL ends the table */
	char letter;	  /* -q; 0 none */
	enum option_type type;
	const char *arg; /* what --help calls the value; NULL for a flag */
	size_t offset;	 /* of the field in the target */
	const char *help;
	const char *group; /* heading in --help, printed where it differs from the row before */
	uint64_t min, max;
	const struct option_word *words;
};

/*
 * Fills target from argv[*next…] and stops behind "--" or at the first word that is no option:
 * *next is where. *ret_dashes tells if "--" was there. 0, or -EINVAL with one sentence in err.
 */
int options_parse(const struct option_def *defs, void *target, int argc, char *const *argv,
		  int *next, bool *ret_dashes, struct strbuf *err);

/* The options part of --help. */
void options_help(const struct option_def *defs, struct strbuf *out);

/* One value into its field: 0, or -EINVAL with one sentence in err. text is NULL for a flag. */
int option_set(const struct option_def *def, void *target, const char *text, struct strbuf *err);

/* "10.0.0.0/8" or "2001:db8::1" of p, in the family the user wrote. */
void prefix_text(const struct prefix *p, struct strbuf *out);

enum color_when { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct record_options {
	const char *path; /* NULL: nothing is recorded */
	uint64_t size;	  /* of one file, bytes */
	uint64_t files;
	uint64_t before, after; /* nanoseconds */
	uint64_t snaplen;	/* bytes of a packet that are kept; 0: its headers */
	bool everything;
	bool compress;
};

struct stacks_options {
	int kinds;	   /* STACKS_*; 0: tcpwhy watches */
	int by;		   /* enum stacks_by */
	uint64_t interval; /* nanoseconds */
	uint64_t top;	   /* rows of a table */
	bool folded;
};

struct watch_options {
	/* filters: empty or 0 or NULL lets everything through */
	struct prefix_list host, src, dst;
	struct port_list port, sport, dport;
	int proto;	   /* IPPROTO_*, 0 any */
	uint64_t pid;	   /* and its children */
	const char *comm;  /* at most 15 bytes, as the kernel keeps it */
	const char *netns; /* name, path, pid or inode number: the lookup decides */
	const char *iface;
	char *const *command; /* NULL-terminated, after "--"; NULL none */

	/* output */
	bool json;
	bool all;
	bool connect_latency;
	bool stacks;
	bool quiet;
	int color; /* enum color_when */

	/* when to stop: 0 never */
	uint64_t count;	   /* verdicts */
	uint64_t duration; /* nanoseconds */

	uint64_t ready_fd;   /* 0 none */
	const char *btf;     /* BTF file, NULL: the kernel's own */
	const char *vmlinux; /* file with debug information, NULL: what is found */
	int tiers;	     /* as in struct live_options */
	bool nft_trace;
	struct record_options record;
	struct stacks_options counted;
	bool diff; /* replay: of two recordings */
	bool version;
	bool help;
};

extern const struct option_def watch_option_defs[];
extern const struct option_def record_option_defs[]; /* of struct watch_options, too */
extern const struct option_def replay_option_defs[];

/* What record does unless it is told otherwise. */
extern const struct record_options record_defaults;

extern const struct option_def stacks_option_defs[]; /* of struct watch_options, too */
extern const struct option_word stacks_kind_words[];
extern const struct stacks_options stacks_defaults;

/* Tells options that can't go together: 0, or -EINVAL with one sentence in err. */
int watch_options_check(const struct watch_options *o, struct strbuf *err);

struct doctor_options {
	const char *btf;
	int tiers;
	bool json;
	bool help;
};

extern const struct option_def doctor_option_defs[];

struct addr2line_options {
	const char *vmlinux;
	bool help;
};

extern const struct option_def addr2line_option_defs[];

#endif
