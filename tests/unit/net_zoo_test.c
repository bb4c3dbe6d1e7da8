/* Layer lists, their shapes and parameters, and what a person reads of them. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "net/net.h"
#include "net/plan.h" // private: the order of gradients
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

START_TEST(resnet20_has_its_published_size) {
  struct pbt_net_spec spec;
  ck_ok(pbt_net_resnet20((struct pbt_shape){3, 32, 32, 0}, 10, &spec));
  int64_t parameters;
  ck_ok(pbt_net_count(&spec, &parameters));
  ck_assert_int_eq(parameters, 269722);
  struct pbt_net_plan plan;
  ck_ok(pbt_net_plan(&spec, &plan));
  ck_assert_int_eq(plan.multiply_adds, 40551040);
  int convolutions = 0;
  for (int32_t i = 0; i < plan.n_layer; i++) {
    convolutions += plan.layer[i].kind == PBT_LAYER_CONV;
  }
  ck_assert_int_eq(convolutions, 19);
  const struct pbt_layer_desc *first = &plan.layer[17]; // of the second stage, to add
  ck_assert_str_eq(spec.layer[17].name, "norm9");
  ck_assert_int_eq(first->skip.c, 16);
  ck_assert_int_eq(first->skip.h, 32);
  ck_assert_int_eq(first->out.c, 32);
  ck_assert_int_eq(first->out.h, 16);
}
END_TEST

static const char *const every[] = {"conv 16 3x3 pad 1 as stem",
                                    "norm relu",
                                    "conv 16 3x3 stride 1 pad 1",
                                    "norm add stem relu",
                                    "conv 8 1x1 stride 2 relu",
                                    "pool max 2",
                                    "dropout",
                                    "conv 8 3x3 pad 1 relu pool 2",
                                    "dense 12 relu as wide",
                                    "dense 12",
                                    "add wide relu",
                                    "dense 5"};
enum { EVERY = sizeof every / sizeof *every };
static const struct pbt_shape rgb = {3, 16, 16, 0};

START_TEST(a_layer_list_is_read_word_by_word) {
  struct pbt_net_spec spec, again;
  ck_ok(pbt_net_parse("mine", rgb, 5, every, EVERY, &spec));
  const char *const name[] = {"stem",     "norm1", "conv2", "norm2",  "conv3", "pool1",
                              "dropout1", "conv4", "wide",  "dense2", "add1",  "output"};
  const char *entry[EVERY];
  struct pbt_text text[EVERY] = {{0}};
  for (int i = 0; i < EVERY; i++) {
    ck_assert_str_eq(spec.layer[i].name, name[i]);
    pbt_net_layer_words(&spec, i, &text[i]);
    pbt_text_add(&text[i], " as %s", spec.layer[i].name);
    entry[i] = text[i].data;
  }
  ck_assert_int_eq(spec.layer[4].stride, 2);
  ck_assert_int_eq(spec.layer[5].stride, 2);
  ck_assert_str_eq(spec.layer[3].skip, "stem");
  ck_ok(pbt_net_parse("mine", rgb, 5, entry, EVERY, &again)); // what is written is read
  ck_assert_mem_eq(&spec, &again, sizeof spec);
  for (int i = 0; i < EVERY; i++) {
    pbt_text_free(&text[i]);
  }
  int64_t parameters;
  ck_ok(pbt_net_count(&spec, &parameters));
  ck_assert_int_eq(parameters, 16 * 27 + 32 + 16 * 144 + 32 + 8 * 17 + 8 * 73 + 12 * 33 +
                                   12 * 13 + 5 * 13);
}
END_TEST

static void must_fail(const char *entry, const char *words) {
  const char *const list[] = {"conv 4 3x3 pad 1 as stem", "norm", entry, "dense 5"};
  struct pbt_net_spec spec;
  ck_fails(pbt_net_parse("mine", rgb, 5, list, 4, &spec), PBT_ERR_DATA, words);
}

START_TEST(a_wrong_word_is_named_with_what_could_stand_there) {
  must_fail("con 4 3x3", "network.layers, entry 3 \"con 4 3x3\": \"con\" is no kind");
  must_fail("", "\"\" is no kind of layer; it must begin with conv, dense");
  must_fail("conv 4 3x5", "\"3x5\" does not belong here; the form is: conv OUT KxK");
  must_fail("conv 4", "it ends too early");
  must_fail("conv -4 3x3", "\"-4\" does not belong here");
  must_fail("conv 99999 3x3", "\"99999\" does not belong here");
  must_fail("conv 4 3x3 pad", "it ends too early");
  must_fail("norm ad stem", "\"ad\" does not belong here; the form is: norm [add NAME]");
  must_fail("norm pool 2", "\"pool\" does not belong here");
  must_fail("pool mean all stride 2", "\"stride\" does not belong here");
  must_fail("pool mid 2", "\"mid\" does not belong here");
  must_fail("dropout as st/em", "\"st/em\" does not belong here");
  must_fail("norm as step", "\"step\" does not belong here");
  must_fail("norm as stem", "entries 1 and 3 are both called \"stem\"");
  must_fail("norm add nothing", "layer norm2 adds \"nothing\", which is no layer above");
  must_fail("add norm1", "no layer above the one that it reads"); // twice the same
  must_fail("conv 4 20x20", "its kernel and pool are larger than its input");
  must_fail("pool max 2 stride 0", "at least 1");
}
END_TEST

START_TEST(only_shapes_that_fit_are_added) {
  const char *const list[] = {"conv 4 3x3 pad 1 as a",
                              "conv 6 3x3 stride 2 pad 1",
                              "add a",
                              "conv 4 1x1",
                              "add a",
                              "dense 5"};
  struct pbt_net_spec spec;
  ck_fails(pbt_net_parse("mine", rgb, 5, (const char *[]){list[0], "conv 6 1x1", list[2]},
                         3, &spec),
           PBT_ERR_DATA, "layer output adds a, of 4 x 16 x 16, to 6 x 16 x 16");
  ck_ok(pbt_net_parse("mine", rgb, 5, list, 6, &spec));
  ck_fails(pbt_net_parse("mine", rgb, 5,
                         (const char *[]){list[0], "conv 3 3x3 stride 2 pad 1", list[2]},
                         3, &spec),
           PBT_ERR_DATA, "no more channels");
}
END_TEST

/* Walks the backward pass and sees that each gradient is whole when it is used, that the
 * first writer alone overwrites, and that no two living ones share memory. */
