/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * guest_memfd: files whose pages a guest maps without going through user page tables.  Mirrors
 * virt/kvm/guest_memfd.c, and of mm/truncate.c and fs/ what it needs.
 *
 * A page stays at its offset until a hole is punched there or the last file goes away.
 * invalidate_lock keeps bindings stable across an invalidation; the folio lock keeps a page in the
 * cache while it is being handed out.
 */
#include <stdio.h>

#include "kvm_host.h"

static s64 kvm_gmem_store_binding(struct kvm *kvm, struct kvm_memory_slot *slot,
				  struct gmem_file *file);
static void kvm_gmem_release(struct kvm *kvm, struct gmem_file *file);
static void truncate_inode_pages_range(struct kvm *kvm, struct gmem_inode *inode, s64 start,
				       s64 end);
static s64 kvm_gmem_allocate(struct kvm *kvm, struct gmem_inode *inode, s64 start, s64 end);

/* xa_load() of the bindings: the slot bound to one file page, or NULL. */
struct kvm_memory_slot *gmem_bound_at(const struct gmem_file *file, s64 index)
{
	for (u32 i = 0; i < file->bindings.n; i++) {
		const struct gmem_binding *binding = file->bindings.items[i];

		if (binding->start <= index && index < binding->end)
			return binding->slot;
	}
	return NULL;
}

/* Whether a binding covers any of the file pages [start, end). */
static bool binding_overlaps(const struct gmem_binding *binding, s64 start, s64 end)
{
	return binding->start < end && start < binding->end;
}

/* xa_for_each_range() of the bindings: the slots bound to file pages [start, end), by offset. */
struct vec gmem_bound_in(const struct gmem_file *file, s64 start, s64 end)
{
	struct vec slots = { 0 };

	for (u32 i = 0; i < file->bindings.n; i++) {
		const struct gmem_binding *binding = file->bindings.items[i];

		if (binding_overlaps(binding, start, end))
			vec_push(&slots, binding->slot);
	}
	return slots;
}

/* xa_find() of the bindings: is any of the file pages [start, end) bound? */
static bool gmem_is_bound(const struct gmem_file *file, s64 start, s64 end)
{
	for (u32 i = 0; i < file->bindings.n; i++)
		if (binding_overlaps(file->bindings.items[i], start, end))
			return true;
	return false;
}

/* The inode half of __kvm_gmem_create(), virt/kvm/guest_memfd.c. */
static struct gmem_inode *kvm_gmem_inode(s64 fd, u64 size, u64 flags)
{
	struct gmem_inode *inode = new_object(struct gmem_inode);
	const size_t name_size = sizeof("gmem-9223372036854775808");
	char *name = arena_alloc(name_size);

	snprintf(name, name_size, "gmem%lld", (long long)fd);
	inode->name = name;
	inode->npages = size >> PAGE_SHIFT;
	inode->flags = flags;
	inode->invalidate_lock = LOCK_INIT("invalidate_lock", RANK_INVALIDATE);
	return inode;
}

/* kvm_gmem_create(), virt/kvm/guest_memfd.c; size in bytes.  The program names the descriptor. */
s64 kvm_gmem_create(struct kvm *kvm, s64 fd, u64 size, u64 flags)
{
	u64 valid_flags = GUEST_MEMFD_FLAG_MMAP;
	struct gmem_file *file;

	if (take_failure(kvm, FAIL_USER_COPY))
		return -EFAULT;

	if (!kvm->has_private_mem)
		valid_flags |= GUEST_MEMFD_FLAG_INIT_SHARED;
	if (flags & ~valid_flags)
		return -EINVAL;

	if (!size || size > LARGEST_FILE || size & PAGE_MASK)
		return -EINVAL;

	if (take_failure(kvm, FAIL_FILE))
		return -ENOMEM;
	if (fd < 0 || map_has(&kvm->fds, fd))
		return -EMFILE; /* of the program: the name is taken */

	file = new_object(struct gmem_file);
	file->inode = kvm_gmem_inode(fd, size, flags);
	file->refs = 1;
	map_put(&kvm->fds, fd, file);
	vec_push(&file->inode->files, file);
	return 0;
}

