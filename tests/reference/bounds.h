/* How far emitted code, which computes in single precision, may stray from the interpreter, which computes in double. */
#ifndef BOUNDS_H
#define BOUNDS_H

#include "gdlc.h"

/* For each tensor of the module another one of the same shape, which holds the error that its values may have. Their
 * indices follow those of the module's tensors. */
Tensor **bounds_tensors(Arena *arena, const Module *module);

/* An entry that computes the error too: after the roots of the given entry come as many more, each the bound of the
 * error of one root, elementwise. Bounds of assignments are assigned to `errors`, from bounds_tensors. A bound that is
 * infinite or no number says that nothing can be said, as where a comparison may fall either way. */
Entry *bounds_entry(Arena *arena, const Entry *entry, Tensor *const *errors);

#endif
