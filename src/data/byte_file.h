/*
 * byte_file.h - a file read from front to end, gzip or plain.  Private to src/data.
 *
 * A data set that is read wrongly trains to a wrong answer without a complaint.  So the
 * readers hold everything that a file says against everything else, and read each file to
 * its end, where its length and gzip's checksum show, also when only its first samples
 * are wanted.  Local.
 */
#ifndef PBT_DATA_BYTE_FILE_H
#define PBT_DATA_BYTE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h> // gzFile reads both alike

#include "base/file.h" // PBT_PATH_BYTES
#include "base/status.h"

struct pbt_byte_file {
  gzFile file; // NULL: not open
  char path[PBT_PATH_BYTES];
};

/* `name` in `folder` as given, else with ".gz".  `kind` ("IDX file of labels") and
 * `advice`, what to do where there is no such file, are words for messages.  Close it
 * whatever came back. */
pbt_status pbt_byte_file_open(const char *folder, const char *name, const char *kind,
                              const char *advice, struct pbt_byte_file *file);
void pbt_byte_file_close(struct pbt_byte_file *file);

/* PBT_ERR_DATA where the file ends before. */
pbt_status pbt_byte_file_read(struct pbt_byte_file *file, void *to, size_t bytes);

/* Reads `bytes` more, which nobody wants, and finds the end there.  `what` was promised
 * ("the 60000 samples that its header counts"). */
pbt_status pbt_byte_file_finish(struct pbt_byte_file *file, uint64_t bytes,
                                const char *what);

#endif
