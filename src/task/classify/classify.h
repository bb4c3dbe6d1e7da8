/* classify.h - a network that learns to sort images into classes. */
#ifndef PBT_TASK_CLASSIFY_CLASSIFY_H
#define PBT_TASK_CLASSIFY_CLASSIFY_H

#include "task/task.h" // struct pbt_task_ops

extern const struct pbt_task_ops pbt_task_classify;

#endif
