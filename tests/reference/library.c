/* library.c: finds the description of an emitted model in a shared object. */
#include "library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

void *library_open(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        printf("%s\n", dlerror());
    return library;
}

const gdl_model *library_model(void *library, const char *name) {
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