/* fput(), fs/file_table.c: the last reference leaves the release to task work. */
void fput(struct kvm *kvm, struct gmem_file *file)
{
	file->refs--;
	if (file->refs == 0)
		vec_push(&current->task_work, file);
}

/* task_work_run(), kernel/task_work.c: release files on the way to user space. */
void task_work_run(struct kvm *kvm)
{
	while (current->task_work.n) {
		struct gmem_file *file = current->task_work.items[0];

		vec_remove_at(&current->task_work, 0);
		kvm_gmem_release(kvm, file);
	}
}

/*
 * kvm_gmem_bind() before 7.3, kvm_gmem_prepare() since; virt/kvm/guest_memfd.c.
 *
 * Gives the file whose reference is kept until the slot is set, or NULL; and an errno.  Before 7.3
 * the binding is live when this returns, which is before the slot can be seen.
 */
struct gmem_file *kvm_gmem_prepare(struct kvm *kvm, struct kvm_memory_slot *slot, s64 fd,
				   u64 offset, s64 *error)
{
	struct gmem_file *file = map_get(&kvm->fds, fd);
	s64 start = offset >> PAGE_SHIFT;

	if (!file) {
		/*
		 * -2 is no open descriptor; other negative ones are descriptors of another kind
		 * (0 when the field is not given), or another VM's guest_memfd.
		 */
		*error = fd == -2 || fd >= 0 ? -EBADF : -EINVAL;
		return NULL;
	}

	if (offset & PAGE_MASK || start + slot->npages > file->inode->npages) {
		*error = -EINVAL;
		return NULL;
	}

	file->refs++;
	if (!kvm->features.gmem_bind_in_commit) {
		slot->gmem_pgoff = start;
		*error = kvm_gmem_store_binding(kvm, slot, file);
		fput(kvm, file);
		return NULL;
	}

	if (slot->flags & KVM_MEMSLOT_GMEM_ONLY)
		WARN_ON(kvm, "kvm_gmem_prepare: GMEM_ONLY already set");
	slot->gmem_file = file;
	slot->gmem_pgoff = start;
	if (gmem_supports_mmap(file->inode))
		slot->flags |= KVM_MEMSLOT_GMEM_ONLY;
	*error = 0;
	return file;
}

/* The commit half of binding since 7.3, virt/kvm/guest_memfd.c. */
s64 kvm_gmem_bind(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	return kvm_gmem_store_binding(kvm, slot, slot->gmem_file);
}

/* xa_store_range() of the bindings, which stay in the order of their offsets. */
static void store_binding(struct gmem_file *file, struct kvm_memory_slot *slot, s64 start, s64 end)
{
	struct gmem_binding *binding = new_object(struct gmem_binding);
	u32 at = file->bindings.n;

	binding->start = start;
	binding->end = end;
	binding->slot = slot;
	while (at && ((struct gmem_binding *)file->bindings.items[at - 1])->start > start)
		at--;
	vec_insert(&file->bindings, at, binding);
}

/* The locked part of kvm_gmem_bind(), virt/kvm/guest_memfd.c: refuse overlap, then store. */
static s64 kvm_gmem_store_binding(struct kvm *kvm, struct kvm_memory_slot *slot,
				  struct gmem_file *file)
{
	struct lock *lock = &file->inode->invalidate_lock;
	s64 start, end;
	bool failed;
	s64 ret;

	write_lock(lock, "kvm_gmem_bind.invalidate_lock");

	start = slot->gmem_pgoff;
	end = start + slot->npages;
	if (gmem_is_bound(file, start, end)) {
		ret = kvm->features.gmem_overlap_eexist ? -EEXIST : -EINVAL;
		goto out_unlock;
	}

