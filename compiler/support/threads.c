/* The threads of a model: a team that computes a program together (see math.c for the form).
 *
 * All members go through the same program. Each computes its part of the steps that are cut, the first one, which is the caller,
 * what is not; and they meet where one needs what another has computed. Where a step is cut depends on how many they are, what
 * an element is computed from does not: the results are the same to the bit for any number of them. */
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/*** team
 * Those who wait for the others look again and again for a while, then they sleep. */
enum { support_looks = 1024, support_most_threads = 64 };

typedef struct support_member support_member;
typedef struct support_team support_team;
typedef void support_job(const support_member *self, const void *call);

struct support_member {
    support_team *team; /* NULL: alone */
    size_t index, count;
};

struct support_team {
    atomic_int count, arrived, asleep;
    atomic_uint meetings;   /* so far */
    pthread_mutex_t mutex;
    pthread_cond_t met;
    support_job *job;       /* what to do after the next meeting; NULL: to end */
    const void *call;       /* its arguments */
    fenv_t environment;     /* the caller's rounding and subnormals */
    support_member member[support_most_threads];
    pthread_t thread[support_most_threads];
};

/*** wait: team
 * Returns when all members have come here; what each has written before, all see then. */
#if defined __x86_64__ || defined __i386__
#define support_pause() __builtin_ia32_pause()
#elif defined __aarch64__
#define support_pause() __asm__ volatile("yield")
#else
#define support_pause() ((void)0)
#endif

static void support_sleep(support_team *team, unsigned meeting) {
    pthread_mutex_lock(&team->mutex);
    atomic_fetch_add(&team->asleep, 1);
    while (atomic_load(&team->meetings) == meeting) pthread_cond_wait(&team->met, &team->mutex);
    atomic_fetch_sub(&team->asleep, 1);
    pthread_mutex_unlock(&team->mutex);
}

static void support_wait(const support_member *self) {
    support_team *const team = self->team;
    if (team == NULL) return;
    const unsigned meeting = atomic_load(&team->meetings);
    if (atomic_fetch_add(&team->arrived, 1) + 1 == atomic_load(&team->count)) {
        atomic_store(&team->arrived, 0);
        atomic_fetch_add(&team->meetings, 1);
        if (atomic_load(&team->asleep) == 0) return;
        pthread_mutex_lock(&team->mutex);
        pthread_cond_broadcast(&team->met);
        pthread_mutex_unlock(&team->mutex);
        return;
    }
    for (int look = 0; look < support_looks; look++) {
        if (atomic_load_explicit(&team->meetings, memory_order_acquire) != meeting) return;
        support_pause();
    }
    support_sleep(team, meeting);
}

/*** part: team
 * The member's part of so many turns of a loop, cut at multiples of the grain. */
typedef struct support_part { size_t begin, end; } support_part;

static inline support_part support_part_of(const support_member *self, size_t turns, size_t grain) {
    const size_t grains = turns / grain + (turns % grain != 0), count = self->count;
    const size_t begin = (grains * self->index + count - 1) / count * grain;
    const size_t end = (grains * (self->index + 1) + count - 1) / count * grain;
    return (support_part){begin < turns ? begin : turns, end < turns ? end : turns};
}

/*** run: wait
 * Has all members do the job; returns when it is done. */
static void support_run(support_team *team, support_job *job, const void *call) {
    static const support_member alone = {NULL, 0, 1};
    if (team == NULL) {
        job(&alone, call);
        return;
    }
    team->job = job;
    team->call = call;
    fegetenv(&team->environment);
    support_wait(&team->member[0]);
    job(&team->member[0], call);
    support_wait(&team->member[0]);
}

/*** threads: wait
 * Members other than the first wait for jobs, until there is none. */
static void *support_serve(void *argument) {
    const support_member *const self = argument;
    for (;;) {
        support_wait(self);
        if (self->team->job == NULL) return NULL;
        fesetenv(&self->team->environment);
        self->team->job(self, self->team->call);
        support_wait(self);
    }
}

static void support_dismiss(support_team *team) {
    if (team == NULL) return;
    team->job = NULL;
    support_wait(&team->member[0]);
    for (size_t i = 1; i < team->member[0].count; i++) pthread_join(team->thread[i], NULL);
    pthread_cond_destroy(&team->met);
    pthread_mutex_destroy(&team->mutex);
    free(team);
}

/* Starts `count` - 1 threads, or as many as the system has; they leave signals to the caller's. Returns how many members there are. */
static size_t support_start(support_team *team, size_t count) {
    size_t started = 1;
    sigset_t all, kept;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &kept);
    atomic_store(&team->count, (int)count);
    for (size_t i = 0; i < count; i++) team->member[i] = (support_member){team, i, count};
    while (started < count && pthread_create(&team->thread[started], NULL, support_serve, &team->member[started]) == 0) started++;
    pthread_sigmask(SIG_SETMASK, &kept, NULL);
    for (size_t i = 0; i < started; i++) team->member[i].count = started;
    atomic_store(&team->count, (int)started);
    return started;
}

/* A team of so many members; NULL where it would have only one, or there is no memory for it. */
static support_team *support_assemble(int count) {
    const size_t wanted = count < 1 ? 1 : count > support_most_threads ? support_most_threads : (size_t)count;
    support_team *const team = wanted > 1 ? calloc(1, sizeof *team) : NULL;
    if (team == NULL) return NULL;
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->met, NULL);
    if (support_start(team, wanted) > 1) return team;
    support_dismiss(team);
    return NULL;
}
