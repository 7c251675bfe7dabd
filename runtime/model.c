/* model.c: instances of a model. */
#include "runtime.h"

#include <limits.h>
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

int gdl_threads(const gdl_model *model, void *instance, size_t count) {
    return model->threads(instance, count < INT_MAX ? (int)count : INT_MAX);
}

void gdl_destroy(const gdl_model *model, void *instance) {
    if (instance)
        model->threads(instance, 1);
    free(instance);
}
