#include "tests/mpi/mpi_test.h"

/* Byte b of cast number `salt`. */
static char byte_of(size_t b, int salt) {
  return (char)((b * 2654435761u + (unsigned)salt * 97u) >> 11);
}

static void fill(char *data, size_t bytes, int salt) {
  for (size_t b = 0; b < bytes; b++) {
    data[b] = byte_of(b, salt);
  }
}

static bool filled(const char *data, size_t bytes, int salt) {
  for (size_t b = 0; b < bytes; b++) {
    if (data[b] != byte_of(b, salt)) {
      return false;
    }
  }
  return true;
}

static int place_of(const int list[], int n) {
  for (int i = 0; i < n; i++) {
    if (list[i] == rank) {
      return i;
    }
  }
  return -1;
}

/* One cast, seen from this rank: right bytes on the listed ranks, nothing beyond them. */
static bool cast_arrives(const int list[], int n, char *data, size_t bytes, int salt) {
  int place = place_of(list, n);
  memset(data, 0, bytes + 1);
  if (place == 0) {
    fill(data, bytes, salt);
  }
  if (place >= 0 && pbt_comm_cast(comm, list, n, data, bytes) != PBT_OK) {
    return false;
  }
  return (place < 0 || filled(data, bytes, salt)) && data[bytes] == 0;
}

START_TEST(every_root_and_every_number_of_receivers) {
  char data[1001];
  for (int n = 1; n <= size; n++) {
    for (int root = 0; root < size; root++) {
      int list[8];
      for (int i = 0; i < n; i++) {
        list[i] = (root + i) % size; // the donor first, then its neighbours
      }
      all_true(cast_arrives(list, n, data, 1000, root + n));
    }
  }
}
END_TEST

START_TEST(lengths_around_the_chunk) {
  const size_t chunk = 4 << 20;
  const size_t length[] = {0, 1, 4095, chunk - 1, chunk, chunk + 1, 3 * chunk + 17};
  char *data = malloc(3 * chunk + 18);
  int list[8];
  for (int i = 0; i < size; i++) {
    list[i] = size - 1 - i; // the last rank is the donor
  }
  for (size_t l = 0; l < sizeof length / sizeof *length; l++) {
    all_true(cast_arrives(list, size, data, length[l], (int)l));
  }
  free(data);
}
END_TEST

START_TEST(casts_of_one_exchange_do_not_mix) {
  /* Lists overlap, donors come in any order, some are receivers of others, and the large
   * casts cannot be sent before they are received.  No barrier between them. */
  const int list[][4] = {{3, 0, 1, 4}, {0, 2, 3, 1}, {4, 2, 7, 6}, {2, 5, 0, 3},
                         {1, 0, 2, 4}, {7, 3, 4, 5}, {3, 0, 1, 4}, {0, 7, 6, 5}};
  const size_t length[] = {100000, 9000001, 8, 70000, 4 << 20, 300, 5000000, 65536};
  enum { N = sizeof list / sizeof *list };
  char *data = malloc(9000002);
  for (int round = 0; round < 3; round++) {
    bool right = true;
    for (int i = 0; i < N; i++) {
      int mine[4], n = 0; // those of the list that exist
      for (int j = 0; j < 4; j++) {
        if (list[i][j] < size) {
          mine[n++] = list[i][j];
        }
      }
      if (place_of(mine, n) >= 0) {
        right = cast_arrives(mine, n, data, length[i], round * 10 + i) && right;
      }
    }
    all_true(right);
  }
  free(data);
}
END_TEST

START_TEST(a_rank_not_listed_is_a_bug) {
  int list[8];
  char byte = 0;
  for (int i = 0; i < size; i++) {
    list[i] = i;
  }
  list[rank] = -1; // local: nobody else is asked
  pbt_error_clear();
  all_true(pbt_comm_cast(comm, list, size, &byte, 1) == PBT_ERR_INTERNAL);
  all_true(strstr(pbt_error(), "does not list it") != NULL);
  pbt_error_clear();
}
END_TEST

START_TEST(a_cast_does_not_allocate) {
  int list[8];
  char byte = 0;
  for (int i = 0; i < size; i++) {
    list[i] = i;
  }
  int64_t before = pbt_mem_calls();
  all_ok(pbt_comm_cast(comm, list, size, &byte, 1));
  all_true(pbt_mem_calls() == before);
}
END_TEST

PBT_MPI_TEST_MAIN("comm_cast", every_root_and_every_number_of_receivers,
                  lengths_around_the_chunk, casts_of_one_exchange_do_not_mix,
                  a_rank_not_listed_is_a_bug, a_cast_does_not_allocate)
