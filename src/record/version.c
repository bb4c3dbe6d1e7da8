#include "record/version.h"

#include <hdf5.h>
#include <stdio.h>

const char *pbt_record_library(void) {
  static char text[32];
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  snprintf(text, sizeof text, "HDF5 %u.%u.%u", major, minor, release);
  return text;
}
