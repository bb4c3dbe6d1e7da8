/* In place of MPI's own answer: yes, it reaches a GPU's memory. */
int MPIX_Query_cuda_support(void);

int MPIX_Query_cuda_support(void) {
  return 1;
}
