/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cases, one word after another, as tools/lab/wire.py writes them:
 *
 *	case ID MODE REPEAT VM VCPUS DEADLINE_MS SETUP_NR NAME
 *	op ACTOR INDEX NAME ARG...
 *	end
 */
#include "lab.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char *next_line;

/* The whole file is kept: lines are cut out of it in place. */
void cases_open(const char *path)
{
	struct stat info;
	ssize_t done = 0, count;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || fstat(fd, &info))
		die("%s cannot be read", path);
	next_line = mmap(NULL, info.st_size + 1, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (next_line == MAP_FAILED)
		die("no memory for %s", path);
	while (done < info.st_size) {
		count = read(fd, next_line + done, info.st_size - done);
		if (count <= 0)
			die("%s cannot be read", path);
		done += count;
	}
	close(fd);
}

static char *line(void)
{
	char *start = next_line, *end;

	if (!start || !*start)
		return NULL;
	end = strchr(start, '\n');
	if (end) {
		*end = 0;
		next_line = end + 1;
	} else {
		next_line = start + strlen(start);
	}
	return start;
}

static uint64_t number(char *word)
{
	char *end;
	uint64_t value;

	if (!word)
		die("a number is missing in the cases");
	value = *word == '-' ? (uint64_t)strtoll(word, &end, 10) : strtoull(word, &end, 10);
	if (*end || end == word)
		die("'%s' in the cases is no number", word);
	return value;
}

static void parse_op(struct test_case *test, char **rest)
{
	struct op *op = &test->ops[test->ops_nr];
	char *actor = strtok_r(NULL, " ", rest), *index = strtok_r(NULL, " ", rest);
	char *name = strtok_r(NULL, " ", rest);
	unsigned int i;

	if (!actor || !index || !name || test->ops_nr == OPS_MAX)
		die("case %u: op %u is cut short, or one too many", test->id, test->ops_nr);
	op->kind = op_kind(name);
	if (!op->kind)
		die("case %u: there is no op '%s'", test->id, name);
	snprintf(op->actor, sizeof(op->actor), "%s", actor);
	op->index = number(index);
	for (i = 0; i < op->kind->args_nr; i++)
		op->args[i] = number(strtok_r(NULL, " ", rest));
	test->forks |= !strcmp(name, "fork");
	test->exits |= !strcmp(name, "exit_mm");
	test->smm |= !strcmp(name, "read") && op->args[2];
	test->smm |= !strcmp(name, "write") && op->args[3];
	test->nested |= !strcmp(name, "read") && op->args[1];
	test->nested |= !strcmp(name, "write") && op->args[2];
	test->caches |= !strncmp(name, "gpc_", 4);
	test->pages_out |= !strcmp(name, "madvise") && op->args[2] == ADVICE_PAGEOUT;
	test->grabs |= !strcmp(name, "grab");
	test->ops_nr++;
	if (strcmp(actor, "lab"))
		test->program_nr = test->ops_nr;
}

static void parse_head(struct test_case *test, char **rest)
{
	char *vm, *name;

	memset(test, 0, offsetof(struct test_case, ops));
	test->id = number(strtok_r(NULL, " ", rest));
	test->threads = !strcmp(strtok_r(NULL, " ", rest) ?: "", "threads");
	test->repeat = number(strtok_r(NULL, " ", rest));
	vm = strtok_r(NULL, " ", rest);
	test->sw_protected = vm && !strcmp(vm, "sw-protected");
	test->vcpus_nr = number(strtok_r(NULL, " ", rest));
	test->deadline_ms = number(strtok_r(NULL, " ", rest));
	test->setup_nr = number(strtok_r(NULL, " ", rest));
	name = strtok_r(NULL, "\n", rest);
	snprintf(test->name, sizeof(test->name), "%s", name ?: "");
	if (test->vcpus_nr > VCPUS_MAX)
		die("case %u: %u vCPUs are too many", test->id, test->vcpus_nr);
}

/* False when there is no further case. */
bool cases_next(struct test_case *test)
{
	char *text, *word, *rest;
	bool open = false;

	while ((text = line())) {
		word = strtok_r(text, " ", &rest);
		if (!word)
			continue;
		if (!strcmp(word, "case")) {
			parse_head(test, &rest);
			open = true;
		} else if (!strcmp(word, "op") && open) {
			parse_op(test, &rest);
		} else if (!strcmp(word, "end") && open) {
			return true;
		} else {
			die("'%s' in the cases is not known", word);
		}
	}
	if (open)
		die("case %u has no end", test->id);
	return false;
}
