/* The networks that a job can name, as layer lists. */
#include "net/net.h"

#include <stdio.h>

enum { ENTRY = 40 };

pbt_status pbt_net_lenet5(struct pbt_shape in, int32_t n_class,
                          struct pbt_net_spec *spec) {
  static const char *const entry[] = {"conv 6 5x5 pad 2 relu pool 2",
                                      "conv 16 5x5 relu pool 2", "dense 120 relu",
                                      "dense 84 relu", "dense classes"};
  return pbt_net_parse("lenet5", in, n_class, entry, 5, spec);
}

pbt_status pbt_net_mlp(struct pbt_shape in, int32_t n_class, const int32_t hidden[],
                       int32_t n_hidden, struct pbt_net_spec *spec) {
  if (n_hidden < 0 || n_hidden >= PBT_MAX_LAYERS) {
    return pbt_fail(PBT_ERR_DATA, "a mlp of %d hidden layers; it may have 0 to %d",
                    n_hidden, PBT_MAX_LAYERS - 1);
  }
  char text[PBT_MAX_LAYERS][ENTRY];
  const char *entry[PBT_MAX_LAYERS];
  for (int32_t i = 0; i < n_hidden; i++) {
    snprintf(text[i], ENTRY, "dense %d relu", hidden[i]);
    entry[i] = text[i];
  }
  entry[n_hidden] = "dense classes";
  return pbt_net_parse("mlp", in, n_class, entry, n_hidden + 1, spec);
}

/* Three stages of three blocks; block b adds what norm 2b - 1 wrote: its own input. */
pbt_status pbt_net_resnet20(struct pbt_shape in, int32_t n_class,
                            struct pbt_net_spec *spec) {
  enum { BLOCKS = 9, N = 2 + 4 * BLOCKS + 2 };
  char text[N][ENTRY];
  const char *entry[N];
  int32_t n = 0;
  snprintf(text[n++], ENTRY, "conv 16 3x3 pad 1");
  snprintf(text[n++], ENTRY, "norm relu");
  for (int32_t b = 1; b <= BLOCKS; b++) {
    int32_t stage = (b - 1) / 3, channels = 16 << stage;
    bool shrinks = stage > 0 && b % 3 == 1;
    snprintf(text[n++], ENTRY, "conv %d 3x3%s pad 1", channels,
             shrinks ? " stride 2" : "");
    snprintf(text[n++], ENTRY, "norm relu");
    snprintf(text[n++], ENTRY, "conv %d 3x3 pad 1", channels);
    snprintf(text[n++], ENTRY, "norm add norm%d relu", 2 * b - 1);
  }
  snprintf(text[n++], ENTRY, "pool mean all");
  snprintf(text[n++], ENTRY, "dense classes");
  for (int32_t i = 0; i < n; i++) {
    entry[i] = text[i];
  }
  return pbt_net_parse("resnet20", in, n_class, entry, n, spec);
}
