#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "record/tensor_file.h"
#include "tests/test.h"

int64_t pbt_h5_balance(void); // record/h5.h, which needs HDF5's headers

/* A small state with every type, a scalar, a name without a group and all roles. */
static struct pbt_tensor tensor[] = {
    {"conv1/weight", PBT_ROLE_WEIGHT, PBT_F32, 4, {3, 2, 5, 5}, 0},
    {"conv1/bias", PBT_ROLE_WEIGHT, PBT_F32, 1, {3}, 0},
    {"conv1/weight_momentum", PBT_ROLE_OPTIMIZER, PBT_F64, 2, {2, 7}, 0},
    {"count", PBT_ROLE_BUFFER, PBT_U64, 0, {0}, 0},
    {"mask", PBT_ROLE_BUFFER, PBT_U8, 3, {2, 1, 3}, 0},
    {"steps", PBT_ROLE_LOCAL, PBT_I64, 0, {0}, 0},
};
enum { N = sizeof tensor / sizeof *tensor, ALL = 15 };

static struct pbt_state layout(void) {
  struct pbt_state state;
  ck_ok(pbt_state_layout(tensor, N, &state));
  return state;
}

/* Every value differs, and the padding between tensors too. */
static unsigned char *filled(const struct pbt_state *state) {
  unsigned char *image;
  ck_ok(PBT_NEW(state->bytes, &image));
  for (size_t i = 0; i < state->bytes; i++) {
    image[i] = (unsigned char)(i * 37 + 11);
  }
  for (int i = 0; i < 150; i++) {
    ((float *)image)[i] = (float)i - 0.25f;
  }
  ((float *)image)[7] = NAN;
  ((float *)image)[8] = -INFINITY;
  return image;
}

static const struct pbt_fact fact[] = {
    {.name = "network", .kind = PBT_FACT_TEXT, .text = "lenet5 \xc3\xa4"},
    {.name = "empty", .kind = PBT_FACT_TEXT, .text = ""},
    {.name = "member", .kind = PBT_FACT_INTEGER, .integer = -3},
    {.name = "fitness", .kind = PBT_FACT_REAL, .real = 0.1},
};

static void build(const struct pbt_state *state, unsigned roles, const void *image,
                  char **bytes, size_t *n) {
  ck_ok(pbt_tensor_file_build(fact, sizeof fact / sizeof *fact, state, roles, image,
                              bytes, n));
}

static void same_tensors(const struct pbt_state *state, unsigned roles,
                         const unsigned char *a, const unsigned char *b) {
  for (size_t i = 0; i < state->n; i++) {
    if (tensor[i].role & roles) {
      ck_assert_mem_eq(a + tensor[i].offset, b + tensor[i].offset,
                       pbt_tensor_bytes(&tensor[i]));
    }
  }
}

START_TEST(everything_comes_back_bit_for_bit) {
  int64_t before = pbt_mem_balance();
  struct pbt_state state = layout();
  unsigned char *image = filled(&state), *back;
  ck_ok(PBT_NEW(state.bytes, &back));
  char *bytes, *text;
  size_t n;
  int64_t handles = 0;
  for (int pass = 0; pass < 2; pass++) { // HDF5 makes some handles of its own at first
    handles = pbt_h5_balance();
    build(&state, ALL, image, &bytes, &n);
    struct pbt_tensor_file *file;
    ck_ok(pbt_tensor_file_open("x.h5", bytes, n, &file));
    ck_ok(pbt_tensor_file_read(file, &state, ALL, back));
    same_tensors(&state, ALL, image, back);
    ck_ok(pbt_tensor_file_text(file, "network", &text));
    ck_assert_str_eq(text, "lenet5 \xc3\xa4");
    pbt_mem_free(text);
    ck_ok(pbt_tensor_file_text(file, "empty", &text));
    ck_assert_str_eq(text, "");
    pbt_mem_free(text);
    int64_t member = 0, signature = 0, schema = 0;
    double fitness = 0;
    ck_ok(pbt_tensor_file_integer(file, "member", &member));
    ck_ok(pbt_tensor_file_integer(file, "schema_version", &schema));
    ck_ok(pbt_tensor_file_integer(file, "state_signature", &signature));
    ck_ok(pbt_tensor_file_real(file, "fitness", &fitness));
    ck_assert_int_eq(member, -3);
    ck_assert_int_eq(schema, 1);
    ck_assert_uint_eq((uint64_t)signature, state.signature);
    ck_assert(fitness == 0.1);
    pbt_tensor_file_close(file);
    pbt_mem_free(bytes);
  }
  pbt_mem_free(image);
  pbt_mem_free(back);
  ck_assert_int_eq(pbt_h5_balance(), handles);
  ck_assert_int_eq(pbt_mem_balance(), before);
}
END_TEST

