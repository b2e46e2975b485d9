/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The scheduler: runs one program on the port, and says how that ended (fuzz/execution.py, turn
 * for turn).
 *
 * Actors take turns op by op, round-robin.  A preemption of the schedule makes another actor run
 * when an actor is about to take a named step; whoever blocks or has to try again also gives up
 * its turn.  Nothing here is random, and nothing looks at a clock.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "cells.h"
#include "execution.h"
#include "feedback.h"
#include "marks.h"
#include "oracles.h"
#include "state_text.h"
#include "strategy.h"

#define RETRIES_BEFORE_DIGEST 3

struct execution exec;

/* Ops end after the last step that is allowed, each with a step of its own; [0] is before all. */
static struct passed_step trail[STEPS_MAX + (ACTORS_MAX + 1) * OPS_MAX + 2];

/* What the setup of the last program left, for runs that start from there. */
static struct {
	bool valid;
	struct kvm kvm;
	struct actor setup;
	u32 steps;
	int nr_violations;
	bool patch_acted;
} kept;

bool patch_acted;

/*
 * Labels: interned once, so that a schedule is compared by number.  Numbers go by name, whatever
 * order the linker puts call sites in: all builds of the same sources number them alike.
 */

extern struct label __start_gmemdiff_labels[], __stop_gmemdiff_labels[];
static const char **names;
static u32 *hashes; /* of the names */
static u32 nr_names;

static struct label *begin_label(void)
{
	return LABEL("begin");
}

static int by_label_name(const void *a, const void *b)
{
	return strcmp((*(struct label *const *)a)->name, (*(struct label *const *)b)->name);
}

static u32 hash_name(const char *name)
{
	u32 hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return hash;
}

static void intern_labels(void)
{
	size_t nr_sites = __stop_gmemdiff_labels - __start_gmemdiff_labels;
	struct label **sites;

	if (names)
		return;
	names = calloc(nr_sites, sizeof(*names));
	hashes = calloc(nr_sites, sizeof(*hashes));
	sites = calloc(nr_sites, sizeof(*sites));
	for (size_t i = 0; i < nr_sites; i++)
		sites[i] = &__start_gmemdiff_labels[i];
	qsort(sites, nr_sites, sizeof(*sites), by_label_name);
	for (size_t i = 0; i < nr_sites; i++) {
		if (!nr_names || strcmp(names[nr_names - 1], sites[i]->name)) {
			hashes[nr_names] = hash_name(sites[i]->name);
			names[nr_names++] = sites[i]->name;
		}
		sites[i]->id = nr_names - 1;
		sites[i]->hash = hashes[nr_names - 1];
	}
	free(sites);
}

u32 label_id(const char *name)
{
	intern_labels();
	for (u32 id = 0; id < nr_names; id++)
		if (!strcmp(names[id], name))
			return id;
	return UINT32_MAX;
}

u32 nr_labels(void)
{
	intern_labels();
	return nr_names;
}

u32 label_hash(u32 id)
{
	return id < nr_labels() ? hashes[id] : 0;
}

const char *label_name(u32 id)
{
	return id < nr_labels() ? names[id] : "";
}

/* What the shim asks of the scheduler. */

const char *task_name(int index)
{
	return index < 0 || index == UINT8_MAX ? "setup" : exec.actors[index].task.name;
}

bool someone_waits_for(const struct lock *lock)
{
	if (exec.stepwise)
		cells_ask_waiters(lock);
	for (int i = 0; i < exec.nr_waiting; i++) {
		const struct want *want = &exec.waiting[i]->want;

		if ((want->kind == WANT_FREE || want->kind == WANT_SHARED) && want->lock == lock)
			return true;
	}
	return false;
}

