/* A job file's text.  What is taken must come back from its effective text unchanged. */
#include "base/text.h"
#include "fuzz.h"
#include "job/job.h"

static void fill(const struct pbt_job_source *source, const struct pbt_job *job,
                 struct pbt_text *text) {
  fuzz_check(pbt_job_effective(source, job, text) == PBT_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct pbt_job job, again;
  char *text;
  fuzz_check(pbt_mem_alloc(size + 1, (void **)&text) == PBT_OK);
  memcpy(text, data, size);
  struct pbt_job_source source = {
      .path = "fuzz.toml", .text = text, .bytes = size, .ranks = 2};
  pbt_status status = pbt_job_parse(&source, &job);
  fuzz_check(status == PBT_OK || pbt_error()[0] != '\0');
  if (status == PBT_OK) {
    struct pbt_text first = {0}, second = {0};
    fill(&source, &job, &first);
    struct pbt_job_source effective = {
        .path = "fuzz.toml", .text = first.data, .bytes = first.length, .ranks = 2};
    fuzz_check(pbt_job_parse(&effective, &again) == PBT_OK);
    fill(&source, &again, &second);
    fuzz_check(strcmp(first.data, second.data) == 0);
    pbt_text_free(&first);
    pbt_text_free(&second);
  }
  pbt_mem_free(text);
  fuzz_clean();
  return 0;
}
