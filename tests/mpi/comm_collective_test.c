#include "tests/mpi/mpi_test.h"

#include "base/clock.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// ---------------------------------------------------------------- facts

START_TEST(facts_match_mpi) {
  int world_rank = -1, world_size = -1;
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  MPI_Comm_size(MPI_COMM_WORLD, &world_size);
  all_true(rank == world_rank && size == world_size);
  all_true(pbt_comm_node_rank(comm) == rank); // the tests run on one machine
  all_true(pbt_comm_node_size(comm) == size);
  all_true(pbt_comm_host(comm)[0] != '\0');
}
END_TEST

START_TEST(processors_are_shared_out) {
  int each = 0;
  ck_ok(pbt_comm_processors(comm, &each));
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  all_true(each >= 1 && (each == 1 || (long)each * size <= online));
}
END_TEST

START_TEST(library_is_a_name_and_a_number) {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  const char *ours = pbt_comm_library();
  const char *number = strrchr(ours, ' ');
  all_true(number != NULL && number[1] >= '0' && number[1] <= '9');
  all_true(strstr(text, number + 1) != NULL);
  all_true(strncmp(text, ours, 4) == 0);
  all_true(strpbrk(ours, ",:\n\t") == NULL);
}
END_TEST

// ---------------------------------------------------------------- agree

START_TEST(agree_all_fine) {
  pbt_fail(PBT_OK, "a leftover");
  all_true(pbt_comm_agree(comm, PBT_OK) == PBT_OK);
  all_true(pbt_error()[0] == '\0');
}
END_TEST

START_TEST(agree_keeps_one_message) {
  for (int bad = 0; bad < size; bad++) {
    pbt_error_clear();
    pbt_status mine = rank == bad ? pbt_fail(PBT_ERR_IO, "disk of %d", rank) : PBT_OK;
    all_true(pbt_comm_agree(comm, mine) == PBT_ERR_IO);
    char expected[32] = "";
    if (rank == bad) {
      snprintf(expected, sizeof expected, "disk of %d", bad);
    }
    all_true(strcmp(pbt_error(), expected) == 0);
  }
  pbt_error_clear();
}
END_TEST

START_TEST(agree_worst_status_wins_then_lowest_rank) {
  /* Even ranks hold DATA, odd ones the greater IO. */
  pbt_status mine = rank % 2 == 0 ? PBT_ERR_DATA : PBT_ERR_IO;
  pbt_fail(mine, "rank %d", rank);
  all_true(pbt_comm_agree(comm, mine) == (size > 1 ? PBT_ERR_IO : PBT_ERR_DATA));
  all_true((pbt_error()[0] != '\0') == (rank == (size > 1 ? 1 : 0)));
  pbt_error_clear();
}
END_TEST

// ---------------------------------------------------------------- same

START_TEST(same_sees_one_flipped_bit) {
  char data[1000];
  memset(data, 5, sizeof data);
  bool same = false;
  all_ok(pbt_comm_same(comm, data, sizeof data, &same));
  all_true(same);
  for (int liar = 0; liar < size; liar++) {
    data[777] = rank == liar ? 4 : 5;
    all_ok(pbt_comm_same(comm, data, sizeof data, &same));
    all_true(same == (size == 1));
  }
}
END_TEST

START_TEST(same_sees_another_length) {
  char data[16] = {0};
  bool same = false;
  all_ok(pbt_comm_same(comm, data, rank == size - 1 ? 8 : 16, &same));
  all_true(same == (size == 1));
  all_ok(pbt_comm_same(comm, NULL, 0, &same));
  all_true(same);
}
END_TEST

// ---------------------------------------------------------------- share, broadcast

static char *pattern(size_t bytes, unsigned salt) {
  char *data = malloc(bytes);
  for (size_t i = 0; i < bytes; i++) {
    data[i] = (char)((i * 2654435761u + salt) >> 13);
  }
  return data;
}

