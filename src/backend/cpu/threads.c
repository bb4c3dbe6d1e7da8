/*
 * A pool for regions of some tens of microseconds: a worker spins briefly for the next
 * region, then sleeps.  A region is published by raising `round`; the caller takes the
 * first share itself and then waits, likewise, for `pending` to fall to 0.  With more
 * threads than cores spinning would take the time of the thread waited for, hence the
 * short limit.
 */
#include "backend/cpu/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/memory.h" // counted memory

enum { SPINS = 4000 };

struct worker {
  struct cpu_threads *pool;
  int32_t index;
  pthread_t thread;
};

struct cpu_threads {
  int32_t n, started; // threads with the caller's; workers that run
  _Alignas(64) atomic_uint round;
  _Alignas(64) atomic_int pending;
  atomic_int sleepers; // workers asleep
  atomic_bool caller_sleeps;
  bool stop;
  cpu_range *range;
  const void *call;
  int32_t units;
  pthread_mutex_t mutex;
  pthread_cond_t wake, done;
  struct worker *worker;
};

static void relax(void) {
#if defined __x86_64__
  __builtin_ia32_pause();
#endif
}

static void run_share(const struct cpu_threads *pool, int32_t index) {
  int32_t begin = (int32_t)((int64_t)pool->units * index / pool->n);
  int32_t end = (int32_t)((int64_t)pool->units * (index + 1) / pool->n);
  if (begin < end) {
    pool->range(pool->call, begin, end, index);
  }
}

/* Returns once `round` differs from `seen`. */
static void wait_for_round(struct cpu_threads *pool, unsigned seen) {
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load_explicit(&pool->round, memory_order_acquire) != seen) {
      return;
    }
    relax();
  }
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->sleepers, 1);
  while (atomic_load(&pool->round) == seen) {
    pthread_cond_wait(&pool->wake, &pool->mutex);
  }
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *argument) {
  struct worker *self = argument;
  struct cpu_threads *pool = self->pool;
  for (unsigned seen = 0;; seen++) {
    wait_for_round(pool, seen);
    if (pool->stop) {
      return NULL;
    }
    run_share(pool, self->index);
    if (atomic_fetch_sub(&pool->pending, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
      pthread_mutex_lock(&pool->mutex);
      pthread_cond_signal(&pool->done);
      pthread_mutex_unlock(&pool->mutex);
    }
  }
}

static void publish(struct cpu_threads *pool) {
  atomic_fetch_add(&pool->round, 1);
  if (atomic_load(&pool->sleepers) > 0) {
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
  }
}

pbt_status pbt_cpu_threads_open(int32_t n, struct cpu_threads **threads) {
  *threads = NULL;
  if (n <= 1) {
    return PBT_OK;
  }
  struct cpu_threads *pool = NULL;
  PBT_TRY(PBT_NEW(1, &pool));
  pool->n = n;
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->wake, NULL);
  pthread_cond_init(&pool->done, NULL);
  pbt_status status = PBT_NEW(n, &pool->worker);
  sigset_t all, before; // signals are the main thread's business
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (int32_t i = 1; status == PBT_OK && i < n; i++) {
    pool->worker[i] = (struct worker){.pool = pool, .index = i};
    int failed = pthread_create(&pool->worker[i].thread, NULL, work, &pool->worker[i]);
    if (failed != 0) {
      status = pbt_fail(PBT_ERR_UNAVAILABLE, "cannot start thread %d of %d", i + 1, n);
    } else {
      pool->started++;
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (status != PBT_OK) {
    pbt_cpu_threads_close(pool);
    return status;
  }
  *threads = pool;
  return PBT_OK;
}

void pbt_cpu_threads_close(struct cpu_threads *pool) {
  if (pool == NULL) {
    return;
  }
  pool->stop = true;
  publish(pool);
  for (int32_t i = 1; i <= pool->started; i++) {
    pthread_join(pool->worker[i].thread, NULL);
  }
  pthread_cond_destroy(&pool->wake);
  pthread_cond_destroy(&pool->done);
  pthread_mutex_destroy(&pool->mutex);
  pbt_mem_free(pool->worker);
  pbt_mem_free(pool);
}

static void wait_for_workers(struct cpu_threads *pool) {
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load_explicit(&pool->pending, memory_order_acquire) == 0) {
      return;
    }
    relax();
  }
  pthread_mutex_lock(&pool->mutex);
  atomic_store(&pool->caller_sleeps, true);
  while (atomic_load(&pool->pending) > 0) {
    pthread_cond_wait(&pool->done, &pool->mutex);
  }
  atomic_store(&pool->caller_sleeps, false);
  pthread_mutex_unlock(&pool->mutex);
}

void pbt_cpu_threads_run(struct cpu_threads *pool, cpu_range *range, const void *call,
                         int32_t units) {
  if (pool == NULL || units == 1) {
    range(call, 0, units, 0);
    return;
  }
  pool->range = range;
  pool->call = call;
  pool->units = units;
  atomic_store(&pool->pending, pool->n - 1);
  publish(pool);
  run_share(pool, 0);
  wait_for_workers(pool);
}