void report(const char *rule, const char *format, ...)
{
	struct run *run = &exec.run;
	struct violation *v;
	va_list args;

	if (run->nr_violations == VIOLATIONS_MAX)
		return;
	v = &run->violations[run->nr_violations];
	va_start(args, format);
	vsnprintf(v->site, sizeof(v->site), format, args);
	va_end(args);
	for (int i = 0; i < run->nr_violations; i++)
		if (!strcmp(run->violations[i].rule, rule) &&
		    !strcmp(run->violations[i].site, v->site))
			return;
	v->rule = rule;
	v->step = run->steps;
	v->actor = exec.now ? exec.now->task.index : -1;
	v->op = exec.now ? exec.now->op : -1;
	v->label = exec.now ? exec.now->label->name : "";
	run->nr_violations++;
}

static struct actor *next_turn(const struct actor *last);

/* The running actor's turn is over: whoever is next runs on, which may be the same one. */
static void leave(void)
{
	struct actor *actor = exec.now;
	struct actor *next = next_turn(actor);

	if (next != actor)
		context_go(&actor->context, next ? &next->context : &exec.scheduler);
}

void harness_error(const char *text, ...)
{
	va_list args;

	va_start(args, text);
	vsnprintf(exec.run.error, sizeof(exec.run.error), text, args);
	va_end(args);
	exec.run.end = END_HARNESS;
	if (!exec.now) { /* outside of any run: nobody to go back to */
		fprintf(stderr, "gmemdiff: %s\n", exec.run.error);
		abort();
	}
	leave();
	__builtin_unreachable();
}

/* Waiting. */

static bool ready(const struct actor *actor)
{
	const struct want *want = &actor->want;

	switch (want->kind) {
	case WANT_NOTHING:
	case WANT_RETRY:
		return true;
	case WANT_FREE:
		return lock_is_free(want->lock);
	case WANT_SHARED:
		return !want->lock->writer;
	case WANT_WAKE_UP:
		return want->queue->woken;
	case WANT_QUIET:
		return !(exec.kvm.busy & (exec.kvm.busy - 1));
	case WANT_SRCU:
		for (int i = 0; i < want->nr_snapshot; i++)
			if (want->snapshot[i]->srcu_depth &&
			    want->snapshot[i]->srcu_section == want->sections[i])
				return false;
		return true;
	}
	return true;
}

bool runnable(const struct actor *actor)
{
	return actor->op < actor->spec->nr_ops && (!actor->waits || ready(actor));
}

static void wait_for(struct actor *actor, const struct want *want)
{
	actor->want = *want;
	actor->waits = true;
	exec.waiting[exec.nr_waiting++] = actor;
}

static void waits_no_more(struct actor *actor)
{
	int i = 0;

	actor->waits = false;
	while (exec.waiting[i] != actor)
		i++;
	exec.nr_waiting--;
	memmove(exec.waiting + i, exec.waiting + i + 1,
		(exec.nr_waiting - i) * sizeof(*exec.waiting));
}

static struct actor *actor_of(struct task *task)
{
	return task->index < 0 ? &exec.setup : &exec.actors[task->index];
}

/* The first task that must move for this one to go on, if that is known. */
static struct actor *holder(const struct actor *actor)
{
	const struct want *want = &actor->want;
	struct task *first = NULL;

	switch (want->kind) {
	case WANT_FREE:
	case WANT_SHARED:
		if (want->lock->nr_readers) {
			uint8_t index = want->lock->readers[0];

			return index == UINT8_MAX ? &exec.setup : &exec.actors[index];
		}
		return want->lock->writer ? actor_of(want->lock->writer) : NULL;
	case WANT_SRCU:
		for (int i = 0; i < want->nr_snapshot; i++)
			if (want->snapshot[i]->srcu_depth &&
			    want->snapshot[i]->srcu_section == want->sections[i] &&
			    (!first || want->snapshot[i]->index < first->index))
				first = want->snapshot[i];
		return first ? actor_of(first) : NULL;
	default:
		return NULL;
	}
}