START_TEST(share_brings_all_bytes) {
  const size_t length[] = {0, 1, 5000, (4 << 20) + 3, 9000001}; // around and over chunks
  for (size_t i = 0; i < sizeof length / sizeof *length; i++) {
    char *expected = pattern(length[i], 1);
    char *data = rank == 0 ? expected : NULL;
    size_t bytes = rank == 0 ? length[i] : 99;
    all_ok(pbt_comm_share(comm, PBT_OK, &data, &bytes));
    all_true(bytes == length[i]);
    all_true(memcmp(data, expected, bytes) == 0);
    if (rank != 0) {
      all_true(data[bytes] == '\0');
      pbt_mem_free(data);
    } else {
      all_true(true);
    }
    free(expected);
  }
}
END_TEST

START_TEST(share_brings_the_status_first) {
  char *data = NULL;
  size_t bytes = 0;
  pbt_error_clear();
  pbt_status mine = rank == 0 ? pbt_fail(PBT_ERR_MISSING, "no job file") : PBT_OK;
  int64_t balance = pbt_mem_balance();
  all_true(pbt_comm_share(comm, mine, &data, &bytes) == PBT_ERR_MISSING);
  all_true(strcmp(pbt_error(), rank == 0 ? "no job file" : "") == 0);
  all_true(data == NULL && pbt_mem_balance() == balance);
  pbt_error_clear();
}
END_TEST

START_TEST(broadcast_brings_rank_0s_block) {
  const size_t length[] = {0, 3, 9000001};
  for (size_t i = 0; i < sizeof length / sizeof *length; i++) {
    char *expected = pattern(length[i], 2), *data = pattern(length[i], rank == 0 ? 2 : 3);
    all_ok(pbt_comm_broadcast(comm, data, length[i]));
    all_true(memcmp(data, expected, length[i]) == 0);
    free(data);
    free(expected);
  }
}
END_TEST

// ---------------------------------------------------------------- blocks

START_TEST(blocks_cover_all_items_once) {
  for (int n_ranks = 1; n_ranks <= 9; n_ranks++) {
    for (int64_t n = 0; n <= 40; n++) {
      int64_t next = 0, least = INT64_MAX, most = 0;
      for (int r = 0; r < n_ranks; r++) {
        int64_t begin = -1, end = -1;
        pbt_block(n, n_ranks, r, &begin, &end);
        ck_assert_int_eq(begin, next);
        ck_assert_int_ge(end, begin);
        for (int64_t i = begin; i < end; i++) {
          ck_assert_int_eq(pbt_block_owner(n, n_ranks, i), r);
        }
        least = end - begin < least ? end - begin : least;
        most = end - begin > most ? end - begin : most;
        next = end;
      }
      ck_assert_int_eq(next, n);
      ck_assert_int_le(most - least, 1);
    }
  }
}
END_TEST

// ---------------------------------------------------------------- gathers

/* Item i of salt s, of any length, so that a misplaced byte shows. */
static void fill_item(char *item, size_t bytes, int64_t i, int salt) {
  for (size_t b = 0; b < bytes; b++) {
    item[b] = (char)(i * 31 + (int64_t)b * 7 + salt);
  }
}

static char *items(size_t bytes, int64_t begin, int64_t end, int salt) {
  char *data = malloc((size_t)(end - begin) * bytes + 1);
  for (int64_t i = begin; i < end; i++) {
    fill_item(data + (size_t)(i - begin) * bytes, bytes, i, salt);
  }
  return data;
}

typedef pbt_status gather_function(struct pbt_comm *, const void *, size_t, int64_t,
                                   void *);