START_TEST(the_same_content_is_the_same_bytes) {
  struct pbt_state state = layout();
  unsigned char *image = filled(&state);
  char *a, *b;
  size_t n_a, n_b;
  build(&state, ALL, image, &a, &n_a);
  sleep(1); // a stored time would show
  build(&state, ALL, image, &b, &n_b);
  ck_assert_uint_eq(n_a, n_b);
  ck_assert_mem_eq(a, b, n_a);
  ck_assert_msg(n_a < state.bytes + 8192, "%zu bytes for %zu of state", n_a, state.bytes);
  pbt_mem_free(a);
  pbt_mem_free(b);
  pbt_mem_free(image);
}
END_TEST

START_TEST(only_the_wanted_roles_are_stored_and_read) {
  struct pbt_state state = layout();
  unsigned char *image = filled(&state), *back;
  ck_ok(PBT_NEW(state.bytes, &back));
  char *bytes;
  size_t n;
  build(&state, PBT_ROLE_WEIGHT, image, &bytes, &n);
  struct pbt_tensor_file *file;
  ck_ok(pbt_tensor_file_open("best.h5", bytes, n, &file));
  ck_ok(pbt_tensor_file_read(file, &state, PBT_ROLE_WEIGHT, back));
  same_tensors(&state, PBT_ROLE_WEIGHT, image, back);
  for (size_t i = state.weight_bytes; i < state.bytes; i++) {
    ck_assert_uint_eq(back[i], 0);
  }
  ck_fails(pbt_tensor_file_read(file, &state, ALL, back), PBT_ERR_DATA,
           "best.h5 has no tensor conv1/weight_momentum");
  pbt_tensor_file_close(file);
  pbt_mem_free(bytes);
  pbt_mem_free(image);
  pbt_mem_free(back);
}
END_TEST

START_TEST(another_shape_type_or_rank_is_refused_by_name) {
  struct pbt_state state = layout();
  unsigned char *image = filled(&state);
  char *bytes;
  size_t n;
  build(&state, ALL, image, &bytes, &n);
  struct pbt_tensor_file *file;
  ck_ok(pbt_tensor_file_open("x.h5", bytes, n, &file));
  const struct pbt_tensor wrong[] = {
      {"conv1/weight", PBT_ROLE_WEIGHT, PBT_F32, 4, {3, 2, 5, 4}, 0},
      {"conv1/weight", PBT_ROLE_WEIGHT, PBT_F32, 3, {3, 2, 25}, 0},
      {"conv1/weight", PBT_ROLE_WEIGHT, PBT_F64, 4, {3, 2, 5, 5}, 0},
      {"conv1/weight", PBT_ROLE_WEIGHT, PBT_F32, 0, {0}, 0},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct pbt_tensor one = wrong[i];
    struct pbt_state other;
    ck_ok(pbt_state_layout(&one, 1, &other));
    ck_fails(pbt_tensor_file_read(file, &other, ALL, image), PBT_ERR_DATA,
             "tensor conv1/weight of x.h5 has another shape or type");
  }
  pbt_tensor_file_close(file);
  pbt_mem_free(bytes);
  pbt_mem_free(image);
}
END_TEST

START_TEST(facts_that_are_missing_or_of_another_kind_are_refused) {
  struct pbt_state state = layout();
  unsigned char *image = filled(&state);
  char *bytes, *text;
  size_t n;
  double real;
  int64_t integer;
  build(&state, ALL, image, &bytes, &n);
  struct pbt_tensor_file *file;
  ck_ok(pbt_tensor_file_open("x.h5", bytes, n, &file));
  ck_fails(pbt_tensor_file_text(file, "nothing", &text), PBT_ERR_DATA,
           "x.h5: attribute nothing is missing");
  ck_fails(pbt_tensor_file_text(file, "fitness", &text), PBT_ERR_DATA, "another kind");
  ck_fails(pbt_tensor_file_integer(file, "fitness", &integer), PBT_ERR_DATA,
           "another kind");
  ck_fails(pbt_tensor_file_real(file, "network", &real), PBT_ERR_DATA, "another kind");
  pbt_tensor_file_close(file);
  pbt_mem_free(bytes);
  pbt_mem_free(image);
}
END_TEST