	failed = take_failure(kvm, FAIL_XARRAY);
	if (failed && kvm->features.gmem_bind_in_commit) {
		ret = -ENOMEM;
		goto out_unlock;
	}

	slot->gmem_file = file;
	if (gmem_supports_mmap(file->inode))
		slot->flags |= KVM_MEMSLOT_GMEM_ONLY;
	if (!failed) /* before 7.3 nobody looks at the result */
		store_binding(file, slot, start, end);
	ret = 0;

out_unlock:
	write_unlock(lock);
	return ret;
}

/* xa_store_range() of NULL: the bindings within file pages [start, end) go. */
static void erase_bindings(struct gmem_file *file, s64 start, s64 end)
{
	u32 kept = 0;

	for (u32 i = 0; i < file->bindings.n; i++) {
		struct gmem_binding *binding = file->bindings.items[i];

		if (start <= binding->start && binding->end <= end)
			continue;
		file->bindings.items[kept++] = binding;
	}
	vec_truncate(&file->bindings, kept);
}

/* kvm_gmem_unbind(), virt/kvm/guest_memfd.c. */
void kvm_gmem_unbind(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	struct gmem_file *file = slot->gmem_file;
	bool dying, locked;

	if (!file)
		return;

	/* Decided before the wait for the lock, and not again after it. */
	dying = file->refs == 0;
	locked = !dying || kvm->features.gmem_unbind_always_locks;

	if (locked)
		write_lock(&file->inode->invalidate_lock, "kvm_gmem_unbind.invalidate_lock");

	erase_bindings(file, slot->gmem_pgoff, slot->gmem_pgoff + slot->npages);
	slot->gmem_file = NULL;

	if (locked)
		write_unlock(&file->inode->invalidate_lock);
}

/* __kvm_gmem_invalidate_start(), virt/kvm/guest_memfd.c: the bindings of one file. */
static void __kvm_gmem_invalidate_start(struct kvm *kvm, struct gmem_file *file, s64 start,
					s64 end)
{
	/* A copy: what is bound now, whatever happens to bindings between the slots. */
	struct vec slots = gmem_bound_in(file, start, end);
	bool flush = false, found_memslot = false;

	for (u32 i = 0; i < slots.n; i++) {
		struct kvm_memory_slot *slot = slots.items[i];
		struct kvm_gfn_range range;
		s64 offset;

		if (!found_memslot) {
			found_memslot = true;
			write_lock(&kvm->mmu_lock, "kvm_gmem_invalidate_start.mmu_lock");
			kvm_mmu_invalidate_start(kvm);
		}

		offset = slot->base_gfn - slot->gmem_pgoff;
		range = (struct kvm_gfn_range){
			.slot = slot,
			.start = max_s64(start, slot->gmem_pgoff) + offset,
			.end = min_s64(end, slot->gmem_pgoff + slot->npages) + offset,
			.may_block = true,
			.from_hva = false,
		};
		flush |= kvm_mmu_unmap_gfn_range(kvm, &range);
	}

	if (flush) {
		STEP("kvm_gmem_invalidate_start.flush");
		kvm_flush_remote_tlbs(kvm);
	}
	if (found_memslot)
		write_unlock(&kvm->mmu_lock);
}

/*
 * kvm_gmem_invalidate_start() (_begin before 7.0), virt/kvm/guest_memfd.c; invalidate_lock is held.
 * Nothing bound: nothing to do, not even to take mmu_lock.
 */
void kvm_gmem_invalidate_start(struct kvm *kvm, struct gmem_inode *inode, s64 start, s64 end)
{
	watch_gmem_range_started(kvm, inode, start, end);
	for (u32 i = 0; i < inode->files.n; i++)
		__kvm_gmem_invalidate_start(kvm, inode->files.items[i], start, end);
}

