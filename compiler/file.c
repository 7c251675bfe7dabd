/* Reading and writing whole files. */
#include "gdlc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads to the end rather than asking for the size first: pipes and devices have none. */
static char *read_all(Arena *arena, FILE *file, size_t *length)
{
    Text text = {.arena = arena};
    char chunk[16384];
    size_t count;
    text_bytes(&text, "", 0);
    while ((count = fread(chunk, 1, sizeof chunk, file)) > 0) {
        text_bytes(&text, chunk, count);
        if (text.length > MAX_FILE) {
            errno = EFBIG;
            return NULL;
        }
    }
    *length = text.length;
    return ferror(file) ? NULL : text.bytes;
}

char *file_read(Arena *arena, const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    char *bytes = read_all(arena, file, length);
    int error = errno;
    fclose(file);
    errno = error;
    return bytes;
}

static bool write_all(int descriptor, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = write(descriptor, bytes, length);
        if (count < 0 && errno != EINTR)
            return false;
        if (count > 0) {
            bytes += count;
            length -= (size_t)count;
        }
    }
    return true;
}

static bool write_to(const char *path, int flags, const char *bytes, size_t length)
{
    int descriptor = open(path, O_WRONLY | flags, 0666);
    if (descriptor < 0)
        return false;
    bool written = write_all(descriptor, bytes, length);
    int error = errno;
    bool closed = close(descriptor) == 0;
    if (!written)
        errno = error;
    return written && closed;
}

/* What exists and is not a plain file (a pipe, a link, /dev/stdout) is written to, not replaced. */
static bool is_special(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

bool file_write(const char *path, const char *bytes, size_t length)
{
    if (is_special(path))
        return write_to(path, O_TRUNC, bytes, length);
    size_t size = strlen(path) + 32;
    char *temporary = malloc(size);
    if (temporary == NULL)
        return false;
    snprintf(temporary, size, "%s.%ld.tmp", path, (long)getpid());
    bool done = write_to(temporary, O_CREAT | O_TRUNC, bytes, length) && rename(temporary, path) == 0;
    int error = errno;
    if (!done)
        unlink(temporary);
    free(temporary);
    errno = error;
    return done;
}
