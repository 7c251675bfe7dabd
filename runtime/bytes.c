/* bytes.c: the byte orders of files, and sizes that files ask for. */
#include "runtime.h"

#include <string.h>

static bool host_is_little(void) {
    const uint16_t one = 1;
    return *(const unsigned char *)&one == 1;
}

static void reverse_each(void *values, size_t count, size_t width) {
    unsigned char *value = values;
    for (size_t i = 0; i < count; i++, value += width)
        for (size_t low = 0, high = width - 1; low < high; low++, high--) {
            unsigned char byte = value[low];
            value[low] = value[high];
            value[high] = byte;
        }
}

void gdl_little_endian(void *values, size_t count, size_t width) {
    if (!host_is_little())
        reverse_each(values, count, width);
}

void gdl_big_endian(void *values, size_t count, size_t width) {
    if (host_is_little() && width > 1)
        reverse_each(values, count, width);
}

/* In blocks, because the values of others are not to be turned in place. */
void gdl_write_floats(FILE *file, const float *values, size_t count) {
    float block[1024];
    for (size_t done = 0; done < count;) {
        size_t part = count - done < 1024 ? count - done : 1024;
        memcpy(block, values + done, part * sizeof *block);
        gdl_little_endian(block, part, sizeof *block);
        fwrite(block, sizeof *block, part, file);
        done += part;
    }
}

bool gdl_multiply(size_t *product, size_t by) {
    if (by && *product > SIZE_MAX / by)
        return false;
    *product *= by;
    return true;
}
