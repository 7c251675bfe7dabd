/* model.c: instances of a model. */
#include "runtime.h"

#include <stdlib.h>

enum { ALIGNMENT = 64 };

void *gdl_create(const gdl_model *model, size_t batch, uint64_t seed) {
    size_t capacity = batch ? batch : model->batch;
    size_t size = model->memory(capacity);
    size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *memory = rounded >= size ? aligned_alloc(ALIGNMENT, rounded) : NULL;
    void *instance = memory ? model->init(memory, rounded, capacity, seed) : NULL;
    if (!instance)
        free(memory);
    return instance;
}

void gdl_destroy(void *instance) { free(instance); }
