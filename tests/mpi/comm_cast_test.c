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
  if (place >= 0 && pbt_comm_cast(comm, list, n, data, bytes, NULL) != PBT_OK) {
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

/* ---- bytes that live elsewhere ---- */

/* What this rank did: p part handled, s sent, r asked for, w waited for. */
static char order[200];
static bool keep_order;

static void did(char what) {
  size_t n = strlen(order);
  if (keep_order && n + 1 < sizeof order) {
    order[n] = what;
  }
}

int MPI_Isend(const void *data, int count, MPI_Datatype type, int to, int tag,
              MPI_Comm world, MPI_Request *request) {
  did('s');
  return PMPI_Isend(data, count, type, to, tag, world, request);
}

int MPI_Irecv(void *data, int count, MPI_Datatype type, int from, int tag, MPI_Comm world,
              MPI_Request *request) {
  did('r');
  return PMPI_Irecv(data, count, type, from, tag, world, request);
}

int MPI_Testall(int n, MPI_Request request[], int *flag, MPI_Status status[]) {
  bool any = false;
  for (int i = 0; i < n; i++) {
    any = any || request[i] != MPI_REQUEST_NULL;
  }
  int code = PMPI_Testall(n, request, flag, status);
  if (any && *flag) {
    did('w');
  }
  return code;
}

/* A device: a memory of its own, behind `data`. */
struct elsewhere {
  char *data, *device;
  size_t done;
  bool fetches;
};

static pbt_status move_part(void *context, size_t offset, size_t bytes) {
  struct elsewhere *e = context;
  did('p');
  if (offset != e->done) {
    return PBT_BUG("a part out of order");
  }
  e->done += bytes;
  if (e->fetches) {
    memcpy(e->data + offset, e->device + offset, bytes);
  } else {
    memcpy(e->device + offset, e->data + offset, bytes);
  }
  return PBT_OK;
}

START_TEST(parts_move_while_others_travel) {
  const size_t chunk = 4 << 20;
  const size_t length[] = {0, 1, chunk, 3 * chunk, 3 * chunk + 5};
  struct elsewhere e = {.data = calloc(4, chunk), .device = calloc(4, chunk)};
  int list[8];
  for (int i = 0; i < size; i++) {
    list[i] = (i + 1) % size;
  }
  e.fetches = place_of(list, size) == 0;
  for (size_t l = 0; l < sizeof length / sizeof *length; l++) {
    const struct pbt_cast_part part = {.handle = move_part, .context = &e};
    memset(e.data, 0, 4 * chunk);
    memset(e.device, 0, 4 * chunk);
    if (e.fetches) {
      fill(e.device, length[l], (int)l);
    }
    e.done = 0;
    memset(order, 0, sizeof order);
    keep_order = true;
    pbt_status status = pbt_comm_cast(comm, list, size, e.data, length[l], &part);
    keep_order = false;
    all_ok(status);
    all_true(e.done == length[l] && filled(e.device, length[l], (int)l));
    if (length[l] == 3 * chunk && size == 2) {
      all_true(strcmp(order, e.fetches ? "pspwspwsw" : "rwrpwrpwp") == 0);
    }
    if (length[l] == 3 * chunk &&
        size == 3) { // the root has two children, no one passes on
      all_true(strcmp(order, e.fetches ? "psspwsspwssw" : "rwrpwrpwp") == 0);
    }
  }
  free(e.data);
  free(e.device);
}
END_TEST

START_TEST(a_part_that_fails_is_reported) {
  struct elsewhere e = {.done = 7};
  const struct pbt_cast_part part = {.handle = move_part, .context = &e};
  char byte = 0;
  pbt_error_clear();
  all_true(pbt_comm_cast(comm, &rank, 1, &byte, 1, &part) == PBT_ERR_INTERNAL);
  all_true(strstr(pbt_error(), "out of order") != NULL);
  pbt_error_clear();
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
  all_true(pbt_comm_cast(comm, list, size, &byte, 1, NULL) == PBT_ERR_INTERNAL);
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
  all_ok(pbt_comm_cast(comm, list, size, &byte, 1, NULL));
  all_true(pbt_mem_calls() == before);
}
END_TEST

PBT_MPI_TEST_MAIN("comm_cast", every_root_and_every_number_of_receivers,
                  lengths_around_the_chunk, parts_move_while_others_travel,
                  a_part_that_fails_is_reported, casts_of_one_exchange_do_not_mix,
                  a_rank_not_listed_is_a_bug, a_cast_does_not_allocate)
