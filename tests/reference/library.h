/* Emitted models in shared objects. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include "gdl.h"

/* Opens a shared object; NULL with a message when it cannot. It stays open until the process ends. */
void *library_open(const char *path);

/* What NAME_describe() of the library returns; NULL with a message when there is none. */
const gdl_model *library_model(void *library, const char *name);

#endif
