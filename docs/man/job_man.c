/*
 * job_man.c - fills the keys into pbt-job.5.in from the table that the program itself
 * reads jobs by:  job_man IN OUT
 */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "job/job.h"
#include "job/keys.h"

#include <string.h>

/* Words for mdoc: no line of a macro's own, no escapes, each sentence on its own line. */
static void add_words(struct pbt_text *page, const char *words) {
  if (words[0] == '.' || words[0] == '\'') {
    pbt_text_add(page, "\\&");
  }
  for (const char *c = words; *c != '\0'; c++) {
    if (*c == '\\') {
      pbt_text_add(page, "\\e");
    } else if (*c == ' ' && c > words && c[-1] == '.') {
      pbt_text_add(page, "\n");
    } else if (*c != '`') { // remarks in the table mark keys so
      pbt_text_add_bytes(page, c, 1);
    }
  }
}

static pbt_status add_key(const struct pbt_key *key, const void *defaults,
                          struct pbt_text *page) {
  struct pbt_text allowed = {0}, value = {0};
  pbt_key_allowed(key, &allowed);
  pbt_text_add(page, ".It Cm %s\n", key->name);
  add_words(page, key->help);
  pbt_text_add(page, "\nTakes ");
  add_words(page, allowed.data);
  if (key->computed != NULL) {
    pbt_text_add(page, "; default: ");
    add_words(page, key->computed);
  } else if (!key->required) {
    pbt_key_render(key, defaults, &value);
    pbt_text_add(page, "; default: ");
    add_words(page, value.data);
  }
  pbt_text_add(page, ".\n%s", key->may_change ? "May change on resume.\n" : "");
  pbt_status status = allowed.status != PBT_OK ? allowed.status : value.status;
  pbt_text_free(&allowed);
  pbt_text_free(&value);
  return status;
}

static pbt_status add_keys(struct pbt_text *page) {
  size_t n;
  const struct pbt_key *key = pbt_job_keys(&n);
  struct pbt_job *job;
  struct pbt_hparam hparam = {0};
  PBT_TRY(PBT_NEW(1, &job));
  pbt_status status = PBT_OK;
  pbt_text_add(page, ".Bl -tag -width Ds\n");
  for (size_t i = 0; i < n && status == PBT_OK; i++) {
    void *base = key[i].of_hparam ? (void *)&hparam : (void *)job;
    pbt_key_reset(&key[i], base);
    status = add_key(&key[i], base, page);
  }
  pbt_text_add(page, ".El");
  pbt_mem_free(job);
  return status;
}

static pbt_status fill(const char *in, const char *out) {
  static const char mark[] = "@KEYS@";
  char *form;
  size_t bytes;
  struct pbt_text page = {0};
  PBT_TRY(pbt_file_read(in, 1 << 20, &form, &bytes));
  const char *at = strstr(form, mark);
  pbt_status status = at != NULL ? PBT_OK : pbt_fail(PBT_ERR_DATA, "%s: no %s", in, mark);
  if (status == PBT_OK) {
    pbt_text_add_bytes(&page, form, (size_t)(at - form));
    status = add_keys(&page);
    pbt_text_add(&page, "%s", at + sizeof mark - 1);
  }
  status = status == PBT_OK ? page.status : status;
  status = status == PBT_OK ? pbt_file_replace(out, page.data, page.length) : status;
  pbt_text_free(&page);
  pbt_mem_free(form);
  return status;
}

int main(int argc, char **argv) {
  pbt_status status = argc == 3 ? fill(argv[1], argv[2])
                                : pbt_fail(PBT_ERR_USAGE, "usage: job_man IN OUT");
  if (status != PBT_OK) {
    pbt_print_error(pbt_error());
  }
  return (int)status;
}
