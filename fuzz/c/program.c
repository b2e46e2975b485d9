/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading a program from words: fuzz/port/encode.py writes them, in this order. */
#include <stdio.h>
#include <string.h>

#include "program.h"

#define PROGRAM_VERSION 1
#define NUMBER_MAX 99999999 /* of an actor; its name is at most 15 characters long */
#define ARGS_MAX (sizeof(((struct op *)NULL)->args) / sizeof(u64))

struct reader {
	const u64 *words;
	size_t n, at;
	bool short_of_words;
};

static u64 word(struct reader *r)
{
	if (r->at == r->n) {
		r->short_of_words = true;
		return 0;
	}
	return r->words[r->at++];
}

/* Ops that only a vCPU can do (fuzz/vocabulary.py). */
static bool needs_vcpu(u32 code)
{
	return (code >= OP_read && code <= OP_pre_fault) ||
	       (code >= OP_kvm_write && code <= OP_gpc_deactivate);
}

static const char *read_ops(struct reader *r, struct actor_spec *actor)
{
	u64 n = word(r);

	if (n > OPS_MAX)
		return "an actor has more ops than the C port takes";
	actor->nr_ops = n;
	for (u64 i = 0; i < n; i++) {
		struct op *op = &actor->ops[i];
		u64 code = word(r), nargs = word(r);

		if (nargs > ARGS_MAX || code >= NR_OPS)
			return "an op that the C port does not know";
		if (needs_vcpu(code) && actor->kind != ACTOR_VCPU)
			return "an op of a vCPU, done by somebody else";
		op->code = code;
		op->nargs = nargs;
		for (u32 arg = 0; arg < op->nargs; arg++)
			op->args[arg] = word(r);
		actor->points[i] = -1;
	}
	return NULL;
}

static const char *read_actor(struct reader *r, struct actor_spec *actor)
{
	static const char *const kinds[] = { "vmm", "vcpu", "kthread" };
	u64 kind = word(r), number = word(r);

	if (kind > ACTOR_KTHREAD)
		return "an actor of no kind";
	if (number > NUMBER_MAX)
		return "an actor of a larger number than the C port takes";
	actor->kind = kind;
	actor->number = number;
	snprintf(actor->name, sizeof(actor->name), "%s%d", kinds[kind], actor->number);
	return read_ops(r, actor);
}

static const char *read_points(struct reader *r, struct program *program)
{
	u64 n = word(r);

	if (n > POINTS_MAX)
		return "more preemptions than the C port takes";
	program->nr_points = n;
	for (u64 i = 0; i < n; i++) {
		struct point *point = &program->points[i];
		u64 by = word(r), op = word(r), label = word(r), occurrence = word(r), to = word(r);
		struct actor_spec *actor;

		if (by >= (u64)program->nr_actors || to >= (u64)program->nr_actors)
			return "a preemption of no actor";
		actor = &program->actors[by];
		if (op >= (u64)actor->nr_ops)
			return "a preemption of no op";
		if (occurrence > UINT32_MAX)
			return "a preemption at a larger occurrence than the C port takes";
		*point = (struct point){ .actor = by, .op = op, .label = label,
					 .occurrence = occurrence, .to = to };
		point->next = actor->points[point->op];
		actor->points[point->op] = i;
	}
	return NULL;
}

const char *program_read(struct program *program, const u64 *words, size_t n)
{
	struct reader r = { words, n, 0, false };
	const char *wrong;
	u64 features, bits, actors, vcpus;

	if (word(&r) != PROGRAM_VERSION)
		return "words of another version";
	features = word(&r);
#define READ_FEATURE(name) program->features.name = features & 1, features >>= 1;
	FOR_EACH_FEATURE(READ_FEATURE)
	bits = word(&r);
	program->x86 = bits & 1;
	program->shadow_paging = bits >> 1 & 1;
	program->sw_protected = bits >> 2 & 1;
	program->survival_promised = bits >> 3 & 1;
	vcpus = word(&r);
	if (vcpus > VCPUS_MAX)
		return "more vCPUs than the C port takes";
	program->nr_vcpus = vcpus;
	program->frames_max = word(&r);
	program->setup.kind = ACTOR_SETUP;
	strcpy(program->setup.name, "setup");
	wrong = read_ops(&r, &program->setup);
	if (wrong)
		return wrong;
	actors = word(&r);
	if (actors > ACTORS_MAX)
		return "more actors than the C port takes";
	program->nr_actors = actors;
	for (u64 i = 0; i < actors; i++) {
		wrong = read_actor(&r, &program->actors[i]);
		if (wrong)
			return wrong;
		if (program->actors[i].kind == ACTOR_VCPU &&
		    program->actors[i].number >= program->nr_vcpus)
			return "a vCPU that is not there";
	}
	wrong = read_points(&r, program);
	if (wrong)
		return wrong;
	return r.short_of_words ? "words are missing" : NULL;
}
