/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/sources.h"

#include "enrich/thread.h"
#include "record/source_text.h"

#include <sys/eventfd.h>
#include <uthash.h>

/* As many places of the kernel as tcpwhy remembers. */
#define ASKED_MAX 20000

struct asked {
	uint64_t addr;
	UT_hash_handle hh;
};

struct wanted {
	struct rec_symbol sym;
	uint64_t stext;
};

typedef VEC(struct wanted) wanted_vec;
typedef VEC(struct rec_symbol) symbol_vec;

struct sources {
	struct lines *lines; /* the thread's alone */
	struct asked *asked; /* the event loop's */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	wanted_vec queue;
	symbol_vec done;
	uint64_t busy_since;
	bool stop;
	int event_fd;
};

/* ---- the thread ------------------------------------------------------------------------------ */

/* What it finds in symbols is told when all of a batch is known: they are frames of one stack. */
static void find_all(struct sources *s, const wanted_vec *batch, symbol_vec *found)
{
	for (size_t i = 0; i < batch->n && !__atomic_load_n(&s->stop, __ATOMIC_RELAXED); i++) {
		const struct rec_symbol *sym = &batch->v[i].sym;
		_cleanup_strbuf_ struct strbuf text = {0};
		struct lines_place at = {.name = sym->name,
					 .module = sym->module,
					 .offset = sym->offset - (sym->offset > 0),
					 .size = sym->func_size};
		struct rec_symbol *slot;

		if (!sym->module[0] && batch->v[i].stext)
			at.start = sym->addr - sym->offset - batch->v[i].stext;
		if (lines_find(s->lines, &at, &text) < 0)
			continue;
		slot = vec_push(found);
		if (!slot)
			continue;
		*slot = *sym;
		source_copy(slot->source, sizeof(slot->source), text.s);
	}
	lines_rest(s->lines);
}

static void publish(struct sources *s, const symbol_vec *found)
{
	uint64_t one = 1;

	for (size_t i = 0; i < found->n; i++) {
		struct rec_symbol *slot = vec_push(&s->done);

		if (slot)
			*slot = found->v[i];
	}
	if (!s->queue.n)
		s->busy_since = 0;
	if (write(s->event_fd, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

static void *thread_main(void *arg)
{
	struct sources *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		wanted_vec batch = s->queue;
		symbol_vec found = {0};

		if (!batch.n) {
			pthread_cond_wait(&s->wake, &s->lock);
			continue;
		}
		s->queue = (wanted_vec){0};
		pthread_mutex_unlock(&s->lock);
		find_all(s, &batch, &found);
		pthread_mutex_lock(&s->lock);
		publish(s, &found);
		vec_free(&batch);
		vec_free(&found);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the event loop's side ------------------------------------------------------------------- */

static void sources_free(struct sources *s)
{
	struct asked *a, *next;

	HASH_ITER(hh, s->asked, a, next) {
		HASH_DEL(s->asked, a);
		free(a);
	}
	vec_free(&s->queue);
	vec_free(&s->done);
	close_fd(&s->event_fd);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int sources_open(struct lines *lines, struct sources **ret)
{
	struct sources *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->lines = lines;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = s->event_fd < 0 ? -errno : thread_start(&s->thread, "tcpwhy-lines", thread_main, s);
	if (err) {
		sources_free(s);
		return err;
	}
	*ret = s;
	return 0;
}

void sources_close(struct sources *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	lines_stop(s->lines);
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	sources_free(s);
}

/* Has it not been asked before? */
static bool is_new(struct sources *s, uint64_t addr)
{
	struct asked *a;

	HASH_FIND(hh, s->asked, &addr, sizeof(addr), a);
	if (a || HASH_COUNT(s->asked) >= ASKED_MAX)
		return false;
	a = calloc(1, sizeof(*a));
	if (!a)
		return false;
	a->addr = addr;
	HASH_ADD(hh, s->asked, addr, sizeof(a->addr), a);
	return true;
}

void sources_ask(struct sources *s, const struct rec_symbol *sym, uint64_t stext)
{
	struct wanted *slot;

	if (sym->source[0] || !is_new(s, sym->addr))
		return;
	pthread_mutex_lock(&s->lock);
	slot = vec_push(&s->queue);
	if (slot) {
		*slot = (struct wanted){*sym, stext};
		if (!s->busy_since)
			s->busy_since = now_mono();
		pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
}

int sources_fd(const struct sources *s)
{
	return s->event_fd;
}

void sources_take(struct sources *s, void (*fn)(void *arg, const struct rec_symbol *sym), void *arg)
{
	symbol_vec done;
	uint64_t ignored;

	pthread_mutex_lock(&s->lock);
	if (read(s->event_fd, &ignored, sizeof(ignored)) < 0)
		ignored = 0; /* nothing new */
	done = s->done;
	s->done = (symbol_vec){0};
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < done.n; i++)
		fn(arg, &done.v[i]);
	vec_free(&done);
}

uint64_t sources_busy_since(struct sources *s)
{
	uint64_t since;

	pthread_mutex_lock(&s->lock);
	since = s->busy_since;
	pthread_mutex_unlock(&s->lock);
	return since;
}