static void walk_backward(const struct pbt_net_plan *plan) {
  int32_t writers[PBT_MAX_LAYERS + 1] = {0}, owner[PBT_MAX_LAYERS];
  for (int32_t k = 0; k < plan->n_slope; k++) {
    owner[k] = -1;
  }
  owner[plan->slope[plan->n_layer]] = plan->n_layer;
  writers[plan->n_layer] = 1;
  for (int32_t i = plan->n_layer; i-- > 0;) {
    ck_assert_int_eq(owner[plan->slope[i + 1]], i + 1); // nobody has taken it meanwhile
    const int32_t value[] = {i, plan->skip[i]};
    const bool adds[] = {plan->add_dx[i], plan->add_dskip[i]};
    for (int k = 0; k < 2; k++) {
      if (value[k] < 1) {
        continue;
      }
      ck_assert_int_eq(adds[k], writers[value[k]] > 0);
      writers[value[k]]++;
      int32_t slope = plan->slope[value[k]];
      ck_assert(adds[k] || owner[slope] != i + 1);
      owner[slope] = value[k];
      struct pbt_shape a = plan->slope_shape[slope], b = plan->layer[value[k] - 1].out;
      ck_assert_mem_eq(&a, &b, sizeof a);
    }
  }
}

START_TEST(gradients_share_memory_only_when_they_never_meet) {
  struct pbt_net_spec spec;
  struct pbt_net_plan plan;
  ck_ok(pbt_net_parse("mine", rgb, 5, every, EVERY, &spec));
  ck_ok(pbt_net_plan(&spec, &plan));
  walk_backward(&plan);
  ck_ok(pbt_net_resnet20((struct pbt_shape){3, 32, 32, 0}, 10, &spec));
  ck_ok(pbt_net_plan(&spec, &plan));
  walk_backward(&plan);
  ck_assert_int_le(plan.n_slope, 14); // of 40 values
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
      "conv1      conv 6 5x5 pad 2 relu pool 2       6 x 14 x 14           156\n",
      "conv2      conv 16 5x5 relu pool 2            16 x 5 x 5           2416\n",
      "dense1     dense 120 relu                     120                 48120\n",
      "dense2     dense 84 relu                      84                  10164\n",
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
              resnet20_has_its_published_size, a_layer_list_is_read_word_by_word,
              a_wrong_word_is_named_with_what_could_stand_there,
              only_shapes_that_fit_are_added,
              gradients_share_memory_only_when_they_never_meet,
              layers_that_do_not_fit_are_named, a_network_prints_as_a_table)
