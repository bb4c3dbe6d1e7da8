/* HDF5 data sets that are not as they should be: one line says what is expected.  The
 * files are written by h5py; data_oracle_test.c holds those that are right against it. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/text.h"
#include "tests/unit/data_support.h"

static char path[128];

/* Ready to load: 0.h5 of a new folder. */
static struct files make_folder(void) {
  struct files files = {
      .folder = "hdf5_XXXXXX",
      .source = {.kind = PBT_SOURCE_HDF5, .validation = 0.2, .seed = 1, .file = path}};
  ck_assert_ptr_nonnull(mkdtemp(files.folder));
  snprintf(path, sizeof path, "%s/0.h5", files.folder);
  return files;
}

/* Writes i.h5 by lines[i] of Python, with `f` as the file and `p` as its path, `u8(n,
 * ...)` as bytes and `y(n)` as labels of three classes.  One Python, for it starts
 * slowly.
 */
static void make_h5(const struct files *files, const char *const lines[], size_t n) {
  struct pbt_text text = {0};
  pbt_text_add(&text, "import sys, h5py, numpy as np\n"
                      "def u8(*s): return (np.arange(np.prod(s)) %% 251).astype('u1')"
                      ".reshape(s)\n"
                      "def y(n): return np.arange(n) %% 3\n");
  for (size_t i = 0; i < n; i++) {
    pbt_text_add(&text, "p = '%s/%zu.h5'\nf = h5py.File(p, 'w')\n%s\nf.close()\n",
                 files->folder, i, lines[i]);
  }
  ck_ok(text.status);
  put_file(files, "make.py", text.data, text.length);
  pbt_text_free(&text);
  char command[256];
  snprintf(command, sizeof command, "/usr/bin/python3 %s/make.py", files->folder);
  ck_assert_int_eq(system(command), 0);
}

static struct files make_one(const char *lines) {
  struct files files = make_folder();
  make_h5(&files, &lines, 1);
  return files;
}

#define TRAIN "f['train/x'] = u8(30, 1, 4, 5); f['train/y'] = y(30)\n"
#define TEST "f['test/x'] = u8(9, 1, 4, 5); f['test/y'] = y(9)\n"
#define BOTH TRAIN TEST

