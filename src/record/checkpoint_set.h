/*
 * checkpoint_set.h - RUN/checkpoints/NNNNNN/: files, and the manifest that makes them a
 * set.
 *
 * Each file is written whole (write, fsync, rename) and digested; when all are there, one
 * rank writes the manifest that names them with bytes and digests, itself ending in its
 * own digest.  A folder without a valid manifest is nothing.  Readers check the manifest,
 * then each file's size and digest before anything parses it.  Local; no HDF5 in here.
 */
#ifndef PBT_RECORD_CHECKPOINT_SET_H
#define PBT_RECORD_CHECKPOINT_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h" // PBT_PATH_BYTES
#include "base/status.h"
#include "base/text.h" // struct pbt_text

enum { PBT_SET_FILE_NAME = 32 };

struct pbt_set_file {
  char name[PBT_SET_FILE_NAME]; // "member-00003.h5", "population.h5", "best.h5",
                                // "job.toml"
  uint64_t bytes;
  uint64_t digest;
};

struct pbt_manifest {
  int64_t set;        // number of the folder, grows with every checkpoint
  int64_t generation; // generations completed: lineage rows that belong to it
  int64_t n_member;
  bool finished; // the budget was spent; nothing is left to train
  size_t n_file;
  struct pbt_set_file *file; // n_file, counted memory, freed by pbt_manifest_free
};

/* RUN/checkpoints/NNNNNN, created if missing; a leftover of an uncommitted set of that
 * number is emptied by rank 0's call (`fresh`). */
pbt_status pbt_set_folder(const char *run, int64_t set, bool fresh,
                          char path[PBT_PATH_BYTES]);
/* Writes one file of a set and says what the manifest must hold. */
pbt_status pbt_set_write(const char *set_folder, const char *name, const void *data,
                         size_t bytes, struct pbt_set_file *file);
/* Adds a file that is there already under another path (best.h5), as a link or a copy. */
pbt_status pbt_set_adopt(const char *set_folder, const char *name, const char *path,
                         struct pbt_set_file *file);
/* Writes the manifest last; then removes sets older than the newest `keep`. */
pbt_status pbt_set_commit(const char *run, const struct pbt_manifest *manifest,
                          int64_t keep);

/* The newest set that is complete: manifest valid, every file there with its size and
 * digest.  *found false and no error if there is none.  `skipped` gets a line for each
 * newer set passed over, with the reason.  *next_set: a number above every folder there.
 */
pbt_status pbt_set_find(const char *run, struct pbt_manifest *manifest, bool *found,
                        int64_t *next_set, struct pbt_text *skipped);
/* The newest set that has a valid manifest; its files are not looked at (pbt_set_read
 * checks the one it reads).  For tools that want one file of a run, live or not. */
pbt_status pbt_set_newest(const char *run, struct pbt_manifest *manifest, bool *found);
/* The numbers of all folders of sets, newest first; counted memory. */
pbt_status pbt_set_list(const char *run, int64_t **number, size_t *n);
/* One set, looked at whole: its manifest (freed by the caller), and every file against
 * it.  PBT_ERR_MISSING if it has no manifest: it was never finished. */
pbt_status pbt_set_check(const char *run, int64_t set, struct pbt_manifest *manifest);
void pbt_manifest_free(struct pbt_manifest *manifest);

/* One file of a found set, checked again as it is read.  Counted memory. */
pbt_status pbt_set_read(const char *run, const struct pbt_manifest *manifest,
                        const char *name, char **data, size_t *bytes);

#endif
