/* model.c: instances of a model. */
#define _DEFAULT_SOURCE /* madvise */
#include "runtime.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

/* The system gives memory page by page, when it is first touched; in large pages that takes a small part of the time. */
static void ask_for_large_pages(void *memory, size_t size) {
#ifdef MADV_HUGEPAGE
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), before = (page - (uintptr_t)memory % page) % page;
    if (size > before)
        madvise((char *)memory + before, size - before, MADV_HUGEPAGE); /* where it cannot, nothing is lost */
#else
    (void)memory;
    (void)size;
#endif
}

void *gdl_create(const gdl_model *model, size_t batch, uint64_t seed) {
    size_t capacity = batch ? batch : model->batch;
    size_t size = model->memory(capacity);
    size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *memory = rounded >= size ? aligned_alloc(ALIGNMENT, rounded) : NULL;
    if (memory)
        ask_for_large_pages(memory, rounded);
    void *instance = memory ? model->init(memory, rounded, capacity, seed) : NULL;
    if (!instance)
        free(memory);
    return instance;
}

int gdl_threads(const gdl_model *model, void *instance, size_t count) {
    return model->threads(instance, count < INT_MAX ? (int)count : INT_MAX);
}

void gdl_destroy(const gdl_model *model, void *instance) {
    if (instance)
        model->threads(instance, 1);
    free(instance);
}