/* The actors of one circle in which each waits for what the next one holds; 0 if there is none. */
static int waiting_in_a_circle(struct actor **circle)
{
	for (int start = 0; start < exec.nr_waiting; start++) {
		struct actor *path[TASKS_MAX];
		struct actor *actor = exec.waiting[start];
		int n = 0, at = 0;

		while (actor && actor->waits) {
			for (at = 0; at < n && path[at] != actor; at++)
				;
			if (at < n)
				break;
			path[n++] = actor;
			actor = holder(actor);
		}
		if (actor && actor->waits) {
			memcpy(circle, path + at, (n - at) * sizeof(*circle));
			return n - at;
		}
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Nothing goes on: say who is where. */
void stuck(enum end end, struct actor **actors, int n)
{
	struct actor *circle[TASKS_MAX];
	const char *labels[TASKS_MAX];
	int nr_circle = waiting_in_a_circle(circle), nr_labels_ = 0;
	bool missed = false;
	struct run *run = &exec.run;

	run->end = end;
	for (int i = 0; i < n; i++) {
		bool in = !nr_circle;

		for (int j = 0; j < nr_circle; j++)
			in |= circle[j] == actors[i];
		if (actors[i]->begun && in)
			labels[nr_labels_++] = actors[i]->label->name;
		missed |= actors[i]->waits && actors[i]->want.kind == WANT_WAKE_UP &&
			  !exec.kvm.mn_active_invalidate_count;
	}
	qsort(labels, nr_labels_, sizeof(*labels), by_name);
	run->site[0] = 0;
	for (int i = 0; i < nr_labels_; i++) {
		size_t used = strlen(run->site);

		if (i && !strcmp(labels[i], labels[i - 1]))
			continue;
		snprintf(run->site + used, sizeof(run->site) - used, "%s%s", used ? "+" : "",
			 labels[i]);
	}
	report(missed ? "missed-wakeup" : end == END_DEADLOCK ? "deadlock" : "livelock", "%s",
	       run->site);
}

int unfinished(struct actor **left, bool with_setup)
{
	int n = 0;

	if (with_setup && exec.setup.op < exec.setup.spec->nr_ops)
		left[n++] = &exec.setup;
	for (int i = 0; i < exec.nr_actors; i++)
		if (exec.actors[i].op < exec.actors[i].spec->nr_ops)
			left[n++] = &exec.actors[i];
	return n;
}

/* Steps. */

/* For those who want to know of each step: `actor` has just taken the one at its label. */
static __attribute__((noinline)) void tell_step(struct actor *actor)
{
	u32 number = exec.run.steps - 1;

	if (exec.logging_steps && number < sizeof(exec.taken) / sizeof(*exec.taken))
		exec.taken[number] = (struct taken_step){
			actor->task.index, actor->op, actor->label->id, exec.run.nr_taken
		};
	if (exec.recorder)
		exec.recorder(&exec.kvm, actor->task.name, actor->op, actor->label->name);
}

static inline void count_step(struct actor *actor)
{
	u64 who = (u64)actor->task.index << 32;
	u32 what = actor->label->hash;
	struct passed_step *before = &trail[exec.run.steps++];

	before[1] = (struct passed_step){ (before->path ^ who ^ what) * 1099511628211u, what };
	if (exec.watched)
		tell_step(actor);
}

/* Remember a boundary, as a preemption would name it. */
static void log_boundary(const struct actor *actor)
{
	/* How often an op came to a label: the last time that it was asked of that actor. */
	static struct { u64 op; u32 count; } passed[ACTORS_MAX][LABELS_MAX];
	u64 op = (u64)exec.logs << 32 | (u32)actor->op;
	u32 label = actor->label->id;

	if (exec.nr_passed == PASSED_MAX || actor == &exec.setup || label >= LABELS_MAX)
		return;
	if (passed[actor->task.index][label].op != op) {
		passed[actor->task.index][label].op = op;
		passed[actor->task.index][label].count = 0;
	}
	exec.passed[exec.nr_passed++] = (struct boundary){
		actor->task.index, actor->op, label, ++passed[actor->task.index][label].count
	};
}

void log_steps(bool on)
{
	exec.logging_steps = on;
	exec.watched = exec.recorder || exec.logging_steps;
}

const struct taken_step *steps_taken(u32 *n)
{
	u32 most = sizeof(exec.taken) / sizeof(*exec.taken);

	*n = exec.run.steps < most ? exec.run.steps : most;
	return exec.taken;
}

void log_boundaries(bool on)
{
	exec.logging = on;
}

const struct boundary *boundaries_passed(u32 *n)
{
	*n = exec.nr_passed;
	return exec.passed;
}

/* A step is done; the one at `label` comes next.  Does not return when there are too many. */
static inline void next_step(struct actor *actor, struct label *label)
{
	count_step(actor);
	if (exec.run.steps > STEPS_MAX) {
		exec.run.end = END_BUDGET;
		leave();
	}
	actor->label = label;
	if (exec.logging)
		log_boundary(actor);
	if (!exec.stepwise)
		feedback_step(actor->task.index, label->id);
}

void drive(struct strategy *strategy)
{
	exec.strategy = strategy;
}

const struct chosen_point *switches_made(u32 *n)
{
	*n = exec.nr_switches;
	return exec.switches;
}

/* How often the op has come to a label, as a run with the schedule that is drawn will count. */
static u32 come_to(const struct actor *actor, u32 label)
{
	u32 *visit = &exec.came[actor->task.index][label].visit;
	u32 *count = &exec.came[actor->task.index][label].count;

	if (*visit != actor->visit) {
		*visit = actor->visit;
		*count = 0;
	}
	return ++*count;
}

/* Ask the strategy who goes on, and write it down when it is somebody else. */
static bool redirected(struct actor *actor, u32 label)
{
	struct place place = { .actor = actor->task.index };
	u32 occurrence;
	int chosen;

	if (label >= LABELS_MAX)
		return false;
	occurrence = come_to(actor, label);
	if (exec.nr_switches == SWITCHES_MAX)
		return false;
	for (int i = 0; i < exec.nr_actors; i++)
		if (runnable(&exec.actors[i]))
			place.runnable[place.nr_runnable++] = i;
	chosen = strategy_choose(exec.strategy, &place);
	if (chosen == actor->task.index)
		return false;
	exec.switches[exec.nr_switches++] = (struct chosen_point){
		{ actor->task.index, actor->op, label, occurrence }, chosen
	};
	exec.target = exec.chosen = &exec.actors[chosen];
	return true;
}

/* The same as preempted(), for a label that may be one of the schedule's. */
static bool preempted_here(struct actor *actor, u32 label)
{
	int first = actor->spec->points[actor->op];
	struct point *hit = NULL;
	struct run *run = &exec.run;

	if (exec.strategy)
		return actor != &exec.setup && redirected(actor, label);
	for (int i = first; i >= 0; i = exec.program->points[i].next) {
		struct point *point = &exec.program->points[i];

		if (point->label == label && ++point->count == point->occurrence)
			hit = point;
	}
	if (!hit)
		return false;
	run->taken[run->nr_taken++] = hit - exec.program->points;
	if (runnable(&exec.actors[hit->to])) {
		exec.target = &exec.actors[hit->to];
		return true;
	}
	run->voided[run->nr_void++] = hit - exec.program->points;
	return false;
}

/* The same of a run that is driven stepwise.  Its frame is small: it is part of a state. */
static __attribute__((noinline)) bool asked(struct actor *actor)
{
	exec.at_boundary = true;
	context_go(&actor->context, &exec.scheduler);
	return exec.preempt;
}

/*
 * Whether the schedule stops the actor at a label; sets exec.target when somebody else can run.
 * lock: that it waits for then, or NULL.
 */
static inline bool preempted(struct actor *actor, u32 label, struct lock *lock)
{
	if (!(actor->stops >> (label & 63) & 1))
		return false;
	if (!exec.stepwise)
		return preempted_here(actor, label);
	exec.at_lock = lock;
	return asked(actor);
}

/* An op comes next: know where the schedule, or a strategy, may stop it. */
static void look_for_stops(struct actor *actor)
{
	actor->stops = exec.strategy || exec.stepwise ? ~0ull : 0;
	if (actor->op == actor->spec->nr_ops)
		return;
	for (int i = actor->spec->points[actor->op]; i >= 0; i = exec.program->points[i].next)
		actor->stops |= 1ull << (exec.program->points[i].label & 63);
}

void step(struct label *label)
{
	struct actor *actor = exec.now;

	next_step(actor, label);
	if (preempted(actor, label->id, NULL))
		leave();
}

void step_ready(struct label *label, enum want_kind kind, struct lock *lock)
{
	struct actor *actor = exec.now;

	next_step(actor, label);
	if (preempted(actor, label->id, lock)) {
		wait_for(actor, &(struct want){ .kind = kind, .lock = lock });
		leave();
	}
}

/* The actor starts over; the others go first.  A state that comes back is a livelock. */
static void retry(struct actor *actor)
{
	static struct text text;
	u64 hash = 14695981039346656037u;

	if (exec.strategy && actor != &exec.setup)
		strategy_gave_up(exec.strategy, actor->task.index);
	if (++actor->retries <= RETRIES_BEFORE_DIGEST)
		return;
	if (exec.stepwise)
		cells_everything();
	text.n = 0;
	text_add(&text, "%s %d", actor->task.name, actor->op);
	for (int i = 0; i < exec.nr_actors; i++)
		text_add(&text, "|%d:%s", exec.actors[i].op, exec.actors[i].label->name);
	/* How far ops are towards their preemptions, or choices: these change what comes. */
	if (exec.strategy)
		text_add(&text, ",%u", exec.nr_switches);
	for (int i = 0; i < exec.program->nr_points && !exec.strategy; i++) {
		const struct point *point = &exec.program->points[i];

		text_add(&text, ",%u",
			 point->count < point->occurrence ? point->count : point->occurrence);
	}
	state_text(&exec.kvm, &text);
	for (size_t i = 0; i < text.n; i++)
		hash = (hash ^ (unsigned char)text.at[i]) * 1099511628211u;
	for (u32 i = 0; i < exec.nr_seen; i++) {
		struct actor *left[TASKS_MAX], *circle[TASKS_MAX];

		if (exec.seen[i] != hash)
			continue;
		/* Whoever spins may only be waiting for tasks that wait for each other. */
		stuck(waiting_in_a_circle(circle) ? END_DEADLOCK : END_LIVELOCK, left,
		      unfinished(left, true));
	}
	if (exec.nr_seen < SEEN_MAX)
		exec.seen[exec.nr_seen++] = hash;
}

void step_want(struct label *label, const struct want *want)
{
	struct actor *actor = exec.now;

	if (exec.stepwise && want->kind == WANT_SRCU)
		cells_snapshot();
	next_step(actor, label);
	if (preempted(actor, label->id, want->lock)) {
		wait_for(actor, want);
		leave();
		return;
	}
	if (want->kind == WANT_RETRY) {
		retry(actor);
		leave();
		return;
	}
	actor->want = *want;
	if (exec.stepwise)
		cells_wait(want);
	if (!ready(actor)) {
		wait_for(actor, want);
		leave();
	}
}

/* Ops. */

/* An op ended with a lock held (lockdep: "returning to user space with locks held"). */
static void left_with_locks(struct actor *actor)
{
	const char *held[HELD_MAX + 1];
	char site[SITE_MAX] = "return with ";
	int n = 0;

	for (int i = 0; i < actor->task.nr_held; i++)
		held[n++] = actor->task.held[i]->name;
	if (actor->task.srcu_depth)
		held[n++] = "srcu";
	qsort(held, n, sizeof(*held), by_name);
	for (int i = 0; i < n; i++) {
		size_t used = strlen(site);

		if (i && !strcmp(held[i], held[i - 1]))
			continue;
		snprintf(site + used, sizeof(site) - used, "%s%s", i ? "+" : "", held[i]);
	}
	report("lockdep", "%s", site);
}

static struct op_result *result_of(struct actor *actor)
{
	if (actor == &exec.setup)
		return &exec.run.setup_results[actor->op];
	return &exec.run.results[actor->task.index][actor->op];
}

static void run_op(struct actor *actor)
{
	struct kvm *kvm = &exec.kvm;
	struct op_result *result = result_of(actor);

	result->value = start_op(kvm, &actor->task, actor->vcpu, &actor->spec->ops[actor->op]);
	result->text = kvm->text;
	result->ended = true;
	while (actor->task.task_work.n) /* on the way to user space, in the same step */
		task_work_run(kvm);
	count_step(actor);
	if (actor->task.nr_held || actor->task.srcu_depth)
		left_with_locks(actor);
	kvm->busy &= ~(1u << (actor->task.index + 1));
	if (exec.stepwise)
		cells_busy();
	feedback_ended(actor->task.index, result->value);
	actor->begun = false;
	actor->op++;
	look_for_stops(actor);
	actor->label = begin_label();
	actor->counted_begin = false;
	actor->retries = 0;
}

static void actor_main(void)
{
	context_arrived(&exec.now->context);
	for (;;) {
		run_op(exec.now);
		leave();
	}
}

/* Whether somebody else is to run instead of an actor whose turn comes. */
static bool diverted(struct actor *actor)
{
	bool begins = !actor->begun && !actor->counted_begin;
	u32 label = (begins ? begin_label() : LABEL("resume"))->id;
	bool chosen = exec.chosen == actor;

	exec.chosen = NULL;
	if (!actor->stops)
		return false;
	actor->counted_begin = true;
	if (begins)
		actor->visit = ++exec.visits;
	if (!exec.strategy || !chosen)
		return preempted(actor, label, NULL);
	come_to(actor, label); /* it was just chosen: nobody is asked again */
	return false;
}

/* The actor goes on: into its next op, or out of what it waited for. */
static void turn_begins(struct actor *actor)
{
	if (!actor->begun) {
		if (exec.logging)
			log_boundary(actor);
		exec.kvm.busy |= 1u << (actor->task.index + 1);
		if (exec.stepwise)
			cells_busy();
		actor->begun = true;
		feedback_op(actor->task.index, actor->spec->ops[actor->op].code);
	} else if (actor->waits) {
		if (exec.stepwise)
			cells_wait(&actor->want);
		waits_no_more(actor);
	}
}

/*
 * An actor's turn begins, until its op ends, it is preempted, or it has to wait.  False: the
 * schedule stops it before its op does anything, and exec.target is who runs instead.
 */
static bool turn(struct actor *actor)
{
	current = &actor->task;
	exec.now = actor;
	exec.target = NULL;
	if (diverted(actor))
		return false;
	turn_begins(actor);
	feedback_turn(actor->task.index);
	return true;
}

void drive_stepwise(void)
{
	exec.stepwise = true;
	for (int i = 0; i < exec.nr_actors; i++)
		look_for_stops(&exec.actors[i]);
}

#define LEFTOVERS 1024 /* bytes of stack that one step uses, mostly */

bool turn_stepwise(struct actor *actor, bool preempt)
{
	current = &actor->task;
	exec.now = actor;
	exec.preempt = preempt;
	if (!exec.at_boundary)
		turn_begins(actor);
	exec.at_boundary = false;
	context_go(&exec.scheduler, &actor->context);
	/* What functions have left there would be in the gaps of those that come next. */
	memset((char *)actor->context.sp - LEFTOVERS, 0, LEFTOVERS);
	return exec.at_boundary;
}

/* The next actor in turn that can run; the one at `index` comes last. */
struct actor *next_after(int index)
{
	for (int i = 0; i < exec.nr_actors; i++) {
		struct actor *actor;

		if (++index == exec.nr_actors)
			index = 0;
		actor = &exec.actors[index];
		if (runnable(actor))
			return actor;
	}
	return NULL;
}

/*
 * Who runs on after `last`, whose turn is over: whom the schedule says, else the next in turn.
 * NULL: nobody can, or the run is over, and the scheduler goes on; so it does after each turn of
 * setup, and of whoever is driven stepwise.
 */
static struct actor *next_turn(const struct actor *last)
{
	if (last == &exec.setup || exec.stepwise)
		return NULL;
	while (exec.run.end == END_FINISHED) {
		struct actor *actor = exec.target ? exec.target : next_after(last->task.index);

		if (!actor || turn(actor))
			return actor;
		last = actor;
	}
	return NULL;
}

/* Set up. */

static void kvm_init(struct kvm *kvm, const struct program *program)
{
	memset(kvm, 0, sizeof(*kvm));
	kvm->features = program->features;
	kvm->x86 = program->x86;
	kvm->shadow_paging = program->shadow_paging;
	kvm->has_private_mem = program->sw_protected && program->features.sw_protected_vm;
	kvm->nr_as = kvm->x86 && !kvm->has_private_mem ? 2 : 1;
	kvm->slots_lock = LOCK_INIT("slots_lock", RANK_SLOTS);
	kvm->slots_arch_lock = LOCK_INIT("slots_arch_lock", RANK_SLOTS_ARCH);
	for (int i = 0; i < kvm->nr_as; i++) {
		kvm->memslot_sets[i][0].generation = i;
		kvm->memslot_sets[i][1].generation = i;
		kvm->memslots[i] = &kvm->memslot_sets[i][0];
	}
	kvm->mmu_lock = LOCK_INIT("mmu_lock", RANK_MMU);
	kvm->mn_invalidate_lock = LOCK_INIT("mn_invalidate_lock", RANK_MN);
	kvm->mn_memslots_update_rcuwait.name = "mn_memslots_update_rcuwait";
	kvm->mmu_invalidate_range_start = INVALID_GPA;
	kvm->mmu_invalidate_range_end = INVALID_GPA;
	kvm->nr_vcpus = program->nr_vcpus;
	for (int i = 0; i < kvm->nr_vcpus; i++) {
		kvm->vcpus[i].id = i;
		if (kvm->x86) /* kvm_vcpu_reset(), arch/x86/kvm/x86.c */
			kvm->vcpus[i].requests = KVM_REQ_TLB_FLUSH_GUEST;
	}
	kvm->gpc_lock = LOCK_INIT("gpc_lock", RANK_GPC_LIST);
	kvm->mmap_lock = LOCK_INIT("mmap_lock", RANK_MMAP);
	kvm->frames_max = program->frames_max;
	oracles_attach(kvm, program->survival_promised);
}

static void actor_init(struct actor *actor, const struct actor_spec *spec, int index)
{
	memset(actor, 0, sizeof(*actor));
	actor->spec = spec;
	actor->task.name = spec->name;
	actor->task.index = index;
	actor->label = begin_label();
	look_for_stops(actor);
	if (spec->kind == ACTOR_VCPU) {
		actor->vcpu = &exec.kvm.vcpus[spec->number];
		actor->vcpu->task = &actor->task;
	}
	context_make(&actor->context, exec.stacks + (size_t)(index + 1) * STACK_SIZE, STACK_SIZE,
		     actor_main);
}

static void actors_init(struct program *program)
{
	exec.stepwise = exec.at_boundary = false;
	for (int i = 0; i < program->nr_points; i++)
		program->points[i].count = 0;
	for (int i = 0; i < exec.nr_actors; i++) {
		actor_init(&exec.actors[i], &program->actors[i], i);
		for (int op = 0; op < program->actors[i].nr_ops; op++)
			exec.run.results[i][op].ended = false;
	}
	exec.nr_waiting = 0;
	exec.nr_seen = 0;
	exec.nr_switches = 0;
	exec.chosen = NULL;
	exec.now = NULL;
	if (exec.strategy)
		strategy_begin(exec.strategy, exec.nr_actors);
	feedback_begin();
}

void run_init(struct program *program)
{
	struct run *run = &exec.run;

	intern_labels();
	if (!exec.stacks)
		exec.stacks = malloc((size_t)TASKS_MAX * STACK_SIZE);
	arena_reset();
	kept.valid = false;
	patch_acted = false;
	exec.program = program;
	exec.nr_actors = program->nr_actors;
	exec.nr_passed = 0;
	exec.logs++;
	run->kvm = &exec.kvm;
	run->end = END_FINISHED;
	run->steps = 0;
	trail[0].path = 14695981039346656037u;
	run->trail = trail + 1;
	run->nr_taken = run->nr_void = run->nr_violations = 0;
	run->site[0] = run->error[0] = 0;
	kvm_init(&exec.kvm, program);
	actor_init(&exec.setup, &program->setup, -1);
	for (int op = 0; op < program->setup.nr_ops; op++)
		run->setup_results[op].ended = false;
	actors_init(program);
}

void run_setup(void)
{
	struct run *run = &exec.run;
	struct actor *left[] = { &exec.setup };

	while (run->end == END_FINISHED && exec.setup.op < exec.setup.spec->nr_ops) {
		turn(&exec.setup);
		context_go(&exec.scheduler, &exec.setup.context);
		if (run->end == END_FINISHED && exec.setup.waits && !ready(&exec.setup))
			stuck(END_DEADLOCK, left, 1);
	}
}

void run_ends(void)
{
	struct actor *left[TASKS_MAX];
	int n;

	if (exec.run.end == END_FINISHED) {
		n = unfinished(left, false);
		if (n)
			stuck(END_DEADLOCK, left, n);
		else
			watch_finished(&exec.kvm);
	}
	exec.now = NULL;
}

static void run_actors(void)
{
	static const struct actor nobody = { .task.index = -1 }; /* before the first actor */
	struct actor *actor;

	exec.target = NULL;
	actor = next_turn(&nobody);
	if (actor)
		context_go(&exec.scheduler, &actor->context);
	run_ends();
}

struct run *execute(struct program *program, recorder_t recorder)
{
	exec.recorder = recorder;
	exec.watched = exec.recorder || exec.logging_steps;
	run_init(program);
	run_setup();
	if (exec.run.end == END_FINISHED && exec.setup.op == exec.setup.spec->nr_ops &&
	    arena_keep()) {
		kept.valid = true;
		kept.kvm = exec.kvm;
		kept.setup = exec.setup;
		kept.steps = exec.run.steps;
		kept.nr_violations = exec.run.nr_violations;
		kept.patch_acted = patch_acted;
	}
	run_actors();
	return &exec.run;
}

struct run *execute_again(struct program *program)
{
	struct run *run = &exec.run;

	if (!kept.valid || program != exec.program)
		return execute(program, NULL);
	arena_restore();
	exec.kvm = kept.kvm;
	exec.setup = kept.setup;
	run->end = END_FINISHED;
	run->steps = kept.steps;
	run->nr_violations = kept.nr_violations;
	patch_acted = kept.patch_acted;
	run->nr_taken = run->nr_void = 0;
	run->site[0] = run->error[0] = 0;
	actors_init(program);
	run_actors();
	return run;
}
