/* A lineage file, read as the tools do: facts, starts, every committed generation. */
#include <stdbool.h>
#include <time.h>

#include "fuzz.h"
#include "record/lineage.h"

static bool opening;

/* The reader naps and tries again, for a writer may be at work; here nobody is, and an
 * empty file spares it what it knows already. */
int nanosleep(const struct timespec *time, struct timespec *left) {
  (void)time, (void)left;
  if (opening) {
    fuzz_put("lineage.h5", "", 0);
    opening = false;
  }
  return 0;
}

enum { MOST_GENERATIONS = 64, MOST_MEMBERS = 4096 };

static void read_all(struct pbt_lineage_reader *reader,
                     const struct pbt_lineage_shape *shape) {
  fuzz_check(pbt_lineage_reader_info(reader)->n_member == shape->n_member);
  struct pbt_lineage_start *start = NULL;
  int64_t n = 0;
  pbt_lineage_read_starts(reader, &start, &n);
  pbt_mem_free(start);
  pbt_error_clear();
  if (shape->n_member > MOST_MEMBERS) {
    return;
  }
  struct pbt_lineage_row *row;
  struct pbt_lineage_commit commit;
  fuzz_check(PBT_NEW(shape->n_member, &row) == PBT_OK);
  for (int64_t g = 0; g < shape->n_generation && g < MOST_GENERATIONS; g++) {
    pbt_lineage_read(reader, g, row, &commit);
    pbt_error_clear();
  }
  pbt_mem_free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz_keep_memory_of_hdf5();
  fuzz_put("lineage.h5", data, size);
  opening = true;
  struct pbt_lineage_reader *reader = NULL;
  struct pbt_lineage_shape shape;
  if (pbt_lineage_open(fuzz_path("lineage.h5"), &reader, &shape) == PBT_OK) {
    opening = false;
    read_all(reader, &shape);
  }
  pbt_lineage_reader_close(reader);
  fuzz_clean();
  return 0;
}
