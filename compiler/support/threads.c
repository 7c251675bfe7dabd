/* The threads of a model: a team that computes a job together (see math.c for the form).
 *
 * A job is a list of tasks, each cut into chunks; tasks come in phases. In a phase, chunks may be computed in any order and at any time
 * together; the next one begins when all of them are done. Members of the team claim chunks: first of those that are their own, so
 * that they meet their data again in their caches, then of those that others have not begun. So nobody waits for a member that sleeps,
 * or that the system does not let run: one that comes late finds less to do. What follows a phase as one chunk, whoever has
 * finished the phase computes at once. What is computed does not depend on who does it: the results are the same to the bit.
 *
 * Why this is right: `open` holds the number of a phase and a bit for each of its chunks that is not claimed yet. A claim is an
 * atomic change of that word from what it was, so it can neither succeed twice, nor when the phase is over. From then on until
 * the chunk is counted as done, the phase cannot end: the tasks and the arguments of the call stay what they are. They are written only
 * by who has counted the last chunk, or by the caller between jobs, and read only by who has a claim. */
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "vector.c"

/*** team
 * Who finds nothing to claim looks again and again, for about as long as it takes to be woken, then sleeps. */
enum { support_looks = 4096, support_most_threads = 32 };

typedef struct support_claim { size_t member, begin, end; } support_claim; /* chunks of a task, and who has them */
typedef void support_work(const void *call, support_claim claim);
typedef struct support_task { unsigned phase, chunks; support_work *work; } support_task; /* at most 32 chunks in a phase */

typedef struct support_team support_team;
typedef struct support_member { support_team *team; size_t index; } support_member;

struct support_team {
    atomic_uint_least64_t open; /* the number of the phase, times 2^32, and the chunks that nobody has claimed */
    char apart[64];             /* so that who looks there does not disturb the rest */
    atomic_uint unfinished;     /* chunks of the phase */
    atomic_uint chunks, count;  /* of the phase; members: only to choose by */
    atomic_int done, dismissed; /* the job; the team */
    atomic_int asleep[2];       /* the caller; somebody else */
    const support_task *first, *next, *end; /* of the phase; behind it; behind the job */
    const void *call;           /* the arguments */
    size_t jobs;                /* so far */
    fenv_t environment;         /* the caller's rounding and subnormals */
    pthread_mutex_t mutex;
    pthread_cond_t news;
    support_member member[support_most_threads];
    pthread_t thread[support_most_threads];
};

/*** sleep: team
 * Until another phase is open, or `over`. Those that may sleep say so before they look for the last time, and what they wait for
 * comes before the question who sleeps: one of the two sees the other. */
static void support_sleep(support_team *team, size_t member, uint64_t open, const atomic_int *over) {
    pthread_mutex_lock(&team->mutex);
    for (;;) {
        atomic_store(&team->asleep[member > 0], 1);
        if (atomic_load(&team->open) != open || atomic_load(over)) break;
        pthread_cond_wait(&team->news, &team->mutex);
    }
    pthread_mutex_unlock(&team->mutex);
}

/* Wakes the caller, or all. */
static void support_wake(support_team *team, int all) {
    if (!atomic_load(&team->asleep[0]) && !(all && atomic_load(&team->asleep[1]))) return;
    pthread_mutex_lock(&team->mutex);
    atomic_store(&team->asleep[0], 0);
    atomic_store(&team->asleep[1], 0);
    pthread_cond_broadcast(&team->news);
    pthread_mutex_unlock(&team->mutex);
}

/*** phase: sleep */
static void support_compute(const support_team *team, size_t member, unsigned chunk) {
    const support_task *task = team->first;
    for (; chunk >= task->chunks; task++) chunk -= task->chunks;
    task->work(team->call, (support_claim){member, chunk, chunk + 1});
}

/* Opens the next phase of the job, if there is one. */
static void support_open(support_team *team, size_t member) {
    unsigned chunks = 1;
    while (chunks == 1) {
        team->first = team->next;
        for (chunks = 0; team->next < team->end && team->next->phase == team->first->phase; team->next++) chunks += team->next->chunks;
        if (chunks == 1) support_compute(team, member, 0);
    }
    if (chunks == 0) atomic_store(&team->done, 1);
    else {
        const uint64_t number = (atomic_load(&team->open) >> 32) + 1;
        atomic_store(&team->chunks, chunks);
        atomic_store(&team->unfinished, chunks);
        atomic_store(&team->open, number << 32 | UINT32_MAX >> (32 - chunks));
    }
    support_wake(team, chunks > 0);
}

