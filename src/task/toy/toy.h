/* toy.h - surfaces with exact answers, to see what a method does in seconds. */
#ifndef PBT_TASK_TOY_TOY_H
#define PBT_TASK_TOY_TOY_H

#include "task/task.h" // struct pbt_task_ops

extern const struct pbt_task_ops pbt_task_toy;

#endif
