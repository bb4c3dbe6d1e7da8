#include "backend/backend.h"

#include <stdio.h>
#include <string.h>

#include "backend/cpu/cpu.h"    // pbt_backend_cpu
#include "backend/cuda/table.h" // pbt_backend_cuda

const struct pbt_backend_ops *pbt_backend_find(const char *name) {
  const struct pbt_backend_ops *const list[] = {&pbt_backend_cpu, &pbt_backend_cuda};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
    if (strcmp(list[i]->name, name) == 0) {
      return list[i];
    }
  }
  return NULL;
}

const char *pbt_backend_list(void) {
  static char text[128]; // the same bytes whenever it is written
  snprintf(text, sizeof text, "cpu (" PBT_CPU_ISA_LIST "), cuda: %s",
           pbt_backend_cuda_note);
  return text;
}
