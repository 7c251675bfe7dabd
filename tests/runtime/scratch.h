/* scratch.h: a folder that goes with the test, files in it, and data sets for the tests of the runtime. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Criterion's hooks: enter an empty folder, and remove it with all that is in it. */
void scratch_enter(void);
void scratch_leave(void);

void write_file(const char *path, const void *bytes, size_t size);
void write_gzip(const char *path, const void *bytes, size_t size);
char *read_file(const char *path, size_t *size);    /* zero-terminated; NULL where it does not exist; free it */
bool same_files(const char *a, const char *b);

/* An IDX file of bytes: puts header and values to `to`, which has room for 4 + 4 * rank + size, and returns their length. */
size_t idx_bytes(unsigned char *to, size_t rank, const uint32_t *shape, const uint8_t *values);

/* images.idx: n pictures of 4 x 4 in three kinds, by rows, by columns, and full; labels.idx: their kinds. */
void write_pictures(size_t n);

#endif
