/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the library offers: run a program, with or without a trace, and tell the outcome as text
 * (fuzz/port/outcome.py writes the same of a Python run).
 */
#include <stdio.h>
#include <string.h>

#include "dump.h"
#include "explore.h"
#include "feedback.h"
#include "marks.h"
#include "program.h"
#include "state_text.h"
#include "strategy.h"

#define EXPORT __attribute__((visibility("default")))

static struct program program;
static struct run *run;
static struct text outcome, trace;

static const char *const ends[] = {
	"finished", "deadlock", "livelock", "step budget used up", "harness error",
};

/* Read a program for the runs that follow.  Returns NULL, or why it cannot run here. */
EXPORT const char *gmemdiff_program(const u64 *words, size_t n)
{
	return program_read(&program, words, n);
}

static void record(struct kvm *kvm, const char *actor, int op, const char *label)
{
	text_add(&trace, "%s[%d] %s\n", actor, op, label);
	state_text(kvm, &trace);
	text_add(&trace, "\n\f\n");
}

/* Run the program.  Returns the steps taken, or -1 when the port itself failed. */
EXPORT s64 gmemdiff_run(bool traced)
{
	trace.n = 0;
	run = execute(&program, traced ? record : NULL);
	return run->end == END_HARNESS ? -1 : (s64)run->steps;
}

/*
 * Run the program so many times as one strategy has it (enum strategy_kind).  Returns the switches
 * that the last run made.
 */
EXPORT const struct chosen_point *gmemdiff_drive(u32 kind, u32 depth, u64 seed, u32 runs, u32 *n)
{
	struct strategy strategy;

	strategy_init(&strategy, kind, seed, depth);
	drive(&strategy);
	for (u32 i = 0; i < runs; i++)
		run = execute(&program, NULL);
	drive(NULL);
	return switches_made(n);
}

/* Keep the steps of the runs that follow, or not. */
EXPORT void gmemdiff_log_steps(bool on)
{
	log_steps(on);
}

EXPORT const struct taken_step *gmemdiff_steps(u32 *n)
{
	return steps_taken(n);
}

/* The state that the last run left, for building it up again in Python (fuzz/port/rebuild.py). */
EXPORT const char *gmemdiff_dump(size_t *size)
{
	static struct text text;

	text.n = 0;
	dump_state(run->kvm, &text);
	*size = text.n;
	return text.at;
}

/* Every step of the last traced run: "actor[op] label", the state, a form feed. */
EXPORT const char *gmemdiff_trace(size_t *size)
{
	*size = trace.n;
	return trace.at;
}

static void add_results(struct kvm *kvm, const struct actor_spec *actor, struct op_result *results)
{
	char words[512];

	for (int op = 0; op < actor->nr_ops; op++) {
		if (!results[op].ended)
			continue;
		if (results[op].value == RESULT_TEXT) {
			text_add(&outcome, "%s[%d] = %s\n", actor->name, op, results[op].text);
			continue;
		}
		result_text(kvm, results[op].value, words, sizeof(words));
		text_add(&outcome, "%s[%d] = %s\n", actor->name, op, words);
	}
}

/* Everything else that is compared with a Python run, one line each. */
EXPORT const char *gmemdiff_outcome(size_t *size)
{
	const struct kvm *kvm = run->kvm;

	outcome.n = 0;
	text_add(&outcome, "end %s\nsteps %u\nstuck %s\n", ends[run->end], run->steps, run->site);
	if (run->end == END_HARNESS)
		text_add(&outcome, "error %s\n", run->error);
	add_results(run->kvm, &program.setup, run->setup_results);
	for (int i = 0; i < program.nr_actors; i++)
		add_results(run->kvm, &program.actors[i], run->results[i]);
	for (int i = 0; i < run->nr_taken; i++)
		text_add(&outcome, "taken %d\n", run->taken[i]);
	for (int i = 0; i < run->nr_void; i++)
		text_add(&outcome, "void %d\n", run->voided[i]);
	for (int i = 0; i < run->nr_violations; i++) {
		const struct violation *v = &run->violations[i];

		text_add(&outcome, "broken %s at %s: step %u, %s[%d] at %s\n", v->rule, v->site,
			 v->step, v->actor < 0 ? "setup" : program.actors[v->actor].name, v->op,
			 v->label);
	}
	text_add(&outcome, "pages_4k %lld pf_fixed %lld tlb_flush %lld remote_tlb_flush %lld\n",
		 (long long)kvm->pages_4k, (long long)kvm->pf_fixed, (long long)kvm->tlb_flush,
		 (long long)kvm->remote_tlb_flush);
	text_add(&outcome, "notifier_zaps %lld notifier_locks %lld fault_retries %lld\n",
		 (long long)kvm->notifier_zaps, (long long)kvm->notifier_locks,
		 (long long)kvm->fault_retries);
	text_add(&outcome, "mmu_invalidate_seq %lld\n", (long long)kvm->mmu_invalidate_seq);
	*size = outcome.n;
	return outcome.at;
}

static struct program *program_read_last(void)
{
	return &program;
}

/* What another library needs to run programs here. */
EXPORT const struct side *gmemdiff_side(void)
{
	static struct side side = {
		.program_size = sizeof(struct program),
		.execute = execute,
		.execute_again = execute_again,
		.visible_of = visible_of,
		.visible_backing = visible_backing,
		.label_id = label_id,
		.nr_labels = nr_labels,
		.label_name = label_name,
		.program = program_read_last,
	};

	side.stock = patch_marks == MARKS_STOCK;
	return &side;
}

/* For checking at load that both sides of the interface mean the same. */
EXPORT const char *gmemdiff_op_name(u32 code)
{
	return code < NR_OPS ? op_name(code) : NULL;
}

EXPORT const char *gmemdiff_feature_name(u32 index)
{
#define FEATURE_NAME(name) #name,
	static const char *const names[] = { FOR_EACH_FEATURE(FEATURE_NAME) };

	return index < sizeof(names) / sizeof(*names) ? names[index] : NULL;
}

EXPORT u32 gmemdiff_label_id(const char *name)
{
	return label_id(name);
}

EXPORT u32 gmemdiff_nr_labels(void)
{
	return nr_labels();
}

EXPORT const char *gmemdiff_label_name(u32 id)
{
	return label_name(id);
}

EXPORT uint8_t *gmemdiff_pairs(u32 *size)
{
	*size = PAIRS_MAX;
	return feedback_pairs;
}