static void check_gather(gather_function *gather, bool only_rank_0) {
  const int64_t count[] = {0, 1, 7, 8, 33}; // fewer than ranks, equal, uneven
  const size_t length[] = {1, 24, 10000};   // above and below MPI's eager limit
  for (size_t c = 0; c < sizeof count / sizeof *count; c++) {
    for (size_t l = 0; l < sizeof length / sizeof *length; l++) {
      int64_t begin = 0, end = 0;
      pbt_block(count[c], size, rank, &begin, &end);
      char *mine = items(length[l], begin, end, (int)l);
      char *expected = items(length[l], 0, count[c], (int)l);
      size_t bytes = (size_t)count[c] * length[l];
      bool mine_to_check = !only_rank_0 || rank == 0;
      char *all = mine_to_check ? calloc(bytes + 1, 1) : NULL;
      all_ok(gather(comm, mine, length[l], count[c], all));
      all_true(!mine_to_check || memcmp(all, expected, bytes) == 0);
      all_true(!mine_to_check || all[bytes] == 0);
      free(all);
      free(expected);
      free(mine);
    }
  }
}

START_TEST(allgather_in_order_with_uneven_blocks) {
  check_gather(pbt_comm_allgather, false);
}
END_TEST

START_TEST(gather_in_order_with_uneven_blocks) {
  check_gather(pbt_comm_gather, true);
}
END_TEST

START_TEST(gathers_follow_each_other_unmixed) {
  char mine[24], all[24 * 8];
  for (int round = 0; round < 50; round++) {
    fill_item(mine, sizeof mine, rank, round);
    all_ok(pbt_comm_gather(comm, mine, sizeof mine, size, rank == 0 ? all : NULL));
    bool right = true;
    for (int r = 0; rank == 0 && r < size; r++) {
      char expected[24];
      fill_item(expected, sizeof expected, r, round);
      right = right && memcmp(expected, all + 24 * r, 24) == 0;
    }
    all_true(right);
  }
}
END_TEST

START_TEST(gather_lets_the_others_go_on) {
  /* Rank 0 comes late; a small block of the others must not wait for it. */
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) {
    nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
  }
  double all[8] = {0}, mine = rank, start = pbt_seconds();
  pbt_status status = pbt_comm_gather(comm, &mine, sizeof mine, size, all);
  double waited = pbt_seconds() - start;
  all_ok(status);
  all_true(rank == 0 || waited < 0.2);
}
END_TEST

START_TEST(gather_does_not_allocate) {
  double all[8] = {0}, mine = rank;
  int64_t before = pbt_mem_calls();
  all_ok(pbt_comm_allgather(comm, &mine, sizeof mine, size, all));
  all_ok(pbt_comm_gather(comm, &mine, sizeof mine, size, all));
  all_true(pbt_mem_calls() == before);
}
END_TEST

// ---------------------------------------------------------------- waiting

static double cpu_seconds(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
         1e-6 * (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

START_TEST(barrier_waits_for_the_last_and_leaves_the_core_free) {
  MPI_Barrier(MPI_COMM_WORLD);
  double entered[8], left, mine, used = cpu_seconds();
  if (rank == 0) {
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
  }
  mine = pbt_seconds(); // one clock: one machine
  pbt_status status = pbt_comm_barrier(comm);
  left = pbt_seconds();
  used = cpu_seconds() - used;
  all_ok(status);
  MPI_Allgather(&mine, 1, MPI_DOUBLE, entered, 1, MPI_DOUBLE, MPI_COMM_WORLD);
  bool after_all = true;
  for (int r = 0; r < size; r++) {
    after_all = after_all && left >= entered[r];
  }
  all_true(after_all);
  all_true(used < 0.2); // of the one second waited
}
END_TEST

PBT_MPI_TEST_MAIN("comm_collective", facts_match_mpi, processors_are_shared_out,
                  library_is_a_name_and_a_number, agree_all_fine, agree_keeps_one_message,
                  agree_worst_status_wins_then_lowest_rank, same_sees_one_flipped_bit,
                  same_sees_another_length, share_brings_all_bytes,
                  share_brings_the_status_first, broadcast_brings_rank_0s_block,
                  blocks_cover_all_items_once, allgather_in_order_with_uneven_blocks,
                  gather_in_order_with_uneven_blocks, gathers_follow_each_other_unmixed,
                  gather_lets_the_others_go_on, gather_does_not_allocate,
                  barrier_waits_for_the_last_and_leaves_the_core_free)
