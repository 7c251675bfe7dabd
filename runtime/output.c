/* output.c: files that appear whole or not at all.
 *
 * What is written goes to a temporary file beside the one that is meant, is synced to disk, and takes its name in one step:
 * whoever is killed at any moment, or has a full disk, leaves the old file or the new one. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void release(gdl_output *output) {
    free(output->path);
    free(output->temporary);
    *output = (gdl_output){0};
}

/* The file that a name stands for: a symbolic link is followed, so that it stays one. */
static char *resolve(const char *path) {
    char *real = realpath(path, NULL);
    return real ? real : strdup(path);
}

static char *temporary_name(const char *path) {
    size_t room = strlen(path) + 32;
    char *name = malloc(room);
    if (name)
        snprintf(name, room, "%s.tmp%ld", path, (long)getpid());
    return name;
}

/* Whether `name` is a temporary file for `base` of a process that is no more. */
static bool is_stale(const char *name, const char *base, size_t length) {
    char *end;
    if (strncmp(name, base, length) != 0 || strncmp(name + length, ".tmp", 4) != 0)
        return false;
    const char *digits = name + length + 4;
    errno = 0;
    long writer = strtol(digits, &end, 10);
    return *digits >= '1' && *digits <= '9' && !*end && !errno && kill((pid_t)writer, 0) != 0 && errno == ESRCH;
}

/* Takes away what writers of the same file left that were killed. Nothing depends on its success. */
static void remove_stale(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    char *folder = slash ? strndup(path, (size_t)(base - path)) : strdup(".");
    DIR *entries = folder ? opendir(folder) : NULL;
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        if (is_stale(entry->d_name, base, strlen(base)))
            unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries)
        closedir(entries);
    free(folder);
}

int gdl_output_open(gdl_output *output, const char *path, gdl_error *error) {
    struct stat status;
    bool special = stat(path, &status) == 0 && !S_ISREG(status.st_mode);
    *output = (gdl_output){.path = resolve(path)};
    if (output->path && !special)
        output->temporary = temporary_name(output->path);
    if (!output->path || (!special && !output->temporary)) {
        release(output);
        return gdl_fail(error, "%s cannot be written: no memory", path);
    }
    if (output->temporary)
        remove_stale(output->path);
    output->file = fopen(special ? output->path : output->temporary, "wb");
    if (output->file)
        return 0;
    int reason = errno;
    release(output);
    return gdl_fail(error, "%s cannot be written: %s", path, strerror(reason));
}

/* A rename is on disk when its folder is. Folders that cannot be synced (some network file systems) are left to the system. */
static void sync_folder(const char *path) {
    char *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash)
        slash[slash == folder] = '\0';
    int descriptor = folder ? open(slash ? folder : ".", O_RDONLY) : -1;
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
    free(folder);
}

int gdl_output_check(const char *path, gdl_error *error) {
    struct stat status;
    gdl_output output;
    bool felt = stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode); /* at a pipe's other end */
    if (felt)
        return 0;
    if (gdl_output_open(&output, path, error))
        return GDL_FAILED;
    gdl_output_abandon(&output);
    return 0;
}

/* Why writing failed, 0 if it did not. A stream remembers that it did, but not why; so it is tried once more. */
static int failure_of(FILE *file) {
    if (!ferror(file))
        return 0;
    clearerr(file);
    errno = 0;
    return (fputc('\0', file) == EOF || fflush(file)) && errno ? errno : EIO;
}

/* Everything written, down to the disk. Returns errno, or 0. */
static int flush_and_close(gdl_output *output) {
    int reason = failure_of(output->file);
    errno = 0;
    if (!reason && fflush(output->file))
        reason = errno;
    if (!reason && output->temporary && fsync(fileno(output->file)))
        reason = errno;
    if (fclose(output->file) && !reason)
        reason = errno;
    output->file = NULL;
    return reason;
}

int gdl_output_commit(gdl_output *output, gdl_error *error) {
    int reason = flush_and_close(output);
    if (!reason && output->temporary && rename(output->temporary, output->path))
        reason = errno;
    int result = 0;
    if (reason) {
        if (output->temporary)
            unlink(output->temporary);
        result =
            gdl_fail(error, "%s could not be written: %s; %s", output->path, strerror(reason),
                     output->temporary ? "what was there before is unchanged" : "what was written is not complete");
    } else if (output->temporary) {
        sync_folder(output->path);
    }
    release(output);
    return result;
}

void gdl_output_abandon(gdl_output *output) {
    if (output->file)
        fclose(output->file);
    if (output->temporary)
        unlink(output->temporary);
    release(output);
}
