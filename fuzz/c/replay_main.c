/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The port as a program of its own, for builds with sanitizers: runs the programs in the files
 * named on its command line (words, as fuzz/port/encode.py writes them) and prints what each
 * came to.
 */
#include <stdio.h>
#include <stdlib.h>

#include "program.h"

#define WORDS_MAX (1u << 16)

const char *gmemdiff_program(const u64 *words, size_t n);
s64 gmemdiff_run(bool traced);
const char *gmemdiff_outcome(size_t *size);

int main(int argc, char **argv)
{
	u64 *words = malloc(WORDS_MAX * sizeof(*words));

	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");
		const char *wrong, *outcome;
		size_t n;

		if (!words || !file) {
			perror(argv[i]);
			return 2;
		}
		n = fread(words, sizeof(*words), WORDS_MAX, file);
		fclose(file);
		wrong = gmemdiff_program(words, n);
		if (wrong) {
			fprintf(stderr, "%s: %s\n", argv[i], wrong);
			return 2;
		}
		gmemdiff_run(true);
		outcome = gmemdiff_outcome(&n);
		printf("%s\n%.*s\n", argv[i], (int)n, outcome);
	}
	free(words);
	return 0;
}
