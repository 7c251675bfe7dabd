/* Random modules: valid graphs of all primitives, with small shapes, for comparing the parts of the compiler. */
#ifndef RANDOM_MODULE_H
#define RANDOM_MODULE_H

#include "gdlc.h"

/* A module with that many functions (every other one made of operations within an example only, so that any number of
 * examples can be given to it) and stages, each with one phase. The same seed gives the same module. */
Module *random_module(Arena *arena, const char *name, uint64_t seed, int functions, int stages);

#endif
