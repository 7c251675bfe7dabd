/* process.h: the trainer of the hand-written model as a user runs it, in processes of their own. */
#ifndef PROCESS_H
#define PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

enum { KILLED = -SIGKILL };

/* Starts `fake ARGUMENTS` with its output in the files `out` and `err`. Arguments are separated by single spaces. */
pid_t start(const char *arguments);
/* The exit status of a process that was started, or minus the signal. */
int finish(pid_t child);
/* Both. */
int run(const char *arguments);

/* That the file, of any bytes, holds the phrase. */
void expect_text(const char *path, const char *phrase);
/* That `fake ARGUMENTS` succeeds; that it ends with this status and says this. */
void expect_success(const char *arguments);
void expect_error(const char *arguments, int status, const char *phrase);
bool exists(const char *path);

#endif
