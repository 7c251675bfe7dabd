/* The same training step in PyTorch, in a process of its own that waits between the turns (peers.py). */
#ifndef PEER_H
#define PEER_H

#include <sys/types.h>

typedef struct Peer { pid_t process; int to, from; } Peer; /* process 0: there is none */

/* Starts `script` for a model, by $PYTHON, python3 or /usr/bin/python3, whichever has PyTorch and knows the model; waits until it can
 * step. */
Peer peer_start(const char *script, const char *model);
/* Lets it step for so many seconds; add(context, microseconds) is called for each step. */
void peer_steps(const Peer *peer, int threads, double seconds, void (*add)(void *context, double microseconds), void *context);
void peer_stop(Peer *peer);

#endif