static const struct {
  double test;
  const char *lines, *words;
} refused[] = {
    {0, "", "has neither train/x nor x"},
    {0, "f['x'] = u8(30, 1, 4, 5); f['y'] = y(30)",
     "has no test set of its own; data.test"},
    {0.2, BOTH, "has a test set of its own, so that data.test has no meaning"},
    {0, TRAIN, "there is no data set test/x of"},
    {0, TEST "f['train/x'] = u8(30, 1, 4, 5)", "there is no data set train/y of"},
    {0, TEST "f['train'] = 1", "there is no data set train/x of"},
    {0, TEST "f['train/x/y'] = 1", "there is no data set train/x of"},
    {0, TEST "f['train/y'] = y(30); f['train/x'] = u8(30, 20)",
     "train/x of %s has 2 dimensions; images are expected as [n, c, h, w]"},
    {0, TEST "f['train/y'] = y(30); f['train/x'] = u8(30, 1, 1, 4, 5)",
     "has 5 dimensions; 1 to 4"},
    {0, TEST "f['train/y'] = y(30); f['train/x'] = np.uint8(3)", "has 0 dimensions"},
    {0, TEST "f['train/y'] = y(30); f['train/x'] = h5py.Empty('u1')", "has 0 dimensions"},
    {0, TEST "f['train/y'] = y(30); f['train/x'] = u8(0, 1, 4, 5)",
     "dimension 0 of train/x of %s is 0"},
    {0, TEST "f['train/y'] = y(30); f['train/x'] = u8(30, 1, 4, 5).astype('i1')",
     "holds integers that are no bytes"},
    {0, TEST "f['train/y'] = y(30); f['train/x'] = u8(30, 1, 4, 5).astype('i8')",
     "holds integers that are no bytes"},
    {0, TEST "f['train/y'] = y(30); f['train/x'] = u8(30, 1, 4, 5).astype('S1')",
     "holds neither integers nor floats"},
    {0, TEST "f['train/y'] = y(30); f['train/x'] = u8(30, 1, 4, 5).astype('g')",
     "holds neither integers nor floats"},
    {0, TEST "f['train/y'] = y(30); f['train/x'] = u8(30, 8, 8, 3)",
     "holds images of 8 x 8 x 3; [n, c, h, w] with 1 to 4 channels and sides of at most "
     "4096 "
     "is expected: are the channels last?"},
    {0, TEST "f['train/y'] = y(30); f['train/x'] = u8(30, 1, 1, 5000)", "1 x 1 x 5000"},
    {0, TRAIN "f['test/x'] = u8(9, 1, 5, 4); f['test/y'] = y(9)",
     "test/x of %s holds images of 1 x 5 x 4, train/x of 1 x 4 x 5"},
    {0, TEST "f['train/x'] = u8(30, 1, 4, 5); f['train/y'] = y(29)",
     "train/y of %s is expected to be [30] integers"},
    {0, TEST "f['train/x'] = u8(30, 1, 4, 5); f['train/y'] = y(30).astype('f4')",
     "expected to be [30] integers"},
    {0, TEST "f['train/x'] = u8(30, 1, 4, 5); f['train/y'] = y(30).reshape(30, 1)",
     "expected to be [30] integers"},
    {0, TEST "f['train/x'] = u8(30, 1, 4, 5); f['train/y'] = np.where(y(30) == 2, -1, 0)",
     "label 2 in train/y of %s is -1; labels may be 0 to 63"},
    {0,
     TEST
     "f['train/x'] = u8(30, 1, 4, 5); f['train/y'] = (y(30) + 2**64 - 3).astype('u8')",
     "label 0 in train/y of"},
    {0,
     TEST "f['train/y'] = y(30)\na = u8(30, 1, 4, 5) / 255\na[7, 0, 1, 1] = 1.5\n"
          "f['train/x'] = a",
     "image 7 in train/x of %s holds 1.5; floats must lie in 0 to 1"},
    {0,
     TEST "f['train/y'] = y(30)\na = u8(30, 1, 4, 5) / 255\na[0, 0, 1, 1] = np.nan\n"
          "f['train/x'] = a.astype('f4')",
     "image 0 in train/x of %s holds nan"},
    {0,
     TEST "f['train/y'] = y(30)\n"
          "f.create_dataset('train/x', data=u8(30, 1, 4, 5), compression='lzf')",
     "train/x of %s is compressed by filter 32000 (lzf); write it with gzip"},
    {0,
     TEST "f['train/y'] = y(30)\n"
          "f.create_dataset('train/x', data=u8(30, 1, 4, 5), scaleoffset=0)",
     "is compressed by filter 6 (scaleoffset)"},
    {0,
     TEST "f['train/y'] = y(30)\n"
          "l = h5py.VirtualLayout((30, 1, 4, 5), 'u1')\n"
          "l[:9] = h5py.VirtualSource('.', 'test/x', (9, 1, 4, 5))\n"
          "f.create_virtual_dataset('train/x', l)",
     "train/x of %s keeps its numbers in other files"},
    {0,
     TEST "f['train/y'] = y(30)\n"
          "f.create_dataset('train/x', (30, 1, 4, 5), 'u1', "
          "external=[('/dev/zero', 0, 600)])",
     "train/x of %s keeps its numbers in other files"},
    {0,
     TEST "f['train/x'] = u8(30, 1, 4, 5); s = h5py.h5s.create_simple((29,))\n"
          "d = h5py.h5p.create(h5py.h5p.DATASET_CREATE)\n"
          "d.set_layout(h5py.h5d.COMPACT)\n"
          "d = h5py.h5d.create(f['train'].id, b'y', h5py.h5t.STD_I64LE, s, d)\n"
          "d.write(h5py.h5s.ALL, h5py.h5s.ALL, y(29)); del d; f.close()\n"
          "b, n = open(p, 'rb').read(), (29).to_bytes(8, 'little')\n"
          "assert b.count(n) in (1, 2), b.count(n)\n"
          "open(p, 'wb').write(b.replace(n, (30).to_bytes(8, 'little')))",
     "holds fewer numbers than its shape says"},
    {0,
     TEST "g = h5py.File(p + '2', 'w'); g['x'] = u8(30, 1, 4, 5); g.close()\n"
          "f['train/y'] = y(30)\n"
          "f['train/x'] = h5py.ExternalLink(p + '2', 'x')",
     "there is no data set train/x of"},
    {0,
     TEST "f['train/y'] = y(30)\nf.create_dataset('train/x', (30, 4, 4096, 4096), 'u1', "
          "chunks=(30, 4, 4096, 4096))",
     "is stored in chunks of 2013265920 bytes"},
    {0.01, "f['x'] = u8(30, 1, 4, 5); f['y'] = y(30)",
     "data.test: class 0 has 10 images: a share of 0.01 would hold back 0"},
};

