/* The stratified split, on label counts that do not divide well. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/split.h"
#include "tests/test.h"

enum { N = 1000 };

/* Classes of about 4, 100, 300 and the rest, mixed. */
static void make_labels(uint8_t label[N]) {
  for (int i = 0; i < N; i++) {
    int k = i * 7919 % N;
    label[i] = k < 4 ? 0 : k < 104 ? 1 : k < 404 ? 2 : 3;
  }
}

START_TEST(every_class_gives_its_share) {
  const double share[] = {0.2, 0.25, 0.333, 0.5, 0.7};
  const int of_class[] = {4, 100, 300, 596};
  uint8_t label[N];
  make_labels(label);
  for (int s = 0; s < 5; s++) {
    int64_t slot[N];
    ck_ok(pbt_split(label, N, 4, share[s], 1, slot));
    int64_t held_out = pbt_split_count(share[s], N);
    int held[4] = {0}, taken[N] = {0}, total = 0;
    for (int i = 0; i < N; i++) {
      ck_assert_int_ge(slot[i], 0);
      ck_assert_int_lt(slot[i], N);
      ck_assert_int_eq(taken[slot[i]]++, 0);
      if (slot[i] >= N - held_out) {
        held[label[i]]++;
        total++;
      }
    }
    ck_assert_int_eq(total, (int)held_out);
    for (int k = 0; k < 4; k++) {
      ck_assert_double_le(fabs(held[k] - share[s] * of_class[k]), 1.0);
    }
  }
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

START_TEST(each_part_keeps_the_order_of_the_source) {
  uint8_t label[N];
  make_labels(label);
  int64_t slot[N];
  ck_ok(pbt_split(label, N, 4, 0.3, 1, slot));
  int64_t last[2] = {-1, -1};
  for (int i = 0; i < N; i++) {
    int part = slot[i] >= N - pbt_split_count(0.3, N);
    ck_assert_int_gt(slot[i], last[part]);
    last[part] = slot[i];
  }
}
END_TEST

START_TEST(the_seed_decides_who_is_held_out) {
  uint8_t label[N];
  make_labels(label);
  int64_t a[N], b[N], c[N];
  ck_ok(pbt_split(label, N, 4, 0.2, 1, a));
  ck_ok(pbt_split(label, N, 4, 0.2, 1, b));
  ck_ok(pbt_split(label, N, 4, 0.2, 2, c));
  ck_assert_mem_eq(a, b, sizeof a);
  ck_assert_mem_ne(a, c, sizeof a);
}
END_TEST

START_TEST(a_class_must_stand_on_both_sides) {
  uint8_t label[N];
  make_labels(label);
  int64_t slot[N];
  ck_fails(pbt_split(label, N, 4, 0.05, 1, slot), PBT_ERR_DATA, "class 0 has 4 images");
  ck_fails(pbt_split(label, N, 4, 0.999, 1, slot), PBT_ERR_DATA,
           "hold back 4 and leave 0");
  ck_fails(pbt_split(label, N, 5, 0.5, 1, slot), PBT_ERR_DATA, "class 4 has 0");
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

PBT_TEST_MAIN("data_split", every_class_gives_its_share,
              each_part_keeps_the_order_of_the_source, the_seed_decides_who_is_held_out,
              a_class_must_stand_on_both_sides)
