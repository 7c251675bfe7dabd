/* Emitted models in shared objects, for tests that run them. */
#ifndef TESTS_LIBRARY_H
#define TESTS_LIBRARY_H

#include "gdl.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Opens a shared object; NULL with a message when it cannot. It stays open until the process ends. */
static inline void *library_open(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        printf("%s\n", dlerror());
    return library;
}

/* What NAME_describe() of the library returns; NULL with a message when there is none. */
static inline const gdl_model *library_model(void *library, const char *name) {
    char symbol[256];
    const gdl_model *(*describe)(void);
    snprintf(symbol, sizeof symbol, "%s_describe", name);
    void *address = dlsym(library, symbol);
    if (!address) {
        printf("%s\n", dlerror());
        return NULL;
    }
    memcpy(&describe, &address, sizeof describe); /* ISO C knows no conversion from a data pointer to a function */
    return describe();
}

#endif