START_TEST(what_is_not_as_expected_is_refused) {
  if (!have_h5py()) {
    return;
  }
  enum { N = sizeof refused / sizeof *refused };
  struct files files = make_folder();
  const char *lines[N];
  for (int i = 0; i < N; i++) {
    lines[i] = refused[i].lines;
  }
  make_h5(&files, lines, N);
  for (int i = 0; i < N; i++) {
    char words[512];
    snprintf(path, sizeof path, "%s/%d.h5", files.folder, i);
    snprintf(words, sizeof words, refused[i].words, path);
    files.source.test = refused[i].test;
    struct pbt_data_header *header;
    ck_fails(load(&files, &header), PBT_ERR_DATA, words);
    ck_assert_int_eq(pbt_mem_balance(), 0);
  }
  end(&files, NULL);
}
END_TEST

START_TEST(what_is_a_little_unusual_is_taken) {
  if (!have_h5py()) {
    return;
  }
  const char *const lines[] = {
      BOTH,
      TEST "f['train/x'] = u8(30, 4, 5); f['train/y'] = y(30)", // one channel
      TEST "f['train/y'] = y(30).astype('i1')\n"
           "f.create_dataset('train/x', data=u8(30, 1, 4, 5), compression='gzip', "
           "shuffle=True, fletcher32=True, chunks=(7, 1, 3, 5))",
      TEST "f['a'] = u8(30, 1, 4, 5); f['train/y'] = y(30)\n"
           "f['train/x'] = h5py.SoftLink('/a')",
  };
  enum { N = sizeof lines / sizeof *lines };
  struct files files = make_folder();
  make_h5(&files, lines, N);
  struct pbt_data_header *header[N];
  for (int i = 0; i < N; i++) {
    snprintf(path, sizeof path, "%s/%d.h5", files.folder, i);
    ck_ok(load(&files, &header[i]));
    ck_assert_mem_eq(header[0], header[i], header[0]->bytes);
  }
  for (int i = 1; i < N; i++) {
    pbt_mem_free(header[i]);
  }
  end(&files, header[0]);
}
END_TEST

START_TEST(a_missing_file_is_named) {
  if (!have_h5py()) {
    return;
  }
  struct files files = make_one(BOTH);
  drop_file(&files, "0.h5");
  must_fail(&files, PBT_ERR_MISSING, "data.file: hdf5_");
}
END_TEST

START_TEST(other_files_and_cut_ones_are_refused) {
  if (!have_h5py()) {
    return;
  }
  struct files files = make_one(BOTH);
  put_file(&files, "0.h5", "PK\3\4 some archive", 16);
  must_fail(&files, PBT_ERR_DATA, "0.h5 is no HDF5 file, or a damaged one");
  files = make_one(BOTH);
  struct stat facts;
  ck_assert_int_eq(stat(path, &facts), 0);
  ck_assert_int_eq(truncate(path, facts.st_size - 1), 0);
  must_fail(&files, PBT_ERR_DATA, "(HDF5: truncated file");
}
END_TEST

/* Bytes flipped in the compressed part: gzip or its checksum must notice. */
START_TEST(damaged_chunks_are_found) {
  if (!have_h5py()) {
    return;
  }
  struct files files = make_one(
      TEST "f['train/y'] = y(30)\n"
           "f.create_dataset('train/x', data=u8(30, 1, 4, 5), chunks=(30, 1, 4, 5), "
           "compression='gzip')\n"
           "i = f['train/x'].id.get_chunk_info(0)\n"
           "f.close()\n"
           "b = bytearray(open(p, 'rb').read())\n"
           "b[i.byte_offset + i.size // 2] ^= 16\n"
           "open(p, 'wb').write(b)");
  must_fail(&files, PBT_ERR_DATA, "cannot read rows 0 to 29 of train/x of");
}
END_TEST

PBT_TEST_MAIN("data_hdf5", what_is_not_as_expected_is_refused,
              what_is_a_little_unusual_is_taken, a_missing_file_is_named,
              other_files_and_cut_ones_are_refused, damaged_chunks_are_found)
