/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The port as a program of its own, for builds with sanitizers: runs the programs in the files
 * named on its command line (words, as fuzz/port/encode.py writes them) and prints what each
 * came to.
 *
 * Each program runs in a process of its own, so that one that dies is named and hides no other;
 * after --together, all of them run in this one, as in a campaign.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"

#define WORDS_MAX (1u << 16)

const char *gmemdiff_program(const u64 *words, size_t n);
s64 gmemdiff_run(bool traced);
const char *gmemdiff_outcome(size_t *size);

/* Run the program in a file.  Returns an exit code: 0, or 2 for what is no program. */
static int replay(const char *name)
{
	static u64 words[WORDS_MAX];
	FILE *file = fopen(name, "rb");
	const char *wrong, *outcome;
	size_t n;

	if (!file) {
		perror(name);
		return 2;
	}
	n = fread(words, sizeof(*words), WORDS_MAX, file);
	fclose(file);
	wrong = gmemdiff_program(words, n);
	if (wrong) {
		fprintf(stderr, "%s: %s\n", name, wrong);
		return 2;
	}
	gmemdiff_run(true);
	outcome = gmemdiff_outcome(&n);
	printf("%s\n%.*s\n", name, (int)n, outcome);
	fflush(stdout);
	return 0;
}

/* The same in a process of its own.  Returns its exit code, or 1 when it was killed. */
static int replay_apart(const char *name)
{
	int status = 0;
	pid_t child = fork();

	if (child < 0) {
		perror("fork");
		return 2;
	}
	if (!child)
		_exit(replay(name));
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && (!WEXITSTATUS(status) || WEXITSTATUS(status) == 2))
		return WEXITSTATUS(status);
	fprintf(stderr, "%s: died\n", name);
	return 1;
}

int main(int argc, char **argv)
{
	int together = argc > 1 && !strcmp(argv[1], "--together");
	int worst = 0;

	for (int i = 1 + together; i < argc; i++) {
		int code = together ? replay(argv[i]) : replay_apart(argv[i]);

		if (code && worst != 1)
			worst = code;
	}
	return worst;
}
