/*
 * The TOML shim: places, and the same reading as Python's tomllib, which shares no code
 * with toml++.  Both sides print a document as lines of key, type and value, strings and
 * floats as hexadecimal bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "job/job.h"
#include "job/toml_shim.h"
#include "tests/test.h"
#include "tests/unit/job_support.h"

static const char python[] =
    "import struct, sys, tomllib, re\n"
    "def part(k):\n"
    "    if re.fullmatch('[A-Za-z0-9_-]+', k): return k\n"
    "    k = k.replace('\\\\', '\\\\\\\\').replace('\"', '\\\\\"')\n"
    "    esc = lambda m: '\\\\u%04x' % ord(m.group())\n"
    "    return '\"' + re.sub('[\\x00-\\x1f\\x7f]', esc, k) + '\"'\n"
    "def show(key, v, out):\n"
    "    if isinstance(v, dict):\n"
    "        if key: out.append(f'{key} table')\n"
    "        for k, w in v.items(): show((key + '.' if key else '') + part(k), w, out)\n"
    "    elif isinstance(v, list):\n"
    "        out.append(f'{key} array {len(v)}')\n"
    "        for i, w in enumerate(v): show(f'{key}[{i}]', w, out)\n"
    "    elif isinstance(v, bool): out.append(f'{key} boolean {int(v)}')\n"
    "    elif isinstance(v, int): out.append(f'{key} integer {v}')\n"
    "    elif isinstance(v, float):\n"
    "        out.append(f'{key} float ' + struct.pack('>d', v).hex())\n"
    "    elif isinstance(v, str): out.append(f'{key} string ' + v.encode().hex())\n"
    "    else: out.append(f'{key} time')\n"
    "out = []\n"
    "show('', tomllib.load(open(sys.argv[1], 'rb')), out)\n"
    "open(sys.argv[2], 'wb').write(''.join(l + '\\n' for l in out).encode())\n";

static void show(const struct pbt_toml *toml, struct pbt_text *text) {
  for (size_t i = 0; i < toml->n; i++) {
    const struct pbt_toml_entry *e = &toml->entry[i];
    pbt_text_add(text, "%s ", e->key);
    uint64_t bits;
    memcpy(&bits, &e->real, sizeof bits);
    switch (e->type) {
    case PBT_TOML_TABLE:
      pbt_text_add(text, "table");
      break;
    case PBT_TOML_ARRAY:
      pbt_text_add(text, "array %d", e->n_item);
      break;
    case PBT_TOML_STRING:
      pbt_text_add(text, "string ");
      for (size_t b = 0; b < e->bytes; b++) {
        pbt_text_add(text, "%02x", (unsigned char)e->string[b]);
      }
      break;
    case PBT_TOML_INTEGER:
      pbt_text_add(text, "integer %lld", (long long)e->integer);
      break;
    case PBT_TOML_FLOAT:
      pbt_text_add(text, "float %016llx", (unsigned long long)bits);
      break;
    case PBT_TOML_BOOLEAN:
      pbt_text_add(text, "boolean %d", e->boolean);
      break;
    case PBT_TOML_TIME:
      pbt_text_add(text, "time");
      break;
    }
    pbt_text_add(text, "\n");
  }
}

static const char odd[] =
    "# everything TOML 1.0 has\n"
    "title = \"caf\\u00e9 \\U0001F600 \\\"q\\\" \\\\ \\t\"\n"
    "'quoted key' = 1\n"
    "\"a.b\" = 2\n"
    "\"tab\\there\" = 3\n"
    "literal = 'C:\\path\\n'\n"
    "several = \"\"\"\nfirst\nsecond \\\n   joined\"\"\"\n"
    "raw = '''\nkeep \\n this'''\n"
    "ints = [0, -17, +99, 1_000_000, 0xDEADBEEF, 0o755, 0b1101, 9223372036854775807, "
    "-9223372036854775808]\n"
    "floats = [1.0, 3.1415, -0.01, 5e+22, 1e06, -2E-2, 6.626e-34, 224_617.445_991_228, "
    "-0.0, 4.9e-324, 1.7976931348623157e308, 0.1, 2.2250738585072011e-308]\n"
    "huge = [inf, -inf]\n"
    "yes = true\nno = false\n"
    "when = [1979-05-27T07:32:00Z, 1979-05-27T00:32:00.999, 1979-05-27, 07:32:00]\n"
    "mixed = [1, \"two\", [3.0, [4]], {five = 5, six.seven = 7}, []]\n"
    "dotted.a.b = 1\ndotted.a.c = 2\n"
    "[table]\nx = 1\n"
    "[table.\"in side\".deep]\ny = 2\n"
    "[other]\nz = {p = 1, q = {r = [1, 2]}}\n"
    "[table.later]\nw = 3\n"
    "[[list]]\nname = \"one\"\n[[list]]\nname = \"two\"\n[list.sub]\nv = 1\n"
    "empty = \"\"\n";

static bool have_python(void) {
  return system("python3 -c 'import tomllib' >job_toml.log 2>&1") == 0;
}

static void agree_with_python(const char *name, const char *document, size_t bytes) {
  struct pbt_toml toml;
  struct pbt_toml_error error;
  struct pbt_text mine = {0};
  int64_t held = pbt_mem_balance();
  pbt_status status = pbt_toml_parse(document, bytes, &toml, &error);
  ck_assert_msg(status == PBT_OK, "%s:%d:%d: %s", name, error.line, error.column,
                error.what);
  show(&toml, &mine);
  pbt_toml_free(&toml);
  ck_ok(pbt_file_replace("job_toml.py", python, sizeof python - 1));
  ck_ok(pbt_file_replace("job_toml.in", document, bytes));
  ck_assert_int_eq(system("python3 job_toml.py job_toml.in job_toml.out"), 0);
  char *theirs;
  size_t n;
  ck_ok(pbt_file_read("job_toml.out", 1 << 20, &theirs, &n));
  ck_assert_str_eq(mine.data, theirs);
  pbt_mem_free(theirs);
  pbt_text_free(&mine);
  ck_assert_int_eq(pbt_mem_balance(), held);
}

START_TEST(reads_as_python_does) {
  if (!have_python()) {
    printf("SKIP: no python3 with tomllib (3.11 or later) here\n");
    return;
  }
  agree_with_python("odd", odd, sizeof odd - 1);
  agree_with_python("built-in", pbt_job_builtin(), strlen(pbt_job_builtin()));
  static const char *const name[] = {"digits", "mnist-lenet5", "fashion-lenet5"};
  for (int i = 0; i < 3; i++) {
    char path[512], inside[64];
    snprintf(inside, sizeof inside, "jobs/%s.toml", name[i]);
    in_source(path, sizeof path, inside);
    char *text;
    size_t bytes;
    ck_ok(pbt_file_read(path, PBT_JOB_LIMIT, &text, &bytes));
    agree_with_python(path, text, bytes);
    pbt_mem_free(text);
  }
}
END_TEST

/* The effective job of a job with everything odd in it is TOML to others too. */
START_TEST(the_effective_job_is_toml_to_python) {
  if (!have_python()) {
    printf("SKIP: no python3 with tomllib (3.11 or later) here\n");
    return;
  }
  const char *set[] = {"name=a \"quoted\" \\ née", "optimizer.batch_size=1",
                       "explore.factors=[1e-300, 123456789012345678, 0.1, 3]",
                       "data.validation=0.3333333333333333"};
  struct pbt_job_source source = {.set = set, .n_set = 4, .ranks = 2};
  struct pbt_job job;
  struct pbt_text text = {0};
  ck_fails(pbt_job_parse(&source, &job), PBT_ERR_DATA, "at most 1000");
  set[2] = "explore.factors=[1e-300, 123.456789012345678, 0.1, 3]";
  ck_ok(pbt_job_parse(&source, &job));
  ck_ok(pbt_job_effective(&source, &job, &text));
  ck_assert_ptr_nonnull(strstr(text.data, "[1e-300, 123.45678901234568, 0.1, 3.0]"));
  ck_assert_ptr_nonnull(strstr(text.data, "0.3333333333333333\n"));
  size_t n = text.length;
  char *copy = malloc(n + 1);
  memcpy(copy, text.data, n + 1);
  pbt_text_free(&text);
  agree_with_python("effective", copy, n);
  free(copy);
}
END_TEST