/*** attend: phase separate
 * Computes what can be claimed, until `over`. */
#if defined __x86_64__ || defined __i386__
#define support_pause() __builtin_ia32_pause()
#elif defined __aarch64__
#define support_pause() __asm__ volatile("yield")
#else
#define support_pause() ((void)0)
#endif

/* One of the bits that are set, which are chunks: the first of the member's own, or else the last. */
static unsigned support_choose(const support_team *team, size_t member, uint32_t unclaimed) {
    const size_t chunks = atomic_load(&team->chunks), count = atomic_load(&team->count);
    for (size_t own = chunks * member / count; own < chunks * (member + 1) / count; own++)
        if (unclaimed >> own & 1) return (unsigned)own;
    unsigned last = 31;
    while (!(unclaimed >> last & 1)) last--;
    return last;
}

support_separate void support_attend(support_team *team, size_t member, const atomic_int *over) {
    size_t jobs = 0;
    for (int looks = 0; !atomic_load(over);) {
        uint64_t open = atomic_load(&team->open);
        if ((uint32_t)open == 0) {
            if (++looks < support_looks) support_pause();
            else support_sleep(team, member, open, over), looks = 0;
            continue;
        }
        const unsigned chunk = support_choose(team, member, (uint32_t)open);
        if (!atomic_compare_exchange_strong(&team->open, &open, open & ~(UINT64_C(1) << chunk))) continue;
        if (member > 0 && jobs != team->jobs) fesetenv(&team->environment), jobs = team->jobs;
        support_compute(team, member, chunk);
        if (atomic_fetch_sub(&team->unfinished, 1) == 1) support_open(team, member);
        looks = 0;
    }
}

/*** part: team
 * What a claim has of so many turns of a loop, where the task has so many chunks: cut at multiples of the grain. */
typedef struct support_part { size_t begin, end; } support_part;

static inline support_part support_part_of(support_claim claim, size_t chunks, size_t turns, size_t grain) {
    const size_t grains = turns / grain + (turns % grain != 0);
    const size_t begin = (grains * claim.begin + chunks - 1) / chunks * grain;
    const size_t end = (grains * claim.end + chunks - 1) / chunks * grain;
    return (support_part){begin < turns ? begin : turns, end < turns ? end : turns};
}

/*** run: attend separate
 * Has the team do the job, so many tasks; returns when it is done. */
support_separate void support_run(support_team *team, const support_task *task, size_t count, const void *call) {
    if (team == NULL) {
        for (size_t i = 0; i < count; i++) task[i].work(call, (support_claim){0, 0, task[i].chunks});
        return;
    }
    team->next = task;
    team->end = task + count;
    team->call = call;
    team->jobs++;
    fegetenv(&team->environment);
    atomic_store(&team->done, 0);
    support_open(team, 0);
    support_attend(team, 0, &team->done);
}

/*** threads: attend */
static void *support_serve(void *argument) {
    const support_member *const self = argument;
    support_attend(self->team, self->index, &self->team->dismissed);
    return NULL;
}

static void support_dismiss(support_team *team) {
    if (team == NULL) return;
    atomic_store(&team->dismissed, 1);
    support_wake(team, 1);
    for (size_t i = 1; i < atomic_load(&team->count); i++) pthread_join(team->thread[i], NULL);
    pthread_cond_destroy(&team->news);
    pthread_mutex_destroy(&team->mutex);
    free(team);
}

/* Starts `count` - 1 threads, or as many as the system has; they leave signals to the caller's. Returns how many members there are. */
static unsigned support_start(support_team *team, unsigned count) {
    unsigned started = 1;
    sigset_t all, kept;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &kept);
    atomic_store(&team->count, count);
    for (size_t i = 0; i < count; i++) team->member[i] = (support_member){team, i};
    while (started < count && pthread_create(&team->thread[started], NULL, support_serve, &team->member[started]) == 0) started++;
    pthread_sigmask(SIG_SETMASK, &kept, NULL);
    atomic_store(&team->count, started);
    return started;
}

/* A team of so many members; NULL where it would have only one, or there is no memory for it. */
static support_team *support_assemble(int count) {
    const unsigned wanted = count < 1 ? 1 : count > support_most_threads ? support_most_threads : (unsigned)count;
    support_team *const team = wanted > 1 ? calloc(1, sizeof *team) : NULL;
    if (team == NULL) return NULL;
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->news, NULL);
    if (support_start(team, wanted) > 1) return team;
    support_dismiss(team);
    return NULL;
}
