/* SPDX-License-Identifier: GPL-2.0-only */
/* What ops came to: noted on the board, and written as one line of JSON. */
#include "lab.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void result_number(struct call *call, long value)
{
	call->result->is_text = call->result->is_value = false;
	call->result->number = value;
}

/* What was read from memory: any 64 bits. */
void result_value(struct call *call, uint64_t value)
{
	result_number(call, value);
	call->result->is_value = true;
}

/* value: what a system call returned; negative means that errno tells. */
void result_errno(struct call *call, long value)
{
	result_number(call, value < 0 ? -errno : value);
}

void result_text(struct call *call, const char *text)
{
	size_t size = strlen(text) + 1;
	uint32_t at = __atomic_fetch_add(&board->texts_used, size, __ATOMIC_SEQ_CST);

	if (at + size > TEXTS_SIZE) {
		result_number(call, -ENOSPC);
		return;
	}
	memcpy(board->texts + at, text, size);
	call->result->is_text = true;
	call->result->text = at;
}

static void print_result(const struct result *result)
{
	unsigned int stat;

	output_text("[");
	if (result->is_text)
		output_json_string(board->texts + result->text);
	else if (result->is_value)
		output_format("%" PRIu64, (uint64_t)result->number);
	else
		output_format("%" PRId64, result->number);
	for (stat = 0; stat < STATS_NR; stat++) {
		if (result->stats[stat] == STAT_ABSENT)
			output_text(",null");
		else
			output_format(",%" PRIu64, result->stats[stat]);
	}
	output_text("]");
}

/* One attempt: every op that has a result, in the order of the case; null for the others. */
void results_print(const struct test_case *test, const char *status, unsigned int attempt)
{
	unsigned int i;

	output_format("# {\"case\":%u,\"attempt\":%u,\"status\":\"%s\",\"at\":%u,\"trouble\":",
		      test->id, attempt, status, board->at);
	output_json_string(board->trouble);
	output_text(",\"ops\":[");
	for (i = 0; i < test->ops_nr; i++) {
		if (i)
			output_text(",");
		if (board->results[i].done)
			print_result(&board->results[i]);
		else
			output_text("null");
	}
	output_text("]");
	kmsg_report();
	output_text("}\n");
}