START_TEST(places_are_those_of_the_file) {
  const char text[] = "a = 1\n\n[b]\n  c = [1,\n       22]\n";
  struct pbt_toml toml;
  struct pbt_toml_error error;
  ck_ok(pbt_toml_parse(text, sizeof text - 1, &toml, &error));
  ck_assert_uint_eq(toml.n, 5);
  const struct {
    const char *key;
    int line, column;
  } want[] = {
      {"a", 1, 5}, {"b", 3, 1}, {"b.c", 4, 7}, {"b.c[0]", 4, 8}, {"b.c[1]", 5, 8}};
  for (int i = 0; i < 5; i++) {
    ck_assert_str_eq(toml.entry[i].key, want[i].key);
    ck_assert_int_eq(toml.entry[i].line, want[i].line);
    ck_assert_int_eq(toml.entry[i].column, want[i].column);
  }
  ck_assert_int_eq(toml.entry[1].key_column, 2);
  ck_assert_int_eq(toml.entry[2].key_column, 3);
  pbt_toml_free(&toml);
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

START_TEST(a_bare_word_is_a_string) {
  static const struct {
    const char *value;
    enum pbt_toml_type type;
    const char *string;
  } want[] = {
      {"12", PBT_TOML_INTEGER, NULL},      {"1.5", PBT_TOML_FLOAT, NULL},
      {"true", PBT_TOML_BOOLEAN, NULL},    {"/x/y z", PBT_TOML_STRING, "/x/y z"},
      {"\"/x\"", PBT_TOML_STRING, "/x"},   {"a#b", PBT_TOML_STRING, "a#b"},
      {"", PBT_TOML_STRING, ""},           {"[1, 2]", PBT_TOML_ARRAY, NULL},
      {"{a = 1}", PBT_TOML_TABLE, NULL},   {"k=v", PBT_TOML_STRING, "k=v"},
      {"1.2.3", PBT_TOML_STRING, "1.2.3"},
  };
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    struct pbt_toml toml;
    struct pbt_toml_error error;
    ck_ok(pbt_toml_parse_value("t.k", want[i].value, &toml, &error));
    ck_assert_str_eq(toml.entry[0].key, "t.k");
    ck_assert_msg(toml.entry[0].type == want[i].type, "%s", want[i].value);
    if (want[i].string != NULL) {
      ck_assert_str_eq(toml.entry[0].string, want[i].string);
    }
    pbt_toml_free(&toml);
  }
  ck_assert_int_eq(pbt_mem_balance(), 0);
}
END_TEST

PBT_TEST_MAIN("job_toml", reads_as_python_does, the_effective_job_is_toml_to_python,
              places_are_those_of_the_file, a_bare_word_is_a_string)