/* kvm_gmem_invalidate_end(), virt/kvm/guest_memfd.c. */
void kvm_gmem_invalidate_end(struct kvm *kvm, struct gmem_inode *inode, s64 start, s64 end)
{
	watch_gmem_range_ended(kvm, inode, start, end);
	for (u32 i = 0; i < inode->files.n; i++) {
		if (!gmem_is_bound(inode->files.items[i], start, end))
			continue;

		write_lock(&kvm->mmu_lock, "kvm_gmem_invalidate_end.mmu_lock");
		kvm_mmu_invalidate_end(kvm);
		write_unlock(&kvm->mmu_lock);
	}
}

/* filemap_add_folio(), mm/filemap.c, of a new page: locked, with references of cache and caller. */
static struct frame *filemap_add_page(struct kvm *kvm, struct gmem_inode *inode, s64 index)
{
	struct frame *frame;

	if (take_failure(kvm, FAIL_FOLIO))
		return ERR_PTR(-ENOMEM);
	frame = alloc_page(kvm);
	if (!frame)
		return ERR_PTR(-ENOMEM);

	frame->inode = inode;
	frame->index = index;
	frame->refs++;
	map_put(&inode->pages, index, frame);
	__write_lock(&frame->lock);
	return frame;
}

/* kvm_gmem_get_folio(), virt/kvm/guest_memfd.c: find or make a page, lock it, reference it. */
static struct frame *kvm_gmem_get_folio(struct kvm *kvm, struct gmem_inode *inode, s64 index)
{
	struct frame *frame;

	for (;;) {
		STEP("kvm_gmem_get_folio.lookup");
		frame = map_get(&inode->pages, index);
		if (!frame)
			return filemap_add_page(kvm, inode, index);

		frame->refs++;
		if (frame->lock.writer)
			WANT_LOCK_FREE(&frame->lock, "kvm_gmem_get_folio.folio_lock");
		__write_lock(&frame->lock);
		if (map_get(&inode->pages, index) == frame)
			return frame;

		/* Truncated meanwhile. */
		mutex_unlock(&frame->lock);
		put_page(kvm, frame);
	}
}

/*
 * kvm_gmem_get_pfn(), virt/kvm/guest_memfd.c: a page with a reference, or an errno.  SRCU is held,
 * so an unbinding that removes the slot waits for us; a file that is being closed is refused.
 */
struct frame *kvm_gmem_get_pfn(struct kvm *kvm, struct kvm_memory_slot *slot, s64 gfn)
{
	struct kvm_memory_slot *bound;
	struct gmem_file *file;
	struct frame *frame;
	s64 index;

	STEP("kvm_gmem_get_pfn.file");
	file = slot->gmem_file;
	if (!file || file->refs == 0) /* get_file_active() */
		return ERR_PTR(-EFAULT);
	file->refs++;

	index = gfn - slot->base_gfn + slot->gmem_pgoff;
	bound = gmem_bound_at(file, index);
	if (bound != slot) {
		if (bound)
			WARN_ON(kvm, "kvm_gmem_get_pfn: bound to another slot");
		frame = ERR_PTR(-EIO);
		goto out_fput;
	}

	frame = kvm_gmem_get_folio(kvm, file->inode, index);
	if (IS_ERR(frame))
		goto out_fput;

	if (frame->poisoned) {
		mutex_unlock(&frame->lock);
		put_page(kvm, frame);
		frame = ERR_PTR(-EHWPOISON);
		goto out_fput;
	}

	if (!frame->uptodate) {
		STEP("kvm_gmem_get_pfn.clear");
		clear_page(frame);
	}
	watch_gmem_pfn_returned(kvm, file, slot, index);
	mutex_unlock(&frame->lock);

out_fput:
	fput(kvm, file);
	return frame;
}

