/* Generated digits: the same everywhere, all different, and hard for a linear model. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/memory.h"
#include "base/rng.h"
#include "data/data.h"
#include "data/digits.h"
#include "tests/test.h"

static struct pbt_data_header *load(int64_t n_train, int64_t n_test, uint64_t seed) {
  const struct pbt_data_source source = {.kind = PBT_SOURCE_DIGITS,
                                         .train_size = n_train,
                                         .test_size = n_test,
                                         .validation = 0.1,
                                         .seed = seed};
  size_t bytes;
  ck_ok(pbt_data_probe(&source, &bytes));
  struct pbt_data_header *header;
  ck_ok(pbt_mem_alloc(bytes, (void **)&header));
  ck_ok(pbt_data_load(&source, header, bytes));
  ck_assert_uint_eq(header->bytes, bytes);
  return header;
}

static const uint8_t *pixels(const struct pbt_data_header *header) {
  return (const uint8_t *)header + header->pixel_offset;
}

static const uint8_t *labels(const struct pbt_data_header *header) {
  return (const uint8_t *)header + header->label_offset;
}

START_TEST(the_same_seed_gives_the_same_bytes) {
  struct pbt_data_header *a = load(500, 100, 3), *b = load(500, 100, 3),
                         *c = load(500, 100, 4);
  ck_assert_mem_eq(a, b, a->bytes);
  ck_assert_mem_ne(pixels(a), pixels(c), PBT_DIGIT_PIXELS);
  pbt_mem_free(a);
  pbt_mem_free(b);
  pbt_mem_free(c);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

/* A result printed on one machine must be found again on another: these bytes are part of
 * every run on digits. Computed with gcc and clang, with and without optimisation. */
START_TEST(the_bytes_are_those_of_every_other_machine) {
  static uint8_t pixel[1000][PBT_DIGIT_PIXELS];
  for (uint64_t i = 0; i < 1000; i++) {
    ck_assert_uint_eq(pbt_digit_draw(1, i, pixel[i]), i % 10);
  }
  ck_assert_uint_eq(pbt_digest(pixel, sizeof pixel), UINT64_C(0x12a18bb089949897));
}
END_TEST

START_TEST(the_test_set_does_not_depend_on_the_training_set) {
  struct pbt_data_header *small = load(100, 200, 1), *large = load(1000, 200, 1);
  ck_assert_mem_eq(pixels(small) + 100 * PBT_DIGIT_PIXELS,
                   pixels(large) + 1000 * PBT_DIGIT_PIXELS, 200 * PBT_DIGIT_PIXELS);
  ck_assert_mem_ne(pixels(large), pixels(large) + 1000 * PBT_DIGIT_PIXELS,
                   PBT_DIGIT_PIXELS);
  pbt_mem_free(small);
  pbt_mem_free(large);
}
END_TEST

START_TEST(every_image_is_another_and_every_split_is_balanced) {
  struct pbt_data_header *data = load(2000, 500, 9);
  uint64_t digest[2500];
  for (int i = 0; i < 2500; i++) {
    digest[i] = pbt_digest(pixels(data) + i * PBT_DIGIT_PIXELS, PBT_DIGIT_PIXELS);
    for (int j = 0; j < i; j++) {
      ck_assert_uint_ne(digest[i], digest[j]);
    }
  }
  for (int split = 0; split < 3; split++) {
    int64_t begin, count;
    int of_class[10] = {0};
    pbt_data_range(data, (enum pbt_split)split, &begin, &count);
    for (int64_t i = begin; i < begin + count; i++) {
      of_class[labels(data)[i]]++;
    }
    for (int k = 0; k < 10; k++) {
      ck_assert_int_eq(of_class[k], (int)(count / 10));
    }
  }
  pbt_mem_free(data);
}
END_TEST

/* Ink in the middle, room at the rim, something of both in every image. */
START_TEST(digits_look_like_digits) {
  struct pbt_data_header *data = load(3000, 10, 2);
  ck_assert_double_gt((double)data->mean[0], 0.08);
  ck_assert_double_lt((double)data->mean[0], 0.25);
  ck_assert_double_gt((double)data->deviation[0], 0.12);
  double rim = 0, middle = 0;
  for (int i = 0; i < 3000; i++) {
    const uint8_t *p = pixels(data) + i * PBT_DIGIT_PIXELS;
    int bright = 0;
    for (int k = 0; k < PBT_DIGIT_PIXELS; k++) {
      int x = k % 28, y = k / 28;
      bool inside = x >= 6 && x < 22 && y >= 4 && y < 24; // 320 pixels
      *(inside ? &middle : &rim) += p[k] / (inside ? 320.0 : 464.0);
      bright += p[k] > 100;
    }
    ck_assert_int_gt(bright, 8);
    ck_assert_int_lt(bright, 330);
  }
  ck_assert_double_gt(middle, 2.5 * rim);
  pbt_mem_free(data);
}
END_TEST

