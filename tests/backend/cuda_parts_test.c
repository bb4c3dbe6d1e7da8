/* The parts of the CUDA backend that need no device: which device a rank takes, which
 * step is recorded where, and the copy pipeline over plain memory. */
#include <stdlib.h>
#include <string.h>

#include "backend/cuda/binding.h"
#include "backend/cuda/graph.h"
#include "backend/cuda/staging.h"
#include "tests/test.h"

START_TEST(ranks_take_devices_in_turn) {
  const int visible[] = {1, 2, 4, 8};
  for (int v = 0; v < 4; v++) {
    int load[8] = {0}, least = 100, most = 0;
    for (int rank = 0; rank < 13; rank++) {
      int device = -1;
      ck_ok(pbt_cuda_bind(rank, visible[v], &device));
      ck_assert_int_eq(device, rank % visible[v]);
      load[device]++;
    }
    for (int d = 0; d < visible[v]; d++) {
      least = load[d] < least ? load[d] : least;
      most = load[d] > most ? load[d] : most;
    }
    ck_assert_int_le(most - least, 1);
  }
}
END_TEST

START_TEST(no_device_is_an_error_with_advice) {
  int device = -1;
  ck_fails(pbt_cuda_bind(0, 0, &device), PBT_ERR_UNAVAILABLE, "backend = \"cpu\"");
  ck_assert_int_eq(device, -1);
}
END_TEST

/* ---- which step is recorded where ---- */

static int step_a, step_b, net_1, net_2;

START_TEST(a_step_is_key_function_and_context) {
  struct cuda_graphs graphs = {0};
  void *dropped = NULL;
  struct cuda_graph *first = cuda_graph_take(&graphs, 7, &step_a, &net_1, &dropped);
  ck_assert_ptr_null(dropped);
  ck_assert(!first->ready);
  ck_assert_ptr_null(first->exec);
  first->ready = true;
  first->exec = &graphs;
  ck_assert_ptr_eq(cuda_graph_take(&graphs, 7, &step_a, &net_1, &dropped), first);
  ck_assert_ptr_eq(first->exec, &graphs);
  ck_assert_ptr_ne(cuda_graph_take(&graphs, 8, &step_a, &net_1, &dropped), first);
  ck_assert_ptr_ne(cuda_graph_take(&graphs, 7, &step_b, &net_1, &dropped), first);
  ck_assert_ptr_ne(cuda_graph_take(&graphs, 7, &step_a, &net_2, &dropped), first);
  ck_assert_ptr_null(dropped);
}
END_TEST

START_TEST(the_step_unused_for_longest_goes) {
  struct cuda_graphs graphs = {0};
  int exec[CUDA_GRAPHS + 1];
  void *dropped = NULL;
  for (uint64_t key = 1; key <= CUDA_GRAPHS; key++) {
    struct cuda_graph *graph = cuda_graph_take(&graphs, key, &step_a, &net_1, &dropped);
    ck_assert_ptr_null(dropped);
    graph->exec = &exec[key];
  }
  cuda_graph_take(&graphs, 1, &step_a, &net_1, &dropped); // now key 2 is the oldest
  struct cuda_graph *fresh = cuda_graph_take(&graphs, 100, &step_a, &net_1, &dropped);
  ck_assert_ptr_eq(dropped, &exec[2]);
  ck_assert(!fresh->ready && fresh->exec == NULL);
  ck_assert_ptr_eq(cuda_graph_take(&graphs, 1, &step_a, &net_1, &dropped)->exec,
                   &exec[1]);
  ck_assert_ptr_null(dropped);
}
END_TEST

/* ---- copies ---- */

enum { CHUNK = 64, MOST = 5 * CHUNK + 17 };

/* A device that copies only when it must: a chunk's copy is done at its wait, and a chunk
 * that is used again before its wait is an error. */
struct lazy {
  struct {
    void *to;
    const void *from;
    size_t n;
  } pending[CUDA_CHUNKS];
  int copies, waits, together, most_together;
  int fail_at; // copy number that fails, 0: none
};

static void flush(struct lazy *lazy, int chunk) {
  if (lazy->pending[chunk].n > 0) {
    memcpy(lazy->pending[chunk].to, lazy->pending[chunk].from, lazy->pending[chunk].n);
    lazy->pending[chunk].n = 0;
    lazy->together--;
  }
}

