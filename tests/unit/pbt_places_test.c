/* The start-up table of devices, from made-up ranks. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "pbt/places.h"
#include "tests/test.h"

static struct pbt_rank_place on(const char *host, const char *device, bool may_share) {
  struct pbt_rank_place place = {.special = true};
  snprintf(place.host, sizeof place.host, "%s", host);
  snprintf(place.place.device, sizeof place.place.device, "%s", device);
  snprintf(place.place.text, sizeof place.place.text, "device 0, 1.0 of 2.0 GiB free");
  place.place.may_share = may_share;
  return place;
}

START_TEST(each_rank_has_a_line) {
  struct pbt_rank_place place[] = {
      on("a", "GPU-1", false), on("a", "GPU-2", false), {.host = "b"}};
  struct pbt_text text = {0};
  ck_assert_int_eq(pbt_places_write(place, 3, &text), 0);
  ck_assert_str_eq(text.data, "rank 0 on a: device 0, 1.0 of 2.0 GiB free, GPU-1\n"
                              "rank 1 on a: device 0, 1.0 of 2.0 GiB free, GPU-2\n"
                              "rank 2 on b: processors\n");
  pbt_text_free(&text);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

static int crowd(const struct pbt_rank_place place[], int ranks) {
  struct pbt_text text = {0};
  int crowded = pbt_places_write(place, ranks, &text);
  pbt_text_free(&text);
  return crowded;
}

START_TEST(ranks_that_take_turns_are_counted) {
  struct pbt_rank_place place[] = {on("a", "GPU-1", false), on("a", "GPU-2", false),
                                   on("a", "GPU-1", false), on("b", "GPU-3", false),
                                   on("a", "GPU-1", false)};
  ck_assert_int_eq(crowd(place, 2), 0);
  ck_assert_int_eq(crowd(place, 4), 2);
  ck_assert_int_eq(crowd(place, 5), 3);
}
END_TEST

START_TEST(with_mps_nobody_takes_turns) {
  struct pbt_rank_place place[] = {
      on("a", "GPU-1", true), on("a", "GPU-1", true), {.host = "a"}, {.host = "a"}};
  ck_assert_int_eq(crowd(place, 4), 0);
}
END_TEST

PBT_TEST_MAIN("places", each_rank_has_a_line, ranks_that_take_turns_are_counted,
              with_mps_nobody_takes_turns)
