/* peer.c: see peer.h. Asked by a line `THREADS SECONDS`, the process answers with a line of the microseconds of each step. */
#include "peer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void run(const char *python, const char *script, const char *model, const int *in, const int *out) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    const int ends[] = { in[0], in[1], out[0], out[1] };
    for (int i = 0; i < 4; i++) close(ends[i]);
    if (!freopen("/dev/null", "w", stderr)) _exit(127);
    execlp(python, python, script, model, (char *)NULL);
    _exit(127);
}

/* The next character; EOF when the process has ended. */
static int next(const Peer *peer) {
    unsigned char c;
    return read(peer->from, &c, 1) == 1 ? c : EOF;
}

static Peer start_with(const char *python, const char *script, const char *model) {
    int in[2], out[2];
    Peer peer = { 0 };
    if (pipe(in) || pipe(out)) return peer;
    peer = (Peer){ .process = fork(), .to = in[1], .from = out[0] };
    if (peer.process == 0) run(python, script, model, in, out);
    close(in[0]);
    close(out[1]);
    if (peer.process < 0 || next(&peer) != '\n') peer_stop(&peer); /* it says so when it is ready */
    return peer;
}

Peer peer_start(const char *script, const char *model) {
    const char *own = getenv("PYTHON"), *pythons[] = { own ? own : "python3", "/usr/bin/python3" };
    signal(SIGPIPE, SIG_IGN);
    Peer peer = start_with(pythons[0], script, model);
    return peer.process > 0 ? peer : start_with(pythons[1], script, model);
}

void peer_steps(const Peer *peer, int threads, double seconds, void (*add)(void *context, double microseconds), void *context) {
    char word[64];
    size_t length = 0;
    if (peer->process <= 0 || dprintf(peer->to, "%d %g\n", threads, seconds) < 0) return;
    for (int c = 0; c != '\n' && c != EOF;) {
        c = next(peer);
        if (c > ' ' && length + 1 < sizeof word) word[length++] = (char)c;
        else if (length > 0) {
            word[length] = '\0';
            add(context, strtod(word, NULL));
            length = 0;
        }
    }
}

void peer_stop(Peer *peer) {
    close(peer->to); /* it ends with its input */
    close(peer->from);
    if (peer->process > 0) waitpid(peer->process, NULL, 0);
    *peer = (Peer){ 0 };
}
