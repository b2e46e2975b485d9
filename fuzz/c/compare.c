/* SPDX-License-Identifier: GPL-2.0-only */
/* The quick comparison of two sides (fuzz/tolerance.py); Python says what exactly differs. */
#include <string.h>

#include "compare.h"

static bool covered_by(const struct actor_spec *actor, u64 hva)
{
	for (int i = 0; i < actor->nr_ops; i++) {
		const struct op *op = &actor->ops[i];
		u64 size, base;

		if (op->code != OP_set_region || !(op->args[4] & KVM_MEM_GUEST_MEMFD))
			continue;
		size = op->args[2] > PAGE_SIZE ? op->args[2] : PAGE_SIZE;
		base = op->args[3];
		if (base <= hva && (s128)hva < (s128)base + size)
			return true;
	}
	return false;
}

/* Whether some set_region of the program puts a guest_memfd slot over an address. */
static bool covered_by_gmem(const struct program *program, u64 hva)
{
	for (int i = 0; i < program->nr_actors; i++)
		if (covered_by(&program->actors[i], hva))
			return true;
	return covered_by(&program->setup, hva);
}

static bool promised(const struct program *program, const struct op *op, result_t ours,
		     result_t theirs, bool survival_promised)
{
	bool young = op->code == OP_clear_young || op->code == OP_test_young ||
		     op->code == OP_clear_flush_young;

	if (op->code == OP_stat)
		return true;
	if (!survival_promised)
		return false;
	if (!(young && ours == 1 && theirs == 0) &&
	    !(op->code == OP_reclaim && ours == -EBUSY && theirs == 0))
		return false;
	return covered_by_gmem(program, op->args[0]);
}

static bool results_differ(const struct program *program, const struct actor_spec *actor,
			   const struct op_result *ours, const struct op_result *theirs,
			   bool survival_promised)
{
	for (int i = 0; i < actor->nr_ops; i++) {
		if (!ours[i].ended)
			continue;
		if (theirs[i].ended && ours[i].value == theirs[i].value &&
		    (ours[i].value != RESULT_TEXT || !strcmp(ours[i].text, theirs[i].text)))
			continue;
		if (!theirs[i].ended || !promised(program, &actor->ops[i], ours[i].value,
						  theirs[i].value, survival_promised))
			return true;
	}
	return false;
}

/* What the guest reads at each gfn that one side maps, on the other. */
static bool memory_differs(const struct visible *mapped, const struct side *side, struct kvm *kvm)
{
	for (int i = 0; i < mapped->nr_leaves; i++) {
		const struct visible_leaf *leaf = &mapped->leaves[i];
		u64 high, content;

		if (leaf->l2 || leaf->invalid)
			continue;
		content = side->visible_backing(kvm, leaf->as_id, leaf->gfn, &high);
		if (content != leaf->content || high != leaf->content_high)
			return true;
	}
	return false;
}

static bool young_differs(const struct visible *ours, const struct visible *theirs)
{
	for (int i = 0; i < ours->nr_leaves; i++) {
		const struct visible_leaf *leaf = &ours->leaves[i];

		if (leaf->invalid || !leaf->ordinary)
			continue;
		for (int j = 0; j < theirs->nr_leaves; j++) {
			const struct visible_leaf *twin = &theirs->leaves[j];

			if (twin->gfn == leaf->gfn && twin->as_id == leaf->as_id &&
			    twin->l2 == leaf->l2 && twin->first_root && !twin->invalid &&
			    twin->accessed != leaf->accessed)
				return true;
		}
	}
	return false;
}

bool runs_differ(const struct program *program, const struct side *reference, struct run *ours,
		 const struct side *patched, struct run *theirs, bool survival_promised)
{
	static struct visible before, after;

	if (results_differ(program, &program->setup, ours->setup_results, theirs->setup_results,
			   survival_promised))
		return true;
	for (int i = 0; i < program->nr_actors; i++)
		if (results_differ(program, &program->actors[i], ours->results[i],
				   theirs->results[i], survival_promised))
			return true;
	reference->visible_of(ours->kvm, &before);
	patched->visible_of(theirs->kvm, &after);
	return before.final != after.final || before.too_many_leaves || after.too_many_leaves ||
	       memory_differs(&before, patched, theirs->kvm) ||
	       memory_differs(&after, reference, ours->kvm) || young_differs(&before, &after);
}