/*
 * kvm_gmem_fault_user_mapping(), virt/kvm/guest_memfd.c; RESULT_OK when it worked.  Takes no
 * invalidate_lock: it may bring a page back right after a hole was punched.
 */
result_t kvm_gmem_fault_user_mapping(struct kvm *kvm, struct gmem_inode *inode, s64 page, s64 index,
				     bool writable)
{
	struct frame *frame;

	if (index >= inode->npages || !gmem_init_shared(inode))
		return RESULT_SIGBUS;

	frame = kvm_gmem_get_folio(kvm, inode, index);
	if (IS_ERR(frame))
		return PTR_ERR(frame) == -ENOMEM ? RESULT_OOM : RESULT_SIGBUS;

	if (frame->poisoned) {
		mutex_unlock(&frame->lock);
		put_page(kvm, frame);
		return RESULT_SIGBUS;
	}

	if (!frame->uptodate)
		clear_page(frame);

	STEP("kvm_gmem_fault_user_mapping.install");
	if (map_has(&kvm->mm.ptes, page)) /* somebody else was faster */
		put_page(kvm, frame);
	else
		set_pte(kvm, page, frame, writable); /* the caller's reference becomes the PTE's */
	mutex_unlock(&frame->lock);
	return RESULT_OK;
}

/*
 * kvm_gmem_error_folio(), virt/kvm/guest_memfd.c.
 *
 * Called with the folio locked, and takes invalidate_lock inside it: the reverse of a hole punch,
 * which the kernel does too.  Nothing is freed; the page stays, poisoned.
 */
s64 kvm_gmem_error_folio(struct kvm *kvm, struct gmem_inode *inode, struct frame *frame)
{
	s64 start, end;

	read_lock(&inode->invalidate_lock, "kvm_gmem_error_folio.invalidate_lock");

	start = frame->index;
	end = start + 1;
	kvm_gmem_invalidate_start(kvm, inode, start, end);
	kvm_gmem_invalidate_end(kvm, inode, start, end);

	read_unlock(&inode->invalidate_lock);
	watch_page_poisoned(kvm, frame);
	return -EBUSY;
}

/* close(2) of a descriptor, fs/open.c; mappings keep the file. */
s64 kvm_gmem_close(struct kvm *kvm, s64 fd)
{
	struct gmem_file *file = map_get(&kvm->fds, fd);

	if (!file)
		return -EBADF;

	map_del(&kvm->fds, fd);
	fput(kvm, file);
	return 0;
}

/*
 * kvm_gmem_release(), virt/kvm/guest_memfd.c, and the eviction of the inode after it.  The slot
 * stays where it is, with no file: its faults fail from here on.
 */
static void kvm_gmem_release(struct kvm *kvm, struct gmem_file *file)
{
	struct gmem_inode *inode = file->inode;

	mutex_lock(&kvm->slots_lock, "kvm_gmem_release.slots_lock");
	watch_lock_slots(kvm, "slots_lock");
	write_lock(&inode->invalidate_lock, "kvm_gmem_release.invalidate_lock");

	for (u32 i = 0; i < file->bindings.n; i++) {
		struct gmem_binding *binding = file->bindings.items[i];

		if (binding_overlaps(binding, 0, inode->npages))
			binding->slot->gmem_file = NULL;
	}

	kvm_gmem_invalidate_start(kvm, inode, 0, inode->npages);
	kvm_gmem_invalidate_end(kvm, inode, 0, inode->npages);

	write_unlock(&inode->invalidate_lock);
	vec_truncate(&file->bindings, 0);
	mutex_unlock(&kvm->slots_lock);

	STEP("kvm_gmem_release.evict");
	truncate_inode_pages_range(kvm, inode, 0, inode->npages);
	vec_remove(&inode->files, file);
}

/*
 * Growing and shrinking.  The guest is unmapped before a page leaves the cache, and its faults stay
 * out until the hole is there.
 */

