/* version.h - the HDF5 library this build runs with, for --version. */
#ifndef PBT_RECORD_VERSION_H
#define PBT_RECORD_VERSION_H

/* "HDF5 1.10.8"; static storage. */
const char *pbt_record_library(void);

#endif
