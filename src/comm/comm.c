/*
 * comm.c - how the ranks begin and how they end.
 *
 * Two things must be said to Open MPI before it starts, and both only if nobody else has
 * said them.  That a waiting rank should yield: mpirun says so when it knows that there
 * are more ranks than cores, but srun and a container's core limit do not tell it, and on
 * a core of one's own a yield costs a fraction of a microsecond.  And that ranks must not
 * copy from each other's memory where the kernel forbids it (a container's seccomp filter
 * or user namespace): Open MPI finds out too late, prints a warning on every rank, and in
 * the first case fails in the middle of a message.
 */
#include "comm/comm_private.h"

#include "base/fault.h"  // pbt_fault
#include "base/log.h"    // pbt_log_set_rank, pbt_print_error
#include "base/memory.h" // counted memory

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

pbt_status pbt_mpi_status(int code, const char *call, const char *file, int line) {
  if (code == MPI_SUCCESS) {
    return PBT_OK;
  }
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  MPI_Error_string(code, text, &length);
  int name = (int)strcspn(call, "(");
  const char *base = strrchr(file, '/');
  return pbt_fail(PBT_ERR_UNAVAILABLE, "%.*s: %s [%s:%d]", name, call, text,
                  base == NULL ? file : base + 1, line);
}

/* Can one process read another's memory?  In a user namespace of its own it cannot. */
static bool kernel_copies_between_processes(void) {
  char from = 1, to = 0;
  ssize_t n = process_vm_readv(getpid(), &(struct iovec){.iov_base = &to, .iov_len = 1},
                               1, &(struct iovec){.iov_base = &from, .iov_len = 1}, 1, 0);
  FILE *map = fopen("/proc/self/uid_map", "re");
  unsigned long inside = 0, outside = 0, ids = 0;
  bool first_namespace = map == NULL ||
                         fscanf(map, "%lu %lu %lu", &inside, &outside, &ids) != 3 ||
                         (inside == 0 && outside == 0 && ids == 4294967295);
  if (map != NULL) {
    fclose(map);
  }
  return n == 1 && first_namespace;
}

static void prepare_library(void) {
  setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
  if (!kernel_copies_between_processes()) {
    setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
  }
}

static pbt_status learn_ranks(struct pbt_comm *comm) {
  PBT_TRY(PBT_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN)));
  PBT_TRY(PBT_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &comm->world)));
  PBT_TRY(PBT_MPI(MPI_Comm_rank(comm->world, &comm->rank)));
  PBT_TRY(PBT_MPI(MPI_Comm_size(comm->world, &comm->size)));
  int length = 0;
  PBT_TRY(PBT_MPI(MPI_Get_processor_name(comm->host, &length)));
  pbt_log_set_rank(comm->rank, comm->size, comm->host);
  PBT_TRY(PBT_MPI(MPI_Comm_split_type(comm->world, MPI_COMM_TYPE_SHARED, comm->rank,
                                      MPI_INFO_NULL, &comm->node)));
  PBT_TRY(PBT_MPI(MPI_Comm_rank(comm->node, &comm->node_rank)));
  PBT_TRY(PBT_MPI(MPI_Comm_size(comm->node, &comm->node_size)));
  return pbt_fault("comm_open", PBT_ERR_UNAVAILABLE);
}

static pbt_status make_room(struct pbt_comm *comm) {
  PBT_TRY(PBT_NEW(comm->size, &comm->count));
  PBT_TRY(PBT_NEW(comm->size, &comm->begin));
  PBT_TRY(PBT_NEW(comm->size, &comm->request));
  PBT_TRY(PBT_NEW(comm->size, &comm->stop_request));
  for (int r = 0; r < comm->size; r++) {
    comm->stop_request[r] = MPI_REQUEST_NULL;
  }
  return PBT_OK;
}

static void free_room(struct pbt_comm *comm) {
  pbt_mem_free(comm->count);
  pbt_mem_free(comm->begin);
  pbt_mem_free(comm->request);
  pbt_mem_free(comm->stop_request);
  pbt_mem_free(comm);
}

pbt_status pbt_comm_open(int *argc, char ***argv, struct pbt_comm **comm) {
  *comm = NULL;
  prepare_library();
  int level = MPI_THREAD_SINGLE;
  PBT_TRY(PBT_MPI(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &level)));
  if (level < MPI_THREAD_FUNNELED) {
    return pbt_fail(PBT_ERR_UNAVAILABLE,
                    "this MPI library was built without thread support "
                    "(MPI_THREAD_FUNNELED)");
  }
  struct pbt_comm *it = NULL;
  PBT_TRY(PBT_NEW(1, &it));
  it->world = it->node = MPI_COMM_NULL;
  it->item = MPI_DATATYPE_NULL;
  pbt_status status = PBT_OK;
  PBT_TRY_TO(done, status, learn_ranks(it));
  PBT_TRY_TO(done, status, make_room(it));
  *comm = it;
done:
  if (status != PBT_OK) {
    free_room(it); // MPI stays up: the caller ends all ranks with pbt_comm_die
  }
  return status;
}

void pbt_comm_close(struct pbt_comm *comm) {
  if (comm == NULL) {
    return;
  }
  pbt_comm_node_free(comm);
  pbt_comm_wait(comm->stop_request, comm->size);
  if (comm->item != MPI_DATATYPE_NULL) {
    MPI_Type_free(&comm->item);
  }
  MPI_Comm_free(&comm->node);
  MPI_Comm_free(&comm->world);
  free_room(comm);
  MPI_Finalize();
}

int pbt_comm_rank(const struct pbt_comm *comm) {
  return comm->rank;
}

int pbt_comm_size(const struct pbt_comm *comm) {
  return comm->size;
}

int pbt_comm_node_rank(const struct pbt_comm *comm) {
  return comm->node_rank;
}

int pbt_comm_node_size(const struct pbt_comm *comm) {
  return comm->node_size;
}

const char *pbt_comm_host(const struct pbt_comm *comm) {
  return comm->host;
}

/* "Open MPI v4.1.4, package: ..." and "MPICH Version:\t4.0.2\n...": we keep name and
 * number. */
const char *pbt_comm_library(void) {
  static char name[64];
  if (name[0] == '\0') {
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(text, &length);
    text[strcspn(text, ",\n")] = '\0';
    char *number = text + strcspn(text, "0123456789");
    char *end = text + strcspn(text, "0123456789:");
    while (end > text && (end[-1] == ' ' || end[-1] == 'v')) {
      end--;
    }
    snprintf(name, sizeof name, "%.*s%s%s", (int)(end - text), text,
             number[0] == '\0' ? "" : " ", number);
  }
  return name;
}

_Noreturn void pbt_comm_die(pbt_status status) {
  const char *message = pbt_error();
  pbt_print_error(message[0] == '\0' ? pbt_status_text(status) : message);
  fflush(NULL);
  /* 0 would look like success to mpirun, and a shell takes codes above 125 for its own.
   */
  int code = status >= 1 && status <= 125 ? (int)status : PBT_ERR_INTERNAL;
  int up = 0, down = 0;
  MPI_Initialized(&up);
  MPI_Finalized(&down);
  if (up && !down) {
    MPI_Abort(MPI_COMM_WORLD, code);
  }
  _exit(code);
}
