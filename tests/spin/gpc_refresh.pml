/* SPDX-License-Identifier: MIT */
/*
 * A pfn cache is activated and read while its page is dropped from start to end and written anew:
 * what tests/quality/test_spin.py gives to gmemdiff explore, written a second time for SPIN.
 *
 * One step of the Python model (from one yield to the next) is one atomic block here.  SEED is
 * defined for the patch: notifiers pass over the one memslot, which has guest_memfd only.
 * Locks that one task alone ever takes for writing, with no other to wait for it, are left out.
 */
#define NR_FRAMES 3 /* the page at first, and what either task may fault in */
#define NONE 255

byte content[NR_FRAMES] = 1, generation[NR_FRAMES], refs[NR_FRAMES] = 1;
byte stack[NR_FRAMES], nr_stack, nr_frames = 1; /* free frames; frames ever used */
byte pte = 0; /* the frame at the user address */

bool listed, active_cache, valid; /* the cache */
byte cached = NONE, cached_generation;
bool gpc_read; /* its lock, for reading: no writer keeps it over a step */
bool list_held; /* the mutex of the list */

byte invalidations, sequence; /* mn_active_invalidate_count, mmu_invalidate_seq */
byte loaded; /* what gpc_read gives */
bool stale_at_refresh, stale_at_pte, used_after_free, late; /* broken rules */
byte finished;

inline put(f) {
	refs[f]--;
	if
	:: refs[f] == 0 -> generation[f]++; stack[nr_stack] = f; nr_stack++
	:: else
	fi
}

inline pte_changed() {
	stale_at_pte = stale_at_pte || (valid && pte != cached)
}

/* A write fault; nothing to do when somebody was faster. */
inline fault_in() {
	if
	:: pte != NONE
	:: else ->
		if
		:: nr_stack > 0 -> nr_stack--; pte = stack[nr_stack]
		:: else -> assert(nr_frames < NR_FRAMES); pte = nr_frames; nr_frames++
		fi;
		refs[pte] = 1;
		content[pte] = 0;
		pte_changed()
	fi
}

inline found_is(f) {
	found = f;
	refs[f]++;
	found_generation = generation[f]
}

/* __kvm_gpc_refresh() from its lock on, with hva_to_pfn_retry() in it. */
inline refresh() {
	atomic {
		!gpc_read;
		valid = false;
		seen = sequence
	};
	do
	:: true; /* the step from hva_to_pfn_retry.lookup to hva_to_pfn.fast does nothing */
	   atomic {
		if
		:: pte != NONE -> found_is(pte)
		:: else -> found = NONE
		fi
	   };
	   if
	   :: found == NONE -> atomic { fault_in(); found_is(pte) }
	   :: else
	   fi;
	   true; /* from .map to .lock */
	   atomic {
		!gpc_read;
		if
		:: invalidations == 0 && sequence == seen ->
			valid = true;
			cached = found;
			cached_generation = found_generation;
			stale_at_refresh = stale_at_refresh || pte != found;
			put(found);
			break
		:: else -> put(found)
		fi
	   };
	   true; /* from .again to .relock */
	   atomic { !gpc_read; seen = sequence }
	od
}

active proctype vcpu0() {
	byte found = NONE, found_generation, seen;

	true; /* begin */
	true; /* refresh_lock */
	atomic { !list_held; listed = true };
	atomic { !gpc_read; active_cache = true };
	refresh();

	true; /* begin of gpc_read */
	do
	:: atomic {
		if
		:: active_cache && valid -> gpc_read = true; break
		:: else
		fi
	   };
	   true; /* refresh_lock */
	   refresh()
	od;
	atomic {
		loaded = content[cached];
		used_after_free = used_after_free ||
			generation[cached] != cached_generation || refs[cached] == 0;
		gpc_read = false;
		finished++
	}
}

active proctype vmm0() {
	byte dropped = NONE;
	bool nobody;

	true; /* begin */
	true; /* mmap_lock */
	atomic { invalidations++; nobody = !listed };
	if
	:: nobody
	:: else ->
		atomic {
			!list_held;
			nobody = !valid;
			list_held = valid;
			late = late || (nobody && valid)
		};
		if
		:: nobody
		:: else ->
			atomic {
				!gpc_read;
				valid = false;
				list_held = false;
				late = late || valid
			}
		fi
	fi;
	true; /* the memslots are looked through */
#ifndef SEED
	true; /* mmu_lock; nothing is mapped in the guest */
#endif
	atomic { dropped = pte; pte = NONE; pte_changed() };
	true;
#ifndef SEED
	sequence++;
#endif
	invalidations--;
	atomic { put(dropped) };

	true; /* begin of user_write */
	do
	:: atomic {
		if
		:: pte != NONE -> content[pte] = 2; finished++; break
		:: else
		fi
	   };
	   atomic { fault_in() }
	od
}

active proctype judge() {
	byte shown;

	atomic {
		finished == 2;
		if
		:: valid -> shown = content[cached]
		:: else -> shown = content[pte]
		fi;
		c_code {
			printf("outcome %d %d %d %d %d %d %d\n", now.loaded, Pjudge->shown,
			       now.content[now.pte], now.stale_at_refresh, now.stale_at_pte,
			       now.used_after_free, now.late);
		}
	}
}
