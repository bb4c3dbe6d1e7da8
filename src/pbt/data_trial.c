/*
 * HDF5's parser is not proof against files made with bad intent, or unluckily damaged: a
 * rank that dies of one takes the job with it and leaves no word.  In a child it costs
 * one line.  The bytes are in the system's cache when they are read again.
 */
#include "pbt/data_trial.h"

#include "base/child.h"  // the process
#include "base/file.h"   // the job
#include "base/memory.h" // the data
#include "job/job.h"
#include "task/task.h" // who reads data

#include <stdio.h>
#include <sys/stat.h>

static struct pbt_child child;
static char file[PBT_PATH_BYTES];

static void load(void *with) {
  const struct pbt_job *job = with;
  const struct pbt_task_ops *ops = pbt_task_find(job->task.kind);
  size_t bytes = 0;
  void *data = NULL;
  if (ops->data_probe(job, &bytes) == PBT_OK && pbt_mem_alloc(bytes, &data) == PBT_OK) {
    (void)ops->data_load(job, data, bytes);
  }
}

static pbt_status start(struct pbt_job *job) {
  struct stat info;
  if (job->data.kind != PBT_DATA_HDF5 || stat(job->data.file, &info) != 0 ||
      pbt_task_find(job->task.kind)->data_probe == NULL) {
    return PBT_OK;
  }
  snprintf(file, sizeof file, "%s", job->data.file);
  return pbt_child_start(load, job, 60.0 + 1e-6 * (double)info.st_size, &child);
}

pbt_status pbt_data_trial_end(void) {
  pbt_status status = pbt_child_end(&child);
  return status != PBT_ERR_DATA
             ? status
             : pbt_context(status,
                           "data.file %s was read with HDF5 by a process of its own, for "
                           "it may be damaged or made with bad intent",
                           file);
}

pbt_status pbt_data_trial_start(const struct pbt_run_options *options) {
  if (options->job_path == NULL) {
    return PBT_OK;
  }
  char *text = NULL;
  struct pbt_job_source source = {.path = options->job_path,
                                  .set = options->set,
                                  .n_set = options->n_set,
                                  .ranks = 1};
  struct pbt_job *job = NULL;
  PBT_TRY(PBT_NEW(1, &job));
  pbt_status status =
      pbt_file_read(options->job_path, PBT_JOB_LIMIT, &text, &source.bytes);
  source.text = text;
  if (status == PBT_OK) {
    status = pbt_job_parse(&source, job);
  }
  if (status == PBT_OK) {
    status = start(job);
  } else { // the launch finds it again
    pbt_error_clear();
    status = PBT_OK;
  }
  pbt_mem_free(text);
  pbt_mem_free(job);
  return status;
}
