/* SPDX-License-Identifier: GPL-2.0-only */
/* Swap space on the machine's NVMe drive, for cases that page out.  The host wrote its header. */
#include "lab.h"

#include <errno.h>
#include <sys/swap.h>
#include <unistd.h>

#define DRIVE "/dev/nvme0n1"
#define TRIES 200
#define TRY_US 20000

/* The drive may take a moment to appear.  Without it, pages of anonymous memory stay. */
void swap_on(void)
{
	static bool done;
	unsigned int tries;

	for (tries = 0; !done && tries < TRIES; tries++) {
		if (!swapon(DRIVE, 0) || errno == EBUSY)
			break;
		if (errno != ENOENT && errno != ENXIO)
			die("swapon(%s): errno %d", DRIVE, errno);
		usleep(TRY_US);
	}
	done = true;
}