/* kvm_gmem_fallocate(), virt/kvm/guest_memfd.c, after vfs_fallocate(), fs/open.c. */
s64 kvm_gmem_fallocate(struct kvm *kvm, s64 fd, u64 mode, u64 offset, u64 length)
{
	struct gmem_file *file = map_get(&kvm->fds, fd);
	s64 start, end;

	if (!file && fd != FD_FILE)
		return -EBADF;

	/* vfs_fallocate() */
	if (!length || length > LARGEST_FILE || offset > LARGEST_FILE) /* loff_t is signed */
		return -EINVAL;
	if (mode & ~(u64)FALLOC_FL_SUPPORTED_MASK)
		return -EOPNOTSUPP;
	if (mode & FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!file)
		return -ENODEV;
	if (length > LARGEST_FILE - offset)
		return -EFBIG;

	if (!(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (mode & ~(u64)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (offset & PAGE_MASK || length & PAGE_MASK)
		return -EINVAL;

	start = offset >> PAGE_SHIFT;
	end = (offset + length) >> PAGE_SHIFT;
	if (mode & FALLOC_FL_PUNCH_HOLE)
		return kvm_gmem_punch_hole(kvm, file->inode, start, end);
	return kvm_gmem_allocate(kvm, file->inode, start, end);
}

/* kvm_gmem_punch_hole(), virt/kvm/guest_memfd.c: file pages [start, end). */
s64 kvm_gmem_punch_hole(struct kvm *kvm, struct gmem_inode *inode, s64 start, s64 end)
{
	write_lock(&inode->invalidate_lock, "kvm_gmem_punch_hole.invalidate_lock");

	kvm_gmem_invalidate_start(kvm, inode, start, end);
	STEP("kvm_gmem_punch_hole.truncate");
	truncate_inode_pages_range(kvm, inode, start, end);
	kvm_gmem_invalidate_end(kvm, inode, start, end);

	write_unlock(&inode->invalidate_lock);
	return 0;
}

/*
 * truncate_inode_pages_range(), mm/truncate.c.  A page that user space maps is unmapped first,
 * which calls the HVA notifiers, inside guest_memfd's own start and end.
 */
static void truncate_inode_pages_range(struct kvm *kvm, struct gmem_inode *inode, s64 start,
				       s64 end)
{
	struct keys indices = map_keys_in(&inode->pages, start, end);

	for (u32 i = 0; i < indices.n; i++) {
		s64 index = indices.key[i];
		struct frame *frame = map_get(&inode->pages, index);

		if (!frame)
			continue;

		mutex_lock(&frame->lock, "truncate_inode_pages_range.folio_lock");
		if (map_get(&inode->pages, index) != frame) {
			mutex_unlock(&frame->lock);
			continue;
		}

		if (frame->mapcount)
			unmap_mapping_folio(kvm, inode, frame, index);
		watch_cache_removed(kvm, inode, index, frame);
		map_del(&inode->pages, index);
		frame->inode = NULL;
		mutex_unlock(&frame->lock);
		put_page(kvm, frame);
	}
}

/* kvm_gmem_allocate(), virt/kvm/guest_memfd.c. */
static s64 kvm_gmem_allocate(struct kvm *kvm, struct gmem_inode *inode, s64 start, s64 end)
{
	struct frame *frame;
	s64 ret = 0;

	if (end > inode->npages)
		return -EINVAL;

	read_lock(&inode->invalidate_lock, "kvm_gmem_allocate.invalidate_lock");
	for (s64 index = start; index < end; index++) {
		if (take_failure(kvm, FAIL_SIGNAL)) {
			ret = -EINTR;
			break;
		}

		frame = kvm_gmem_get_folio(kvm, inode, index);
		if (IS_ERR(frame)) {
			ret = PTR_ERR(frame);
			break;
		}
		mutex_unlock(&frame->lock);
		put_page(kvm, frame);
	}
	read_unlock(&inode->invalidate_lock);
	return ret;
}