/* Softmax regression, SGD with momentum, written out; images scaled to mean 0. */
static void linear_step(const uint8_t *pixel, int label, const float mean, float rate,
                        float weight[10][PBT_DIGIT_PIXELS + 1]) {
  float x[PBT_DIGIT_PIXELS + 1], logit[10], sum = 0;
  for (int k = 0; k < PBT_DIGIT_PIXELS; k++) {
    x[k] = (float)pixel[k] / 255.0f - mean;
  }
  x[PBT_DIGIT_PIXELS] = 1;
  for (int c = 0; c < 10; c++) {
    logit[c] = 0;
    for (int k = 0; k <= PBT_DIGIT_PIXELS; k++) {
      logit[c] += weight[c][k] * x[k];
    }
  }
  for (int c = 0; c < 10; c++) {
    logit[c] = expf(logit[c]);
    sum += logit[c];
  }
  for (int c = 0; c < 10; c++) {
    float slope = rate * (logit[c] / sum - (c == label ? 1.0f : 0.0f));
    for (int k = 0; k <= PBT_DIGIT_PIXELS; k++) {
      weight[c][k] -= slope * x[k];
    }
  }
}

static int linear_answer(const uint8_t *pixel, float mean,
                         float weight[10][PBT_DIGIT_PIXELS + 1]) {
  int best = 0;
  float highest = -INFINITY;
  for (int c = 0; c < 10; c++) {
    float logit = weight[c][PBT_DIGIT_PIXELS];
    for (int k = 0; k < PBT_DIGIT_PIXELS; k++) {
      logit += weight[c][k] * ((float)pixel[k] / 255.0f - mean);
    }
    if (logit > highest) {
      highest = logit;
      best = c;
    }
  }
  return best;
}

/* Not by pixels alone, yet far above chance; tests/golden shows what LeNet-5 makes of the
 * same digits. */
START_TEST(a_linear_model_stays_below_85_percent) {
  enum { N = 5000, TEST = 2000, EPOCHS = 5 };
  struct pbt_data_header *data = load(N, TEST, 1);
  static float weight[10][PBT_DIGIT_PIXELS + 1];
  float mean = data->mean[0];
  int64_t count = data->n_train;
  for (int epoch = 0; epoch < EPOCHS; epoch++) {
    struct pbt_permutation order =
        pbt_permutation_open(1, 0, PBT_RNG_TEST, (uint64_t)epoch, (uint64_t)count);
    for (int64_t i = 0; i < count; i++) {
      uint64_t k = pbt_permutation_at(&order, (uint64_t)i);
      linear_step(pixels(data) + k * PBT_DIGIT_PIXELS, labels(data)[k], mean,
                  0.01f / (float)(1 + epoch), weight);
    }
  }
  int correct = 0;
  for (int i = N; i < N + TEST; i++) {
    correct += linear_answer(pixels(data) + i * PBT_DIGIT_PIXELS, mean, weight) ==
               labels(data)[i];
  }
  ck_assert_int_gt(correct, TEST * 60 / 100);
  ck_assert_int_lt(correct, TEST * 85 / 100);
  pbt_mem_free(data);
}
END_TEST

/* Every pixel's mean, by class and over all: what differs between training and test draws
 * must differ as much as two draws of one kind do. */
START_TEST(test_digits_are_drawn_as_the_training_ones) {
  enum { N = 6000 };
  struct pbt_data_header *data = load(N, N, 11);
  const uint8_t *pixel = pixels(data);
  double chi = 0.0, worst = 0.0;
  int cells = 0;
  for (int p = 0; p < PBT_DIGIT_PIXELS; p++) {
    double sum[2] = {0}, square[2] = {0};
    for (int i = 0; i < 2 * N; i++) {
      double v = pixel[i * PBT_DIGIT_PIXELS + p];
      sum[i / N] += v;
      square[i / N] += v * v;
    }
    double spread =
        (square[0] + square[1]) / N - (sum[0] * sum[0] + sum[1] * sum[1]) / N / N;
    double z = (sum[0] - sum[1]) / N / sqrt(spread / N);
    chi += z * z;
    worst = fabs(z) > worst ? fabs(z) : worst;
    cells++;
  }
  /* neighbours go together, so that the mean of z^2 strays more than with 784 of them */
  ck_assert_double_le(fabs(chi / cells - 1.0), 0.5);
  ck_assert_double_le(worst, 4.5);
  pbt_mem_free(data);
}
END_TEST

START_TEST(too_few_digits_are_refused) {
  const struct pbt_data_source source = {
      .kind = PBT_SOURCE_DIGITS, .train_size = 9, .test_size = 10, .validation = 0.5};
  size_t bytes;
  ck_fails(pbt_data_probe(&source, &bytes), PBT_ERR_DATA, "data.train_size is 9");
}
END_TEST

PBT_TEST_MAIN("data_digits", the_same_seed_gives_the_same_bytes,
              the_bytes_are_those_of_every_other_machine,
              the_test_set_does_not_depend_on_the_training_set,
              every_image_is_another_and_every_split_is_balanced, digits_look_like_digits,
              a_linear_model_stays_below_85_percent,
              test_digits_are_drawn_as_the_training_ones, too_few_digits_are_refused)