static pbt_status lazy_copy(void *context, void *to, const void *from, size_t n,
                            int chunk) {
  struct lazy *lazy = context;
  ck_assert_uint_le(n, CHUNK);
  ck_assert_uint_eq(lazy->pending[chunk].n, 0);
  if (++lazy->copies == lazy->fail_at) {
    return pbt_fail(PBT_ERR_UNAVAILABLE, "the device is gone");
  }
  lazy->pending[chunk].to = to;
  lazy->pending[chunk].from = from;
  lazy->pending[chunk].n = n;
  lazy->together++;
  if (lazy->together > lazy->most_together) {
    lazy->most_together = lazy->together;
  }
  return PBT_OK;
}

static pbt_status lazy_wait(void *context, int chunk) {
  struct lazy *lazy = context;
  lazy->waits++;
  flush(lazy, chunk);
  return PBT_OK;
}

static char pinned[CUDA_CHUNKS][CHUNK];

static struct cuda_staging open_staging(struct lazy *lazy) {
  static const struct cuda_staging_ops ops = {.copy = lazy_copy, .wait = lazy_wait};
  return (struct cuda_staging){.ops = &ops,
                               .context = lazy,
                               .chunk = {pinned[0], pinned[1]},
                               .chunk_bytes = CHUNK};
}

START_TEST(bytes_arrive_both_ways) {
  for (size_t n = 0; n <= MOST; n++) {
    struct lazy lazy = {0};
    struct cuda_staging staging = open_staging(&lazy);
    char host[MOST], device[MOST] = {0}, back[MOST] = {0};
    for (size_t i = 0; i < n; i++) {
      host[i] = (char)(i * 37 + n);
    }
    ck_ok(cuda_staging_write(&staging, device, host, n));
    char sent[MOST];
    memcpy(sent, host, sizeof sent);
    memset(host, 0, sizeof host); // write() has taken the bytes
    ck_ok(cuda_staging_read(&staging, back, device, 0));
    flush(&lazy, 0); // the device does in order what was begun
    flush(&lazy, 1);
    ck_assert(memcmp(device, sent, n) == 0);
    ck_ok(cuda_staging_read(&staging, back, device, n));
    ck_assert(memcmp(back, sent, n) == 0);
    ck_assert(n == MOST || back[n] == 0);
    if (n > CHUNK) {
      ck_assert_int_eq(lazy.most_together, CUDA_CHUNKS); // copy and host work overlap
    }
  }
}
END_TEST

START_TEST(a_small_write_does_not_wait) {
  struct lazy lazy = {0};
  struct cuda_staging staging = open_staging(&lazy);
  char host[CHUNK] = {1}, device[2][CHUNK];
  ck_ok(cuda_staging_write(&staging, device[0], host, CHUNK));
  ck_ok(cuda_staging_write(&staging, device[1], host, CHUNK));
  ck_assert_int_eq(lazy.waits, 0);
  ck_ok(cuda_staging_write(&staging, device[0], host, CHUNK));
  ck_assert_int_eq(lazy.waits, 1);
}
END_TEST

START_TEST(a_failed_copy_is_reported) {
  for (int fail_at = 1; fail_at <= 4; fail_at++) {
    struct lazy lazy = {.fail_at = fail_at};
    struct cuda_staging staging = open_staging(&lazy);
    char host[4 * CHUNK] = {0}, device[4 * CHUNK];
    ck_fails(cuda_staging_write(&staging, device, host, sizeof host), PBT_ERR_UNAVAILABLE,
             "the device is gone");
    struct lazy again = {.fail_at = fail_at};
    staging = open_staging(&again);
    ck_fails(cuda_staging_read(&staging, host, device, sizeof host), PBT_ERR_UNAVAILABLE,
             "the device is gone");
  }
}
END_TEST

PBT_TEST_MAIN("cuda parts", ranks_take_devices_in_turn, no_device_is_an_error_with_advice,
              a_step_is_key_function_and_context, the_step_unused_for_longest_goes,
              bytes_arrive_both_ways, a_small_write_does_not_wait,
              a_failed_copy_is_reported)
