/* The kinds of task that a job can name. */
#include "task/task.h"

#include "task/classify/classify.h" // pbt_task_classify
#include "task/toy/toy.h"           // pbt_task_toy

const struct pbt_task_ops *pbt_task_find(enum pbt_task_kind kind) {
  static const struct pbt_task_ops *const list[] = {
      [PBT_TASK_CLASSIFY] = &pbt_task_classify, [PBT_TASK_TOY] = &pbt_task_toy};
  return list[kind];
}