/* An effective job may be longer than the 64 kB of an ordinary attribute. */
START_TEST(a_long_text_is_a_fact_too) {
  struct pbt_state state = layout();
  unsigned char *image = filled(&state);
  char *bytes, *text, *back;
  size_t n;
  ck_ok(PBT_NEW(300001, &text));
  memset(text, 'x', 300000);
  const struct pbt_fact job = {.name = "job", .kind = PBT_FACT_TEXT, .text = text};
  ck_ok(pbt_tensor_file_build(&job, 1, &state, ALL, image, &bytes, &n));
  struct pbt_tensor_file *file;
  ck_ok(pbt_tensor_file_open("x.h5", bytes, n, &file));
  ck_ok(pbt_tensor_file_text(file, "job", &back));
  ck_assert_str_eq(back, text);
  pbt_tensor_file_close(file);
  pbt_mem_free(bytes);
  pbt_mem_free(image);
  pbt_mem_free(text);
  pbt_mem_free(back);
}
END_TEST

START_TEST(foreign_bytes_are_one_line) {
  int64_t before = pbt_mem_balance();
  struct pbt_tensor_file *file;
  ck_fails(pbt_tensor_file_open("a.h5", "", 0, &file), PBT_ERR_DATA,
           "a.h5 is no HDF5 file");
  ck_fails(pbt_tensor_file_open("b.h5", "hello, world", 12, &file), PBT_ERR_DATA,
           "b.h5 is no HDF5 file");
  char torn[512] = "\x89HDF\r\n\x1a\n";
  ck_fails(pbt_tensor_file_open("c.h5", torn, sizeof torn, &file), PBT_ERR_DATA,
           "cannot open c.h5 (HDF5: ");
  ck_assert_int_eq(pbt_mem_balance(), before);
}
END_TEST

/* The oracle is h5py: names, shapes, types, values and facts as a person meets them. */
static const char script[] =
    "import h5py, numpy as np\n"
    "f = h5py.File('tensor_oracle.h5', 'r')\n"
    "w = f['conv1/weight'][...]\n"
    "assert w.shape == (3, 2, 5, 5) and w.dtype == np.float32, (w.shape, w.dtype)\n"
    "flat = w.ravel()\n"
    "want = (np.arange(150) - 0.25).astype('f4')\n"
    "assert np.isnan(flat[7]) and flat[8] == -np.inf\n"
    "assert (np.delete(flat, [7, 8]) == np.delete(want, [7, 8])).all()\n"
    "assert f['conv1/weight_momentum'].dtype == np.float64\n"
    "assert f['count'].shape == () and f['count'].dtype == np.uint64\n"
    "assert f['mask'].shape == (2, 1, 3) and f['mask'].dtype == np.uint8\n"
    "assert f['steps'].dtype == np.int64\n"
    "assert f['steps'].attrs['role'] == b'local'\n"
    "a = f.attrs\n"
    "assert a['network'].decode() == 'lenet5 \\u00e4'\n"
    "assert a['member'] == -3 and a['fitness'] == 0.1 and a['schema_version'] == 1\n"
    "assert a['state_signature'].dtype == np.uint64\n";

START_TEST(h5py_reads_the_same) {
  if (system("/usr/bin/python3 -c 'import h5py' 2> /dev/null") != 0) {
    printf("SKIP h5py_reads_the_same: /usr/bin/python3 has no h5py\n");
    return;
  }
  struct pbt_state state = layout();
  unsigned char *image = filled(&state);
  char *bytes;
  size_t n;
  build(&state, ALL, image, &bytes, &n);
  ck_ok(pbt_file_replace("tensor_oracle.h5", bytes, n));
  ck_ok(pbt_file_replace("tensor_oracle.py", script, sizeof script - 1));
  ck_assert_int_eq(system("/usr/bin/python3 tensor_oracle.py"), 0);
  ck_ok(pbt_file_remove("tensor_oracle.h5"));
  ck_ok(pbt_file_remove("tensor_oracle.py"));
  pbt_mem_free(bytes);
  pbt_mem_free(image);
}
END_TEST

PBT_TEST_MAIN("record_tensor", everything_comes_back_bit_for_bit,
              the_same_content_is_the_same_bytes,
              only_the_wanted_roles_are_stored_and_read,
              another_shape_type_or_rank_is_refused_by_name,
              facts_that_are_missing_or_of_another_kind_are_refused,
              a_long_text_is_a_fact_too, foreign_bytes_are_one_line, h5py_reads_the_same)
