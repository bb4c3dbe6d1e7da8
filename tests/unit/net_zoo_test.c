/* Layer lists, their shapes and parameters, and what a person reads of them. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "net/net.h"
#include "tests/test.h"

static const struct pbt_shape mnist = {1, 28, 28, 0};

START_TEST(lenet5_has_its_published_size) {
  struct pbt_net_spec spec;
  ck_ok(pbt_net_lenet5(mnist, 10, &spec));
  int64_t parameters;
  ck_ok(pbt_net_count(&spec, &parameters));
  ck_assert_int_eq(parameters, 61706);
  ck_assert_int_eq(spec.n_layer, 5);
}
END_TEST

START_TEST(an_mlp_is_counted_by_hand) {
  const int32_t hidden[] = {128, 64};
  struct pbt_net_spec spec;
  int64_t parameters;
  ck_ok(pbt_net_mlp(mnist, 10, hidden, 2, &spec));
  ck_ok(pbt_net_count(&spec, &parameters));
  ck_assert_int_eq(parameters, 785 * 128 + 129 * 64 + 65 * 10);
  ck_ok(pbt_net_mlp((struct pbt_shape){3, 4, 5, 0}, 7, NULL, 0, &spec)); // linear
  ck_ok(pbt_net_count(&spec, &parameters));
  ck_assert_int_eq(parameters, 61 * 7);
}
END_TEST

START_TEST(layers_that_do_not_fit_are_named) {
  struct pbt_net_spec spec;
  ck_fails(pbt_net_lenet5((struct pbt_shape){1, 8, 8, 0}, 10, &spec), PBT_ERR_DATA,
           "network lenet5 does not fit images of 1 x 8 x 8: layer conv2");
  ck_fails(pbt_net_lenet5(mnist, 1, &spec), PBT_ERR_DATA, "1 classes apart");
  ck_fails(pbt_net_lenet5(mnist, 65, &spec), PBT_ERR_DATA, "65 classes apart");
  ck_fails(pbt_net_mlp(mnist, 10, (int32_t[]){64, 0}, 2, &spec), PBT_ERR_DATA,
           "layer dense2: it has no outputs");
  ck_fails(pbt_net_mlp(mnist, 10, NULL, PBT_MAX_LAYERS, &spec), PBT_ERR_DATA,
           "64 hidden layers");
  ck_ok(pbt_net_lenet5(mnist, 10, &spec));
  int64_t parameters;
  spec.n_layer = 4; // without the output layer
  ck_fails(pbt_net_count(&spec, &parameters), PBT_ERR_DATA, "not one number a class");
  spec.n_layer = 0;
  ck_fails(pbt_net_count(&spec, &parameters), PBT_ERR_DATA, "has 0 layers");
}
END_TEST

START_TEST(a_network_prints_as_a_table) {
  struct pbt_net_spec spec;
  ck_ok(pbt_net_lenet5(mnist, 10, &spec));
  struct pbt_text text = {0};
  ck_ok(pbt_net_print(&spec, NULL, &text));
  const char *const line[] = {
      "layer      what it does                       output         parameters\n",
      "input                                         1 x 28 x 28              \n",
      "conv1      conv 6@5x5 pad 2, relu, pool 2     6 x 14 x 14           156\n",
      "conv2      conv 16@5x5, relu, pool 2          16 x 5 x 5           2416\n",
      "dense1     dense 120, relu                    120                 48120\n",
      "dense2     dense 84, relu                     84                  10164\n",
      "output     dense 10                           10                    850\n",
      "lenet5                                                            61706\n"};
  const char *rest = text.data;
  for (size_t i = 0; i < sizeof line / sizeof *line; i++) {
    ck_assert_msg(strncmp(rest, line[i], strlen(line[i])) == 0, "line %zu of:\n%s", i,
                  text.data);
    rest += strlen(line[i]);
  }
  ck_assert_str_eq(rest, "");
  pbt_text_free(&text);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

PBT_TEST_MAIN("net_zoo", lenet5_has_its_published_size, an_mlp_is_counted_by_hand,
              layers_that_do_not_fit_are_named, a_network_prints_as_a_table)
